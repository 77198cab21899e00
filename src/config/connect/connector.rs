//! Keys of connectors, and of the file connectors.
use crate::config::definition::{ConfigKey, boolean, class, int, list, long, short, string};
use crate::config::key_checks::{
    CONNECTOR_NAME, PREDICATES, REGEX, TOPIC_CREATION_GROUPS, TRANSFORMS,
};

#[rustfmt::skip]
pub(in crate::config) const KEYS: &[ConfigKey] = &[
    string("config.action.reload").default("restart").one_of(&["none", "restart"]).low().moot(),
    string("connector.class").required().high().active("What to run: FileStreamSource, FileStreamSink."),
    string("connector.plugin.version"),
    boolean("errors.log.enable").default("false").active("Whether bad records are logged."),
    boolean("errors.log.include.messages").default("false").active("Whether the log shows them."),
    long("errors.retry.delay.max.ms").default("60000").active("Longest wait between two tries."),
    long("errors.retry.timeout").default("0").active("How long a failed record is tried again."),
    string("errors.tolerance").default("none").one_of(&["none", "all"]).active("Whether bad records stop the task."),
    class("header.converter").low().active("How headers become bytes."),
    string("header.converter.plugin.version").low(),
    class("key.converter").low().active("How keys become bytes."),
    string("key.converter.plugin.version").low(),
    string("name").required().valid(CONNECTOR_NAME).high().active("Name of the connector."),
    list("predicates").default("").valid(PREDICATES).low(),
    int("tasks.max").default("1").at_least(1).high().active("Most tasks it may have."),
    boolean("tasks.max.enforce").default("true").low().active("Whether more tasks than tasks.max are refused."),
    list("transforms").default("").valid(TRANSFORMS).low(),
    class("value.converter").low().active("How values become bytes."),
    string("value.converter.plugin.version").low(),
];

#[rustfmt::skip]
pub(in crate::config) const SOURCE_KEYS: &[ConfigKey] = &[
    string("exactly.once.support").default("requested").one_of_ignore_case(&["REQUIRED", "REQUESTED"]),
    string("offsets.storage.topic").non_empty().low(),
    list("topic.creation.groups").default("").valid(TOPIC_CREATION_GROUPS).low(),
    string("transaction.boundary").default("poll").one_of_ignore_case(&["INTERVAL", "POLL", "CONNECTOR"]),
    long("transaction.boundary.interval.ms").at_least(0).low(),
];

#[rustfmt::skip]
pub(in crate::config) const SINK_KEYS: &[ConfigKey] = &[
    boolean("errors.deadletterqueue.context.headers.enable").default("false"),
    string("errors.deadletterqueue.topic.name").default(""),
    short("errors.deadletterqueue.topic.replication.factor").default("3"),
    list("topics").default("").high().active("Topics to read."),
    string("topics.regex").default("").valid(REGEX).high().active("Pattern of topics to read."),
];

#[rustfmt::skip]
pub(in crate::config) const FILE_SOURCE_KEYS: &[ConfigKey] = &[
    int("batch.size").default("2000").low().active("Lines handed on at a time."),
    string("file").high().active("The file; standard input or output without it."),
    string("topic").required().non_empty().high().active("Topic to write."),
];

#[rustfmt::skip]
pub(in crate::config) const FILE_SINK_KEYS: &[ConfigKey] = &[
    string("file").high().active("The file; standard input or output without it."),
];
