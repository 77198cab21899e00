//! Broker keys: replication and its topics.
use crate::config::definition::{ConfigKey, NO_TLS, boolean, int, long, string};

#[rustfmt::skip]
pub(in crate::config) const KEYS: &[ConfigKey] = &[
    boolean("auto.leader.rebalance.enable").default("true").high().moot(),
    boolean("controlled.shutdown.enable").default("true").moot(),
    int("default.replication.factor").default("1").active("Replicas of a new topic that does not say."),
    string("inter.broker.listener.name").active("Listener that brokers use among themselves."),
    long("leader.imbalance.check.interval.seconds").default("300").at_least(1).high().moot(),
    int("num.replica.alter.log.dirs.threads").high().moot(),
    int("num.replica.fetchers").default("1").at_least(1).high().cluster_wide().moot(),
    int("replica.fetch.backoff.ms").default("1000").at_least(0).moot(),
    int("replica.fetch.max.bytes").default("1048576").at_least(0).moot(),
    int("replica.fetch.min.bytes").default("1").high().moot(),
    int("replica.fetch.response.max.bytes").default("10485760").at_least(0).moot(),
    int("replica.fetch.wait.max.ms").default("500").high().moot(),
    long("replica.high.watermark.checkpoint.interval.ms").default("5000").high().moot(),
    long("replica.lag.time.max.ms").default("30000").high().moot(),
    string("replica.selector.class"),
    int("replica.socket.receive.buffer.bytes").default("65536").high().moot(),
    int("replica.socket.timeout.ms").default("30000").high().moot(),
    int("request.timeout.ms").default("30000").high().moot(),
    string("security.inter.broker.protocol").default("PLAINTEXT").one_of(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]).refused(NO_TLS),
    boolean("unclean.leader.election.enable").default("false").high().cluster_wide().active("Whether a replica that lags may become leader."),
    long("unclean.leader.election.interval.ms").default("300000").at_least(1).internal().moot(),
];
