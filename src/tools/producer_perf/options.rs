//! The options of `kafka-producer-perf-test` and what they ask for.
use std::path::absolute;

use anyhow::{anyhow, bail};

use super::payload::{self, Payload};
use crate::config::Properties;
use crate::protocol::Uuid;
use crate::tools::cluster::load_properties;
use crate::tools::options::argparse::{ArgumentError, Parsed, Subcommand};
use crate::tools::options::{Definition, Group, Opt};
use crate::tools::output::Printer;

pub const PROGRAM: &str = "kafka-producer-perf-test";
/// How long a transaction lasts unless it is said.
const TRANSACTION_MS: i64 = 3_000;

pub static TOOL: Subcommand = Subcommand {
    definition: Definition {
        name: "producer-perf-test",
        about: "Measures how fast records can be produced, and with what latency.",
        groups: &[
            Group {
                heading: "Where",
                options: &[
                    Opt::value(
                        "bootstrap-server",
                        "BOOTSTRAP-SERVER",
                        "A broker of the cluster",
                    ),
                    Opt::value("topic", "TOPIC", "The topic to produce to").required(),
                ],
            },
            Group {
                heading: "How much",
                options: &[
                    Opt::value("num-records", "NUM-RECORDS", "How many records").required(),
                    Opt::value(
                        "payload-delimiter",
                        "PAYLOAD-DELIMITER",
                        "What separates the values in the payload file: a regular expression \
                         [default: \\n]",
                    ),
                    Opt::value(
                        "throughput",
                        "THROUGHPUT",
                        "Records per second; -1 for no limit",
                    )
                    .required(),
                ],
            },
            Group {
                heading: "Settings of the producer",
                options: &[
                    Opt::values(
                        "producer-props",
                        "PROP-NAME=PROP-VALUE",
                        "Deprecated: use --command-property",
                    ),
                    Opt::values(
                        "command-property",
                        "PROP-NAME=PROP-VALUE",
                        "Settings, such as linger.ms=10 batch.size=32768",
                    ),
                    Opt::value(
                        "producer.config",
                        "CONFIG-FILE",
                        "Deprecated: use --command-config",
                    ),
                    Opt::value(
                        "command-config",
                        "CONFIG-FILE",
                        "Settings: a .properties file",
                    ),
                ],
            },
            Group {
                heading: "Measuring",
                options: &[
                    Opt::flag(
                        "print-metrics",
                        "Print the metrics of the producer at the end",
                    ),
                    Opt::value(
                        "transactional-id",
                        "TRANSACTIONAL-ID",
                        "Produce in transactions with this id \
                         [default with a duration: performance-producer- and a random id]",
                    ),
                    Opt::value(
                        "transaction-duration-ms",
                        "TRANSACTION-DURATION",
                        "Commit when a transaction is that old [default: 3000]",
                    ),
                    Opt::value(
                        "warmup-records",
                        "WARMUP-RECORDS",
                        "Leave so many out of the steady-state line [default: 0]",
                    ),
                    Opt::value(
                        "reporting-interval",
                        "INTERVAL-MS",
                        "Print what was reached so often [default: 5000]",
                    ),
                ],
            },
            Group {
                heading: "What to send (one of these)",
                options: &[
                    Opt::value("record-size", "RECORD-SIZE", "Random letters, so many"),
                    Opt::value(
                        "payload-file",
                        "PAYLOAD-FILE",
                        "Values from a file, at random",
                    ),
                    Opt::flag("payload-monotonic", "Numbers that count up"),
                ],
            },
        ],
        after: "",
    },
    exclusive: &["record-size", "payload-file", "payload-monotonic"],
    one_required: true,
    words: None,
};

/// A load to put on a cluster.
pub struct Plan {
    pub topic: String,
    pub records: i64,
    pub warmup: i64,
    pub throughput: f64,
    pub interval_ms: i64,
    pub payload: Payload,
    pub properties: Properties,
    pub print_metrics: bool,
    /// How long a transaction lasts, where there are any.
    pub transaction_ms: Option<i64>,
}

