//! What goes over the connections of a client, counted by node: the figures behind Kafka's
//! `connection-…`, `request-…` and `…-byte-…` metrics.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// The counts of every node that was connected to; negative ids are bootstrap addresses.
#[derive(Debug, Default)]
pub struct Traffic {
    nodes: Mutex<BTreeMap<i32, Arc<NodeTraffic>>>,
}

/// The counts of one node, over all of its connections. One task at a time adds to them.
#[derive(Debug, Default)]
pub struct NodeTraffic {
    opened: AtomicU64,
    closed: AtomicU64,
    requests: AtomicU64,
    bytes_out: AtomicU64,
    request_bytes_max: AtomicU64,
    responses: AtomicU64,
    bytes_in: AtomicU64,
    latency_us: AtomicU64,
    latency_us_max: AtomicU64,
}

/// [`NodeTraffic`] at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub opened: u64,
    pub closed: u64,
    pub requests: u64,
    pub bytes_out: u64,
    pub request_bytes_max: u64,
    pub responses: u64,
    pub bytes_in: u64,
    /// From queueing a request to its response, all of them added up.
    pub latency: Duration,
    pub latency_max: Duration,
}

impl Traffic {
    pub(crate) fn node(&self, id: i32) -> Arc<NodeTraffic> {
        self.nodes.lock().entry(id).or_default().clone()
    }

    pub fn counts(&self) -> BTreeMap<i32, Counts> {
        let nodes = self.nodes.lock();
        nodes
            .iter()
            .map(|(id, node)| (*id, node.counts()))
            .collect()
    }
}

impl NodeTraffic {
    pub(crate) fn opened(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn closed(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn request(&self, bytes: usize) {
        let bytes = bytes as u64;
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes_out.fetch_add(bytes, Ordering::Relaxed);
        self.request_bytes_max.fetch_max(bytes, Ordering::Relaxed);
    }

    pub(crate) fn response(&self, bytes: usize, latency: Duration) {
        let latency = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.responses.fetch_add(1, Ordering::Relaxed);
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
        self.latency_us.fetch_add(latency, Ordering::Relaxed);
        self.latency_us_max.fetch_max(latency, Ordering::Relaxed);
    }

    fn counts(&self) -> Counts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            opened: of(&self.opened),
            closed: of(&self.closed),
            requests: of(&self.requests),
            bytes_out: of(&self.bytes_out),
            request_bytes_max: of(&self.request_bytes_max),
            responses: of(&self.responses),
            bytes_in: of(&self.bytes_in),
            latency: Duration::from_micros(of(&self.latency_us)),
            latency_max: Duration::from_micros(of(&self.latency_us_max)),
        }
    }
}

impl Counts {
    /// Both together.
    pub fn with(self, other: Self) -> Self {
        Self {
            opened: self.opened + other.opened,
            closed: self.closed + other.closed,
            requests: self.requests + other.requests,
            bytes_out: self.bytes_out + other.bytes_out,
            request_bytes_max: self.request_bytes_max.max(other.request_bytes_max),
            responses: self.responses + other.responses,
            bytes_in: self.bytes_in + other.bytes_in,
            latency: self.latency + other.latency,
            latency_max: self.latency_max.max(other.latency_max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_counted_apart_and_added_up() {
        let traffic = Traffic::default();
        for (node, bytes) in [(1, 10), (1, 30), (2, 20)] {
            let node = traffic.node(node);
            node.opened();
            node.request(bytes);
            node.response(2 * bytes, Duration::from_micros(bytes as u64));
        }
        let counts = traffic.counts();
        assert_eq!((counts[&1].requests, counts[&1].request_bytes_max), (2, 30));
        let all = counts.into_values().fold(Counts::default(), Counts::with);
        assert_eq!((all.bytes_out, all.bytes_in, all.responses), (60, 120, 3));
        assert_eq!(all.latency, Duration::from_micros(60));
        assert_eq!(all.latency_max, Duration::from_micros(30));
    }
}
