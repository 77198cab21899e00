//! How a record becomes text: Kafka's message formatters under their class names.
use std::io::Write as _;

use thiserror::Error;
use tracing::{error, info};

use crate::config::Properties;
use crate::record::TimestampType;

use super::coordinator_json::{self, InternalTopic};
use super::deserializer::{DeserializeError, Deserializer};

/// A record as a formatter sees it.
#[derive(Debug)]
pub struct ConsumedRecord<'a, H> {
    pub partition: i32,
    pub offset: i64,
    /// `None` for records from before timestamps.
    pub timestamp: Option<(TimestampType, i64)>,
    /// How often it was delivered; share groups count that.
    pub delivery_count: Option<i16>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    /// Read only when headers are printed.
    pub headers: H,
}

fn name(kind: TimestampType) -> &'static str {
    match kind {
        TimestampType::Create => "CreateTime",
        TimestampType::LogAppend => "LogAppendTime",
    }
}

#[derive(Debug)]
pub enum Formatter {
    Default(DefaultFormatter),
    /// The default one; each record is logged too.
    Logging(DefaultFormatter),
    NoOp,
    Internal(InternalTopic),
}

/// A record that cannot be shown.
#[derive(Debug, Error)]
pub enum FormatError {
    #[error(transparent)]
    Deserialize(#[from] DeserializeError),
    #[error("Could not read record at offset {offset} due to: {reason}")]
    Internal { offset: i64, reason: String },
}

/// The formatter of that class, `None` if there is none.
pub fn by_class(class: &str, properties: &Properties) -> Option<Formatter> {
    let name = class.strip_prefix("org.apache.kafka.tools.consumer.")?;
    Some(match name {
        "DefaultMessageFormatter" => Formatter::Default(DefaultFormatter::new(properties)),
        "LoggingMessageFormatter" => Formatter::Logging(DefaultFormatter::new(properties)),
        "NoOpMessageFormatter" => Formatter::NoOp,
        "OffsetsMessageFormatter" => Formatter::Internal(InternalTopic::Offsets),
        "GroupMetadataMessageFormatter" => Formatter::Internal(InternalTopic::GroupMetadata),
        "ShareGroupMessageFormatter" => Formatter::Internal(InternalTopic::ShareGroup),
        "TransactionLogMessageFormatter" => Formatter::Internal(InternalTopic::TransactionLog),
        "group.share.ShareGroupStateMessageFormatter" => {
            Formatter::Internal(InternalTopic::ShareGroupState)
        }
        _ => return None,
    })
}

impl Formatter {
    /// Appends the record's text to `out`; after an error `out` is as it was.
    #[inline]
    pub fn write<'h, H>(
        &self,
        record: ConsumedRecord<'_, H>,
        out: &mut Vec<u8>,
    ) -> Result<(), FormatError>
    where
        H: IntoIterator<Item = (&'h [u8], Option<&'h [u8]>)>,
    {
        let start = out.len();
        let result = match self {
            Formatter::NoOp => Ok(()),
            Formatter::Default(formatter) => formatter.write(record, out),
            Formatter::Logging(formatter) => {
                let line = logged(&record);
                formatter.write(record, out).map(|()| info!("{line}"))
            }
            Formatter::Internal(topic) => {
                coordinator_json::write(*topic, record.key, record.value, out).map_err(|reason| {
                    FormatError::Internal {
                        offset: record.offset,
                        reason: reason.to_string(),
                    }
                })
            }
        };
        if result.is_err() {
            out.truncate(start);
        }
        result
    }
}

/// The line that the logging formatter logs.
fn logged<H>(record: &ConsumedRecord<'_, H>) -> String {
    let timestamp = record
        .timestamp
        .map(|(kind, time)| format!("{}:{time}, ", name(kind)))
        .unwrap_or_default();
    let key = match record.key {
        Some(key) => format!("{}, ", String::from_utf8_lossy(key)),
        None => "null ".to_owned(),
    };
    let value = record.value.map_or("null".into(), String::from_utf8_lossy);
    format!("{timestamp}key:{key}value:{value}")
}

/// `print.*` and separators: the properties of the default formatter.
#[derive(Debug)]
pub struct DefaultFormatter {
    timestamp: bool,
    partition: bool,
    offset: bool,
    delivery: bool,
    epoch: bool,
    headers: bool,
    key: bool,
    value: bool,
    key_separator: Vec<u8>,
    line_separator: Vec<u8>,
    headers_separator: Vec<u8>,
    null_literal: Vec<u8>,
    key_deserializer: Option<Deserializer>,
    value_deserializer: Option<Deserializer>,
    headers_deserializer: Option<Deserializer>,
    /// Nothing but the value as it is: the common case, and the fast one.
    value_only: bool,
}

