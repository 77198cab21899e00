//! The lines of the verifiable tools: a JSON object for each event, its time and name first.
use std::io;

use serde_json::{Map, Value, json};

use super::cluster::now_ms;
use super::output::Printer;
use crate::client::TopicPartition;
use crate::record::RecordView;

/// The event as a line; `fields` is an object.
pub fn line(name: &str, fields: Value) -> String {
    let mut event = Map::new();
    event.insert("timestamp".to_owned(), now_ms().into());
    event.insert("name".to_owned(), name.into());
    if let Value::Object(fields) = fields {
        event.extend(fields);
    }
    Value::Object(event).to_string()
}

/// The event of one record.
pub fn record_line(partition: &TopicPartition, record: &RecordView<'_>) -> String {
    let text = |bytes: Option<&[u8]>| bytes.map(|b| String::from_utf8_lossy(b).into_owned());
    let fields = json!({
        "key": text(record.key),
        "value": text(record.value),
        "topic": &*partition.topic,
        "partition": partition.partition,
        "offset": record.offset,
    });
    line("record_data", fields)
}

/// Prints events at once: whoever reads them waits for them.
pub fn print(lines: impl IntoIterator<Item = String>) -> io::Result<()> {
    let mut printer = Printer::default();
    lines.into_iter().try_for_each(|line| printer.line(line))?;
    printer.flush()
}

/// Prints an event without fields of its own.
pub fn announce(name: &str) -> io::Result<()> {
    print([line(name, Value::Null)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_name_stand_first() {
        let line = line("tool_data", json!({"sent": 3, "avg_throughput": 10.0}));
        let (time, rest) = line.split_once(',').unwrap();
        assert!(time.starts_with("{\"timestamp\":1"), "{line}");
        assert_eq!(
            rest,
            "\"name\":\"tool_data\",\"sent\":3,\"avg_throughput\":10.0}"
        );
    }
}
