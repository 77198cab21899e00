//! One pass over the partitions of a fetch.

use std::sync::Arc;

use super::missing;
use crate::broker::aside::aside;
use crate::broker::context::RequestContext;
use crate::broker::errors::read_error;
use crate::broker::fetch_session::{FetchPlan, PartitionKey, TopicKey, Wanted};
use crate::broker::partition::{Partition, Topic};
use crate::log::{LogRead, ReadError, ReadLimit};
use crate::protocol::ErrorCode;

/// The limits that hold for a whole request.
#[derive(Debug)]
pub(super) struct Limits {
    pub max_bytes: usize,
    pub read_committed: bool,
    /// Below 0 for a consumer.
    pub replica_id: i32,
}

impl Limits {
    fn upper_bound(&self) -> ReadLimit {
        match (self.replica_id >= 0, self.read_committed) {
            (true, _) => ReadLimit::LogEnd,
            (false, true) => ReadLimit::LastStable,
            (false, false) => ReadLimit::HighWatermark,
        }
    }
}

/// What was found of one partition.
#[derive(Debug)]
pub(super) struct PartitionRead {
    pub key: PartitionKey,
    pub partition: Option<Arc<Partition>>,
    pub result: Result<Found, ErrorCode>,
}

#[derive(Debug)]
pub(super) enum Found {
    Records(LogRead),
    /// The fetcher's log diverges from this one: the largest epoch they share may end here.
    Diverges {
        epoch: i32,
        end_offset: i64,
    },
}

/// One pass over all partitions of a request.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub partitions: Vec<PartitionRead>,
    bytes: usize,
    urgent: bool,
}

impl Round {
    /// Whether this can be answered now.
    pub fn enough(&self, min_bytes: usize) -> bool {
        self.urgent || self.bytes >= min_bytes
    }

    /// How many bytes of records there are.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn waited_on(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.partitions
            .iter()
            .filter_map(|read| read.partition.as_ref())
    }

    /// Whether a partition has moved since this pass.
    pub fn moved(&self) -> bool {
        self.partitions
            .iter()
            .any(|read| match (&read.result, &read.partition) {
                (Ok(Found::Records(found)), Some(partition)) => {
                    partition.log.high_watermark() != found.high_watermark
                        || partition.log.log_end_offset() != found.log_end_offset
                }
                _ => false,
            })
    }
}

/// One pass over all partitions. It does not keep other connections waiting while it waits for a disk.
pub(super) fn read_all(cx: &RequestContext<'_>, plan: &FetchPlan, limits: &Limits) -> Round {
    let at_once = |partition: &Partition, a: &Asked| {
        let log = &partition.log;
        log.read_at_once(a.offset, a.max_bytes, a.limit, a.min_one)
    };
    let waiting = |partition: &Partition, a: &Asked| {
        let log = &partition.log;
        Some(log.read(a.offset, a.max_bytes, a.limit, a.min_one))
    };
    read_with(cx, plan, limits, at_once)
        .or_else(|| aside(|| read_with(cx, plan, limits, waiting)))
        .unwrap_or_default()
}

/// What a log is asked for.
struct Asked {
    offset: i64,
    max_bytes: usize,
    limit: ReadLimit,
    min_one: bool,
}

/// `None` as soon as `read` has none.
fn read_with(
    cx: &RequestContext<'_>,
    plan: &FetchPlan,
    limits: &Limits,
    read: impl Fn(&Partition, &Asked) -> Option<Result<LogRead, ReadError>>,
) -> Option<Round> {
    let mut round = Round {
        partitions: Vec::with_capacity(plan.partitions.len()),
        bytes: 0,
        urgent: false,
    };
    let mut topic: Option<(TopicKey, Option<Arc<Topic>>)> = None;
    for (key, wanted) in &plan.partitions {
        if topic.as_ref().is_none_or(|(known, _)| *known != key.0) {
            let found = match &key.0 {
                TopicKey::Id(id) => cx.broker.topics.by_id(id),
                TopicKey::Name(name) => cx.broker.topics.by_name(name),
            };
            topic = Some((key.0.clone(), found));
        }
        let hosted = topic.as_ref().and_then(|(_, topic)| topic.as_ref());
        let partition = hosted.and_then(|topic| topic.partition(key.1));
        let left = limits.max_bytes.saturating_sub(round.bytes);
        let result = match &partition {
            None => Err(missing(cx, &key.0, key.1)),
            Some(partition) => {
                let asked = Asked {
                    offset: wanted.fetch_offset,
                    max_bytes: usize::try_from(wanted.max_bytes).unwrap_or(0).min(left),
                    limit: limits.upper_bound(),
                    min_one: round.bytes == 0,
                };
                match check(partition, wanted, limits) {
                    Ok(()) => read(partition, &asked)?
                        .map(Found::Records)
                        .map_err(|e| read_error(partition, e)),
                    Err(outcome) => outcome,
                }
            }
        };
        match &result {
            Ok(Found::Records(read)) => round.bytes += read.len(),
            Ok(Found::Diverges { .. }) | Err(_) => round.urgent = true,
        }
        round.partitions.push(PartitionRead {
            key: key.clone(),
            partition,
            result,
        });
    }
    Some(round)
}

/// Whether there is anything to read for this fetcher; if not, what it is told.
fn check(
    partition: &Partition,
    wanted: &Wanted,
    limits: &Limits,
) -> Result<(), Result<Found, ErrorCode>> {
    partition.lead(wanted.current_leader_epoch).map_err(Err)?;
    if limits.replica_id >= 0 {
        // A follower that the metadata does not name has no business here.
        return Err(Err(ErrorCode::NotLeaderOrFollower));
    }
    if wanted.last_fetched_epoch >= 0 {
        let (epoch, end_offset) = partition
            .end_offset_for_epoch(wanted.last_fetched_epoch)
            .map_err(|e| Err(read_error(partition, e.into())))?
            .ok_or(Err(ErrorCode::OffsetOutOfRange))?;
        if epoch < wanted.last_fetched_epoch || end_offset < wanted.fetch_offset {
            return Err(Ok(Found::Diverges { epoch, end_offset }));
        }
    }
    Ok(())
}
