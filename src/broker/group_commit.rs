//! Group commit (`kafkars.group.commit`): what is appended is committed once it is on the device, as it is elsewhere once
//! it is on the other replicas. The high watermark follows fsync: acks=all and coordinators wait for it, consumers do
//! not see what a power cut could take back. acks=1 and acks=0 do not wait.
//!
//! One fsync serves all who wait for the same log. Those who come while it runs wait for the next, which begins when it
//! ends. Logs are forced side by side, on the blocking pool, a bounded number at a time. A failed fsync takes the
//! directory offline; see `log/health.rs`.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tracing::warn;

use super::auto_create::{OFFSETS_TOPIC, TRANSACTION_TOPIC};
use super::dispatch::now_ms;
use super::node::Broker;
use super::partition::Partition;

/// Logs that are forced at the same time.
const CONCURRENT: usize = 32;
/// After a lack of room, which a failed fsync can tell of, it is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(100);

const IDLE: u8 = 0;
/// Something was appended that the fsync under way, if there is one, may not cover.
const ASKED: u8 = 1;
const RUNNING: u8 = 2;

/// How far a partition is: at most one task forces its log.
#[derive(Debug, Default)]
pub struct Progress(AtomicU8);

/// The broker's group commit.
#[derive(Debug)]
pub struct GroupCommit {
    runtime: Handle,
    permits: Arc<Semaphore>,
    broker: OnceLock<Weak<Broker>>,
}

impl GroupCommit {
    pub fn new(runtime: Handle) -> GroupCommit {
        GroupCommit {
            runtime,
            permits: Arc::new(Semaphore::new(CONCURRENT)),
            broker: OnceLock::new(),
        }
    }

    pub fn attach(&self, broker: &Arc<Broker>) {
        // Attached once, at start.
        let _ = self.broker.set(Arc::downgrade(broker));
    }

    /// Has what was appended to the partition committed. Does not wait.
    pub fn commit(self: &Arc<Self>, partition: &Arc<Partition>, progress: &Progress) {
        if progress.0.swap(ASKED, Ordering::AcqRel) == IDLE {
            let (commit, partition) = (self.clone(), partition.clone());
            self.runtime
                .spawn(async move { commit.run(partition).await });
        }
    }

    async fn run(&self, partition: Arc<Partition>) {
        let Ok(_permit) = self.permits.acquire().await else {
            return;
        };
        let Some(progress) = partition.progress() else {
            return;
        };
        loop {
            // Before the end of the log is read: who asks from here on is covered by this round or asks for another.
            progress.0.store(RUNNING, Ordering::Release);
            let done = self.round(&partition).await;
            if !done && !partition.log.is_offline() {
                tokio::time::sleep(RETRY_AFTER).await;
                continue;
            }
            let ended =
                progress
                    .0
                    .compare_exchange(RUNNING, IDLE, Ordering::AcqRel, Ordering::Acquire);
            if ended.is_ok() {
                return;
            }
        }
    }

    /// One fsync and its consequences; whether it worked.
    async fn round(&self, partition: &Arc<Partition>) -> bool {
        let log = partition.log.clone();
        let forcing = tokio::task::spawn_blocking(move || {
            log.flush(now_ms())?;
            log.commit_flushed()
        });
        let failed = match forcing.await {
            Ok(Ok(())) => None,
            Ok(Err(e)) => Some(e.to_string()),
            Err(e) => Some(e.to_string()),
        };
        if let Some(why) = &failed {
            warn!(
                "cannot commit {}-{}: {why}",
                partition.topic, partition.index
            );
        }
        partition.waiters.wake();
        let broker = self.broker.get().and_then(Weak::upgrade);
        if let Some(broker) = broker {
            match &*partition.topic {
                OFFSETS_TOPIC => broker.groups.high_watermark_advanced(partition.index),
                TRANSACTION_TOPIC => broker.transactions.high_watermark_advanced(partition.index),
                _ => {}
            }
        }
        failed.is_none()
    }
}
