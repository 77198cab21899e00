//! The threads that compact logs (`log.cleaner.threads`), and the brake on what they read and write
//! (`log.cleaner.io.max.bytes.per.second`). Their settings may change while they run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::dispatch::now_ms;
use super::node::Broker;
use super::throttle::Throttle;
use crate::config::definition::Values;
use crate::log::TopicPartition;
use crate::log::cleaner::{Cleaned, Cleaner, Resources, Supervisor};

/// How often threads that ended are looked for.
const THREAD_CHECK: Duration = Duration::from_secs(60);
/// A backoff is at least so long.
const BACKOFF_MIN: Duration = Duration::from_millis(1);

/// What the cleaners go by.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Settings {
    threads: usize,
    /// Of each thread.
    resources: Resources,
    bytes_per_second: f64,
    backoff: Duration,
}

impl Settings {
    fn new(values: &Values) -> Self {
        let threads = usize::try_from(values.int("log.cleaner.threads")).unwrap_or(0);
        let share = threads.max(1);
        let map_bytes = usize::try_from(values.long("log.cleaner.dedupe.buffer.size"));
        let buffer_bytes = usize::try_from(values.int("log.cleaner.io.buffer.size"));
        let backoff_ms = u64::try_from(values.long("log.cleaner.backoff.ms")).unwrap_or(0);
        Self {
            threads,
            resources: Resources {
                map_bytes: map_bytes.unwrap_or(0) / share,
                load_factor: values.double("log.cleaner.io.buffer.load.factor"),
                // Half of it is to read with, in Kafka; here the rest holds what is rewritten.
                buffer_bytes: buffer_bytes.unwrap_or(0) / share / 2,
            },
            bytes_per_second: values.double("log.cleaner.io.max.bytes.per.second"),
            backoff: Duration::from_millis(backoff_ms).max(BACKOFF_MIN),
        }
    }

    fn of(broker: &Broker) -> Self {
        let image = broker.image();
        broker.with_layers(&image, |layers| Self::new(&layers.values()))
    }
}

/// Starts the cleaners, unless `log.cleaner.enable` is false; they end when the broker stops.
pub fn start(broker: &Arc<Broker>, tasks: &TaskTracker) {
    if broker.settings.values.bool("log.cleaner.enable") {
        tasks.spawn(keep_threads(broker.clone(), tasks.clone()));
    }
}

/// Has as many threads at work as are configured, and others in the place of those that failed.
async fn keep_threads(broker: Arc<Broker>, tasks: TaskTracker) {
    let pool = Arc::new(Pool {
        broker: broker.clone(),
        throttle: Throttle::default(),
    });
    let mut reconfigured = broker.reconfigured.subscribe();
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    loop {
        let wanted = Settings::of(&broker).threads;
        for id in 0..wanted {
            let work = {
                let pool = pool.clone();
                move || pool.work(id)
            };
            match threads.get_mut(id) {
                None => threads.push(tasks.spawn_blocking(work)),
                Some(thread) if thread.is_finished() => *thread = tasks.spawn_blocking(work),
                Some(_) => {}
            }
        }
        tokio::select! {
            _ = reconfigured.changed() => {}
            () = tokio::time::sleep(THREAD_CHECK) => {}
            () = broker.stopping.cancelled() => return,
        }
    }
}

/// What the cleaner threads share.
struct Pool {
    broker: Arc<Broker>,
    throttle: Throttle,
}

impl Pool {
    /// The work of one thread until the broker stops or wants fewer.
    fn work(&self, id: usize) {
        let mut cleaner = Cleaner::default();
        loop {
            let settings = Settings::of(&self.broker);
            if self.broker.stopping.is_cancelled() || id >= settings.threads {
                return;
            }
            self.throttle.set_rate(settings.bytes_per_second);
            let cleaned = self.clean(&mut cleaner, &settings.resources);
            if let Err(e) = self.broker.logs.retain_compacted(now_ms()) {
                warn!("cannot apply retention to compacted logs: {e}");
            }
            if !cleaned {
                cleaner.rest();
                self.sleep(settings.backoff);
            }
        }
    }

    fn clean(&self, cleaner: &mut Cleaner, resources: &Resources) -> bool {
        let began = Instant::now();
        let seed = fastrand::u64(..);
        let logs = &self.broker.logs;
        match logs.clean_filthiest(cleaner, resources, seed, self, now_ms()) {
            Ok(Some(cleaned)) => {
                report(&cleaned, began.elapsed());
                true
            }
            Ok(None) => false,
            Err(e) => {
                warn!("a cleaning failed, to be tried again: {e}");
                false
            }
        }
    }

    fn sleep(&self, time: Duration) {
        let stopping = self.broker.stopping.clone();
        self.broker.runtime.block_on(async move {
            tokio::select! {
                () = tokio::time::sleep(time) => {}
                () = stopping.cancelled() => {}
            }
        });
    }
}

impl Supervisor for Pool {
    fn pass(&self, _tp: &TopicPartition, bytes: usize) -> bool {
        if let Some(pause) = self.throttle.pass(bytes, Instant::now()) {
            self.sleep(pause);
        }
        !self.broker.stopping.is_cancelled()
    }
}

fn report(cleaned: &Cleaned, took: Duration) {
    let stats = &cleaned.stats;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let seconds = took.as_secs_f64().max(0.001);
    info!(
        "{}: cleaned offsets {} to {}: {:.1} MiB in {} segments became {:.1} MiB in {} ({} of {} records), in {seconds:.1} s \
         ({:.1} MiB/s); offset map {:.0} % full of {:.1} MiB",
        cleaned.tp,
        stats.start_offset,
        stats.end_offset,
        mib(stats.bytes_read),
        stats.segments.0,
        mib(stats.bytes_written),
        stats.segments.1,
        stats.records.records_kept,
        stats.records.records_read,
        mib(stats.bytes_read) / seconds,
        100.0 * stats.map_utilization,
        mib(stats.map_memory as u64),
    );
    if cleaned.overdue_ms > 0 {
        info!(
            "{}: was overdue by {} ms (max.compaction.lag.ms)",
            cleaned.tp, cleaned.overdue_ms
        );
    }
    if stats.records.invalid_records > 0 {
        warn!(
            "{}: {} records without a key were removed",
            cleaned.tp, stats.records.invalid_records
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_share_what_is_configured() {
        let values = crate::config::broker::table();
        let properties = crate::config::Properties::parse(
            "log.cleaner.threads=2\nlog.cleaner.io.buffer.size=1000",
        );
        let (values, _) = values.parse_all(&properties.expect("properties"));
        let settings = Settings::new(&values);
        assert_eq!(settings.threads, 2);
        assert_eq!(settings.resources.map_bytes, 67_108_864);
        assert_eq!(settings.resources.buffer_bytes, 250);
        assert_eq!(settings.backoff, Duration::from_secs(15));
    }
}
