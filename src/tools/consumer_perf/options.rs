//! The options of `kafka-consumer-perf-test` and what they ask for.
use std::time::Duration;

use crate::config::Properties;
use crate::tools::cluster::load_properties;
use crate::tools::date_format::DateFormat;
use crate::tools::options::jopt::OptionSet;
use crate::tools::options::{Definition, Group, Opt};
use crate::tools::output::Printer;
use crate::tools::session;
use crate::tools::usage::{UsageError, exactly_one, pairs, require};

/// What the tool for share groups has as well.
pub const NUM_RECORDS: Opt = Opt::value("num-records", "N", "How many records (required)");
pub const MESSAGES: Opt = Opt::value("messages", "N", "Deprecated: use --num-records");
pub const TIMEOUT: Opt =
    Opt::optional_value("timeout", "MS", "Give up after so long without records").default("10000");
pub const COMMAND_CONFIG: Opt =
    Opt::value("command-config", "FILE", "Settings: a .properties file");
pub const CONSUMER_CONFIG: Opt = Opt::value(
    "consumer.config",
    "FILE",
    "Deprecated: use --command-config",
);
pub const COMMAND_PROPERTY: Opt = Opt::value(
    "command-property",
    "KEY=VALUE",
    "One setting; may be repeated",
)
.repeatable();
pub const SOCKET_BUFFER_SIZE: Opt = Opt::value(
    "socket-buffer-size",
    "BYTES",
    "The receive buffer of the socket",
)
.default("2097152");
pub const SHOW_DETAILED_STATS: Opt = Opt::flag(
    "show-detailed-stats",
    "A line for each interval, in place of the sum",
);
pub const REPORTING_INTERVAL: Opt =
    Opt::value("reporting-interval", "MS", "How long an interval is").default("5000");
pub const DATE_FORMAT: Opt = Opt::value(
    "date-format",
    "PATTERN",
    "The pattern of times, as SimpleDateFormat's",
)
.default("yyyy-MM-dd HH:mm:ss:SSS");
pub const HIDE_HEADER: Opt = Opt::flag("hide-header", "Leave out the header");
pub const PRINT_METRICS: Opt = Opt::flag(
    "print-metrics",
    "Print the metrics of the consumer at the end",
);

pub static DEFINITION: Definition = Definition {
    name: "consumer-perf-test",
    about: "Measures how fast records can be consumed.",
    groups: &[
        Group {
            heading: "What to consume",
            options: &[
                Opt::value("topic", "TOPIC", "This topic"),
                Opt::value("include", "REGEX", "Or all topics whose whole name matches"),
                NUM_RECORDS,
                MESSAGES,
                Opt::value(
                    "group",
                    "GROUP",
                    "As a member of this group [default: perf-consumer- and a number]",
                ),
                Opt::flag(
                    "from-latest",
                    "Begin after the last record where the group has no offset",
                ),
                TIMEOUT,
            ],
        },
        Group {
            heading: "Where",
            options: &[session::BOOTSTRAP_SERVER],
        },
        Group {
            heading: "Settings of the consumer",
            options: &[
                COMMAND_CONFIG,
                CONSUMER_CONFIG,
                COMMAND_PROPERTY,
                Opt::value("fetch-size", "BYTES", "Bytes per partition and request")
                    .default("1048576"),
                SOCKET_BUFFER_SIZE,
            ],
        },
        Group {
            heading: "Output",
            options: &[
                SHOW_DETAILED_STATS,
                REPORTING_INTERVAL,
                DATE_FORMAT,
                HIDE_HEADER,
                PRINT_METRICS,
            ],
        },
        session::OTHER,
    ],
    after: "",
};

/// Topics to subscribe to.
pub enum Topics {
    Named(String),
    Matching(String),
}

pub struct Plan {
    pub topics: Topics,
    pub records: i64,
    pub timeout_ms: i64,
    pub interval_ms: i64,
    pub detailed: bool,
    pub header: bool,
    pub print_metrics: bool,
    pub dates: DateFormat,
    pub properties: Properties,
}

/// Which options go together, in Kafka's order.
pub fn check(set: &OptionSet) -> Result<(), UsageError> {
    exactly_one(set, &["messages", "num-records"])?;
    require(set, &["bootstrap-server"])?;
    exactly_one(set, &["topic", "include"])?;
    if set.has("consumer.config") && set.has("command-config") {
        return Err(UsageError(
            "Options --consumer.config and --command-config cannot be specified together.".into(),
        ));
    }
    Ok(())
}

