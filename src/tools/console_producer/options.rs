//! The options of `kafka-console-producer`, and the settings they make.
use crate::config::Properties;
use crate::tools::cluster::load_properties;
use crate::tools::options::jopt::{OptionError, OptionSet};
use crate::tools::options::{Definition, Group, Opt};
use crate::tools::usage::{UsageError, not_both, pairs, require};

pub static DEFINITION: Definition = Definition {
    name: "console-producer",
    about: "Sends the lines of stdin to a topic, one record a line.",
    groups: &[
        Group {
            heading: "Where to",
            options: &[
                Opt::value(
                    "bootstrap-server",
                    "HOST:PORT,...",
                    "Brokers of the cluster (required)",
                ),
                Opt::value("topic", "NAME", "The topic (required)"),
                Opt::value(
                    "command-config",
                    "FILE",
                    "Settings of the producer: a .properties file",
                ),
                Opt::value(
                    "command-property",
                    "KEY=VALUE",
                    "A setting; wins over the file (repeatable)",
                )
                .repeatable(),
            ],
        },
        Group {
            heading: "What a line is",
            options: &[
                Opt::value(
                    "reader-property",
                    "KEY=VALUE",
                    "How a line is split (repeatable): parse.key, parse.headers [false], \
                     key.separator, headers.delimiter [tab], headers.separator [,], \
                     headers.key.separator [:], null.marker, ignore.error [false]. \
                     With all parts a line reads h1:v1,h2:v2<tab>key<tab>value",
                )
                .repeatable(),
                Opt::value("reader-config", "FILE", "The same, from a .properties file"),
                Opt::value("line-reader", "CLASS", "The class that reads lines")
                    .default(super::LINE_READER),
            ],
        },
        Group {
            heading: "How to send",
            options: &[
                Opt::flag("sync", "Wait for the answer to each line before the next"),
                Opt::optional_value(
                    "compression-codec",
                    "CODEC",
                    "none, gzip, snappy, lz4 or zstd; gzip when no codec is named",
                ),
                Opt::value("request-required-acks", "ACKS", "acks: 0, 1, -1 or all").default("-1"),
                Opt::value(
                    "batch-size",
                    "BYTES",
                    "batch.size: bytes sent together to a partition",
                )
                .default("16384"),
                Opt::value(
                    "timeout",
                    "MS",
                    "linger.ms: how long a batch waits for more",
                )
                .default("1000"),
                Opt::value(
                    "max-memory-bytes",
                    "BYTES",
                    "buffer.memory: bytes waiting to be sent",
                )
                .default("33554432"),
                Opt::value(
                    "max-block-ms",
                    "MS",
                    "How long to wait for memory or for the topic",
                )
                .default("60000"),
                Opt::value("request-timeout-ms", "MS", "How long to wait for an answer")
                    .default("1500"),
                Opt::value("message-send-max-retries", "N", "retries").default("3"),
                Opt::value("retry-backoff-ms", "MS", "How long to wait before a retry")
                    .default("100"),
                Opt::value("metadata-expiry-ms", "MS", "metadata.max.age.ms").default("300000"),
                Opt::value("socket-buffer-size", "BYTES", "send.buffer.bytes").default("102400"),
            ],
        },
        Group {
            heading: "Old names",
            options: &[
                Opt::value("property", "KEY=VALUE", "Now --reader-property").repeatable(),
                Opt::value("producer-property", "KEY=VALUE", "Now --command-property").repeatable(),
                Opt::value("producer.config", "FILE", "Now --command-config"),
                Opt::value("max-partition-memory-bytes", "BYTES", "Now --batch-size")
                    .default("16384"),
            ],
        },
        Group {
            heading: "Other",
            options: &[
                Opt::flag("help", "Show this help"),
                Opt::flag("version", "Show the version"),
            ],
        },
    ],
    after: "Lines end at \\n, \\r or \\r\\n; their bytes are sent as they are. End of input or \
            Ctrl-C ends the\nproducer after everything was sent.",
};

