//! Broker keys: streams groups.
use crate::config::definition::{ConfigKey, int};

#[rustfmt::skip]
pub(in crate::config) const KEYS: &[ConfigKey] = &[
    int("group.streams.assignment.interval.ms").default("1000").at_least(0).cluster_wide().active("The least time between two target assignments of a streams group."),
    int("group.streams.heartbeat.interval.ms").default("5000").at_least(1).active("How often members of streams groups are told to send heartbeats."),
    int("group.streams.initial.rebalance.delay.ms").default("3000").at_least(0).active("How long a new streams group waits for more members before its first assignment."),
    int("group.streams.max.assignment.interval.ms").default("15000").at_least(0).active("Bound of streams.assignment.interval.ms of groups."),
    int("group.streams.max.heartbeat.interval.ms").default("15000").at_least(1).active("Bound of streams.heartbeat.interval.ms of groups."),
    int("group.streams.max.session.timeout.ms").default("60000").at_least(1).active("Bound of streams.session.timeout.ms of groups."),
    int("group.streams.max.size").default("2147483647").at_least(1).active("How many members a streams group may have."),
    int("group.streams.max.standby.replicas").default("2").at_least(0).active("Bound of streams.num.standby.replicas of groups."),
    int("group.streams.min.assignment.interval.ms").default("0").at_least(0).active("Bound of streams.assignment.interval.ms of groups."),
    int("group.streams.min.heartbeat.interval.ms").default("5000").at_least(1).active("Bound of streams.heartbeat.interval.ms of groups."),
    int("group.streams.min.session.timeout.ms").default("45000").at_least(1).active("Bound of streams.session.timeout.ms of groups."),
    int("group.streams.num.standby.replicas").default("0").at_least(0).active("How many copies of a stateful task are kept."),
    int("group.streams.session.timeout.ms").default("45000").at_least(1).active("When members of streams groups that are silent are fenced."),
];
