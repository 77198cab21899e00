//! DescribeCluster (key 60), versions 0–2.
//!
//! - 1: endpoint type (KIP-919): brokers are described on a broker listener, controllers on a controller listener.
//! - 2: fenced brokers (KIP-1073).

use crate::broker::context::RequestContext;
use crate::broker::node::Endpoint;
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_cluster_response::DescribeClusterBroker;
use crate::protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};

use super::topic_view::{CLUSTER_OPERATIONS, NO_OPERATIONS};

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub async fn handle(
    cx: &RequestContext<'_>,
    request: DescribeClusterRequest,
) -> DescribeClusterResponse {
    let here = if cx.on_controller_listener() {
        CONTROLLERS
    } else {
        BROKERS
    };
    if request.endpoint_type != here {
        return mismatch(request.endpoint_type, here);
    }
    let nodes = if here == CONTROLLERS {
        cx.broker.controller_endpoints(&cx.peer.listener)
    } else {
        cx.broker.endpoints(&cx.peer.listener)
    };
    let entry = |node: Endpoint| DescribeClusterBroker {
        broker_id: node.id,
        host: node.host,
        port: node.port,
        rack: node.rack,
        is_fenced: false,
    };
    DescribeClusterResponse {
        endpoint_type: here,
        cluster_id: cx.broker.cluster_id.to_string(),
        controller_id: cx.broker.node_id,
        brokers: nodes.into_iter().map(entry).collect(),
        cluster_authorized_operations: if request.include_cluster_authorized_operations {
            CLUSTER_OPERATIONS
        } else {
            NO_OPERATIONS
        },
        ..Default::default()
    }
}

fn mismatch(asked: i8, here: i8) -> DescribeClusterResponse {
    let (error, message) = if !(BROKERS..=CONTROLLERS).contains(&asked) {
        (
            ErrorCode::UnsupportedEndpointType,
            format!("Unsupported endpoint type {asked}"),
        )
    } else {
        let (asked, here) = if here == BROKERS {
            ("CONTROLLER", "BROKER")
        } else {
            ("BROKER", "CONTROLLER")
        };
        let message = format!(
            "The request was sent to an endpoint of type {here}, but we wanted an endpoint of type {asked}"
        );
        (ErrorCode::MismatchedEndpointType, message)
    };
    DescribeClusterResponse {
        error_code: error.code(),
        error_message: Some(message),
        ..Default::default()
    }
}
