//! Keys of groups and of client metrics subscriptions, in the order in which Kafka's DescribeConfigs
//! lists them, and the broker keys that can only be set while the broker runs.
use crate::config::definition::{ConfigKey, boolean, int, list, long, string};
use crate::config::key_checks::SHARE_AUTO_OFFSET_RESET;

#[rustfmt::skip]
pub(in crate::config) const GROUP_KEYS: &[ConfigKey] = &[
    int("consumer.session.timeout.ms").default("45000").at_least(1),
    int("consumer.assignment.interval.ms").default("1000").at_least(0),
    string("share.auto.offset.reset").default("latest").valid(SHARE_AUTO_OFFSET_RESET),
    boolean("share.renew.acknowledge.enable").default("true"),
    int("streams.initial.rebalance.delay.ms").default("3000").at_least(0),
    int("share.session.timeout.ms").default("45000").at_least(1),
    int("streams.assignment.interval.ms").default("1000").at_least(0),
    int("share.heartbeat.interval.ms").default("5000").at_least(1),
    int("streams.heartbeat.interval.ms").default("5000").at_least(1),
    int("share.delivery.count.limit").default("5").at_least(2),
    int("consumer.heartbeat.interval.ms").default("5000").at_least(1),
    int("share.record.lock.duration.ms").default("30000").at_least(1000),
    int("share.assignment.interval.ms").default("1000").at_least(0),
    string("share.isolation.level").default("read_uncommitted").one_of(&["read_committed", "read_uncommitted"]),
    int("streams.session.timeout.ms").default("45000").at_least(1),
    int("share.partition.max.record.locks").default("2000").at_least(100),
    int("streams.num.standby.replicas").default("0").at_least(0),
];

#[rustfmt::skip]
pub(in crate::config) const CLIENT_METRICS_KEYS: &[ConfigKey] = &[
    int("interval.ms").default("300000"),
    list("match").default(""),
    list("metrics").default(""),
];

#[rustfmt::skip]
pub(in crate::config) const DYNAMIC_ONLY_KEYS: &[ConfigKey] = &[
    long("follower.replication.throttled.rate").default("9223372036854775807").at_least(0).cluster_wide(),
    long("leader.replication.throttled.rate").default("9223372036854775807").at_least(0).cluster_wide(),
    long("replica.alter.log.dirs.io.max.bytes.per.second").default("9223372036854775807").at_least(0).cluster_wide(),
];
