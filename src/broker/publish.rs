//! What follows from a new metadata image: logs to create, give up or configure, leaderships to take.
//!
//! Runs on the controller's thread, before the change is answered, so that a topic can be used as soon as its creator
//! hears of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::{error, info, warn};

use super::auto_create::{OFFSETS_TOPIC, SHARE_STATE_TOPIC, TRANSACTION_TOPIC};
use super::node::Broker;
use super::partition::{Partition, Topic};
use super::topic_config::Configs;
use crate::config::cordoned::cordoned_log_dirs;
use crate::log::{LogError, TopicPartition};
use crate::metadata::delta::MetadataChanges;
use crate::metadata::feature;
use crate::metadata::image::{ConfigResourceType, MetadataImage, PartitionImage, TopicImage};
use crate::protocol::Uuid;

/// Makes `image` the broker's, and acts on what changed.
pub fn publish(
    broker: &Arc<Broker>,
    image: Arc<MetadataImage>,
    changes: &MetadataChanges,
    now_ms: i64,
) {
    // Logs first: whoever sees the image finds them.
    let mut configs = Configs::new(&broker.settings, &image);
    for (topic_id, index) in &changes.partitions {
        let Some(topic) = image.topics.get_by_id(*topic_id) else {
            continue;
        };
        if let Some(partition) = topic.partitions.get(index) {
            host(broker, &mut configs, topic, *index, partition, now_ms);
        }
    }
    let before = broker.image.swap(image.clone());
    broker.groups.set_image(image.clone());
    broker.share_states.set_image(image.clone());
    give_up(broker, changes.deleted_topics.values(), now_ms);
    configure(broker, &image, changes);
    if changes.quotas {
        broker.quotas.update(&image.quotas);
    }
    let (groups, changes) = (broker.groups.clone(), changes.clone());
    broker
        .runtime
        .spawn(async move { groups.on_metadata_changed(changes).await });
    let version = image.features.level(feature::TRANSACTION_VERSION);
    if version != before.features.level(feature::TRANSACTION_VERSION) {
        let transactions = broker.transactions.clone();
        broker
            .runtime
            .spawn(async move { transactions.set_version(version).await });
    }
}

/// Opens or creates the log of a partition that the metadata gives to this node, and takes its leadership.
pub fn host(
    broker: &Arc<Broker>,
    configs: &mut Configs<'_>,
    topic: &TopicImage,
    index: i32,
    partition: &PartitionImage,
    now_ms: i64,
) {
    if !partition.replicas.contains(&broker.node_id) {
        return;
    }
    let tp = TopicPartition::new(topic.name.as_ref(), index);
    let leadership = broker.leadership(partition);
    let hosted = broker
        .topics
        .by_id(&topic.id)
        .and_then(|topic| topic.partition(index));
    if let Some(hosted) = hosted {
        note_directory(broker, partition, topic.id, index, &tp);
        let takes_over = leadership.is_leader && !hosted.leadership().is_leader;
        hosted.set_leadership(leadership);
        if takes_over {
            lead(broker, &hosted, topic, index, now_ms);
        }
        return;
    }
    let config = configs.of(&topic.name);
    let opened = match broker.logs.log(&tp) {
        Some(log) => Ok(log),
        None => match place(broker, partition, &tp) {
            Place::In(dir) => {
                broker
                    .logs
                    .create(&tp, topic.id, dir.as_deref(), config.log.clone(), now_ms)
            }
            Place::Lost => return,
        },
    };
    match opened {
        Ok(log) => {
            note_directory(broker, partition, topic.id, index, &tp);
            let commit = broker.group_commit.clone();
            let hosted =
                Partition::new(topic.name.clone(), topic.id, index, log, leadership, commit);
            hosted.set_min_insync_replicas(config.min_insync_replicas);
            let hosted = Arc::new(hosted);
            broker.topics.insert(hosted.clone());
            if leadership.is_leader {
                lead(broker, &hosted, topic, index, now_ms);
            }
        }
        // Said once, and tried again by [`host_missing`].
        Err(e) => {
            if broker.unhosted.lock().insert((topic.id, index)) {
                error!("cannot create the log of {tp}, to be tried again: {e}");
            }
        }
    }
}

