//! Client quotas at work: who uses more than is allowed has to wait.
//!
//! The answer says for how long (`throttle_time_ms`), and the connection is not read from meanwhile, for clients that
//! do not wait by themselves (KIP-219). While nobody has a limit all of this costs one relaxed load for each request.

mod limits;
mod meter;
mod rate;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::config::Values;
use crate::controller::ApiError;
use crate::metadata::image::QuotasImage;
use crate::protocol::ErrorCode;
use limits::{Limits, Sharer};
pub use meter::Meter;
use rate::{Rate, TokenBucket, Windows};

/// Who has not authenticated, which here is everyone.
pub const ANONYMOUS: &str = "ANONYMOUS";
/// So many sharers and addresses are kept before those that have been quiet are looked for.
const KEPT: usize = 1000;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Produce,
    Fetch,
    /// Time on the threads that handle requests.
    Request,
    /// Partitions created and deleted.
    Mutation,
    Connection,
}

impl Kind {
    pub fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// All limits, and what has been used of them.
#[derive(Debug)]
pub struct Quotas {
    /// Bits of the kinds that somebody has a limit of.
    kinds: AtomicU8,
    limits: ArcSwap<Limits>,
    windows: Windows,
    mutation_windows: Windows,
    rates: Mutex<BTreeMap<(Kind, Sharer), Rate>>,
    buckets: Mutex<BTreeMap<Sharer, TokenBucket>>,
    connections: Mutex<BTreeMap<IpAddr, Rate>>,
}

impl Quotas {
    pub fn new(values: &Values) -> Quotas {
        let windows = |prefix: &str| Windows {
            count: i64::from(values.int(&format!("{prefix}.window.num"))),
            ms: i64::from(values.int(&format!("{prefix}.window.size.seconds"))) * 1000,
        };
        Quotas {
            kinds: AtomicU8::new(0),
            limits: ArcSwap::default(),
            windows: windows("quota"),
            mutation_windows: windows("controller.quota"),
            rates: Mutex::default(),
            buckets: Mutex::default(),
            connections: Mutex::default(),
        }
    }

    /// Goes by other limits from here on. What has been used still counts.
    pub fn update(&self, image: &QuotasImage) {
        let limits = Limits::new(image);
        let kinds = limits.kinds();
        self.limits.store(limits.into());
        self.kinds.store(kinds, Ordering::Relaxed);
    }

    /// Bits of the kinds that somebody has a limit of.
    pub fn kinds(&self) -> u8 {
        self.kinds.load(Ordering::Relaxed)
    }

    /// Counts what a client has used; for how many milliseconds it has to wait.
    pub fn record(&self, kind: Kind, client_id: &str, amount: f64, now_ms: i64) -> i64 {
        let Some((sharer, limit)) = self.limits.load().of_client(kind, ANONYMOUS, client_id) else {
            return 0;
        };
        let mut rates = self.rates.lock();
        if rates.len() >= KEPT {
            rates.retain(|_, rate| !rate.is_over(self.windows, now_ms));
        }
        let rate = rates.entry((kind, sharer)).or_default();
        rate.record(self.windows, now_ms, amount);
        let wait = rate.throttle_ms(self.windows, now_ms, limit);
        match kind {
            // Time is worked off within a window.
            Kind::Request => wait.min(self.windows.ms),
            _ => wait,
        }
    }

    /// Takes back what has been counted and then was not used.
    pub fn unrecord(&self, kind: Kind, client_id: &str, amount: f64, now_ms: i64) {
        let Some((sharer, _)) = self.limits.load().of_client(kind, ANONYMOUS, client_id) else {
            return;
        };
        if let Some(rate) = self.rates.lock().get_mut(&(kind, sharer)) {
            rate.record(self.windows, now_ms, -amount);
        }
    }

    /// As much as a client may fetch at once.
    pub fn allowance(&self, kind: Kind, client_id: &str) -> Option<f64> {
        let (_, limit) = self.limits.load().of_client(kind, ANONYMOUS, client_id)?;
        Some(self.windows.allowance(limit))
    }

    /// Counts partitions that are to be created or deleted. A strict one is refused while something
    /// is owed; others pay by waiting.
    pub fn permit(
        &self,
        client_id: &str,
        partitions: usize,
        strict: bool,
        now_ms: i64,
    ) -> Result<(), ApiError> {
        let windows = self.mutation_windows;
        self.with_bucket(client_id, now_ms, |bucket, limit| {
            if strict && bucket.throttle_ms(windows, limit, now_ms) > 0 {
                let code = ErrorCode::ThrottlingQuotaExceeded;
                let message = Some(code.message().to_owned());
                return Err(ApiError { code, message });
            }
            bucket.take(windows, limit, now_ms, partitions as f64);
            Ok(())
        })
        .unwrap_or(Ok(()))
    }

