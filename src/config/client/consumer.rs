//! Consumer keys.
use crate::config::definition::{ConfigKey, boolean, class, int, list, long, string};
use crate::config::key_checks::{
    AUTO_OFFSET_RESET, SHARE_ACKNOWLEDGEMENT_MODE, SHARE_ACQUIRE_MODE,
};

#[rustfmt::skip]
pub(in crate::config) const KEYS: &[ConfigKey] = &[
    boolean("allow.auto.create.topics").default("true").active("Whether subscribing to an unknown topic may create it."),
    int("auto.commit.interval.ms").default("5000").at_least(0).low().active("How often offsets are committed."),
    string("auto.offset.reset").default("latest").valid(AUTO_OFFSET_RESET).active("Where to start without a committed offset."),
    list("bootstrap.servers").required().non_empty_list().high().active("Brokers to ask first, as host:port."),
    boolean("check.crcs").default("true").low().active("Whether checksums of fetched batches are checked."),
    string("client.id").default("").low().active("Name of this client in logs and metrics of the broker."),
    string("client.rack").default("").low().active("Rack of this client."),
    long("connections.max.idle.ms").default("540000").active("Idle connections are closed after this time."),
    int("default.api.timeout.ms").default("60000").at_least(0).active("Time limit of calls that do not say."),
    boolean("enable.auto.commit").default("true").active("Whether offsets are committed by themselves."),
    boolean("enable.metrics.push").default("true").low(),
    boolean("exclude.internal.topics").default("true").active("Whether patterns leave out internal topics."),
    int("fetch.max.bytes").default("52428800").at_least(0).active("Largest answer to a fetch."),
    int("fetch.max.wait.ms").default("500").at_least(0).low().active("How long a fetch waits for data."),
    int("fetch.min.bytes").default("1").at_least(0).high().active("Bytes a fetch waits for."),
    string("group.id").high().active("The group of this consumer."),
    string("group.instance.id").non_empty().active("Fixed name of this member."),
    string("group.protocol").default("classic").one_of_ignore_case(&["CONSUMER", "CLASSIC"]).high(),
    string("group.remote.assignor"),
    int("heartbeat.interval.ms").default("3000").high().active("How often the group is told that this member lives."),
    list("interceptor.classes").default("").low(),
    boolean("internal.throw.on.fetch.stable.offset.unsupported").default("false").low().internal(),
    string("isolation.level").default("read_uncommitted").one_of(&["read_committed", "read_uncommitted"]).active("Whether records of open and aborted transactions are seen."),
    class("key.deserializer").required().high().active("Java class; the tools have their own."),
    int("max.partition.fetch.bytes").default("1048576").at_least(0).high().active("Largest answer for one partition."),
    int("max.poll.interval.ms").default("300000").at_least(1).active("Longest time between two polls."),
    int("max.poll.records").default("500").at_least(1).active("Records of one poll."),
    list("partition.assignment.strategy").default("org.apache.kafka.clients.consumer.RangeAssignor,org.apache.kafka.clients.consumer.CooperativeStickyAssignor").active("How partitions are shared out in a group."),
    int("receive.buffer.bytes").default("65536").at_least(-1).active("Receive buffer of connections; -1: the system decides."),
    int("session.timeout.ms").default("45000").high().active("Silence after which a member is taken for dead."),
    string("share.acknowledgement.mode").default("implicit").valid(SHARE_ACKNOWLEDGEMENT_MODE),
    string("share.acquire.mode").default("BATCH_OPTIMIZED").valid(SHARE_ACQUIRE_MODE),
    class("value.deserializer").required().high().active("Java class; the tools have their own."),
];
