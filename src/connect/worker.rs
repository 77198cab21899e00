//! A standalone worker: its herder, its REST interface, and the id of its cluster.
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::connectivity;
use super::errors::Result;
use super::herder::StandaloneHerder;
use super::rest::{RestServer, RestState};
use super::worker_config::WorkerConfig;
use crate::client::ClientConfig;
use crate::client::admin::Admin;
use crate::client::outage::ConnectivityListener;
use crate::config::Properties;

/// How long the wait is before a cluster without id is asked again.
const CLUSTER_ID_RETRY: Duration = Duration::from_secs(1);

/// A running worker.
pub struct StandaloneWorker {
    herder: Arc<StandaloneHerder>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl StandaloneWorker {
    /// Starts a worker without connectors. Must be called inside a tokio runtime.
    pub async fn start(config: WorkerConfig) -> Result<Self> {
        let admin = ClientConfig::from_properties(&config.client("admin.", &[]))?;
        let server = RestServer::bind(&config.listeners).await?;
        let worker_id = config.worker_id(&own_address(), server.port());
        let connectivity = connectivity::listener();
        let herder = Arc::new(StandaloneHerder::new(
            config,
            worker_id.clone(),
            connectivity.clone(),
        )?);
        let stop = CancellationToken::new();
        let (known, cluster_id) = watch::channel(None);
        let state = RestState {
            herder: herder.clone(),
            cluster_id,
        };
        let tasks = vec![
            tokio::spawn(server.serve(Arc::new(state), stop.clone())),
            tokio::spawn(find_cluster_id(admin, connectivity, known, stop.clone())),
        ];
        tracing::info!("worker started, REST interface at http://{worker_id}/");
        Ok(Self {
            herder,
            stop,
            tasks,
        })
    }

    /// Checks a connector and starts its tasks.
    pub fn create(&self, connector: Properties) -> Result<()> {
        self.herder.create(connector)
    }

    /// Stops everything: what tasks have is sent, committed and stored.
    pub async fn stop(self) {
        self.herder.stop().await;
        self.stop.cancel();
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!("a task of the worker failed: {error}");
            }
        }
    }
}

/// Asks until a broker answers.
async fn find_cluster_id(
    mut config: ClientConfig,
    connectivity: ConnectivityListener,
    known: watch::Sender<Option<String>>,
    stop: CancellationToken,
) {
    config.connectivity = Some(connectivity);
    let admin = Admin::new(config);
    let ask = async {
        loop {
            match admin.describe_cluster().await {
                Ok(cluster) => return cluster.cluster_id,
                Err(error) => tracing::debug!("the cluster's id is not known yet: {error}"),
            }
            tokio::time::sleep(CLUSTER_ID_RETRY).await;
        }
    };
    tokio::select! {
        id = ask => {
            tracing::info!("Kafka cluster id: {id}");
            known.send_replace(Some(id));
        }
        () = stop.cancelled() => {}
    }
    admin.close().await;
}

/// The address that the machine's own name stands for, as Java's `InetAddress.getLocalHost`.
fn own_address() -> String {
    let name = hostname::get()
        .ok()
        .and_then(|name| name.into_string().ok());
    let resolved = name.and_then(|name| (name, 0).to_socket_addrs().ok());
    let address = resolved.and_then(|mut found| found.next());
    address
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip())
        .to_string()
}
