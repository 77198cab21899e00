//! Admin client keys.
use crate::config::definition::{ConfigKey, boolean, int, list, long, string};

#[rustfmt::skip]
pub(in crate::config) const KEYS: &[ConfigKey] = &[
    list("bootstrap.controllers").default("").high(),
    list("bootstrap.servers").default("").high().active("Brokers to ask first, as host:port."),
    string("client.id").default("").active("Name of this client in logs and metrics of the broker."),
    long("connections.max.idle.ms").default("300000").active("Idle connections are closed after this time."),
    int("default.api.timeout.ms").default("60000").at_least(0).active("Time limit of calls that do not say."),
    boolean("enable.metrics.push").default("false").low(),
    int("receive.buffer.bytes").default("65536").at_least(-1).active("Receive buffer of connections; -1: the system decides."),
    int("retries").default("2147483647").between(0, 2147483647).low().active("How often a request is repeated."),
];
