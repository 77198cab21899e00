//! A node's way up and down.
//!
//! ```text
//! up:   limits → directories → ports → metadata log → logs → registration → partitions → unfenced → accepting
//! down: no new connections, long polls end → requests finish → groups → leaderships given up → logs → metadata log
//! ```

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::auto_create::{OFFSETS_TOPIC, SHARE_STATE_TOPIC, TRANSACTION_TOPIC};
use super::controller_driver::{ControllerDriver, ControllerHandle, ControllerQueue};
use super::coordinator_log::CoordinatorLog;
use super::directories::Directories;
use super::dispatch::{Door, now_ms};
use super::fetch_session::FetchSessions;
use super::group_commit::GroupCommit;
use super::node::Broker;
use super::quotas::Quotas;
use super::storage::{self, Storage};
use super::topic_config::{Configs, layers};
use super::{coordinators, maintenance, publish, relocation, share, transactions};
use crate::config::BrokerConfig;
use crate::config::cordoned::cordoned_log_dirs;
use crate::config::listeners::Endpoint;
use crate::controller::brokers::{supported_broker_features, supported_controller_features};
use crate::controller::{ApiError, Controller};
use crate::coordinator::transaction::Effect;
use crate::log::health::DiskUse;
use crate::log::storage::{Disk, RealDisk};
use crate::log::{LogError, LogManager, LogManagerConfig};
use crate::metadata::format::FormatError;
use crate::metadata::image::MetadataImage;
use crate::metadata::properties::PropertiesError;
use crate::net::{Listener, ListenerOptions};
use crate::protocol::Uuid;
use crate::protocol::messages::{
    BrokerRegistrationRequest, ControllerRegistrationRequest, broker_registration_request,
    controller_registration_request,
};
use crate::raft::{RaftError, SingleVoter, VoterConfig};

/// How long a stop waits for requests in progress.
const DRAIN: Duration = Duration::from_secs(5);

/// Why a node does not start; one line for its user.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Properties(#[from] PropertiesError),
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error(transparent)]
    Raft(#[from] RaftError),
    #[error("the controller refuses this node: {0}")]
    Controller(#[from] ApiError),
    #[error(
        "listener {listener} cannot be bound: {reason}; choose another port in listeners, or stop who has it"
    )]
    Bind { listener: String, reason: String },
    #[error("a node with the controller role needs a listener named in controller.listener.names")]
    NoControllerListener,
    #[error(
        "none of the log directories can be used, see above; mend one of them or name another in log.dirs"
    )]
    NoLogDirectory,
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    broker: Arc<Broker>,
    tasks: TaskTracker,
    accepting: CancellationToken,
    controller: JoinHandle<()>,
    _storage: Storage,
}

impl Node {
    /// Starts a node; clients are served from its return on. Blocks on the disk, so it must not run on the reactor.
    pub fn start(config: BrokerConfig, runtime: &Handle) -> Result<Node, StartError> {
        let began = Instant::now();
        raise_open_files();
        let storage = storage::open(&config)?;
        let listeners = bind(&config, runtime)?;
        let (config, listeners) = with_bound_ports(config, listeners);
        let mut driver = controller(&config, &storage)?;
        driver.activate()?;
        let logs = open_logs(&config, &storage, driver.image())?;
        let epoch = register(&mut driver, &config, &storage, &logs)?;
        let (handle, queue) = ControllerHandle::new();
        let (broker, effects) = broker(config, &storage, &driver, logs, epoch, handle, runtime);
        host_partitions(&broker, &driver);
        let controller = serve_controller(driver, queue, &broker)?;
        let node = Node {
            broker,
            tasks: TaskTracker::new(),
            accepting: CancellationToken::new(),
            controller,
            _storage: storage,
        };
        node.accept(listeners, effects, runtime);
        info!(
            "[BrokerLifecycleManager id={}] Transitioning from RECOVERY to RUNNING; started in {} ms",
            node.broker.node_id,
            began.elapsed().as_millis()
        );
        Ok(node)
    }

    /// Where clients are told to reach it, with the ports that the system chose.
    pub fn advertised(&self) -> &[Endpoint] {
        &self.broker.settings.listeners.advertised
    }

