//! A broker that is there for a test and gone with it: on a free port, in a temporary directory, ready in milliseconds.
//!
//! ```no_run
//! use kafkars::dev::DevBroker;
//!
//! let broker = DevBroker::start()?;
//! println!("clients begin at {}", broker.bootstrap_servers());
//! // Dropped, it is stopped and its data removed.
//! # Ok::<(), kafkars::dev::DevError>(())
//! ```
//!
//! On a copy of a broker's data, which is not written to and must not be in use:
//!
//! ```no_run
//! use kafkars::dev::DevBroker;
//!
//! let broker = DevBroker::builder()
//!     .fork("/var/lib/kafka/data")
//!     .set("num.partitions", 3)
//!     .start()?;
//! # Ok::<(), kafkars::dev::DevError>(())
//! ```
//!
//! A port of 0 is a free one. The calls block: within a Tokio runtime, use `spawn_blocking`.
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::broker::{Node, StartError};
use crate::config::{self, Properties};
use crate::log::LogError;
use crate::log::fork::{Forked, fork};
use crate::metadata::properties::{MetaProperties, PropertiesError};

/// What a broker for one quick client wants other than Kafka's defaults.
const SETTINGS: &[(&str, &str)] = &[
    ("group.initial.rebalance.delay.ms", "0"),
    ("offsets.topic.num.partitions", "1"),
    ("offsets.topic.replication.factor", "1"),
    ("transaction.state.log.num.partitions", "1"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("share.coordinator.state.topic.num.partitions", "1"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    ("log.retention.check.interval.ms", "5000"),
];
/// The topic whose directory the metadata log is.
const METADATA_LOG: &str = "__cluster_metadata-0";

/// Why a [`DevBroker`] does not start; one line for its user.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    #[error("cannot make a temporary directory: {0}")]
    TemporaryDirectory(std::io::Error),
    #[error("{0}")]
    Settings(String),
    #[error(
        "{0} holds no {METADATA_LOG}: name the log directories of a node that is broker and controller"
    )]
    NoMetadataLog(String),
    #[error("{0} is not a formatted log directory: it has no meta.properties")]
    NotFormatted(PathBuf),
    #[error(transparent)]
    Properties(#[from] PropertiesError),
    #[error(transparent)]
    Fork(#[from] LogError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("cannot start threads: {0}")]
    Runtime(std::io::Error),
}

/// A running broker; stopped, and its data removed, when it is dropped.
#[derive(Debug)]
pub struct DevBroker {
    // Both are there until the broker is stopped.
    node: Option<Node>,
    runtime: Option<Runtime>,
    bootstrap_servers: String,
    data: TempDir,
    forked: Option<Forked>,
}

impl DevBroker {
    /// A broker with no data, on a free port.
    pub fn start() -> Result<DevBroker, DevError> {
        Self::builder().start()
    }

    pub fn builder() -> Builder {
        Builder::default()
    }

    /// `host:port`, for `bootstrap.servers`.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// Where its data is.
    pub fn directory(&self) -> &Path {
        self.data.path()
    }

    /// What was taken of the directory it is a fork of.
    pub fn forked(&self) -> Option<Forked> {
        self.forked
    }

    /// Stops it and leaves its data where they are.
    pub fn keep(mut self) -> PathBuf {
        self.data.disable_cleanup(true);
        self.data.path().to_owned()
    }
}

impl Drop for DevBroker {
    fn drop(&mut self) {
        if let (Some(node), Some(runtime)) = (self.node.take(), self.runtime.take()) {
            runtime.block_on(node.stop());
            runtime.shutdown_background();
        }
    }
}

/// How a [`DevBroker`] is to be.
#[derive(Debug, Default)]
pub struct Builder {
    port: u16,
    fork: Vec<PathBuf>,
    settings: Vec<(String, String)>,
}

impl Builder {
    /// The port for clients; 0, unless told otherwise: a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Begins on a copy of this log directory. A node that has several is forked by a call for each.
    pub fn fork(mut self, directory: impl Into<PathBuf>) -> Self {
        self.fork.push(directory.into());
        self
    }

    /// A property as in `server.properties`.
    pub fn set(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.settings.push((key.into(), value.to_string()));
        self
    }

    pub fn start(self) -> Result<DevBroker, DevError> {
        let temporary = tempfile::Builder::new().prefix("kafkars-dev-").tempdir();
        let data = temporary.map_err(DevError::TemporaryDirectory)?;
        let (directories, forked) = self.directories(data.path())?;
        let node_id = match directories.first() {
            Some(first) if forked.is_some() => meta_properties(first)?.node_id,
            _ => 1,
        };
        let properties = self.properties(&directories, node_id);
        let report = config::check(&properties);
        let config = report
            .config
            .ok_or_else(|| DevError::Settings(report.errors.join("; ")))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(DevError::Runtime)?;
        let node = Node::start(config, runtime.handle())?;
        let endpoint = node.advertised().first();
        let bootstrap_servers = endpoint.map(|e| format!("{}:{}", e.advertised_host(), e.port));
        Ok(DevBroker {
            bootstrap_servers: bootstrap_servers.unwrap_or_default(),
            node: Some(node),
            runtime: Some(runtime),
            data,
            forked,
        })
    }

    /// The log directories, that of the metadata log first.
    fn directories(&self, data: &Path) -> Result<(Vec<PathBuf>, Option<Forked>), DevError> {
        if self.fork.is_empty() {
            return Ok((vec![data.join("data")], None));
        }
        let mut sources: Vec<&PathBuf> = self.fork.iter().collect();
        sources.sort_by_key(|source| !source.join(METADATA_LOG).is_dir());
        if let Some(first) = sources.first()
            && !first.join(METADATA_LOG).is_dir()
        {
            let named: Vec<_> = sources.iter().map(|s| s.display().to_string()).collect();
            return Err(DevError::NoMetadataLog(named.join(", ")));
        }
        let mut directories = Vec::new();
        let mut forked = Forked::default();
        for (number, source) in sources.into_iter().enumerate() {
            meta_properties(source)?;
            let directory = data.join(format!("data-{number}"));
            std::fs::create_dir(&directory).map_err(DevError::TemporaryDirectory)?;
            forked += fork(source, &directory)?;
            directories.push(directory);
        }
        Ok((directories, Some(forked)))
    }

    fn properties(&self, directories: &[PathBuf], node_id: i32) -> Properties {
        let mut properties = Properties::new();
        let directories: Vec<_> = directories
            .iter()
            .map(|d| d.display().to_string())
            .collect();
        let client = format!("PLAINTEXT://127.0.0.1:{}", self.port);
        let listeners = format!("{client},CONTROLLER://127.0.0.1:0");
        for (key, value) in [
            ("process.roles", "broker,controller"),
            ("node.id", &node_id.to_string()),
            (
                "controller.quorum.voters",
                &format!("{node_id}@127.0.0.1:0"),
            ),
            ("controller.listener.names", "CONTROLLER"),
            ("listeners", &listeners),
            ("log.dirs", &directories.join(",")),
        ] {
            properties.set(key, value);
        }
        for (key, value) in SETTINGS {
            properties.set(*key, *value);
        }
        for (key, value) in &self.settings {
            properties.set(key, value);
        }
        properties
    }
}

fn meta_properties(directory: &Path) -> Result<MetaProperties, DevError> {
    let found = MetaProperties::read(directory)?;
    found.ok_or_else(|| DevError::NotFormatted(directory.to_owned()))
}