/// What is wrong from here on is a failure of the run, no longer of the command line.
pub fn plan(set: &OptionSet) -> anyhow::Result<Plan> {
    warn_of_old_names(set)?;
    let text = |name: &str| -> anyhow::Result<String> {
        Ok(set.value(name)?.unwrap_or_default().to_owned())
    };
    let records = records(set)?;
    let interval_ms = interval_ms(set)?;
    let topics = match set.has("topic") {
        true => Topics::Named(text("topic")?),
        false => Topics::Matching(text("include")?),
    };
    Ok(Plan {
        topics,
        records,
        timeout_ms: set.number("timeout")?.unwrap_or_default(),
        interval_ms,
        detailed: set.has("show-detailed-stats"),
        header: !set.has("hide-header"),
        print_metrics: set.has("print-metrics"),
        dates: DateFormat::parse(&text("date-format")?).map_err(anyhow::Error::msg)?,
        properties: properties(set)?,
    })
}

pub fn warn_of_old_names(set: &OptionSet) -> std::io::Result<()> {
    let mut printer = Printer::default();
    for (old, new) in [
        ("messages", "num-records"),
        ("consumer.config", "command-config"),
    ] {
        if set.has(old) {
            printer.line(format!(
                "Warning: --{old} is deprecated. Use --{new} instead."
            ))?;
        }
    }
    printer.flush()
}

/// How many to read.
pub fn records(set: &OptionSet) -> anyhow::Result<i64> {
    Ok(match set.number("num-records")? {
        Some(records) => records,
        None => set.number("messages")?.unwrap_or_default(),
    })
}

pub fn interval_ms(set: &OptionSet) -> anyhow::Result<i64> {
    let interval_ms = set.number("reporting-interval")?.unwrap_or_default();
    if interval_ms <= 0 {
        anyhow::bail!("Reporting interval must be greater than 0.");
    }
    Ok(interval_ms)
}

fn properties(set: &OptionSet) -> anyhow::Result<Properties> {
    let mut properties = given_properties(set)?;
    let group = set.value("group")?.map(str::to_owned);
    let group = group.unwrap_or_else(|| format!("perf-consumer-{}", fastrand::u32(..100_000)));
    let number = |name: &str| -> anyhow::Result<String> {
        Ok(set.number::<i32>(name)?.unwrap_or_default().to_string())
    };
    properties.set(
        "bootstrap.servers",
        set.value("bootstrap-server")?.unwrap_or_default(),
    );
    properties.set("group.id", group);
    properties.set("receive.buffer.bytes", number("socket-buffer-size")?);
    properties.set("max.partition.fetch.bytes", number("fetch-size")?);
    let latest = set.has("from-latest");
    properties.set(
        "auto.offset.reset",
        if latest { "latest" } else { "earliest" },
    );
    properties.set("check.crcs", "false");
    if !properties.contains("client.id") {
        properties.set("client.id", "perf-consumer-client");
    }
    Ok(properties)
}

/// What the settings' file and the options for single settings say; these win.
pub fn given_properties(set: &OptionSet) -> anyhow::Result<Properties> {
    let file = set.value("command-config")?;
    let mut properties = load_properties(file.or(set.value("consumer.config")?))?;
    for (key, value) in pairs(set.values("command-property")) {
        properties.set(key, value);
    }
    Ok(properties)
}

/// How long a poll waits.
pub const POLL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::options::jopt::parse;

    fn set(line: &str) -> OptionSet {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&DEFINITION, &args).unwrap()
    }

    #[test]
    fn options_that_do_not_go_together_are_named() {
        for (line, want) in [
            (
                "--topic t --bootstrap-server b:1",
                "Exactly one of the following arguments is required: [messages], [num-records]",
            ),
            (
                "--topic t --num-records 1",
                "Missing required argument \"[bootstrap-server]\"",
            ),
            (
                "--num-records 1 --bootstrap-server b:1 --topic t --include t",
                "Exactly one of the following arguments is required: [topic], [include]",
            ),
        ] {
            assert_eq!(check(&set(line)).unwrap_err().0, want);
        }
    }

    #[test]
    fn settings_of_the_options_win() {
        let line = "--topic t --num-records 1 --bootstrap-server b:1 --group g --from-latest \
                    --command-property client.id=me --command-property check.crcs=true";
        let plan = plan(&set(line)).unwrap();
        for (key, want) in [
            ("group.id", "g"),
            ("client.id", "me"),
            ("check.crcs", "false"),
            ("auto.offset.reset", "latest"),
            ("max.partition.fetch.bytes", "1048576"),
        ] {
            assert_eq!(plan.properties.get(key), Some(want));
        }
        assert_eq!(plan.timeout_ms, 10_000);
    }

    #[test]
    fn an_interval_takes_time() {
        let line = "--topic t --num-records 1 --bootstrap-server b:1 --reporting-interval 0";
        let error = plan(&set(line)).err().unwrap().to_string();
        assert_eq!(error, "Reporting interval must be greater than 0.");
    }
}