impl DefaultFormatter {
    pub fn new(properties: &Properties) -> Self {
        let print = |name: &str, default: bool| {
            properties
                .get(&format!("print.{name}"))
                .map_or(default, |value| value.trim().eq_ignore_ascii_case("true"))
        };
        let bytes =
            |name: &str, default: &str| properties.get(name).unwrap_or(default).as_bytes().to_vec();
        let mut formatter = DefaultFormatter {
            timestamp: print("timestamp", false),
            partition: print("partition", false),
            offset: print("offset", false),
            delivery: print("delivery", false),
            epoch: print("epoch", false),
            headers: print("headers", false),
            key: print("key", false),
            value: print("value", true),
            key_separator: bytes("key.separator", "\t"),
            line_separator: bytes("line.separator", "\n"),
            headers_separator: bytes("headers.separator", ","),
            null_literal: bytes("null.literal", "null"),
            key_deserializer: deserializer(properties, "key.deserializer", true),
            value_deserializer: deserializer(properties, "value.deserializer", false),
            headers_deserializer: deserializer(properties, "headers.deserializer", false),
            value_only: false,
        };
        formatter.value_only = formatter.value
            && formatter.value_deserializer.is_none()
            && !(formatter.timestamp
                || formatter.partition
                || formatter.offset
                || formatter.delivery
                || formatter.epoch
                || formatter.headers
                || formatter.key);
        formatter
    }