/// Checks which options go together; returns the lines that tell of old names, for stdout.
pub fn check(set: &OptionSet) -> Result<Vec<&'static str>, UsageError> {
    require(set, &["topic"])?;
    not_both(set, "command-config", "producer.config")?;
    not_both(set, "command-property", "producer-property")?;
    not_both(set, "reader-property", "property")?;
    let old = [
        (
            "producer-property",
            "Warning: --producer-property is deprecated and will be removed in a future version. \
             Use --command-property instead.",
        ),
        (
            "producer.config",
            "Warning: --producer.config is deprecated and will be removed in a future version. \
             Use --command-config instead.",
        ),
        (
            "property",
            "Warning: --property is deprecated and will be removed in a future version. Use \
             --reader-property instead.",
        ),
        (
            "max-partition-memory-bytes",
            "Warning: --max-partition-memory-bytes is deprecated and will be removed in Apache \
             Kafka 5.0. Use --batch-size instead.",
        ),
    ];
    Ok(old
        .into_iter()
        .filter(|(name, _)| set.has(name))
        .map(|(_, line)| line)
        .collect())
}

/// Each entry of the list must be a host and a port.
pub fn check_bootstrap(list: Option<&str>) -> Result<(), UsageError> {
    let list = list.unwrap_or_default();
    if list.trim().is_empty() {
        return Err(UsageError(
            "Error while validating the bootstrap address".to_owned(),
        ));
    }
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_address = |entry: &str| {
        entry
            .rsplit_once(':')
            .is_some_and(|(_, port)| is_port(port))
    };
    if !list.split(',').all(is_address) {
        let text = "Please provide valid host:port like host1:9091,host2:9092";
        return Err(UsageError(text.to_owned()));
    }
    Ok(())
}

/// The properties of the line reader: file, then topic, then options.
pub fn reader_properties(set: &OptionSet) -> anyhow::Result<Properties> {
    let mut properties = load_properties(set.value("reader-config")?)?;
    properties.set("topic", set.value("topic")?.unwrap_or_default());
    for name in ["property", "reader-property"] {
        for (key, value) in pairs(set.values(name)) {
            properties.set(key, value);
        }
    }
    Ok(properties)
}

/// The producer's settings: file, then `--command-property`, then options that were given; their
/// defaults only where nothing else speaks.
pub fn producer_properties(set: &OptionSet) -> anyhow::Result<Properties> {
    let file = match set.value("producer.config")? {
        None => set.value("command-config")?,
        file => file,
    };
    let mut properties = load_properties(file)?;
    for name in ["producer-property", "command-property"] {
        for (key, value) in pairs(set.values(name)) {
            properties.set(key, value);
        }
    }
    properties.set(
        "bootstrap.servers",
        set.value("bootstrap-server")?.unwrap_or_default(),
    );
    properties.set("compression.type", compression(set)?);
    if !properties.contains("client.id") {
        properties.set("client.id", "console-producer");
    }
    for (key, option, kind) in MERGED {
        merge(&mut properties, key, set, option, *kind)?;
    }
    Ok(properties)
}

/// Settings with an option of their own; two of them speak for `batch.size`, the last one louder.
#[rustfmt::skip]
const MERGED: &[(&str, &str, Merge)] = &[
    ("linger.ms", "timeout", Merge::Long),
    ("acks", "request-required-acks", Merge::Text),
    ("request.timeout.ms", "request-timeout-ms", Merge::Int),
    ("retries", "message-send-max-retries", Merge::Int),
    ("retry.backoff.ms", "retry-backoff-ms", Merge::Long),
    ("send.buffer.bytes", "socket-buffer-size", Merge::Int),
    ("buffer.memory", "max-memory-bytes", Merge::Long),
    ("batch.size", "batch-size", Merge::Int),
    ("batch.size", "max-partition-memory-bytes", Merge::Int),
    ("metadata.max.age.ms", "metadata-expiry-ms", Merge::Long),
    ("max.block.ms", "max-block-ms", Merge::Long),
];