    /// How long it is until nothing is owed for partitions.
    pub fn mutation_throttle_ms(&self, client_id: &str, now_ms: i64) -> i64 {
        let windows = self.mutation_windows;
        self.with_bucket(client_id, now_ms, |bucket, limit| {
            bucket.throttle_ms(windows, limit, now_ms)
        })
        .unwrap_or(0)
    }

    fn with_bucket<R>(
        &self,
        client_id: &str,
        now_ms: i64,
        act: impl FnOnce(&mut TokenBucket, f64) -> R,
    ) -> Option<R> {
        let limits = self.limits.load();
        let (sharer, limit) = limits.of_client(Kind::Mutation, ANONYMOUS, client_id)?;
        let windows = self.mutation_windows;
        let mut buckets = self.buckets.lock();
        if buckets.len() >= KEPT {
            buckets.retain(|_, bucket| !bucket.is_full(windows, limit, now_ms));
        }
        let bucket = buckets
            .entry(sharer)
            .or_insert_with(|| TokenBucket::full(windows, limit, now_ms));
        Some(act(bucket, limit))
    }

    /// Counts a connection; for how long it is to be kept waiting before it is closed, if its
    /// address opens too many.
    pub fn connection(&self, address: IpAddr, now_ms: i64) -> Option<i64> {
        let limit = self.limits.load().of_address(address)?;
        let mut connections = self.connections.lock();
        if connections.len() >= KEPT {
            connections.retain(|_, rate| !rate.is_over(self.windows, now_ms));
        }
        let rate = connections.entry(address.to_canonical()).or_default();
        rate.record(self.windows, now_ms, 1.0);
        let wait = rate
            .throttle_ms(self.windows, now_ms, limit)
            .min(self.windows.ms);
        if wait <= 0 {
            return None;
        }
        // It does not come about.
        rate.record(self.windows, now_ms, -1.0);
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Properties, broker};

    fn quotas(key: &str, entity: &[(&str, Option<&str>)], limit: f64) -> Quotas {
        let required = "node.id=1\nprocess.roles=broker\ncontroller.listener.names=C\n";
        let file = Properties::parse(required).unwrap();
        let quotas = Quotas::new(&broker::table().parse(&file).unwrap());
        assert_eq!(quotas.kinds(), 0);
        let parts = entity.iter();
        let entity = parts
            .map(|(kind, name)| ((*kind).to_owned(), name.map(str::to_owned)))
            .collect();
        let mut image = QuotasImage::default();
        let values = BTreeMap::from([(key.to_owned(), limit)]);
        image.by_entity.insert(entity, values);
        quotas.update(&image);
        quotas
    }

    #[test]
    fn only_those_with_a_limit_wait() {
        let quotas = quotas("producer_byte_rate", &[("client-id", Some("c"))], 1000.0);
        assert_eq!(quotas.record(Kind::Produce, "c", 20_000.0, 0), 10_000);
        assert_eq!(quotas.record(Kind::Produce, "d", 20_000.0, 0), 0);
        assert_eq!(quotas.record(Kind::Fetch, "c", 20_000.0, 0), 0);
        quotas.update(&QuotasImage::default());
        assert_eq!(quotas.kinds(), 0);
        assert_eq!(quotas.record(Kind::Produce, "c", 20_000.0, 0), 0);
    }

    #[test]
    fn strict_mutations_are_refused_while_something_is_owed() {
        let quotas = quotas("controller_mutation_rate", &[("user", None)], 1.0);
        quotas.permit("c", 15, true, 0).unwrap();
        assert_eq!(quotas.mutation_throttle_ms("c", 0), 4000);
        let refused = quotas.permit("c", 1, true, 0).unwrap_err();
        assert_eq!(refused.code, ErrorCode::ThrottlingQuotaExceeded);
        quotas.permit("c", 1, false, 0).unwrap();
        assert_eq!(quotas.mutation_throttle_ms("c", 0), 5000);
        quotas.permit("c", 1, true, 5000).unwrap();
    }

    #[test]
    fn connections_that_are_refused_do_not_count() {
        let quotas = quotas("connection_creation_rate", &[("ip", None)], 1.0);
        let address = "10.0.0.1".parse().unwrap();
        let held = |now_ms| quotas.connection(address, now_ms);
        assert!((0..10).all(|_| held(0).is_none()));
        assert_eq!(held(0), Some(1000));
        assert_eq!(held(0), Some(1000));
        assert_eq!(held(11_000), None);
    }
}
