//! The options of `kafka-e2e-latency`, by name or, as it was before Kafka 4.2, by position.
use crate::tools::options::jopt::OptionSet;
use crate::tools::options::{Definition, Group, Opt};
use crate::tools::session;
use crate::tools::usage::{UsageError, require};

const REQUIRED: [&str; 5] = [
    "bootstrap-server",
    "topic",
    "num-records",
    "producer-acks",
    "record-size",
];

pub static DEFINITION: Definition = Definition {
    name: "e2e-latency",
    about: "Measures the time from producing a record to consuming it, one record at a time.",
    groups: &[
        Group {
            heading: "What to send",
            options: &[
                Opt::value(
                    "topic",
                    "TOPIC",
                    "To this topic; it is created if need be (required)",
                ),
                Opt::value("num-records", "N", "How many records (required)"),
                Opt::value(
                    "producer-acks",
                    "ACKS",
                    "Acknowledged by: 1 or all (required)",
                ),
                Opt::value("record-size", "BYTES", "The size of a value (required)"),
                Opt::optional_value("record-key-size", "BYTES", "The size of a key").default("0"),
                Opt::optional_value("num-headers", "N", "How many headers").default("0"),
                Opt::optional_value(
                    "record-header-key-size",
                    "BYTES",
                    "The size of a header's key",
                )
                .default("0"),
                Opt::optional_value(
                    "record-header-size",
                    "BYTES",
                    "The size of a header's value; -1 for null",
                )
                .default("0"),
            ],
        },
        Group {
            heading: "Where",
            options: &[
                session::BOOTSTRAP_SERVER,
                Opt::optional_value(
                    "command-config",
                    "FILE",
                    "Settings of the clients: a .properties file",
                ),
            ],
        },
        session::OTHER,
    ],
    after: "",
};

/// What to measure.
#[derive(Debug)]
pub struct Plan {
    pub records: i32,
    pub acks: String,
    pub value_size: usize,
    pub key_size: usize,
    pub headers: usize,
    pub header_key_size: usize,
    /// `None`: headers have no value.
    pub header_value_size: Option<usize>,
}

/// The words by name; `None` if they were so already.
pub fn named(args: &[String]) -> Result<Option<Vec<String>>, UsageError> {
    let by_name = |word: &String| {
        let name = word.strip_prefix("--").unwrap_or_default();
        REQUIRED.contains(&name) || matches!(name, "help" | "version")
    };
    if args.is_empty() || args.iter().any(by_name) {
        return Ok(None);
    }
    if !(5..=6).contains(&args.len()) {
        return Err(UsageError(format!(
            "Invalid number of arguments. Expected 5 or 6 positional arguments, but got {}. Usage: \
             bootstrap-server topic num-records producer-acks record-size [optional] command-config",
            args.len()
        )));
    }
    let names = REQUIRED.iter().chain([&"command-config"]);
    let words = names.zip(args);
    Ok(Some(
        words
            .flat_map(|(name, word)| [format!("--{name}"), word.clone()])
            .collect(),
    ))
}

/// Checks in Kafka's order.
pub fn check(set: &OptionSet) -> Result<Plan, UsageError> {
    require(set, &REQUIRED)?;
    let acks = set.value("producer-acks")?.unwrap_or_default();
    if !["1", "all"].contains(&acks) {
        return Err(UsageError(
            "Invalid value for --producer-acks. Latency testing requires synchronous \
             acknowledgement. Please use '1' or 'all'."
                .to_owned(),
        ));
    }
    let records: i32 = set.number("num-records")?.unwrap_or_default();
    if records <= 0 {
        return Err(UsageError(
            "Value for --num-records must be a positive integer.".to_owned(),
        ));
    }
    let size = |name: &str| -> Result<usize, UsageError> {
        let number: i32 = set.number(name)?.unwrap_or_default();
        usize::try_from(number).map_err(|_| {
            UsageError(format!(
                "Value for --{name} must be a non-negative integer."
            ))
        })
    };
    let (value_size, key_size) = (size("record-size")?, size("record-key-size")?);
    let header_key_size = size("record-header-key-size")?;
    let header_value_size: i32 = set.number("record-header-size")?.unwrap_or_default();
    if header_value_size < -1 {
        return Err(UsageError(
            "Value for --record-header-size must be a non-negative integer or -1 for null header \
             value."
                .to_owned(),
        ));
    }
    Ok(Plan {
        records,
        acks: acks.to_owned(),
        value_size,
        key_size,
        headers: size("num-headers")?,
        header_key_size,
        header_value_size: usize::try_from(header_value_size).ok(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::options::jopt::parse;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn checked(line: &str) -> Result<Plan, UsageError> {
        check(&parse(&DEFINITION, &words(line)).unwrap())
    }

    #[test]
    fn positions_become_names() {
        assert_eq!(
            named(&words("b:1 t 10 all 2 f")).unwrap(),
            Some(words(
                "--bootstrap-server b:1 --topic t --num-records 10 --producer-acks all \
                 --record-size 2 --command-config f"
            ))
        );
        assert_eq!(named(&words("--topic t")).unwrap(), None);
        let error = named(&words("a b")).unwrap_err().0;
        assert!(
            error.starts_with("Invalid number of arguments. Expected 5 or 6"),
            "{error}"
        );
    }

    #[test]
    fn values_are_checked_as_kafka_does() {
        const GOOD: &str = "--bootstrap-server b:1 --topic t --record-size 2";
        let plan = checked(&format!("{GOOD} --num-records 1 --producer-acks all")).unwrap();
        assert_eq!(
            (plan.records, plan.value_size, plan.header_value_size),
            (1, 2, Some(0))
        );
        for (line, want) in [
            (
                "--num-records 1",
                "Missing required argument \"[producer-acks]\"",
            ),
            (
                "--num-records 0 --producer-acks 1",
                "Value for --num-records must be a positive integer.",
            ),
            (
                "--num-records 1 --producer-acks 0",
                "Invalid value for --producer-acks. Latency testing requires synchronous \
                 acknowledgement. Please use '1' or 'all'.",
            ),
            (
                "--num-records 1 --producer-acks 1 --num-headers -1",
                "Value for --num-headers must be a non-negative integer.",
            ),
            (
                "--num-records 1 --producer-acks 1 --record-header-size=-2",
                "Value for --record-header-size must be a non-negative integer or -1 for null \
                 header value.",
            ),
        ] {
            let line = format!(
                "{GOOD} {}",
                line.replace("--num-headers -1", "--num-headers=-1")
            );
            assert_eq!(checked(&line).unwrap_err().0, want, "{line}");
        }
        let null = "--num-records 1 --producer-acks 1 --record-header-size=-1";
        let plan = checked(&format!("{GOOD} {null}")).unwrap();
        assert_eq!(plan.header_value_size, None);
    }
}