/// What a value must be before it is handed on.
#[derive(Clone, Copy)]
enum Merge {
    Text,
    Int,
    Long,
}

fn merge(
    properties: &mut Properties,
    key: &str,
    set: &OptionSet,
    option: &str,
    kind: Merge,
) -> Result<(), OptionError> {
    if !set.has(option) && properties.contains(key) {
        return Ok(());
    }
    let value = match kind {
        Merge::Text => set.value(option)?.map(str::to_owned),
        Merge::Int => set.number::<i32>(option)?.map(|number| number.to_string()),
        Merge::Long => set.number::<i64>(option)?.map(|number| number.to_string()),
    };
    match value {
        Some(value) => properties.set(key, value),
        None => {
            properties.remove(key);
        }
    }
    Ok(())
}

fn compression(set: &OptionSet) -> Result<&str, OptionError> {
    if !set.has("compression-codec") {
        return Ok("none");
    }
    Ok(set
        .value("compression-codec")?
        .filter(|codec| !codec.is_empty())
        .unwrap_or("gzip"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::options::jopt::parse;

    fn set(line: &str) -> OptionSet {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&DEFINITION, &args).unwrap()
    }

    fn setting(line: &str, key: &str) -> Option<String> {
        producer_properties(&set(line))
            .unwrap()
            .get(key)
            .map(str::to_owned)
    }

    #[test]
    fn bootstrap_lists_are_checked_like_kafkas() {
        assert!(check_bootstrap(Some("a:1,[::1]:9092")).is_ok());
        for list in ["host", "host:", "a:1,b", "a:x", ","] {
            let error = check_bootstrap(Some(list)).unwrap_err().0;
            assert_eq!(
                error, "Please provide valid host:port like host1:9091,host2:9092",
                "{list}"
            );
        }
        for list in [None, Some(" ")] {
            let error = check_bootstrap(list).unwrap_err().0;
            assert_eq!(error, "Error while validating the bootstrap address");
        }
    }

    #[test]
    fn options_that_were_given_win_over_properties_and_properties_over_defaults() {
        let is = |line: &str, key: &str, want: &str| {
            assert_eq!(setting(line, key).as_deref(), Some(want), "{line}: {key}");
        };
        is("", "linger.ms", "1000");
        is("--command-property linger.ms=7", "linger.ms", "7");
        is(
            "--command-property linger.ms=7 --timeout 8",
            "linger.ms",
            "8",
        );
        is("--batch-size 10", "batch.size", "10");
        is(
            "--batch-size 10 --max-partition-memory-bytes 20",
            "batch.size",
            "20",
        );
        is(
            "--command-property compression.type=zstd",
            "compression.type",
            "none",
        );
        is("--compression-codec", "compression.type", "gzip");
        is("--compression-codec lz4", "compression.type", "lz4");
        is("--producer-property client.id=me", "client.id", "me");
        is("", "client.id", "console-producer");
        is("", "request.timeout.ms", "1500");
    }

    #[test]
    fn a_bad_number_is_named() {
        let error = producer_properties(&set("--batch-size many")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Cannot parse argument 'many' of option batch-size"
        );
    }

    #[test]
    fn old_names_are_told_and_not_mixed_with_new_ones() {
        let told = check(&set("--topic t --property a=b --producer-property c=d")).unwrap();
        assert_eq!(told.len(), 2);
        assert!(told[0].starts_with("Warning: --producer-property is deprecated"));
        let error = check(&set("--topic t --property a=b --reader-property c=d")).unwrap_err();
        assert_eq!(
            error.0,
            "Options --reader-property and --property cannot be specified together."
        );
    }

    #[test]
    fn reader_properties_may_replace_the_topic() {
        let properties = reader_properties(&set("--topic t --reader-property parse.key")).unwrap();
        assert_eq!(
            (properties.get("topic"), properties.get("parse.key")),
            (Some("t"), Some(""))
        );
        let properties = reader_properties(&set("--topic t --reader-property topic=u")).unwrap();
        assert_eq!(properties.get("topic"), Some("u"));
    }
}