/// Checks in Kafka's order, so that the first mistake is the one that Kafka names.
pub fn plan(parsed: &Parsed) -> anyhow::Result<Plan> {
    let wrong = |text: &str| ArgumentError::Other(text.to_owned());
    let records: i64 = parsed.number("num-records")?.unwrap_or_default();
    let warmup = parsed.number("warmup-records")?.unwrap_or(0i64).max(0);
    let size: Option<i32> = parsed.number("record-size")?;
    let throughput: f64 = parsed.number("throughput")?.unwrap_or(-1.0);
    let interval: i64 = parsed.number("reporting-interval")?.unwrap_or(5_000);
    let transaction_ms: Option<i64> = parsed.number("transaction-duration-ms")?;
    if records <= 0 {
        bail!(wrong("--num-records should be greater than zero."));
    }
    if warmup >= records {
        bail!(wrong(
            "The value for --warmup-records must be strictly fewer than the number of records in \
             the test, --num-records."
        ));
    }
    if size.is_some_and(|size| size <= 0) {
        bail!(wrong("--record-size should be greater than zero."));
    }
    check_sources(parsed)?;
    if transaction_ms.is_some_and(|ms| ms <= 0) {
        bail!(wrong(
            "--transaction-duration-ms should be greater than zero."
        ));
    }
    if interval <= 0 {
        bail!(wrong("--reporting-interval should be greater than zero."));
    }
    let payload = payload(parsed, size)?;
    let mut properties = properties(parsed)?;
    let transaction_ms = transactions(parsed, transaction_ms, &mut properties);
    Ok(Plan {
        topic: parsed.value("topic").unwrap_or_default().to_owned(),
        records,
        warmup,
        throughput,
        interval_ms: interval,
        payload,
        properties,
        print_metrics: parsed.has("print-metrics"),
        transaction_ms,
    })
}

/// Somewhere the cluster must be named, and old and new names of options do not mix.
fn check_sources(parsed: &Parsed) -> Result<(), ArgumentError> {
    let sources = [
        "bootstrap-server",
        "command-property",
        "producer-props",
        "producer.config",
        "command-config",
    ];
    let text = if !sources.iter().any(|name| parsed.has(name)) {
        "At least one of --bootstrap-server, --command-property, --producer-props, \
         --producer.config or --command-config must be specified."
    } else if parsed.has("command-property") && parsed.has("producer-props") {
        "--command-property and --producer-props cannot be specified together."
    } else if parsed.has("command-config") && parsed.has("producer.config") {
        "--command-config and --producer.config cannot be specified together."
    } else {
        return Ok(());
    };
    Err(ArgumentError::Other(text.to_owned()))
}

fn payload(parsed: &Parsed, size: Option<i32>) -> anyhow::Result<Payload> {
    let size = size.and_then(|size| usize::try_from(size).ok());
    let Some(path) = parsed.value("payload-file") else {
        return Ok(size.map_or_else(Payload::numbers, Payload::random));
    };
    let path = absolute(path)?;
    let mut printer = Printer::default();
    printer.line(format!("Reading payloads from: {}", path.display()))?;
    printer.flush()?;
    let delimiter = parsed.value("payload-delimiter").unwrap_or("\n");
    let delimiter = if delimiter == "\\n" { "\n" } else { delimiter };
    let pieces = payload::read(&path, delimiter)?;
    printer.line(format!("Number of messages read: {}", pieces.len()))?;
    printer.flush()?;
    if pieces.is_empty() {
        bail!("No payload file, record size or payload-monotonic option provided.");
    }
    Ok(Payload::pieces(pieces))
}

/// The settings: those of the file, those of the options, and where the cluster is, above all.
fn properties(parsed: &Parsed) -> anyhow::Result<Properties> {
    let mut printer = Printer::default();
    for (old, new) in [
        ("producer-props", "command-property"),
        ("producer.config", "command-config"),
    ] {
        if parsed.has(old) {
            printer.line(format!(
                "Option --{old} has been deprecated and will be removed in a future version. Use \
                 --{new} instead."
            ))?;
        }
    }
    printer.flush()?;
    let file = parsed.value("command-config");
    let mut properties = load_properties(file.or(parsed.value("producer.config")))?;
    let given = ["command-property", "producer-props"];
    for pair in given.iter().flat_map(|name| parsed.values(name)) {
        let whole = pair.split_once('=');
        let (key, value) = whole
            .filter(|(_, value)| !value.is_empty() && !value.contains('='))
            .ok_or_else(|| anyhow!("Invalid property: {pair}"))?;
        properties.set(key, value);
    }
    if !properties.contains("client.id") {
        properties.set("client.id", "perf-producer-client");
    }
    if let Some(addresses) = parsed.value("bootstrap-server") {
        properties.set("bootstrap.servers", addresses);
    }
    Ok(properties)
}

