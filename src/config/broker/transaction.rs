//! Broker keys: transactions and idempotent producers.
use crate::config::definition::{ConfigKey, boolean, int, short};

#[rustfmt::skip]
pub(in crate::config) const KEYS: &[ConfigKey] = &[
    int("add.partitions.to.txn.retry.backoff.max.ms").default("100").at_least(0).high(),
    int("add.partitions.to.txn.retry.backoff.ms").default("20").at_least(1).high(),
    int("producer.id.expiration.check.interval.ms").default("600000").at_least(1).low().internal().active("How often idle producers are looked for."),
    int("producer.id.expiration.ms").default("86400000").at_least(1).low().cluster_wide().active("How long an idle producer is remembered."),
    int("transaction.abort.timed.out.transaction.cleanup.interval.ms").default("10000").at_least(1).low(),
    int("transaction.max.timeout.ms").default("900000").at_least(1).high(),
    boolean("transaction.partition.verification.enable").default("true").low().cluster_wide(),
    int("transaction.remove.expired.transaction.cleanup.interval.ms").default("3600000").at_least(1).low(),
    int("transaction.state.log.load.buffer.size").default("5242880").at_least(1).high().moot(),
    int("transaction.state.log.min.isr").default("2").at_least(1).high().moot(),
    int("transaction.state.log.num.partitions").default("50").at_least(1).high().moot(),
    short("transaction.state.log.replication.factor").default("3").at_least(1).high().moot(),
    int("transaction.state.log.segment.bytes").default("104857600").at_least(1).high().moot(),
    boolean("transaction.two.phase.commit.enable").default("false").low(),
    int("transactional.id.expiration.ms").default("604800000").at_least(1).high(),
];