    fn accept(
        &self,
        listeners: Vec<Listener>,
        effects: UnboundedReceiver<(i32, Effect)>,
        runtime: &Handle,
    ) {
        let _entered = runtime.enter();
        let door = Arc::new(Door(self.broker.clone()));
        for listener in listeners {
            let (door, tasks) = (door.clone(), self.tasks.clone());
            let accepting = listener.run(door, tasks, self.accepting.clone());
            self.tasks.spawn(async move {
                if let Err(e) = accepting.await {
                    error!("a listener ended: {e}");
                }
            });
        }
        self.tasks.spawn(self.broker.groups.run_timers());
        self.tasks.spawn(self.broker.transactions.run_timers());
        self.tasks.spawn(self.broker.share_states.run_timers());
        let broker = self.broker.clone();
        self.tasks.spawn(transactions::carry_out(broker, effects));
        maintenance::start(&self.broker, &self.tasks);
        relocation::start(&self.broker, &self.tasks);
    }

    /// Stops in order: what was acknowledged is on the disk, and the next start finds a clean directory.
    pub async fn stop(self) {
        let began = Instant::now();
        info!("stopping");
        self.broker.stopping.cancel();
        self.accepting.cancel();
        self.broker.groups.close();
        self.broker.transactions.close();
        self.broker.share_states.close();
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait())
            .await
            .is_err()
        {
            warn!("requests did not finish within {DRAIN:?}");
        }
        if let Err(e) = self.broker.controller.retire(self.broker.node_id).await {
            warn!("cannot give up leaderships: {e}");
        }
        self.broker.retired.cancel();
        // Wakes the controller's thread, which then sees that it is done.
        self.broker.controller.maybe_snapshot().await;
        let (broker, controller) = (self.broker.clone(), self.controller);
        let closed = tokio::task::spawn_blocking(move || {
            if let Err(e) = broker.logs.shutdown(broker.epoch) {
                error!("not all logs are closed in order: {e}");
            }
            if controller.join().is_err() {
                error!("the controller's thread has panicked");
            }
        });
        if let Err(e) = closed.await {
            error!("logs are not closed: {e}");
        }
        info!("stopped in {} ms", began.elapsed().as_millis());
    }
}

/// Raises the limit of open files to what the system allows.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        if let Err(e) = setrlimit(Resource::Nofile, raised) {
            warn!("cannot raise the limit of open files: {e}");
        }
    }
}

fn bind(config: &BrokerConfig, runtime: &Handle) -> Result<Vec<Listener>, StartError> {
    let _entered = runtime.enter();
    let bytes = |value: Option<i32>| value.and_then(|bytes| usize::try_from(bytes).ok());
    let network = &config.network;
    // Kafka's defaults would only hold the kernel's own tuning down: they count where the file sets them.
    let set = |key: &str, value| {
        if config.values.is_set(key) {
            bytes(value)
        } else {
            None
        }
    };
    let idle_ms = u64::try_from(network.connections_max_idle_ms).unwrap_or(u64::MAX);
    let options = ListenerOptions {
        request_max_bytes: usize::try_from(network.request_max_bytes).unwrap_or(0),
        idle_max: Duration::from_millis(idle_ms).min(Duration::from_secs(365 * 24 * 3600)),
        backlog: network.listen_backlog_size,
        send_buffer: set("socket.send.buffer.bytes", network.send_buffer_bytes),
        receive_buffer: set("socket.receive.buffer.bytes", network.receive_buffer_bytes),
    };
    let all = config
        .listeners
        .broker
        .iter()
        .chain(&config.listeners.controller);
    all.map(|endpoint| {
        let failed = |reason: String| StartError::Bind {
            listener: endpoint.to_string(),
            reason,
        };
        let address = address_of(endpoint).map_err(|e| failed(e.to_string()))?;
        Listener::bind(&endpoint.name, address, options.clone()).map_err(|e| failed(e.to_string()))
    })
    .collect()
}

/// Where to listen; without a host on every interface.
fn address_of(endpoint: &Endpoint) -> std::io::Result<SocketAddr> {
    let Some(host) = endpoint.host.as_deref().filter(|host| !host.is_empty()) else {
        let v6 = std::fs::exists("/proc/net/if_inet6").unwrap_or(true);
        let any = if v6 { "::" } else { "0.0.0.0" };
        return (any, endpoint.port).to_socket_addrs().and_then(first);
    };
    (host, endpoint.port).to_socket_addrs().and_then(first)
}

fn first(mut addresses: impl Iterator<Item = SocketAddr>) -> std::io::Result<SocketAddr> {
    addresses
        .next()
        .ok_or_else(|| std::io::Error::other("the host has no address"))
}

