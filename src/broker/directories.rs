//! The node's log directories while it runs: which replica is in which, and what follows when one fails.
//!
//! ```text
//! operation fails → health: offline → here: logs given up, waiters woken → controller: replica gone, another leader
//! metadata.log.dir, or the last of log.dirs fails → the process halts
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::{error, warn};

use super::auto_create::OFFSETS_TOPIC;
use super::node::Broker;
use crate::log::TopicPartition;
use crate::log::health::{DirHealth, Health};
use crate::metadata::image::PartitionImage;
use crate::net::ReadFault;
use crate::protocol::Uuid;
use crate::protocol::messages::AssignReplicasToDirsRequest;
use crate::protocol::messages::assign_replicas_to_dirs_request::{
    DirectoryData, PartitionData, TopicData,
};

/// Ended by a failure, as Kafka's `Exit.halt(1)`.
const HALTED: i32 = 1;
const REPORT_RETRY: Duration = Duration::from_millis(500);

/// The directories of a running node.
#[derive(Debug)]
pub struct Directories {
    pub health: Arc<Health>,
    /// `directory.id` of those of `log.dirs` that were online at the start.
    ids: BTreeMap<PathBuf, Uuid>,
    /// Replicas of which the metadata does not know yet where they are.
    unassigned: Mutex<BTreeMap<(Uuid, i32), Uuid>>,
    /// Those whose failure has been dealt with.
    given_up: Mutex<BTreeSet<PathBuf>>,
    pub changed: Arc<Notify>,
}

impl Directories {
    pub fn new(health: Arc<Health>, ids: BTreeMap<PathBuf, Uuid>) -> Directories {
        let offline = health.dirs().iter().filter(|dir| dir.is_offline());
        Directories {
            given_up: Mutex::new(offline.map(|dir| dir.path().to_owned()).collect()),
            health,
            ids,
            unassigned: Mutex::default(),
            changed: Arc::default(),
        }
    }

    /// From here on a failure that leaves nothing to serve ends the process at once, before anyone is answered.
    pub fn watch(&self, log_dirs: &[PathBuf], metadata_log_dir: &Path) {
        let (health, changed) = (Arc::downgrade(&self.health), self.changed.clone());
        let (log_dirs, metadata_log_dir) = (log_dirs.to_vec(), metadata_log_dir.to_owned());
        let told = move || {
            if let Some(health) = health.upgrade() {
                halt_if_lost(&health, &log_dirs, &metadata_log_dir);
            }
            changed.notify_one();
        };
        told();
        self.health.listen(told);
    }

    pub fn path_of(&self, id: Uuid) -> Option<&Path> {
        let found = self.ids.iter().find(|(_, known)| **known == id);
        found.map(|(path, _)| path.as_path())
    }

    pub fn id_of(&self, path: &Path) -> Option<Uuid> {
        self.ids.get(path).copied()
    }

    /// The ids of directories; of those that were not there at the start they are not known.
    pub fn ids_of(&self, paths: &[PathBuf]) -> Vec<Uuid> {
        paths.iter().filter_map(|path| self.id_of(path)).collect()
    }

    /// Whether every one of `log.dirs` works.
    pub fn all_online(&self) -> bool {
        !self.health.dirs().iter().any(|dir| dir.is_offline())
    }

    /// Whether the directory of this id is one that has failed, or that was not there at the start.
    pub fn is_lost(&self, id: Uuid) -> bool {
        let online = |path: &Path| self.health.of(path).is_none_or(|dir| !dir.is_offline());
        // 0 and 1: not assigned yet.
        id.as_u128() > 1 && !self.path_of(id).is_some_and(online)
    }

    /// Notes where a replica is, if the metadata says otherwise.
    pub fn note(
        &self,
        broker: &Broker,
        partition: &PartitionImage,
        topic_id: Uuid,
        index: i32,
        dir: &Path,
    ) {
        let Some(id) = self.id_of(dir) else { return };
        if partition.directory_of(broker.node_id) == Some(id) {
            self.unassigned.lock().remove(&(topic_id, index));
        } else {
            self.unassigned.lock().insert((topic_id, index), id);
        }
    }

    /// What the controller has yet to hear; None if nothing.
    pub fn take_unassigned(&self, broker: &Broker) -> Option<AssignReplicasToDirsRequest> {
        let unassigned = std::mem::take(&mut *self.unassigned.lock());
        (!unassigned.is_empty()).then(|| assignment(broker, unassigned))
    }
}

/// What a fetch meets while its records are sent.
impl ReadFault for DirHealth {
    fn cannot_read(&self, file: &File, error: &std::io::Error) {
        self.note_of("sendfile", file, error);
    }
}

