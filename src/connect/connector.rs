//! The configuration of a connector, checked, and the tasks that it makes of it.
use std::time::Duration;

use super::convert::Role;
use super::errors::{ConnectError, Result};
use super::file_sink::FileSinkTask;
use super::file_source::{FileSourceConfig, FileSourceTask};
use super::offsets::OffsetStore;
use super::tolerance::Tolerance;
use super::worker_config::{WorkerConfig, check_header_converter};
use super::worker_sink::{Topics, WorkerSinkTask};
use super::worker_source::WorkerSourceTask;
use crate::client::consumer::ConsumerConfig;
use crate::client::outage::ConnectivityListener;
use crate::client::producer::ProducerConfig;
use crate::config::{ConfigDef, Properties, Values, check_with, connect};

/// The version that the built-in connectors say they have.
pub const VERSION: &str = "4.3.1";

/// A connector that is built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plugin {
    FileStreamSink,
    FileStreamSource,
}

impl Plugin {
    /// By class.
    pub const ALL: [Plugin; 2] = [Plugin::FileStreamSink, Plugin::FileStreamSource];

    pub fn class(self) -> &'static str {
        match self {
            Plugin::FileStreamSource => "org.apache.kafka.connect.file.FileStreamSourceConnector",
            Plugin::FileStreamSink => "org.apache.kafka.connect.file.FileStreamSinkConnector",
        }
    }

    pub fn task_class(self) -> &'static str {
        match self {
            Plugin::FileStreamSource => "org.apache.kafka.connect.file.FileStreamSourceTask",
            Plugin::FileStreamSink => "org.apache.kafka.connect.file.FileStreamSinkTask",
        }
    }

    /// `source` or `sink`, as the REST interface says it.
    pub fn kind(self) -> &'static str {
        match self {
            Plugin::FileStreamSource => "source",
            Plugin::FileStreamSink => "sink",
        }
    }

    /// By its class, the simple name of that, or the simple name without `Connector`.
    fn find(name: &str) -> Result<Self> {
        let is = |plugin: &Plugin| {
            let class = plugin.class();
            let simple = class.rsplit('.').next().unwrap_or(class);
            name == class || name == simple || Some(name) == simple.strip_suffix("Connector")
        };
        Self::ALL.into_iter().find(is).ok_or_else(|| {
            ConnectError::config(format!(
                "Failed to find any class that implements Connector and which name matches {name}, \
                 available connectors are: FileStreamSource, FileStreamSink (Java plugins are not \
                 loaded yet)"
            ))
        })
    }

    fn tables(self) -> (&'static ConfigDef, &'static ConfigDef) {
        match self {
            Plugin::FileStreamSource => (connect::source(), connect::file_source()),
            Plugin::FileStreamSink => (connect::sink(), connect::file_sink()),
        }
    }
}

/// A connector's configuration that can be run.
#[derive(Debug, Clone)]
pub struct ConnectorConfig {
    pub name: String,
    pub plugin: Plugin,
    pub properties: Properties,
    general: Values,
    own: Values,
}

/// A task that can be started.
pub enum Task {
    Source(WorkerSourceTask),
    Sink(WorkerSinkTask),
}

