//! Producer keys.
use crate::config::definition::{ConfigKey, boolean, class, int, list, long, string};
use crate::config::key_checks::GZIP_LEVEL;

#[rustfmt::skip]
pub(in crate::config) const KEYS: &[ConfigKey] = &[
    string("acks").default("all").one_of(&["all", "-1", "0", "1"]).low().active("How many replicas must have a record: 0, 1, all."),
    int("batch.size").default("16384").at_least(0).active("Bytes gathered for one partition before they are sent."),
    list("bootstrap.servers").required().non_empty_list().high().active("Brokers to ask first, as host:port."),
    long("buffer.memory").default("33554432").at_least(0).high().active("Bytes of records that may wait to be sent."),
    string("client.id").default("").active("Name of this client in logs and metrics of the broker."),
    int("compression.gzip.level").default("-1").valid(GZIP_LEVEL).active("Level of gzip."),
    int("compression.lz4.level").default("9").between(1, 17).active("Level of lz4."),
    string("compression.type").default("none").one_of(&["none", "gzip", "snappy", "lz4", "zstd"]).high().active("Codec of the batches sent."),
    int("compression.zstd.level").default("3").between(-131072, 22).active("Level of zstd."),
    long("connections.max.idle.ms").default("540000").active("Idle connections are closed after this time."),
    int("delivery.timeout.ms").default("120000").at_least(0).active("Time within which a record is sent or fails."),
    boolean("enable.idempotence").default("true").low().active("Whether each record is written exactly once per partition."),
    boolean("enable.metrics.push").default("true").low(),
    list("interceptor.classes").default("").low(),
    class("key.serializer").required().high().active("Java class; the tools have their own."),
    long("linger.ms").default("5").at_least(0).active("How long a batch waits for more."),
    long("max.block.ms").default("60000").at_least(0).active("How long sending waits for metadata and buffer space."),
    int("max.in.flight.requests.per.connection").default("5").at_least(1).low().active("Requests on their way to one broker."),
    int("max.request.size").default("1048576").at_least(0).active("Largest record and request sent."),
    long("metadata.max.idle.ms").default("300000").at_least(5000).low(),
    boolean("partitioner.adaptive.partitioning.enable").default("true").low(),
    long("partitioner.availability.timeout.ms").default("0").at_least(0).low(),
    class("partitioner.class"),
    boolean("partitioner.ignore.keys").default("false").active("Whether records with a key are spread as those without."),
    int("receive.buffer.bytes").default("32768").at_least(-1).active("Receive buffer of connections; -1: the system decides."),
    int("retries").default("2147483647").between(0, 2147483647).high().active("How often a request is repeated."),
    int("transaction.timeout.ms").default("60000").low(),
    boolean("transaction.two.phase.commit.enable").default("false").low(),
    string("transactional.id").non_empty().low().refused("transactions are not built yet"),
    class("value.serializer").required().high().active("Java class; the tools have their own."),
];