/// Any of three settings asks for transactions; the id of the option wins.
fn transactions(
    parsed: &Parsed,
    duration_ms: Option<i64>,
    properties: &mut Properties,
) -> Option<i64> {
    let given = parsed.value("transactional-id").map(str::to_owned);
    let known = properties.get("transactional.id").map(str::to_owned);
    if duration_ms.is_none() && given.is_none() && known.is_none() {
        return None;
    }
    let id = given.or(known).unwrap_or_else(|| {
        let random = Uuid::from_random(fastrand::u128(..));
        format!("performance-producer-{random}")
    });
    properties.set("transactional.id", id);
    Some(duration_ms.unwrap_or(TRANSACTION_MS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::options::argparse::parse_alone;

    const LOAD: &str = "--topic t --num-records 5 --throughput -1 --record-size 10";

    fn planned(line: &str) -> anyhow::Result<Plan> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let parsed = parse_alone(&TOOL, &args).map_err(|stop| anyhow!("{stop:?}"))?;
        plan(&parsed)
    }

    fn refused(line: &str) -> String {
        planned(line)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    }

    /// Said by Kafka 4.3.1.
    #[test]
    fn mistakes_are_named_as_kafka_does() {
        let to = "--bootstrap-server localhost:1";
        for (line, want) in [
            (
                format!("{LOAD} {to} --num-records 0"),
                "--num-records should be greater than zero.",
            ),
            (
                format!("{LOAD} {to} --throughput x"),
                "argument --throughput: could not convert 'x' to Double (For input string: \"x\")",
            ),
            (
                LOAD.to_owned(),
                "At least one of --bootstrap-server, --command-property, --producer-props, \
                 --producer.config or --command-config must be specified.",
            ),
            (
                format!("{LOAD} --command-property a"),
                "Invalid property: a",
            ),
            (
                format!("{LOAD} --command-property a=b=c"),
                "Invalid property: a=b=c",
            ),
            (
                format!("{LOAD} --command-property a=b --producer-props a=b"),
                "--command-property and --producer-props cannot be specified together.",
            ),
            (
                format!("{LOAD} {to} --warmup-records 5"),
                "The value for --warmup-records must be strictly fewer than the number of records \
                 in the test, --num-records.",
            ),
        ] {
            assert_eq!(refused(&line), want, "{line}");
        }
    }

    #[test]
    fn settings_come_from_everywhere_and_the_address_wins() {
        let line = format!(
            "{LOAD} --bootstrap-server new:1 --command-property bootstrap.servers=old:1 acks=1"
        );
        let plan = planned(&line).unwrap();
        let of = |key: &str| plan.properties.get(key).map(str::to_owned);
        assert_eq!(of("bootstrap.servers").as_deref(), Some("new:1"));
        assert_eq!(of("acks").as_deref(), Some("1"));
        assert_eq!(of("client.id").as_deref(), Some("perf-producer-client"));
        assert_eq!((plan.transaction_ms, of("transactional.id")), (None, None));
    }

    #[test]
    fn transactions_are_asked_for_in_three_ways() {
        let to = "--bootstrap-server localhost:1";
        let id = |line: &str| {
            let plan = planned(&format!("{LOAD} {to} {line}")).unwrap();
            let id = plan.properties.get("transactional.id").unwrap_or_default();
            (id.to_owned(), plan.transaction_ms)
        };
        assert_eq!(id("--transactional-id x"), ("x".to_owned(), Some(3_000)));
        let mixed = "--transactional-id x --command-property transactional.id=y";
        assert_eq!(id(mixed).0, "x");
        let (random, duration) = id("--transaction-duration-ms 7");
        assert!(
            random.starts_with("performance-producer-") && random.len() == 43,
            "{random}"
        );
        assert_eq!(duration, Some(7));
    }
}