impl ConnectorConfig {
    /// Checks what a user wrote. What has no effect is a warning in the log.
    pub fn new(properties: Properties, worker: &WorkerConfig) -> Result<Self> {
        let required = |key: &str| {
            properties
                .get(key)
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .ok_or_else(|| {
                    ConnectError::config(format!(
                        "Missing required configuration \"{key}\" which has no default value."
                    ))
                })
        };
        let name = required("name")?.to_owned();
        let plugin = Plugin::find(required("connector.class")?)?;
        let overrides = match plugin {
            Plugin::FileStreamSource => "producer.override.",
            Plugin::FileStreamSink => "consumer.override.",
        };
        refuse(&properties, overrides, worker)?;
        let (general, own) = plugin.tables();
        let is_own = |key: &str| own.key(key).is_some();
        let part = |own: bool| {
            let mut part = Properties::new();
            for (key, value) in properties.iter().filter(|(key, _)| is_own(key) == own) {
                part.set(key, value);
            }
            part
        };
        let passed_on = [
            "key.converter.",
            "value.converter.",
            "header.converter.",
            overrides,
        ];
        let general = check_with(general, &part(false), &passed_on);
        let own = check_with(own, &part(true), &[]);
        if let Some(error) = general.errors.iter().chain(&own.errors).next() {
            return Err(ConnectError::config(error.clone()));
        }
        for warning in general.warnings.iter().chain(&own.warnings) {
            tracing::warn!("connector {name}: {warning}");
        }
        let config = Self {
            name,
            plugin,
            general: general.values,
            own: own.values,
            properties,
        };
        config.check(worker)?;
        Ok(config)
    }

    /// What tasks would stumble over.
    fn check(&self, worker: &WorkerConfig) -> Result<()> {
        for role in [Role::Key, Role::Value] {
            worker.converter(role, &self.properties)?;
        }
        check_header_converter(self.properties.get("header.converter"))?;
        match self.plugin {
            Plugin::FileStreamSource => self.producer(worker, 0).map(drop),
            Plugin::FileStreamSink => {
                self.topics()?;
                self.consumer(worker, 0).map(drop)
            }
        }
    }

    /// How many tasks there will be: one reads a file, any number may write.
    pub fn task_count(&self) -> usize {
        match self.plugin {
            Plugin::FileStreamSource => 1,
            Plugin::FileStreamSink => usize::try_from(self.general.int("tasks.max")).unwrap_or(1),
        }
    }

    /// Makes a task. Must be called inside a tokio runtime.
    pub fn task(
        &self,
        index: usize,
        worker: &WorkerConfig,
        offsets: &OffsetStore,
        connectivity: &ConnectivityListener,
    ) -> Result<Task> {
        let key_converter = worker.converter(Role::Key, &self.properties)?;
        let value_converter = worker.converter(Role::Value, &self.properties)?;
        let tolerance = self.tolerance(index);
        match self.plugin {
            Plugin::FileStreamSource => {
                let mut producer = self.producer(worker, index)?;
                producer.client.connectivity = Some(connectivity.clone());
                Ok(Task::Source(WorkerSourceTask {
                    task: Box::new(FileSourceTask::new(self.file_source(), offsets)),
                    key_converter,
                    value_converter,
                    producer,
                    offsets: offsets.clone(),
                    tolerance,
                    flush_interval: worker.flush_interval.max(Duration::from_millis(1)),
                    stop_timeout: worker.stop_timeout,
                }))
            }
            Plugin::FileStreamSink => {
                let mut consumer = self.consumer(worker, index)?;
                consumer.client.connectivity = Some(connectivity.clone());
                Ok(Task::Sink(WorkerSinkTask {
                    task: Box::new(FileSinkTask::open_file(self.file())?),
                    topics: self.topics()?,
                    key_converter,
                    value_converter,
                    consumer,
                    tolerance,
                    commit_interval: worker.flush_interval,
                }))
            }
        }
    }

    fn file(&self) -> Option<&str> {
        self.own
            .string_option("file")
            .filter(|file| !file.is_empty())
    }

    fn file_source(&self) -> FileSourceConfig {
        FileSourceConfig {
            connector: self.name.clone(),
            file: self.file().map(str::to_owned),
            topic: self.own.string("topic").to_owned(),
            batch_lines: usize::try_from(self.own.int("batch.size"))
                .unwrap_or_default()
                .max(1),
        }
    }

    fn tolerance(&self, index: usize) -> Tolerance {
        Tolerance {
            task: format!("{}-{index}", self.name),
            all: self
                .general
                .string("errors.tolerance")
                .eq_ignore_ascii_case("all"),
            log: self.general.bool("errors.log.enable"),
            with_records: self.general.bool("errors.log.include.messages"),
        }
    }

