//! What the group coordinator and the leaders of partitions have the share coordinator do: states
//! are begun, read, forgotten and looked up. On one node it is asked directly.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::broker::auto_create::{self, SHARE_STATE_TOPIC};
use crate::broker::node::Broker;
use crate::coordinator::group::{InitializeState, SharePartitions};
use crate::coordinator::share::{Read, ShareKey, StateError, Summary};
use crate::protocol::{ErrorCode, Uuid};

/// A coordinator that is loading is asked again after this time,
const RETRY: Duration = Duration::from_millis(50);
/// at most so often.
const ATTEMPTS: usize = 200;

/// Asks the share coordinator, whose topic is made if need be, until it has loaded.
async fn ask<T, F>(broker: &Arc<Broker>, ask: impl Fn() -> F) -> Result<T, StateError>
where
    F: Future<Output = Result<T, StateError>>,
{
    auto_create::ensure_topic(broker, SHARE_STATE_TOPIC).await?;
    for _ in 0..ATTEMPTS {
        match ask().await {
            Err(StateError {
                code: ErrorCode::CoordinatorLoadInProgress | ErrorCode::NotCoordinator,
                ..
            }) if !broker.stopping.is_cancelled() => tokio::time::sleep(RETRY).await,
            answered => return answered,
        }
    }
    Err(ErrorCode::CoordinatorNotAvailable.into())
}

pub async fn read(
    broker: &Arc<Broker>,
    key: &ShareKey,
    leader_epoch: i32,
) -> Result<Read, StateError> {
    ask(broker, || broker.share_states.read(key, leader_epoch)).await
}

pub async fn summarize(broker: &Arc<Broker>, key: &ShareKey) -> Result<Summary, StateError> {
    ask(broker, || broker.share_states.summarize(key)).await
}

/// Begins states and tells the group of it; the first error of each partition that has one.
pub async fn initialize(
    broker: &Arc<Broker>,
    request: InitializeState,
) -> BTreeMap<(Uuid, i32), StateError> {
    let mut failed = BTreeMap::new();
    let mut partitions = SharePartitions::new();
    for (topic_id, offsets) in &request.start_offsets {
        for (partition, start_offset) in offsets {
            let key = ShareKey {
                group: request.group.clone(),
                topic_id: *topic_id,
                partition: *partition,
            };
            let (states, epoch) = (&broker.share_states, request.state_epoch);
            let begun = ask(broker, || states.initialize(&key, epoch, *start_offset)).await;
            if let Err(error) = begun {
                warn!("the state of {key} cannot begin: {}", error.message);
                failed.insert((*topic_id, *partition), error);
            }
            let of_topic: &mut BTreeSet<i32> = partitions.entry(*topic_id).or_default();
            of_topic.insert(*partition);
            // Who has the state of before must not go on with it.
            broker.share.fence(&key);
        }
    }
    let groups = &broker.groups;
    let told = groups
        .share_states_initialized(&request.group, partitions, failed.is_empty())
        .await;
    if let Err(error) = told {
        warn!(
            "share group {} does not know its states: {}",
            request.group,
            error.name()
        );
    }
    failed
}

/// Forgets states; the error of each topic that has one.
pub async fn delete(
    broker: &Arc<Broker>,
    group: &str,
    partitions: &SharePartitions,
) -> BTreeMap<Uuid, ErrorCode> {
    let mut failed = BTreeMap::new();
    for (topic_id, indexes) in partitions {
        for partition in indexes {
            let key = ShareKey {
                group: group.to_owned(),
                topic_id: *topic_id,
                partition: *partition,
            };
            let deleted = ask(broker, || broker.share_states.delete(&key)).await;
            broker.share.fence(&key);
            match deleted {
                Ok(()) => {}
                Err(error) => {
                    warn!("the state of {key} cannot be forgotten: {}", error.message);
                    failed.insert(*topic_id, error.code);
                }
            }
        }
    }
    failed
}
