//! What `dump-log` takes.
use super::decoder::{Codec, Decoder};
use crate::tools::options::jopt::OptionSet;
use crate::tools::options::{Definition, Group, Opt};
use crate::tools::session::OTHER;
use crate::tools::usage::{UsageError, require};

pub static DEFINITION: Definition = Definition {
    name: "dump-log",
    about: "Prints what is in log segments, snapshots and their indexes.",
    groups: &[
        Group {
            heading: "What to print",
            options: &[
                Opt::value(
                    "files",
                    "FILE,...",
                    "The files (required): .log .checkpoint .index .timeindex .txnindex .snapshot",
                ),
                Opt::flag(
                    "print-data-log",
                    "Print keys and values; the decoders imply it",
                ),
                Opt::flag(
                    "deep-iteration",
                    "Print a line for each record, not for batches alone",
                ),
                Opt::flag(
                    "skip-record-metadata",
                    "Of records, print keys and values alone",
                ),
                Opt::value("max-bytes", "BYTES", "Read so much of each .log file")
                    .default("2147483647"),
            ],
        },
        Group {
            heading: "What the records are",
            options: &[
                Opt::flag("offsets-decoder", "Of __consumer_offsets"),
                Opt::flag("transaction-log-decoder", "Of __transaction_state"),
                Opt::flag("cluster-metadata-decoder", "Of __cluster_metadata"),
                Opt::flag("share-group-state-decoder", "Of __share_group_state"),
                Opt::flag("remote-log-metadata-decoder", "Of __remote_log_metadata"),
                Opt::optional_value(
                    "key-decoder-class",
                    "CLASS",
                    "Keys: String, Integer or LongDecoder of Kafka",
                )
                .default("org.apache.kafka.tools.api.StringDecoder"),
                Opt::optional_value("value-decoder-class", "CLASS", "Values: likewise")
                    .default("org.apache.kafka.tools.api.StringDecoder"),
            ],
        },
        Group {
            heading: "Indexes",
            options: &[
                Opt::flag(
                    "index-sanity-check",
                    "Only check what a broker checks when it starts",
                ),
                Opt::flag(
                    "verify-index-only",
                    "Only compare the index with its segment",
                ),
                Opt::value(
                    "max-message-size",
                    "BYTES",
                    "The largest batch that an index may point to",
                )
                .default("5242880"),
            ],
        },
        Group {
            heading: "Output",
            options: &[Opt::value(
                "output",
                "FORMAT",
                "How to print: kafka (Kafka's own text), json (an object a line) [default: kafka]",
            )],
        },
        OTHER,
    ],
    after: "",
};

/// How the lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Kafka,
    JsonLines,
}

/// What holds for all files.
#[derive(Debug)]
pub struct Wanted {
    pub files: Vec<String>,
    pub shape: Shape,
    pub contents: bool,
    pub records: bool,
    pub metadata: bool,
    pub index_sanity_only: bool,
    pub verify_only: bool,
}

pub fn check(set: &OptionSet) -> Result<Wanted, UsageError> {
    require(set, &["files"])?;
    let shape = match set.value("output")? {
        None | Some("kafka") => Shape::Kafka,
        Some("json") => Shape::JsonLines,
        Some(other) => {
            let hint = format!("Unknown output '{other}': dump-log has kafka and json.");
            return Err(UsageError(hint));
        }
    };
    let contents = [
        "print-data-log",
        "offsets-decoder",
        "transaction-log-decoder",
        "cluster-metadata-decoder",
        "remote-log-metadata-decoder",
        "share-group-state-decoder",
        "value-decoder-class",
        "key-decoder-class",
    ];
    let contents = contents.iter().any(|option| set.has(option));
    // As Java splits: what is empty at the end is no file.
    let files = set.value("files")?.unwrap_or_default();
    let files = files.trim_end_matches(',').split(',').map(str::to_owned);
    Ok(Wanted {
        files: files.collect(),
        shape,
        contents,
        records: contents || set.has("deep-iteration"),
        metadata: !set.has("skip-record-metadata"),
        index_sanity_only: set.has("index-sanity-check"),
        verify_only: set.has("verify-index-only"),
    })
}

/// How keys and values are to be read; the first of Kafka's order wins.
pub fn decoder(set: &OptionSet) -> anyhow::Result<Decoder> {
    Ok(if set.has("offsets-decoder") {
        Decoder::Offsets
    } else if set.has("transaction-log-decoder") {
        Decoder::TransactionLog
    } else if set.has("cluster-metadata-decoder") {
        Decoder::ClusterMetadata
    } else if set.has("remote-log-metadata-decoder") {
        Decoder::RemoteLogMetadata
    } else if set.has("share-group-state-decoder") {
        Decoder::ShareGroupState
    } else {
        let class = |option| anyhow::Ok(set.value(option)?.unwrap_or_default());
        Decoder::Plain {
            value: Codec::of_class(class("value-decoder-class")?)?,
            key: Codec::of_class(class("key-decoder-class")?)?,
        }
    })
}