/// The request that names the directories of replicas.
pub fn assignment(
    broker: &Broker,
    replicas: impl IntoIterator<Item = ((Uuid, i32), Uuid)>,
) -> AssignReplicasToDirsRequest {
    let mut by_dir: BTreeMap<Uuid, BTreeMap<Uuid, Vec<i32>>> = BTreeMap::new();
    for ((topic, index), directory) in replicas {
        let topics = by_dir.entry(directory).or_default();
        topics.entry(topic).or_default().push(index);
    }
    let partition = |partition_index: i32| PartitionData { partition_index };
    let topic = |(topic_id, indexes): (Uuid, Vec<i32>)| TopicData {
        topic_id,
        partitions: indexes.into_iter().map(partition).collect(),
    };
    let directory = |(id, topics): (Uuid, BTreeMap<Uuid, Vec<i32>>)| DirectoryData {
        id,
        topics: topics.into_iter().map(topic).collect(),
    };
    AssignReplicasToDirsRequest {
        broker_id: broker.node_id,
        broker_epoch: broker.epoch,
        directories: by_dir.into_iter().map(directory).collect(),
    }
}

/// A node without its metadata log, or without any log directory, is none.
fn halt_if_lost(health: &Health, log_dirs: &[PathBuf], metadata_log_dir: &Path) {
    let is_offline = |path: &Path| health.of(path).is_some_and(|dir| dir.is_offline());
    if is_offline(metadata_log_dir) {
        let dir = metadata_log_dir.display();
        error!("Shutdown broker because the metadata log dir {dir} has failed");
        std::process::exit(HALTED);
    }
    if log_dirs.iter().all(|dir| is_offline(dir)) {
        let dirs: Vec<_> = log_dirs
            .iter()
            .map(|dir| dir.display().to_string())
            .collect();
        error!(
            "Shutdown broker because all log dirs in {} have failed",
            dirs.join(", ")
        );
        std::process::exit(HALTED);
    }
}

/// Gives up what is in directories that have failed since the last look, and tells the controller.
pub async fn handle_failures(broker: &Arc<Broker>) {
    let mut ids = Vec::new();
    let mut lost = BTreeMap::new();
    for dir in broker.directories.health.dirs() {
        if !dir.is_offline()
            || !broker
                .directories
                .given_up
                .lock()
                .insert(dir.path().to_owned())
        {
            continue;
        }
        let tps = broker.logs.forget_dir(dir.path());
        warn_of(dir, &tps);
        let Some(id) = broker.directories.id_of(dir.path()) else {
            continue;
        };
        ids.push(id);
        for tp in tps {
            if let Some(topic_id) = withdraw(broker, &tp) {
                lost.insert((topic_id, tp.partition), id);
            }
        }
    }
    if ids.is_empty() {
        return;
    }
    report(broker, assignment(broker, lost), ids).await;
}

/// Tells the controller of failed directories, again and again for `log.dir.failure.timeout.ms`: a broker that cannot
/// give up what it leads had better be gone.
async fn report(broker: &Broker, request: AssignReplicasToDirsRequest, ids: Vec<Uuid>) {
    let patience = broker.settings.values.long("log.dir.failure.timeout.ms");
    let patience = Duration::from_millis(u64::try_from(patience).unwrap_or(0));
    let began = Instant::now();
    loop {
        let told = broker
            .controller
            .directories_offline(request.clone(), ids.clone());
        let Err(e) = told.await else { return };
        if broker.stopping.is_cancelled() {
            return;
        }
        if began.elapsed() >= patience {
            error!(
                "Shutdown broker because the controller cannot be told of failed log directories within {patience:?}: {e}"
            );
            std::process::exit(HALTED);
        }
        warn!("the controller is not told of failed log directories, to be tried again: {e}");
        tokio::time::sleep(REPORT_RETRY).await;
    }
}

fn warn_of(dir: &DirHealth, tps: &[TopicPartition]) {
    const NAMED: usize = 20;
    let names: Vec<String> = tps.iter().take(NAMED).map(ToString::to_string).collect();
    let more = tps.len().saturating_sub(names.len());
    warn!(
        "{} partitions in {} are offline: {}{}",
        tps.len(),
        dir.path().display(),
        names.join(", "),
        if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        }
    );
}

/// Hosts a partition no longer; the id of its topic.
fn withdraw(broker: &Arc<Broker>, tp: &TopicPartition) -> Option<Uuid> {
    let topic = broker.topics.by_name(&tp.topic)?;
    topic.remove(tp.partition);
    if *tp.topic == *OFFSETS_TOPIC {
        broker.groups.unload(tp.partition);
    }
    Some(topic.id)
}
