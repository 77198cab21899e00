//! The CSV of `--export` and `--from-file`, read with the habits of Kafka's tools: what is missing
//! at the end of a line is 0, and wrong lines are described as Jackson describes them.
use std::collections::BTreeMap;

use super::Plan;
use crate::client::TopicPartition;
use crate::tools::cluster::Worded;

const DATABIND: &str = "com.fasterxml.jackson.databind.exc";
const RECORD: &str = "org.apache.kafka.tools.consumer.group.CsvUtils$CsvRecord";

/// Lines of `topic,partition,offset` when one group was asked for and the first line is one; else
/// the group stands in front.
pub fn parse_csv(text: &str, only: Option<&str>) -> Result<BTreeMap<String, Plan>, Worded> {
    let mut lines: Vec<&str> = text.split('\n').collect();
    // Java's split drops empty ends, but never the only line.
    while lines.len() > 1 && lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    let without_group = lines
        .first()
        .is_some_and(|line| record(line, false).is_ok());
    let group = only.filter(|_| without_group);
    let mut plans: BTreeMap<String, Plan> = BTreeMap::new();
    for line in lines {
        let record = record(line, group.is_none())?;
        let group = group.map_or(record.group, str::to_owned);
        let plan = plans.entry(group).or_default();
        let partition = TopicPartition::new(record.topic, record.partition);
        plan.insert(partition, record.offset);
    }
    Ok(plans)
}

#[derive(Default)]
struct Record {
    group: String,
    topic: String,
    partition: i32,
    offset: i64,
}

fn record(line: &str, with_group: bool) -> Result<Record, Worded> {
    let line = line.trim_end_matches('\r');
    if line.is_empty() {
        return Err(Worded {
            kafka: format!(
                "{DATABIND}.MismatchedInputException: No content to map due to end-of-input\n \
                 at [Source: (StringReader); line: UNKNOWN, column: UNKNOWN]"
            ),
            plain: "A line of the file is empty: a line is topic,partition,offset.".to_owned(),
        });
    }
    let most = if with_group { 4 } else { 3 };
    let mut record = Record::default();
    let mut column = 1;
    for (index, text) in line.split(',').enumerate() {
        let field = Field {
            line,
            text: text.trim().trim_matches('"'),
            column,
            with_group,
        };
        if index >= most {
            return Err(field.one_too_many(index, most));
        }
        match index + (4 - most) {
            0 => record.group = field.text.to_owned(),
            1 => record.topic = field.text.to_owned(),
            2 => record.partition = field.number("int", "partition")?,
            _ => record.offset = field.number("long", "offset")?,
        }
        column += text.chars().count() + 1;
    }
    Ok(record)
}

/// A value, and where it stands.
struct Field<'a> {
    line: &'a str,
    text: &'a str,
    column: usize,
    with_group: bool,
}

impl Field<'_> {
    fn number<T: std::str::FromStr + Default>(&self, kind: &str, name: &str) -> Result<T, Worded> {
        if self.text.is_empty() {
            return Ok(T::default());
        }
        self.text.parse().map_err(|_| {
            let (text, column) = (self.text, self.column);
            let class = if self.with_group {
                "WithGroup"
            } else {
                "NoGroup"
            };
            Worded {
                kafka: format!(
                    "{DATABIND}.InvalidFormatException: Cannot deserialize value of type `{kind}` \
                     from String \"{text}\": not a valid `{kind}` value\n at [Source: \
                     (StringReader); line: 1, column: {column}] (through reference chain: \
                     {RECORD}{class}[\"{name}\"])"
                ),
                plain: format!(
                    "Cannot read '{}': the {name} '{text}' is no number. A line is \
                     topic,partition,offset, with the group in front for several groups.",
                    self.line
                ),
            }
        })
    }

    fn one_too_many(&self, index: usize, most: usize) -> Worded {
        let (text, column) = (self.text, self.column);
        let length = text.chars().count();
        Worded {
            kafka: format!(
                "com.fasterxml.jackson.dataformat.csv.CsvReadException: Too many entries: \
                 expected at most {most} (value #{index} ({length} chars) \"{text}\")\n at \
                 [Source: (StringReader); line: 1, column: {column}]"
            ),
            plain: format!(
                "Cannot read '{}': a line is topic,partition,offset, with the group in front for \
                 several groups.",
                self.line
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_for_one_group_or_several() {
        let plan = |offset| Plan::from([(TopicPartition::new("t", 0), offset)]);
        let one = parse_csv("t,0,5\n", Some("g")).unwrap();
        assert_eq!(one, BTreeMap::from([("g".to_owned(), plan(5))]));
        let two = parse_csv("g,t,0,5\nh,\"t\",0,6", None).unwrap();
        let want = BTreeMap::from([("g".to_owned(), plan(5)), ("h".to_owned(), plan(6))]);
        assert_eq!(two, want);
        assert_eq!(parse_csv("g,t,0,5\n", Some("g")).unwrap()["g"], plan(5));
        assert_eq!(parse_csv("t,0", Some("g")).unwrap()["g"], plan(0));
    }

    /// As Kafka 4.3.1 says it.
    #[test]
    fn wrong_lines_are_described_as_jackson_does() {
        for (text, want) in [
            (
                "lines,0,abc\n",
                "com.fasterxml.jackson.databind.exc.InvalidFormatException: Cannot deserialize \
                 value of type `int` from String \"abc\": not a valid `int` value\n at [Source: \
                 (StringReader); line: 1, column: 9] (through reference chain: \
                 org.apache.kafka.tools.consumer.group.CsvUtils$CsvRecordWithGroup[\"partition\"])",
            ),
            (
                "lines,0,1\n\nlines,1,1\n",
                "com.fasterxml.jackson.databind.exc.MismatchedInputException: No content to map \
                 due to end-of-input\n at [Source: (StringReader); line: UNKNOWN, column: UNKNOWN]",
            ),
            (
                "\"lines\",0,1,5,6\n",
                "com.fasterxml.jackson.dataformat.csv.CsvReadException: Too many entries: expected \
                 at most 4 (value #4 (1 chars) \"6\")\n at [Source: (StringReader); line: 1, \
                 column: 15]",
            ),
        ] {
            assert_eq!(parse_csv(text, Some("g")).unwrap_err().kafka, want);
        }
    }
}
