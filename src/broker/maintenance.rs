//! The periodic work of a running broker, each at the interval of its key. What touches disks runs on the blocking
//! pool, one task of a kind at a time.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::dispatch::now_ms;
use super::node::Broker;

/// How often files whose deletion is due are looked for.
const DELETION_CHECK_MS: i64 = 5_000;
/// How often rolled segments are flushed, and logs whose `flush.ms` has passed.
const FLUSH_CHECK_MS: i64 = 5_000;
/// How often the controller looks whether a metadata snapshot is due by time.
const SNAPSHOT_CHECK_MS: i64 = 60_000;

/// How often logs that could not be made are tried again.
const HOSTING_RETRY: Duration = Duration::from_secs(1);

type Work = fn(&Broker);

/// Starts all periodic work; it ends when the broker stops.
pub fn start(broker: &Arc<Broker>, tasks: &TaskTracker) {
    let logs = &broker.settings.logs;
    let delay = logs.initial_task_delay_ms;
    let high_watermarks = broker
        .settings
        .values
        .long("replica.high.watermark.checkpoint.interval.ms");
    let works: [(i64, i64, Work); 7] = [
        (delay, logs.retention_check_interval_ms, |broker| {
            report("apply retention", broker.logs.apply_retention(now_ms()));
        }),
        (
            delay,
            logs.recovery_point_checkpoint_interval_ms,
            |broker| {
                report(
                    "write recovery points",
                    broker.logs.checkpoint_recovery_points(),
                );
            },
        ),
        (
            delay,
            logs.log_start_offset_checkpoint_interval_ms,
            |broker| {
                report(
                    "write log start offsets",
                    broker.logs.checkpoint_log_start_offsets(),
                );
            },
        ),
        (high_watermarks, high_watermarks, |broker| {
            report(
                "write high watermarks",
                broker.logs.checkpoint_high_watermarks(),
            );
        }),
        (
            FLUSH_CHECK_MS,
            logs.flush_check_interval_ms.min(FLUSH_CHECK_MS),
            |broker| {
                report("flush logs", broker.logs.flush_due(now_ms()));
            },
        ),
        (DELETION_CHECK_MS, DELETION_CHECK_MS, |broker| {
            report("remove deleted logs", broker.logs.remove_deleted(now_ms()));
        }),
        (
            delay,
            i64::from(logs.producer_id_expiration_check_interval_ms),
            |broker| {
                broker.logs.expire_producers(now_ms());
            },
        ),
    ];
    for (delay_ms, interval_ms, work) in works {
        tasks.spawn(every(broker.clone(), delay_ms, interval_ms, work));
    }
    super::cleaner::start(broker, tasks);
    tasks.spawn(snapshots(broker.clone()));
    tasks.spawn(directories(broker.clone()));
    tasks.spawn(super::full_disk::watch(broker.clone()));
    tasks.spawn(hosting(broker.clone()));
}

fn report<T>(what: &str, result: Result<T, impl Display>) {
    if let Err(e) = result {
        warn!("cannot {what}: {e}");
    }
}

async fn every(broker: Arc<Broker>, delay_ms: i64, interval_ms: i64, work: Work) {
    let millis = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(0).max(1));
    // An interval beyond a year is Kafka's way to say never; the timer cannot count so far.
    if interval_ms > 365 * 24 * 60 * 60 * 1000 {
        return;
    }
    let mut ticks = interval_at(Instant::now() + millis(delay_ms), millis(interval_ms));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = broker.stopping.cancelled() => return,
        }
        let broker = broker.clone();
        if let Err(e) = tokio::task::spawn_blocking(move || work(&broker)).await {
            warn!("periodic work ended early: {e}");
        }
    }
}

async fn hosting(broker: Arc<Broker>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(HOSTING_RETRY) => {}
            () = broker.stopping.cancelled() => return,
        }
        let missing = !broker.unhosted.lock().is_empty();
        if missing {
            broker.controller.host_missing().await;
        }
    }
}

/// Deals with log directories that fail, as soon as they do.
async fn directories(broker: Arc<Broker>) {
    loop {
        super::directories::handle_failures(&broker).await;
        tokio::select! {
            () = broker.directories.changed.notified() => {}
            () = broker.stopping.cancelled() => return,
        }
    }
}

async fn snapshots(broker: Arc<Broker>) {
    let period = Duration::from_millis(SNAPSHOT_CHECK_MS as u64);
    loop {
        tokio::select! {
            () = tokio::time::sleep(period) => broker.controller.maybe_snapshot().await,
            () = broker.stopping.cancelled() => return,
        }
    }
}