/// Where a replica that has no log here belongs.
enum Place {
    /// In this directory; `None`: where there are the fewest.
    In(Option<PathBuf>),
    /// In a directory that is offline: its records are there, to begin anew elsewhere would lose them.
    Lost,
}

fn place(broker: &Broker, partition: &PartitionImage, tp: &TopicPartition) -> Place {
    let directories = &broker.directories;
    let assigned = partition.directory_of(broker.node_id).unwrap_or_default();
    if directories.is_lost(assigned) {
        return Place::Lost;
    }
    let known = directories.path_of(assigned);
    // It may have been put into any directory, of which the metadata has not heard.
    let is_new = partition.partition_epoch == 0;
    match broker.relocations.take_preferred(tp).as_deref().or(known) {
        None if !is_new && !directories.all_online() => Place::Lost,
        // It was on its way here; what it comes from may be in a directory that is offline.
        Some(_) if broker.logs.is_found_future(tp) => {
            error!("{tp} is only in a -future directory, left by a move; it is offline");
            Place::Lost
        }
        known => Place::In(known.map(Path::to_owned)),
    }
}

/// Has the metadata told where the replica is, if it does not know.
fn note_directory(
    broker: &Broker,
    partition: &PartitionImage,
    topic_id: Uuid,
    index: i32,
    tp: &TopicPartition,
) {
    let target = broker.logs.future(tp).map(|(_, dir)| dir);
    let is_moving_there = target.is_some_and(|dir| {
        let id = broker.directories.id_of(dir);
        id.is_some() && id == partition.directory_of(broker.node_id)
    });
    if is_moving_there {
        return;
    }
    if let Some(dir) = broker.logs.dir_of(tp) {
        broker
            .directories
            .note(broker, partition, topic_id, index, dir);
    }
}

/// Tries again to host what could not be hosted.
pub fn host_missing(broker: &Arc<Broker>, image: &MetadataImage, now_ms: i64) {
    let mut configs = Configs::new(&broker.settings, image);
    let unhosted = broker.unhosted.lock().clone();
    for (id, index) in unhosted {
        let topic = image.topics.get_by_id(id);
        let known = topic.and_then(|topic| Some((topic, topic.partitions.get(&index)?)));
        if let Some((topic, partition)) = known {
            host(broker, &mut configs, topic, index, partition, now_ms);
        }
        let hosted = broker.topics.by_id(&id);
        if known.is_none() || hosted.is_some_and(|topic| topic.partition(index).is_some()) {
            broker.unhosted.lock().remove(&(id, index));
        }
    }
}

/// What a partition needs of its new leader: at once when it is opened as one, or when it is elected
/// later, as every partition is at the start after a clean stop.
fn lead(
    broker: &Arc<Broker>,
    hosted: &Arc<Partition>,
    topic: &TopicImage,
    index: i32,
    now_ms: i64,
) {
    if let Err(e) = hosted.commit_as_new_leader(now_ms) {
        error!("cannot lead {}-{index}: {e}", topic.name);
    }
    if *topic.name == *OFFSETS_TOPIC {
        load_groups(broker, index);
    }
    if *topic.name == *TRANSACTION_TOPIC {
        load_transactions(broker, index);
    }
    if *topic.name == *SHARE_STATE_TOPIC {
        load_share_states(broker, index);
    }
}

/// Groups are there once their partition has been replayed; until then they are loading.
fn load_groups(broker: &Arc<Broker>, index: i32) {
    let runtime = broker.runtime.clone();
    let _entered = runtime.enter();
    let loading = broker.groups.load(index);
    runtime.spawn(async move {
        match loading.await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => error!("cannot load the groups of {OFFSETS_TOPIC}: {e}"),
            Err(e) => error!("cannot load the groups of {OFFSETS_TOPIC}-{index}: {e}"),
        }
    });
}

/// Transactional ids are there once their partition has been replayed; what was decided is then
/// completed.
fn load_transactions(broker: &Arc<Broker>, index: i32) {
    let runtime = broker.runtime.clone();
    let _entered = runtime.enter();
    let loading = broker.transactions.load(index);
    runtime.spawn(async move {
        match loading.await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => error!("cannot load the transactions of {TRANSACTION_TOPIC}: {e}"),
            Err(e) => error!("cannot load the transactions of {TRANSACTION_TOPIC}-{index}: {e}"),
        }
    });
}

