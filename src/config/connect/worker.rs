//! Keys that standalone and distributed workers share.
use crate::config::definition::{ConfigKey, boolean, class, int, list, long, string};
use crate::config::key_checks::{HTTP_HEADERS, REST_LISTENERS};

#[rustfmt::skip]
pub(in crate::config) const KEYS: &[ConfigKey] = &[
    string("access.control.allow.methods").default("").low(),
    string("access.control.allow.origin").default("").low(),
    list("admin.listeners").nullable_list().low(),
    list("bootstrap.servers").required().non_empty_list().high().active("Brokers to ask first, as host:port."),
    string("client.dns.lookup").default("use_all_dns_ips").one_of(&["use_all_dns_ips", "resolve_canonical_bootstrap_servers_only"]).moot(),
    list("config.providers").default("").low(),
    string("connector.client.config.override.policy").default("All"),
    class("header.converter").default("org.apache.kafka.connect.storage.SimpleHeaderConverter").low().active("How headers become bytes."),
    string("header.converter.plugin.version").low(),
    class("key.converter").required().high().active("How keys become bytes."),
    string("key.converter.plugin.version").low(),
    list("listeners").default("http://:8083").valid(REST_LISTENERS).low().active("Address of the REST interface."),
    list("metric.reporters").default("org.apache.kafka.common.metrics.JmxReporter").low().moot(),
    int("metrics.num.samples").default("2").at_least(1).low().moot(),
    string("metrics.recording.level").default("INFO").one_of(&["INFO", "DEBUG"]).low().moot(),
    long("metrics.sample.window.ms").default("30000").at_least(0).low().moot(),
    long("offset.flush.interval.ms").default("60000").low().active("How often source offsets are written."),
    long("offset.flush.timeout.ms").default("5000").low().active("How long writing source offsets may take."),
    string("plugin.discovery").default("hybrid_warn").one_of_ignore_case(&["ONLY_SCAN", "SERVICE_LOAD", "HYBRID_WARN", "HYBRID_FAIL"]).low().moot(),
    list("plugin.path").non_empty_list().nullable_list().low().active("Where plugins are; the file connectors are built in."),
    string("response.http.headers.config").default("").valid(HTTP_HEADERS).low(),
    string("rest.advertised.host.name").low().active("Host that others are told to use."),
    string("rest.advertised.listener").low().active("Protocol that others are told to use."),
    int("rest.advertised.port").low().active("Port that others are told to use."),
    list("rest.extension.classes").default("").low(),
    string("ssl.client.auth").default("none").one_of(&["required", "requested", "none"]).low().moot(),
    long("task.shutdown.graceful.timeout.ms").default("5000").low().active("How long tasks may take to stop."),
    boolean("topic.creation.enable").default("true").low().active("Whether source connectors may say how topics are made."),
    boolean("topic.tracking.allow.reset").default("true").low().moot(),
    boolean("topic.tracking.enable").default("true").low().moot(),
    class("value.converter").required().high().active("How values become bytes."),
    string("value.converter.plugin.version").low(),
];