/// Advertises the ports that the system chose where the file says 0.
fn with_bound_ports(
    mut config: BrokerConfig,
    listeners: Vec<Listener>,
) -> (BrokerConfig, Vec<Listener>) {
    for listener in &listeners {
        let Ok(bound) = listener.local_address() else {
            continue;
        };
        let advertised = config.listeners.advertised.iter_mut();
        for endpoint in advertised.chain(&mut config.listeners.advertised_controller) {
            if endpoint.port == 0 && endpoint.name == listener.name() {
                endpoint.port = bound.port();
            }
        }
    }
    (config, listeners)
}

fn controller(config: &BrokerConfig, storage: &Storage) -> Result<ControllerDriver, StartError> {
    let log = &config.metadata_log;
    let settings = VoterConfig {
        segment_bytes: u32::try_from(log.segment_bytes).unwrap_or(u32::MAX),
        segment_ms: log.segment_ms,
        bytes_between_snapshots: u64::try_from(log.max_record_bytes_between_snapshots)
            .unwrap_or(u64::MAX),
        ms_between_snapshots: log.max_snapshot_interval_ms,
        retention_bytes: log.max_retention_bytes,
        retention_ms: log.max_retention_ms,
        disk: storage.health.guard(
            &config.metadata_log_dir,
            &(Arc::new(RealDisk) as Arc<dyn Disk>),
            DiskUse::Essential,
        ),
        ..VoterConfig::new(
            config.node_id,
            storage.metadata_dir_id,
            config.metadata_log_dir.clone(),
        )
    };
    let (voter, _) = SingleVoter::open(settings, now_ms())?;
    let controller = Controller {
        node_id: config.node_id,
        cluster_id: storage.cluster_id.clone(),
        file: config.file.clone(),
        static_values: config.values.clone(),
    };
    Ok(ControllerDriver::new(controller, voter))
}

fn open_logs(
    config: &BrokerConfig,
    storage: &Storage,
    image: &MetadataImage,
) -> Result<LogManager, StartError> {
    let configs = Configs::new(config, image);
    let options = LogManagerConfig {
        recovery_threads_per_dir: usize::try_from(config.logs.recovery_threads_per_data_dir)
            .unwrap_or(1),
        producer_expiration_ms: i64::from(config.logs.producer_id_expiration_ms),
        health: Arc::clone(&storage.health),
        ..LogManagerConfig::new(config.log_dirs.clone(), now_ms())
    };
    Ok(LogManager::open(options, |topic| {
        Arc::unwrap_or_clone(configs.resolve(topic).log)
    })?)
}

fn register(
    driver: &mut ControllerDriver,
    config: &BrokerConfig,
    storage: &Storage,
    logs: &LogManager,
) -> Result<i64, StartError> {
    let incarnation_id = Uuid::from_random(fastrand::u128(..));
    let listeners = &config.listeners;
    let controller = ControllerRegistrationRequest {
        controller_id: config.node_id,
        incarnation_id,
        zk_migration_ready: false,
        listeners: listeners
            .advertised_controller
            .iter()
            .map(|endpoint| controller_registration_request::Listener {
                name: endpoint.name.clone(),
                host: endpoint.advertised_host(),
                port: endpoint.port,
                security_protocol: endpoint.security_protocol.id(),
            })
            .collect(),
        features: supported_controller_features(),
    };
    let broker = BrokerRegistrationRequest {
        broker_id: config.node_id,
        cluster_id: storage.cluster_id.clone(),
        incarnation_id,
        listeners: listeners
            .advertised
            .iter()
            .map(|endpoint| broker_registration_request::Listener {
                name: endpoint.name.clone(),
                host: endpoint.advertised_host(),
                port: endpoint.port,
                security_protocol: endpoint.security_protocol.id(),
            })
            .collect(),
        features: supported_broker_features(),
        rack: config.rack.clone(),
        log_dirs: online_ids(storage),
        previous_broker_epoch: logs.previous_broker_epoch().unwrap_or(-1),
        ..Default::default()
    };
    let cordoned = cordoned(config, driver.image());
    let ids: Vec<Uuid> = cordoned
        .iter()
        .filter_map(|dir| storage.log_dir_ids.get(dir).copied())
        .collect();
    logs.cordon(cordoned);
    Ok(driver.register(&controller, &broker, &ids)?)
}

/// The directories that get no new partitions, as the file or the metadata says.
fn cordoned(config: &BrokerConfig, image: &MetadataImage) -> Vec<PathBuf> {
    cordoned_log_dirs(&layers(config, image).values()).unwrap_or_else(|e| {
        warn!("{e}");
        Vec::new()
    })
}