/// What has become of shared records is known once its partition has been replayed.
fn load_share_states(broker: &Arc<Broker>, index: i32) {
    let runtime = broker.runtime.clone();
    let _entered = runtime.enter();
    let loading = broker.share_states.load(index);
    runtime.spawn(async move {
        match loading.await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => error!("cannot load the states of {SHARE_STATE_TOPIC}: {e}"),
            Err(e) => error!("cannot load the states of {SHARE_STATE_TOPIC}-{index}: {e}"),
        }
    });
}

fn give_up<'a>(
    broker: &Arc<Broker>,
    deleted: impl Iterator<Item = &'a Arc<TopicImage>>,
    now_ms: i64,
) {
    let mut partitions = Vec::new();
    let mut topics = Vec::new();
    for topic in deleted {
        broker.topics.remove(&topic.id);
        let own = topic
            .partitions
            .iter()
            .filter(|(_, p)| p.replicas.contains(&broker.node_id));
        partitions.extend(own.map(|(index, _)| TopicPartition::new(topic.name.as_ref(), *index)));
        if *topic.name == *OFFSETS_TOPIC {
            topic
                .partitions
                .keys()
                .for_each(|index| broker.groups.unload(*index));
        }
        if *topic.name == *TRANSACTION_TOPIC {
            topic
                .partitions
                .keys()
                .for_each(|index| broker.transactions.unload(*index));
        }
        if *topic.name == *SHARE_STATE_TOPIC {
            topic
                .partitions
                .keys()
                .for_each(|index| broker.share_states.unload(*index));
        }
        topics.push((topic.name.to_string(), topic.id));
    }
    if topics.is_empty() {
        return;
    }
    if let Err(e) = delete_logs(broker, &partitions, now_ms) {
        error!("cannot delete logs: {e}");
    }
    info!(
        "deleted topics {}",
        topics
            .iter()
            .map(|(n, _)| n.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    );
    let ids: Vec<Uuid> = topics.iter().map(|(_, id)| *id).collect();
    broker.share.topics_deleted(&ids);
    let (groups, states) = (broker.groups.clone(), broker.share_states.clone());
    broker.runtime.spawn(async move {
        groups.on_topics_deleted(topics).await;
        states.on_topics_deleted(ids).await;
    });
}

fn delete_logs(
    broker: &Broker,
    partitions: &[TopicPartition],
    now_ms: i64,
) -> Result<(), LogError> {
    broker
        .logs
        .delete(partitions, || Uuid::from_random(fastrand::u128(..)), now_ms)
}

/// Has new partitions avoid the directories that are cordoned now.
fn cordon(broker: &Broker, image: &MetadataImage) {
    let dirs = broker.with_layers(image, |layers| cordoned_log_dirs(&layers.values()));
    match dirs {
        Ok(dirs) => broker.logs.cordon(dirs),
        // `log.dirs` has changed since it was set.
        Err(e) => warn!("{e}"),
    }
}

/// Tells logs of changed configurations: of their topics, or of the broker, which stands behind all of them.
fn configure(broker: &Arc<Broker>, image: &MetadataImage, changes: &MetadataChanges) {
    let all = changes
        .configs
        .iter()
        .any(|resource| resource.kind == ConfigResourceType::BROKER);
    let mut configs = Configs::new(&broker.settings, image);
    let reconfigure = |topic: Arc<Topic>| {
        let config = configs.of(&topic.name);
        for partition in topic.partitions() {
            partition.log.set_config(config.log.clone());
            partition.set_min_insync_replicas(config.min_insync_replicas);
        }
    };
    if all {
        broker.reconfigured.send_replace(());
        cordon(broker, image);
        broker.topics.all().into_iter().for_each(reconfigure);
        return;
    }
    let topics = changes
        .configs
        .iter()
        .filter(|r| r.kind == ConfigResourceType::TOPIC);
    topics
        .filter_map(|resource| broker.topics.by_name(&resource.name))
        .for_each(reconfigure);
}
