//! Broker keys: listeners, connections, requests.
use crate::config::definition::{ConfigKey, int, list, long, string};

#[rustfmt::skip]
pub(in crate::config) const KEYS: &[ConfigKey] = &[
    list("advertised.listeners").non_empty_list().nullable_list().high().active("Addresses that clients are told to use."),
    int("background.threads").default("10").at_least(1).high().cluster_wide().moot(),
    long("connections.max.idle.ms").default("600000").active("Idle connections are closed after this time."),
    list("early.start.listeners").nullable_list().high().moot(),
    int("fetch.max.bytes").default("57671680").at_least(1024).active("Largest fetch answer."),
    string("listener.security.protocol.map").default("SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT").low().per_broker().active("Security protocol of each listener name."),
    list("listeners").default("PLAINTEXT://:9092").non_empty_list().high().per_broker().active("Addresses to listen on, as NAME://host:port."),
    int("max.connection.creation.rate").default("2147483647").at_least(0).cluster_wide(),
    int("max.connections").default("2147483647").at_least(0).cluster_wide(),
    int("max.connections.per.ip").default("2147483647").at_least(0).cluster_wide(),
    string("max.connections.per.ip.overrides").default("").cluster_wide(),
    int("max.incremental.fetch.session.cache.slots").default("1000").at_least(0).active("Fetch sessions kept."),
    int("max.request.partition.size.limit").default("2000").at_least(1).active("Partitions in one DescribeTopicPartitions answer."),
    int("num.io.threads").default("8").at_least(1).high().cluster_wide().moot(),
    int("num.network.threads").default("3").at_least(1).high().cluster_wide().moot(),
    long("queued.max.request.bytes").default("-1"),
    int("queued.max.requests").default("500").at_least(1).high().moot(),
    long("socket.connection.setup.timeout.max.ms").default("30000").moot(),
    long("socket.connection.setup.timeout.ms").default("10000").moot(),
    int("socket.listen.backlog.size").default("50").at_least(1).active("Connections that may wait to be accepted."),
    int("socket.receive.buffer.bytes").default("102400").high().active("Receive buffer of connections; -1: the system decides."),
    int("socket.request.max.bytes").default("104857600").at_least(1).high().active("Largest request taken."),
    int("socket.send.buffer.bytes").default("102400").high().active("Send buffer of connections; -1: the system decides."),
];
