//! One pass over the partitions of a ShareFetch: what there is to acquire, and acquiring it.

use std::sync::Arc;

use bytes::Bytes;

use super::hosted::{Hosted, ShareError};
use super::partition::{Acquired, Fetched, Wish};
use super::settings::GroupSettings;
use crate::broker::aside::aside;
use crate::broker::errors::read_error;
use crate::broker::node::Broker;
use crate::broker::partition::Partition;
use crate::log::{AbortedTransaction, LogRead, LogSlice};
use crate::protocol::ErrorCode;
use crate::record::stored_batches;

/// A partition that is to be fetched.
#[derive(Debug)]
pub struct Source {
    pub partition: Arc<Partition>,
    pub hosted: Arc<Hosted>,
}

/// Records for a member.
#[derive(Debug, Default)]
pub struct Delivery {
    pub records: Bytes,
    pub acquired: Vec<Acquired>,
}

/// What is there for a member, not acquired yet.
#[derive(Debug)]
pub struct Found {
    offset: i64,
    read: LogRead,
}

impl Found {
    pub fn len(&self) -> usize {
        self.read.len()
    }
}

impl Source {
    /// Looks for records that nobody has. `None`: as many are locked as may be.
    pub fn look(
        &self,
        settings: &GroupSettings,
        max_bytes: usize,
        min_one: bool,
    ) -> Result<Option<Found>, ErrorCode> {
        let log = &self.partition.log;
        self.partition.lead(-1)?;
        let offset = self.hosted.with(|machine| {
            machine.log_start_moved(log.log_start_offset());
            let can_acquire = machine.can_acquire(&settings.limits);
            can_acquire.then(|| machine.fetch_offset())
        });
        let Some(offset) = offset.ok_or(ErrorCode::NotLeaderOrFollower)? else {
            return Ok(None);
        };
        let limit = settings.read_limit;
        let read = log.read_at_once(offset, max_bytes, limit, min_one);
        let read = read.unwrap_or_else(|| aside(|| log.read(offset, max_bytes, limit, min_one)));
        let read = read.map_err(|e| read_error(&self.partition, e))?;
        Ok(Some(Found { offset, read }))
    }

    /// Acquires of what was found what nobody has got meanwhile.
    pub fn acquire(
        &self,
        broker: &Arc<Broker>,
        member: &Arc<str>,
        settings: &GroupSettings,
        found: &Found,
        wish: &Wish,
    ) -> Result<Delivery, ShareError> {
        let Some(slice) = &found.read.slice else {
            return Ok(Delivery::default());
        };
        let records = read_slice(slice)?;
        let batches = batches(&records, found.read.aborted.as_deref().unwrap_or_default());
        let now_ms = broker.share.now_ms();
        let acquired = self.hosted.with(|machine| {
            machine.acquire(
                member,
                &batches.fetched,
                found.offset,
                wish,
                &settings.limits,
                now_ms,
            )
        });
        let acquired = acquired.ok_or(ErrorCode::NotLeaderOrFollower)?;
        if acquired.is_empty() {
            return Ok(Delivery::default());
        }
        self.hosted.watch_locks(broker);
        let records = batches.covering(&records, &acquired);
        Ok(Delivery { records, acquired })
    }
}

fn read_slice(slice: &LogSlice) -> Result<Bytes, ErrorCode> {
    let read = aside(|| slice.to_vec());
    read.map(Bytes::from).map_err(|e| {
        tracing::error!("records cannot be read: {e}");
        ErrorCode::KafkaStorageError
    })
}

/// The batches of what was read, and where they end in it.
struct Batches {
    fetched: Fetched,
    ends: Vec<usize>,
}

fn batches(records: &[u8], aborted: &[AbortedTransaction]) -> Batches {
    let mut batches = Batches {
        fetched: Fetched::default(),
        ends: Vec::new(),
    };
    let mut end = 0;
    for batch in stored_batches(records).map_while(Result::ok) {
        let header = batch.header();
        let last = header.last_offset();
        let before = batches.fetched.batches.last();
        let base = header
            .base_offset()
            .unwrap_or_else(|| before.map_or(last, |(_, last)| last + 1));
        end += header.size();
        batches.fetched.batches.push((base, last));
        batches.ends.push(end);
        let transactional = batch
            .v2()
            .filter(|b| b.is_transactional() && !b.is_control());
        let is_aborted = transactional.is_some_and(|batch| {
            let of_producer = |t: &&AbortedTransaction| t.producer_id == batch.producer_id();
            let mut own = aborted.iter().filter(of_producer);
            own.any(|t| t.first_offset <= base && last < t.last_offset)
        });
        if is_aborted {
            batches.fetched.aborted.push((base, last));
        }
    }
    batches
}

impl Batches {
    /// The batches that have something of what was acquired, from the first to the last.
    fn covering(&self, records: &Bytes, acquired: &[Acquired]) -> Bytes {
        let (Some(first), Some(last)) = (acquired.first(), acquired.last()) else {
            return Bytes::new();
        };
        let (mut from, mut to, mut start) = (None, 0, 0);
        for ((base, end_offset), end) in self.fetched.batches.iter().zip(&self.ends) {
            if *end_offset >= first.first_offset && *base <= last.last_offset {
                from.get_or_insert(start);
                to = *end;
            }
            start = *end;
        }
        match from {
            Some(from) if from <= to && to <= records.len() => records.slice(from..to),
            _ => Bytes::new(),
        }
    }
}
