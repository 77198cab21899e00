//! Fetch (key 1), versions 4–18.
//!
//! The response's own bytes are one small buffer; the records stay in the page cache and go to the socket by sendfile,
//! unless it is short: then they are copied behind it.
//! A fetch that finds less than `min_bytes` waits on its partitions, at most `max_wait_ms`. The first partition with
//! records answers at least one whole batch, whatever the limits.
//!
//! - 5: log start offset. 7: sessions (KIP-227). 9: current leader epoch. 10: zstd. 11: rack (KIP-392).
//! - 12: flexible; diverging epochs. 13: topic ids (KIP-516). 15: replica state. 16: leader hints (KIP-951).
//! - 17: directory id. 18: high watermark of the fetcher (KIP-1166).
//!
//! `preferred_read_replica` is never set: there is one replica.

mod read;
mod respond;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::broker::context::RequestContext;
use crate::broker::delayed::Waiter;
use crate::broker::fetch_session::{FetchPlan, PartitionKey, SessionRequest, TopicKey, Wanted};
use crate::broker::quotas::Kind;
use crate::protocol::messages::{FetchRequest, FetchResponse};
use crate::protocol::{ErrorCode, Str, Uuid};

use read::{Limits, Round};
pub use respond::Answer;

const FIRST_BY_ID: i16 = 13;
const FIRST_WITH_REPLICA_STATE: i16 = 15;
/// `isolation_level` of a consumer that reads committed records only.
const READ_COMMITTED: i8 = 1;

pub async fn handle(cx: &RequestContext<'_>, request: FetchRequest) -> Answer {
    let limits = limits(cx, &request);
    let deadline = Instant::now() + Duration::from_millis(request.max_wait_ms.max(0) as u64);
    let min_bytes = usize::try_from(request.min_bytes).unwrap_or(0);
    let min_bytes = min_bytes.min(limits.max_bytes);
    let plan = {
        let session = session_request(cx.api_version, request);
        let mut sessions = cx.broker.fetch_sessions.lock();
        sessions.begin(session, cx.now_ms, || fastrand::i32(..))
    };
    match plan {
        Ok(plan) => {
            let round = until_enough(cx, &plan, &limits, min_bytes, deadline).await;
            let bytes = round.bytes() as f64;
            if cx.record(Kind::Fetch, bytes) > 0 {
                // The client gets it when it asks again, after its wait.
                cx.unrecord(Kind::Fetch, bytes);
                return respond::throttled(cx, plan.kind);
            }
            respond::answer(cx, plan.kind, round)
        }
        Err(error) => {
            let response = FetchResponse {
                error_code: error.code(),
                ..Default::default()
            };
            Answer {
                response,
                ranges: Vec::new(),
            }
        }
    }
}

fn limits(cx: &RequestContext<'_>, request: &FetchRequest) -> Limits {
    let replica_id = if cx.api_version >= FIRST_WITH_REPLICA_STATE {
        request.replica_state.replica_id
    } else {
        request.replica_id
    };
    let asked = usize::try_from(request.max_bytes).unwrap_or(0);
    let asked = asked.min(cx.allowance(Kind::Fetch));
    Limits {
        max_bytes: asked.min(usize::try_from(cx.broker.settings.fetch.max_bytes).unwrap_or(0)),
        read_committed: request.isolation_level == READ_COMMITTED && replica_id < 0,
        replica_id,
    }
}

fn session_request(version: i16, request: FetchRequest) -> SessionRequest {
    let by_id = version >= FIRST_BY_ID;
    let topic_key = |name: Str, id: Uuid| {
        if by_id {
            TopicKey::Id(id)
        } else {
            TopicKey::Name(name)
        }
    };
    let mut partitions: Vec<(PartitionKey, Wanted)> = Vec::new();
    for topic in request.topics {
        let key = topic_key(topic.topic, topic.topic_id);
        for partition in topic.partitions {
            let wanted = Wanted {
                fetch_offset: partition.fetch_offset,
                current_leader_epoch: partition.current_leader_epoch,
                last_fetched_epoch: partition.last_fetched_epoch,
                max_bytes: partition.partition_max_bytes,
            };
            partitions.push(((key.clone(), partition.partition), wanted));
        }
    }
    let mut forgotten = Vec::new();
    for topic in request.forgotten_topics_data {
        let key = topic_key(topic.topic, topic.topic_id);
        forgotten.extend(topic.partitions.into_iter().map(|p| (key.clone(), p)));
    }
    SessionRequest {
        session_id: request.session_id,
        session_epoch: request.session_epoch,
        by_id,
        privileged: request.replica_id >= 0 || request.replica_state.replica_id >= 0,
        partitions,
        forgotten,
    }
}

/// Reads until there are `min_bytes`, something that must be told at once, or the deadline has passed.
async fn until_enough(
    cx: &RequestContext<'_>,
    plan: &FetchPlan,
    limits: &Limits,
    min_bytes: usize,
    deadline: Instant,
) -> Round {
    let mut round = read::read_all(cx, plan, limits);
    if round.enough(min_bytes) || plan.partitions.is_empty() || deadline <= Instant::now() {
        return round;
    }
    let waiter = Arc::new(Waiter::default());
    loop {
        round
            .waited_on()
            .for_each(|partition| partition.waiters.register(&waiter));
        if !round.moved() {
            let woken = async {
                tokio::select! {
                    () = waiter.woken() => true,
                    () = cx.broker.stopping.cancelled() => false,
                }
            };
            if !timeout_at(deadline, woken).await.unwrap_or(false) {
                break;
            }
        }
        round
            .waited_on()
            .for_each(|partition| partition.waiters.deregister(&waiter));
        round = read::read_all(cx, plan, limits);
        if round.enough(min_bytes) || deadline <= Instant::now() {
            return round;
        }
    }
    round
        .waited_on()
        .for_each(|partition| partition.waiters.deregister(&waiter));
    read::read_all(cx, plan, limits)
}

/// The error for a partition that is not hosted, as the request names its topic.
fn missing(cx: &RequestContext<'_>, key: &TopicKey, partition: i32) -> ErrorCode {
    match key {
        TopicKey::Id(id) => match cx.broker.image().topics.get_by_id(*id) {
            None => ErrorCode::UnknownTopicId,
            Some(topic) => cx.broker.absent_partition(&topic.name, partition),
        },
        TopicKey::Name(name) => cx.broker.absent_partition(name, partition),
    }
}