    #[inline]
    fn write<'h, H>(
        &self,
        record: ConsumedRecord<'_, H>,
        out: &mut Vec<u8>,
    ) -> Result<(), FormatError>
    where
        H: IntoIterator<Item = (&'h [u8], Option<&'h [u8]>)>,
    {
        if self.value_only {
            out.extend_from_slice(record.value.unwrap_or(&self.null_literal));
            out.extend_from_slice(&self.line_separator);
            return Ok(());
        }
        self.write_parts(record, out)
    }

    /// The last part printed is followed by the line separator, the others by the key separator.
    fn write_parts<'h, H>(
        &self,
        record: ConsumedRecord<'_, H>,
        out: &mut Vec<u8>,
    ) -> Result<(), FormatError>
    where
        H: IntoIterator<Item = (&'h [u8], Option<&'h [u8]>)>,
    {
        let mut left = [
            self.timestamp,
            self.partition,
            self.offset,
            self.delivery,
            self.epoch,
            self.headers,
            self.key,
            self.value,
        ]
        .into_iter()
        .filter(|printed| *printed)
        .count();
        let mut separate = |out: &mut Vec<u8>| {
            left -= 1;
            out.extend_from_slice(if left > 0 {
                &self.key_separator
            } else {
                &self.line_separator
            });
        };
        if self.timestamp {
            match record.timestamp {
                Some((kind, time)) => put(out, format_args!("{}:{time}", name(kind))),
                None => put(out, format_args!("NO_TIMESTAMP")),
            }
            separate(out);
        }
        if self.partition {
            put(out, format_args!("Partition:{}", record.partition));
            separate(out);
        }
        if self.offset {
            put(out, format_args!("Offset:{}", record.offset));
            separate(out);
        }
        if self.delivery {
            match record.delivery_count {
                Some(count) => put(out, format_args!("Delivery:{count}")),
                None => put(out, format_args!("Delivery:NOT_PRESENT")),
            }
            separate(out);
        }
        // Kafka's consumers do not pass it on to the formatter.
        if self.epoch {
            put(out, format_args!("Epoch:NOT_PRESENT"));
            separate(out);
        }
        if self.headers {
            self.write_headers(record.headers, out)?;
            separate(out);
        }
        if self.key {
            self.write_data(self.key_deserializer, record.key, out)?;
            separate(out);
        }
        if self.value {
            self.write_data(self.value_deserializer, record.value, out)?;
            separate(out);
        }
        Ok(())
    }

    fn write_headers<'h>(
        &self,
        headers: impl IntoIterator<Item = (&'h [u8], Option<&'h [u8]>)>,
        out: &mut Vec<u8>,
    ) -> Result<(), FormatError> {
        let mut first = true;
        for (key, value) in headers {
            if !first {
                out.extend_from_slice(&self.headers_separator);
            }
            first = false;
            out.extend_from_slice(key);
            out.push(b':');
            self.write_data(self.headers_deserializer, value, out)?;
        }
        if first {
            out.extend_from_slice(b"NO_HEADERS");
        }
        Ok(())
    }

    /// A null is shown as the null literal, deserialized like any other: as Kafka does.
    fn write_data(
        &self,
        deserializer: Option<Deserializer>,
        data: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<(), FormatError> {
        let data = data.unwrap_or(&self.null_literal);
        match deserializer {
            Some(deserializer) => deserializer.write(data, out)?,
            None => out.extend_from_slice(data),
        }
        Ok(())
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a vector cannot fail.
    let _ = out.write_fmt(text);
}

/// The deserializer that `key` names; an unknown one is logged, and bytes are printed as they are.
fn deserializer(properties: &Properties, key: &str, is_key: bool) -> Option<Deserializer> {
    let class = properties.get(key)?;
    let settings = properties.with_prefix(&format!("{key}."));
    let deserializer = Deserializer::by_class(class, is_key, &settings);
    if deserializer.is_none() {
        error!("Unable to instantiate a deserializer from {class}");
    }
    deserializer
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "org.apache.kafka.common.serialization.LongDeserializer";

    type Header = (&'static [u8], Option<&'static [u8]>);

    fn record(headers: Vec<Header>) -> ConsumedRecord<'static, Vec<Header>> {
        ConsumedRecord {
            partition: 3,
            offset: 41,
            timestamp: Some((TimestampType::Create, 1_700_000_000_000)),
            delivery_count: None,
            key: Some(b"k"),
            value: Some(b"v"),
            headers,
        }
    }

    fn properties(pairs: &[(&str, &str)]) -> Properties {
        pairs.iter().copied().collect()
    }

    fn check(pairs: &[(&str, &str)], record: ConsumedRecord<'_, Vec<Header>>, want: &str) {
        let formatter = Formatter::Default(DefaultFormatter::new(&properties(pairs)));
        let mut out = Vec::new();
        formatter.write(record, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), want, "{pairs:?}");
    }

    #[test]
    fn the_value_and_nothing_else_by_default() {
        check(&[], record(vec![]), "v\n");
        check(
            &[],
            ConsumedRecord {
                value: None,
                ..record(vec![])
            },
            "null\n",
        );
        check(
            &[("null.literal", "<none>")],
            ConsumedRecord {
                value: None,
                ..record(vec![])
            },
            "<none>\n",
        );
        check(&[("line.separator", "|")], record(vec![]), "v|");
    }

    #[test]
    fn every_part_in_kafkas_order() {
        let all: Vec<(String, &str)> = [
            "timestamp",
            "partition",
            "offset",
            "delivery",
            "epoch",
            "headers",
            "key",
        ]
        .iter()
        .map(|name| (format!("print.{name}"), " True "))
        .collect();
        let all: Vec<(&str, &str)> = all
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        check(
            &all,
            record(vec![(b"h", Some(b"1")), (b"i", None)]),
            "CreateTime:1700000000000\tPartition:3\tOffset:41\tDelivery:NOT_PRESENT\t\
             Epoch:NOT_PRESENT\th:1,i:null\tk\tv\n",
        );
        let value_off = [("print.offset", "true"), ("print.value", "no")];
        check(&value_off, record(vec![]), "Offset:41\n");
        check(
            &[("print.headers", "true")],
            record(vec![]),
            "NO_HEADERS\tv\n",
        );
        check(
            &[("print.timestamp", "true")],
            ConsumedRecord {
                timestamp: None,
                ..record(vec![])
            },
            "NO_TIMESTAMP\tv\n",
        );
        check(
            &[("print.delivery", "true")],
            ConsumedRecord {
                delivery_count: Some(2),
                ..record(vec![])
            },
            "Delivery:2\tv\n",
        );
        check(
            &[("print.key", "true"), ("key.separator", "=")],
            record(vec![]),
            "k=v\n",
        );
    }

    #[test]
    fn a_record_that_does_not_fit_leaves_no_trace() {
        let pairs = [("print.key", "true"), ("value.deserializer", LONG)];
        let formatter = Formatter::Default(DefaultFormatter::new(&properties(&pairs)));
        let mut out = b"before".to_vec();
        let error = formatter.write(record(vec![]), &mut out).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Size of data received by LongDeserializer is not 8"
        );
        assert_eq!(out, b"before");
    }

    #[test]
    fn formatters_go_by_their_class_names() {
        let find = |name: &str| by_class(name, &Properties::new());
        assert!(matches!(
            find("org.apache.kafka.tools.consumer.NoOpMessageFormatter"),
            Some(Formatter::NoOp)
        ));
        assert!(find("no.such.Formatter").is_none());
        assert!(find("org.apache.kafka.tools.consumer.Nonsense").is_none());
    }
}
