//! The options of `--reset-offsets` that consumer and streams groups share.
use crate::tools::options::{Group, Opt};

pub const RESET: Group = Group {
    heading: "Reset offsets (exactly one place; then --dry-run or --execute)",
    options: &[
        Opt::flag("to-earliest", "To the first offset"),
        Opt::flag("to-latest", "To the end"),
        Opt::flag(
            "to-current",
            "To where they are, or the end where there is none",
        ),
        Opt::value("to-offset", "OFFSET", "To this offset"),
        Opt::value("shift-by", "N", "N further, or back when it is negative"),
        Opt::value(
            "to-datetime",
            "TIME",
            "To the first record since YYYY-MM-DDThh:mm:ss.sss (UTC unless it ends in a zone)",
        ),
        Opt::value(
            "by-duration",
            "PnDTnHnMnS",
            "To the first record since so long ago",
        ),
        Opt::value(
            "from-file",
            "FILE",
            "To the offsets of a CSV file: topic,partition,offset",
        ),
        Opt::flag("dry-run", "Only show what would be set"),
        Opt::flag("execute", "Set the offsets"),
        Opt::flag("export", "Print as CSV, for --from-file"),
    ],
};
