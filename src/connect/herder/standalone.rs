//! The herder of a standalone worker: connectors live in memory, and all their tasks run here.
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::status::{ConnectorState, ConnectorStatus, State, TaskStatus};
use crate::client::outage::ConnectivityListener;
use crate::config::Properties;
use crate::connect::connector::{ConnectorConfig, Plugin, Task, VERSION};
use crate::connect::errors::{ConnectError, Result};
use crate::connect::offsets::OffsetStore;
use crate::connect::worker_config::WorkerConfig;

/// What a task may take to end beyond `task.shutdown.graceful.timeout.ms`, which it keeps itself.
const STOP_MARGIN: Duration = Duration::from_secs(1);

/// All connectors of a worker. Shared with the REST interface.
pub struct StandaloneHerder {
    worker: WorkerConfig,
    worker_id: String,
    offsets: OffsetStore,
    connectivity: ConnectivityListener,
    /// In the order in which they were created.
    connectors: Mutex<Vec<Connector>>,
}

struct Connector {
    config: ConnectorConfig,
    stop: CancellationToken,
    tasks: Vec<RunningTask>,
}

struct RunningTask {
    /// Why it failed, once it has.
    failure: Arc<Mutex<Option<String>>>,
    handle: JoinHandle<()>,
}

/// What the REST interface tells about a connector.
#[derive(Debug, Clone)]
pub struct ConnectorInfo {
    pub name: String,
    pub plugin: Plugin,
    pub config: Properties,
    pub tasks: usize,
}

impl StandaloneHerder {
    pub fn new(
        worker: WorkerConfig,
        worker_id: String,
        connectivity: ConnectivityListener,
    ) -> Result<Self> {
        let offsets = OffsetStore::open(&worker.offset_file)?;
        Ok(Self {
            worker,
            worker_id,
            offsets,
            connectivity,
            connectors: Mutex::default(),
        })
    }

    /// Checks a connector and starts its tasks. Must be called inside a tokio runtime.
    pub fn create(&self, properties: Properties) -> Result<()> {
        let config = ConnectorConfig::new(properties, &self.worker)?;
        let mut connectors = self.connectors.lock();
        if connectors
            .iter()
            .any(|other| other.config.name == config.name)
        {
            let name = &config.name;
            return Err(ConnectError::config(format!(
                "Connector {name} already exists"
            )));
        }
        let stop = CancellationToken::new();
        let start = |index| self.start(&config, index, stop.clone());
        let tasks: Vec<_> = (0..config.task_count()).map(start).collect();
        tracing::info!(
            "connector {} started: {} with {} task{}",
            config.name,
            config.plugin.class(),
            tasks.len(),
            if tasks.len() == 1 { "" } else { "s" }
        );
        connectors.push(Connector {
            config,
            stop,
            tasks,
        });
        Ok(())
    }

    fn start(
        &self,
        config: &ConnectorConfig,
        index: usize,
        stop: CancellationToken,
    ) -> RunningTask {
        let failure = Arc::new(Mutex::new(None));
        let told = failure.clone();
        let name = format!("{}-{index}", config.name);
        let task = config.task(index, &self.worker, &self.offsets, &self.connectivity);
        let handle = tokio::spawn(async move {
            let ended = match task {
                Ok(Task::Source(task)) => task.run(stop).await,
                Ok(Task::Sink(task)) => task.run(stop).await,
                Err(error) => Err(error),
            };
            if let Err(error) = ended {
                tracing::error!("task {name} failed and will not be restarted: {error}");
                *told.lock() = Some(error.to_string());
            }
        });
        RunningTask { failure, handle }
    }

    /// The names of all connectors.
    pub fn connectors(&self) -> Vec<String> {
        let connectors = self.connectors.lock();
        connectors
            .iter()
            .map(|connector| connector.config.name.clone())
            .collect()
    }

    pub fn info(&self, name: &str) -> Result<ConnectorInfo> {
        self.with(name, |connector| ConnectorInfo {
            name: connector.config.name.clone(),
            plugin: connector.config.plugin,
            config: connector.config.properties.clone(),
            tasks: connector.tasks.len(),
        })
    }

    pub fn status(&self, name: &str) -> Result<ConnectorStatus> {
        self.with(name, |connector| ConnectorStatus {
            name: connector.config.name.clone(),
            connector: ConnectorState {
                state: State::Running,
                worker_id: self.worker_id.clone(),
                version: VERSION,
            },
            tasks: connector
                .tasks
                .iter()
                .enumerate()
                .map(|(id, task)| self.task(id, task))
                .collect(),
            kind: connector.config.plugin.kind(),
        })
    }

    fn task(&self, id: usize, task: &RunningTask) -> TaskStatus {
        let trace = task.failure.lock().clone();
        let state = match (&trace, task.handle.is_finished()) {
            (Some(_), _) => State::Failed,
            (None, true) => State::Unassigned,
            (None, false) => State::Running,
        };
        TaskStatus {
            id,
            state,
            worker_id: self.worker_id.clone(),
            version: VERSION,
            trace,
        }
    }

    fn with<T>(&self, name: &str, look: impl FnOnce(&Connector) -> T) -> Result<T> {
        let connectors = self.connectors.lock();
        let found = connectors
            .iter()
            .find(|connector| connector.config.name == name);
        found
            .map(look)
            .ok_or_else(|| ConnectError::NotFound(name.to_owned()))
    }

    /// Stops all tasks: they send, commit and store what they have.
    pub async fn stop(&self) {
        let connectors = std::mem::take(&mut *self.connectors.lock());
        for connector in &connectors {
            connector.stop.cancel();
        }
        let patience = self.worker.stop_timeout + STOP_MARGIN;
        let deadline = tokio::time::Instant::now() + patience;
        for connector in connectors {
            for (index, task) in connector.tasks.into_iter().enumerate() {
                if tokio::time::timeout_at(deadline, task.handle)
                    .await
                    .is_err()
                {
                    tracing::warn!(
                        "task {}-{index} did not end within {} ms and is left behind",
                        connector.config.name,
                        patience.as_millis()
                    );
                }
            }
        }
    }
}
