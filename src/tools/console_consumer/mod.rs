//! `kafka-console-consumer`: prints the records of topics.
mod coordinator_json;
mod deserializer;
mod formatter;
mod options;

/// The class that prints records unless another is named.
const DEFAULT_FORMATTER: &str = "org.apache.kafka.tools.consumer.DefaultMessageFormatter";
