//! Brokers and controllers one by one: those that are registered, and forgetting one.
use super::{Admin, not_controller};
use crate::client::cluster::Route;
use crate::client::connection::Endpoint;
use crate::client::errors::{ClientError, Result};
use crate::protocol::ErrorCode;
use crate::protocol::messages::{DescribeClusterRequest, UnregisterBrokerRequest};

/// A broker or, where the client talks to controllers, a controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterNode {
    pub endpoint: Endpoint,
    /// Registered, and not in use.
    pub fenced: bool,
}

impl Admin {
    /// The nodes of the cluster, in order of their ids; `fenced` asks for those not in use too.
    pub async fn list_nodes(&self, fenced: bool) -> Result<Vec<ClusterNode>> {
        let controllers = self.client().config().controllers;
        let build = |_version| DescribeClusterRequest {
            endpoint_type: if controllers { 2 } else { 1 },
            include_fenced_brokers: fenced,
            ..Default::default()
        };
        let options = self.options("describeCluster");
        let response = self
            .client()
            .call(options, Route::Any, build, |response| {
                ErrorCode::from_code(response.error_code)
            })
            .await?;
        ClientError::check(response.error_code, response.error_message.as_deref())?;
        let mut nodes = Vec::with_capacity(response.brokers.len());
        for node in response.brokers {
            let port = u16::try_from(node.port)
                .map_err(|_| ClientError::protocol(format!("a node has the port {}", node.port)))?;
            nodes.push(ClusterNode {
                endpoint: Endpoint {
                    id: node.broker_id,
                    host: node.host.into(),
                    port,
                    rack: node.rack.map(Into::into),
                },
                fenced: node.is_fenced,
            });
        }
        nodes.sort_by_key(|node| node.endpoint.id);
        Ok(nodes)
    }

    /// Forgets a broker that will not come back.
    pub async fn unregister_broker(&self, id: i32) -> Result<()> {
        let build = |_version| UnregisterBrokerRequest { broker_id: id };
        let options = self.options("unregisterBroker");
        let response = self
            .client()
            .call(options, Route::Controller, build, |response| {
                not_controller([response.error_code])
            })
            .await?;
        let outcome = ClientError::check(response.error_code, response.error_message.as_deref());
        if let Err(error) = &outcome {
            tracing::warn!("Unregister broker request for broker ID {id} failed: {error}");
        }
        outcome
    }
}
