//! The options of `kafka-share-consumer-perf-test` and what they ask for.
use crate::config::Properties;
use crate::tools::consumer_perf::options::{
    COMMAND_CONFIG, COMMAND_PROPERTY, CONSUMER_CONFIG, DATE_FORMAT, HIDE_HEADER, MESSAGES,
    NUM_RECORDS, PRINT_METRICS, REPORTING_INTERVAL, SOCKET_BUFFER_SIZE, TIMEOUT, given_properties,
    interval_ms, records,
};
use crate::tools::date_format::DateFormat;
use crate::tools::options::jopt::OptionSet;
use crate::tools::options::{Definition, Group, Opt};
use crate::tools::session;
use crate::tools::usage::{UsageError, exactly_one, exclude, require};

pub static DEFINITION: Definition = Definition {
    name: "share-consumer-perf-test",
    about: "Measures how fast records can be consumed through a share group.",
    groups: &[
        Group {
            heading: "What to consume",
            options: &[
                Opt::value("topic", "TOPIC", "This topic (required)"),
                NUM_RECORDS,
                MESSAGES,
                Opt::value("group", "GROUP", "Through this share group")
                    .default("perf-share-consumer"),
                TIMEOUT,
                Opt::value("threads", "N", "So many consumers share the load").default("1"),
            ],
        },
        Group {
            heading: "Where",
            options: &[session::BOOTSTRAP_SERVER],
        },
        Group {
            heading: "Settings of the consumers",
            options: &[
                COMMAND_CONFIG,
                CONSUMER_CONFIG,
                COMMAND_PROPERTY,
                Opt::value("fetch-size", "BYTES", "Bytes per request").default("1048576"),
                SOCKET_BUFFER_SIZE,
            ],
        },
        Group {
            heading: "Output",
            options: &[
                Opt::flag("show-consumer-stats", "A line for each consumer, too"),
                Opt::flag(
                    "show-detailed-stats",
                    "A line for each interval of each consumer, too",
                ),
                REPORTING_INTERVAL,
                DATE_FORMAT,
                HIDE_HEADER,
                PRINT_METRICS,
            ],
        },
        session::OTHER,
    ],
    after: "A share group begins with the records that come from then on, unless the group's \
            share.auto.offset.reset is earliest: kafkars configs --alter --group GROUP sets it.",
};

pub struct Plan {
    pub topic: String,
    pub records: i64,
    pub timeout_ms: i64,
    pub threads: usize,
    pub interval_ms: i64,
    pub detailed: bool,
    pub each_consumer: bool,
    pub print_metrics: bool,
    pub dates: DateFormat,
    /// Without the number that each of several consumers has in its `client.id`.
    pub properties: Properties,
}

/// Which options go together, in Kafka's order.
pub fn check(set: &OptionSet) -> Result<(), UsageError> {
    require(set, &["topic", "bootstrap-server"])?;
    exactly_one(set, &["messages", "num-records"])?;
    exclude(set, "consumer.config", &["command-config"])
}

/// What is wrong from here on is a failure of the run, no longer of the command line.
pub fn plan(set: &OptionSet) -> anyhow::Result<Plan> {
    let threads: i32 = set.number("threads")?.unwrap_or_default();
    let threads = usize::try_from(threads).ok().filter(|count| *count > 0);
    let properties = properties(set)?;
    let threads = threads.ok_or_else(|| anyhow::anyhow!("--threads must be greater than 0."))?;
    let records = records(set)?;
    let timeout_ms = set.number("timeout")?.unwrap_or_default();
    let dates = set.value("date-format")?.unwrap_or_default();
    Ok(Plan {
        topic: set.value("topic")?.unwrap_or_default().to_owned(),
        records,
        timeout_ms,
        threads,
        dates: DateFormat::parse(dates).map_err(anyhow::Error::msg)?,
        interval_ms: interval_ms(set)?,
        detailed: set.has("show-detailed-stats"),
        each_consumer: set.has("show-consumer-stats"),
        print_metrics: set.has("print-metrics"),
        properties,
    })
}

fn properties(set: &OptionSet) -> anyhow::Result<Properties> {
    let mut properties = given_properties(set)?;
    let number = |name: &str| -> anyhow::Result<String> {
        Ok(set.number::<i32>(name)?.unwrap_or_default().to_string())
    };
    for (key, option) in [
        ("bootstrap.servers", "bootstrap-server"),
        ("group.id", "group"),
    ] {
        properties.set(key, set.value(option)?.unwrap_or_default());
    }
    properties.set("receive.buffer.bytes", number("socket-buffer-size")?);
    properties.set("fetch.max.bytes", number("fetch-size")?);
    properties.set("check.crcs", "false");
    if !properties.contains("client.id") {
        properties.set("client.id", "perf-share-consumer-client");
    }
    Ok(properties)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::options::jopt::parse;

    fn set(line: &str) -> OptionSet {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&DEFINITION, &args).unwrap()
    }

    /// Said by Kafka 4.3.1.
    #[test]
    fn options_that_do_not_go_together_are_named() {
        for (line, want) in [
            (
                "--topic t",
                "Missing required argument \"[bootstrap-server]\"",
            ),
            (
                "--bootstrap-server b:1 --num-records 1",
                "Missing required argument \"[topic]\"",
            ),
            (
                "--bootstrap-server b:1 --topic t",
                "Exactly one of the following arguments is required: [messages], [num-records]",
            ),
            (
                "--bootstrap-server b:1 --topic t --num-records 1 --consumer.config a \
                 --command-config b",
                "Option \"[consumer.config]\" can't be used with option \"[command-config]\"",
            ),
        ] {
            assert_eq!(check(&set(line)).unwrap_err().0, want);
        }
    }

    #[test]
    fn settings_of_the_options_win() {
        let line = "--topic t --messages 7 --bootstrap-server b:1 --fetch-size 10 \
                    --command-property client.id=me --command-property group.id=g";
        let plan = plan(&set(line)).unwrap();
        for (key, want) in [
            ("bootstrap.servers", "b:1"),
            ("group.id", "perf-share-consumer"),
            ("client.id", "me"),
            ("fetch.max.bytes", "10"),
            ("receive.buffer.bytes", "2097152"),
        ] {
            assert_eq!(plan.properties.get(key), Some(want));
        }
        assert_eq!(
            (plan.records, plan.timeout_ms, plan.threads),
            (7, 10_000, 1)
        );
    }
}