/// `directory.id` of the log directories that are online, in the order of their paths.
fn online_ids(storage: &Storage) -> Vec<Uuid> {
    let is_online = |path: &Path| {
        let health = storage.health.of(path);
        health.is_none_or(|dir| !dir.is_offline())
    };
    let online = storage
        .log_dir_ids
        .iter()
        .filter(|(path, _)| is_online(path));
    online.map(|(_, id)| *id).collect()
}

fn broker(
    config: BrokerConfig,
    storage: &Storage,
    driver: &ControllerDriver,
    logs: LogManager,
    epoch: i64,
    controller: ControllerHandle,
    runtime: &Handle,
) -> (Arc<Broker>, UnboundedReceiver<(i32, Effect)>) {
    let offsets = CoordinatorLog::new(OFFSETS_TOPIC);
    let transaction_log = CoordinatorLog::new(TRANSACTION_TOPIC);
    let (effects, due) = unbounded_channel();
    let sessions = config.values.int("group.share.max.share.sessions");
    let share = share::ShareGroups::new(usize::try_from(sessions).unwrap_or(0));
    let slots = usize::try_from(config.fetch.max_session_cache_slots).unwrap_or(0);
    let image = driver.image().clone();
    let groups = coordinators::groups(&config, &image, offsets.clone());
    let transactions =
        coordinators::transactions(&config, &image, transaction_log.clone(), effects);
    let share_log = CoordinatorLog::new(SHARE_STATE_TOPIC);
    let share_states = coordinators::share_states(&config, &image, share_log.clone());
    let directories = Directories::new(storage.health.clone(), storage.log_dir_ids.clone());
    directories.watch(&config.log_dirs, &config.metadata_log_dir);
    let broker = Arc::new(Broker {
        cluster_id: storage.cluster_id.as_str().into(),
        node_id: config.node_id,
        epoch,
        topics: Default::default(),
        unhosted: Default::default(),
        logs,
        directories,
        relocations: Default::default(),
        fetch_sessions: parking_lot::Mutex::new(FetchSessions::new(slots)),
        producer_ids: Default::default(),
        creation_errors: Default::default(),
        controller,
        groups: Arc::new(groups),
        transactions: Arc::new(transactions),
        share_states: Arc::new(share_states),
        share,
        group_commit: (config.group_commit).then(|| Arc::new(GroupCommit::new(runtime.clone()))),
        stopping: CancellationToken::new(),
        retired: CancellationToken::new(),
        image: ArcSwap::from_pointee(image),
        loggers: Default::default(),
        quotas: Quotas::new(&config.values),
        reconfigured: Default::default(),
        runtime: runtime.clone(),
        settings: config,
    });
    broker.quotas.update(&broker.image().quotas);
    offsets.attach(&broker);
    if let Some(commit) = &broker.group_commit {
        commit.attach(&broker);
    }
    transaction_log.attach(&broker);
    share_log.attach(&broker);
    (broker, due)
}

/// Takes over every partition that the metadata gives to this node, and sets aside what it does not.
fn host_partitions(broker: &Arc<Broker>, driver: &ControllerDriver) {
    let image = driver.image();
    for log in broker.logs.logs() {
        let tp = log.topic_partition();
        let topic_id = image.topics.id_of(&tp.topic);
        let known = image.topics.partition(&tp.topic, tp.partition).is_some();
        let same = matches!(log.topic_id(), Ok(Some(id)) if Some(id) == topic_id);
        if known && same {
            continue;
        }
        warn!("{tp} is not in the cluster's metadata: its directory is set aside as stray");
        if let Err(e) = broker
            .logs
            .set_aside_stray(tp, Uuid::from_random(fastrand::u128(..)))
        {
            error!("cannot set {tp} aside: {e}");
        }
    }
    let mut configs = Configs::new(&broker.settings, image);
    for (topic, index, partition) in image.topics.partitions() {
        publish::host(broker, &mut configs, topic, index, partition, now_ms());
    }
}

/// Lets the broker in and hands the controller to its thread.
fn serve_controller(
    mut driver: ControllerDriver,
    queue: ControllerQueue,
    broker: &Arc<Broker>,
) -> Result<JoinHandle<()>, StartError> {
    driver.attach(broker.clone());
    driver.unfence(broker.node_id)?;
    driver.spawn(queue).map_err(StartError::Thread)
}