    fn topics(&self) -> Result<Topics> {
        let names = self.general.list("topics");
        let pattern = self
            .general
            .string_option("topics.regex")
            .unwrap_or_default();
        match (names.is_empty(), pattern.is_empty()) {
            (false, true) => Ok(Topics::Names(names.to_vec())),
            (true, false) => Ok(Topics::Pattern(pattern.to_owned())),
            (false, false) => Err(ConnectError::config(
                "topics and topics.regex are mutually exclusive options, but both are set.",
            )),
            (true, true) => Err(ConnectError::config(
                "Must configure one of topics or topics.regex",
            )),
        }
    }

    fn producer(&self, worker: &WorkerConfig, index: usize) -> Result<ProducerConfig> {
        let client_id = format!("connector-producer-{}-{index}", self.name);
        // As Kafka's worker, but for idempotence, so that a retry repeats no line, and batches
        // that suit a file read at full speed.
        let mut client = worker.client(
            "producer.",
            &[
                ("client.id", &client_id),
                ("acks", "all"),
                ("batch.size", "131072"),
                ("delivery.timeout.ms", "2147483647"),
                ("max.block.ms", "9223372036854775807"),
            ],
        );
        client.extend(&self.properties.with_prefix("producer.override."));
        Ok(ProducerConfig::from_properties(&client)?)
    }

    fn consumer(&self, worker: &WorkerConfig, index: usize) -> Result<ConsumerConfig> {
        let client_id = format!("connector-consumer-{}-{index}", self.name);
        let group = format!("connect-{}", self.name);
        let mut client = worker.client(
            "consumer.",
            &[
                ("client.id", &client_id),
                ("group.id", &group),
                ("auto.offset.reset", "earliest"),
            ],
        );
        client.extend(&self.properties.with_prefix("consumer.override."));
        client.set("enable.auto.commit", "false");
        Ok(ConsumerConfig::from_properties(&client)?)
    }
}

/// Keys that would change what arrives, were they ignored.
fn refuse(properties: &Properties, overrides: &str, worker: &WorkerConfig) -> Result<()> {
    const NOT_YET: &[(&str, &str)] = &[
        ("transforms", "transformations are not built in yet"),
        ("predicates", "predicates are not built in yet"),
        (
            "errors.deadletterqueue.topic.name",
            "dead letter queues are not built in yet",
        ),
        (
            "topic.creation.groups",
            "topic creation by connectors is not built in yet",
        ),
        (
            "topic.creation.default.partitions",
            "topic creation by connectors is not built in yet",
        ),
        (
            "topic.creation.default.replication.factor",
            "topic creation by connectors is not built in yet",
        ),
        (
            "offsets.storage.topic",
            "a standalone worker keeps offsets in its file",
        ),
        (
            "connector.plugin.version",
            "only the built-in connectors are there",
        ),
        (
            "key.converter.plugin.version",
            "only the built-in converters are there",
        ),
        (
            "value.converter.plugin.version",
            "only the built-in converters are there",
        ),
    ];
    let refused = |key: &str, why: &str| {
        let value = properties.get(key).unwrap_or_default();
        Err(ConnectError::config(format!(
            "{key}={value}: {why}; remove it to go on"
        )))
    };
    for (key, why) in NOT_YET {
        if properties
            .get(key)
            .is_some_and(|value| !value.trim().is_empty())
        {
            return refused(key, why);
        }
    }
    let exactly_once = properties.get("exactly.once.support").unwrap_or_default();
    if exactly_once.eq_ignore_ascii_case("required") {
        return refused("exactly.once.support", "no standalone worker can do that");
    }
    let forbidden = properties
        .iter()
        .map(|(key, _)| key)
        .find(|key| key.starts_with(overrides));
    if let Some(key) = forbidden.filter(|_| !worker.overrides_allowed) {
        return refused(
            key,
            "connector.client.config.override.policy=None forbids it",
        );
    }
    Ok(())
}

#[cfg(test)]
#[path = "connector_tests.rs"]
mod tests;
