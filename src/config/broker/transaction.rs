//! Broker keys: transactions and idempotent producers.
use crate::config::definition::{ConfigKey, boolean, int, short};

#[rustfmt::skip]
pub(in crate::config) const KEYS: &[ConfigKey] = &[
    int("add.partitions.to.txn.retry.backoff.max.ms").default("100").at_least(0).high().active("How long a write in a transaction waits for the one before to complete."),
    int("add.partitions.to.txn.retry.backoff.ms").default("20").at_least(1).high().active("How often it looks meanwhile."),
    int("producer.id.expiration.check.interval.ms").default("600000").at_least(1).low().internal().active("How often idle producers are looked for."),
    int("producer.id.expiration.ms").default("86400000").at_least(1).low().cluster_wide().active("How long an idle producer is remembered."),
    int("transaction.abort.timed.out.transaction.cleanup.interval.ms").default("10000").at_least(1).low().active("How often transactions past their time-out are looked for."),
    int("transaction.max.timeout.ms").default("900000").at_least(1).high().active("The longest time-out that a transactional producer may ask for."),
    boolean("transaction.partition.verification.enable").default("true").low().cluster_wide().active("Whether it is checked that what is written in a transaction is part of it."),
    int("transaction.remove.expired.transaction.cleanup.interval.ms").default("3600000").at_least(1).low().active("How often unused transactional ids are looked for."),
    int("transaction.state.log.load.buffer.size").default("5242880").at_least(1).high().moot(),
    int("transaction.state.log.min.isr").default("2").at_least(1).high().active("min.insync.replicas of __transaction_state."),
    int("transaction.state.log.num.partitions").default("50").at_least(1).high().active("Partitions of __transaction_state; no change once the topic exists."),
    short("transaction.state.log.replication.factor").default("3").at_least(1).high().active("Replicas of __transaction_state."),
    int("transaction.state.log.segment.bytes").default("104857600").at_least(1).high().active("Segment size of __transaction_state."),
    // Clients can only ask for it by a version of InitProducerId that no release offers yet.
    boolean("transaction.two.phase.commit.enable").default("false").low().moot(),
    int("transactional.id.expiration.ms").default("604800000").at_least(1).high().active("How long a transactional id that is not used is remembered."),
];
