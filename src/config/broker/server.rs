//! Broker keys: metrics, quotas and everything else.
use crate::config::definition::{ConfigKey, class, int, list, long, string};

#[rustfmt::skip]
pub(in crate::config) const KEYS: &[ConfigKey] = &[
    int("alter.log.dirs.replication.quota.window.num").default("11").at_least(1).low(),
    int("alter.log.dirs.replication.quota.window.size.seconds").default("1").at_least(1).low(),
    class("client.quota.callback.class").low(),
    list("config.providers").default("").low().cluster_wide().refused("providers are not built in yet, values like ${...} would be taken as they stand"),
    int("delete.records.purgatory.purge.interval.requests").default("1").moot(),
    int("fetch.purgatory.purge.interval.requests").default("1000").moot(),
    int("kafka.metrics.polling.interval.secs").default("10").at_least(1).low(),
    list("kafka.metrics.reporters").default("").low(),
    list("metric.reporters").default("org.apache.kafka.common.metrics.JmxReporter").low().cluster_wide(),
    int("metrics.num.samples").default("2").at_least(1).low(),
    string("metrics.recording.level").default("INFO").low(),
    long("metrics.sample.window.ms").default("30000").at_least(1).low(),
    int("producer.purgatory.purge.interval.requests").default("1000").moot(),
    int("quota.window.num").default("11").at_least(1).low().active("Over so many windows a client's rate is taken."),
    int("quota.window.size.seconds").default("1").at_least(1).low().active("How long a window of a client's rate is."),
    int("replication.quota.window.num").default("11").at_least(1).low(),
    int("replication.quota.window.size.seconds").default("1").at_least(1).low(),
    int("telemetry.max.bytes").default("1048576").at_least(1).low(),
];
