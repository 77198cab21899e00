//! The commands of `kafka-storage` and their options.
use crate::tools::options::argparse::{Commands, Subcommand};
use crate::tools::options::{Definition, Group, Opt};

const CONFIG: Opt = Opt::value(
    "config",
    "FILE",
    "The server.properties file of the node (required)",
)
.short('c')
.required();
const HELP: Group = Group {
    heading: "Other",
    options: &[Opt::flag("help", "Show this help").short('h')],
};

pub static COMMANDS: Commands = Commands {
    program: "kafka-storage",
    about: "Formats the log directories of a node, and looks at them.",
    globals: None,
    commands: &[
        Subcommand {
            definition: Definition {
                name: "info",
                about: "Show the log directories of this node and what they belong to",
                groups: &[
                    Group {
                        heading: "Which node",
                        options: &[CONFIG],
                    },
                    HELP,
                ],
                after: "",
            },
            exclusive: &[],
            one_required: false,
            words: None,
        },
        Subcommand {
            definition: FORMAT,
            exclusive: &[
                "standalone",
                "no-initial-controllers",
                "initial-controllers",
            ],
            one_required: false,
            words: None,
        },
        Subcommand {
            definition: Definition {
                name: "version-mapping",
                about: "Show the feature levels of a release",
                groups: &[
                    Group {
                        heading: "Which release",
                        options: &[Opt::value(
                            "release-version",
                            "VERSION",
                            "3.3-IV3 or later [default: 4.3-IV0]",
                        )
                        .short('r')],
                    },
                    HELP,
                ],
                after: "",
            },
            exclusive: &[],
            one_required: false,
            words: None,
        },
        Subcommand {
            definition: Definition {
                name: "feature-dependencies",
                about: "Show what feature levels depend on",
                groups: &[
                    Group {
                        heading: "Which features",
                        options: &[Opt::value(
                            "feature",
                            "NAME=LEVEL",
                            "A feature and its level (required, repeatable)",
                        )
                        .short('f')
                        .required()
                        .repeatable()],
                    },
                    HELP,
                ],
                after: "",
            },
            exclusive: &[],
            one_required: false,
            words: None,
        },
        Subcommand {
            definition: Definition {
                name: "random-uuid",
                about: "Print an id for a new cluster",
                groups: &[HELP],
                after: "",
            },
            exclusive: &[],
            one_required: false,
            words: None,
        },
        Subcommand {
            definition: VERIFY,
            exclusive: &[],
            one_required: false,
            words: Some("DIR"),
        },
    ],
};

const VERIFY: Definition = Definition {
    name: "verify",
    about: "Check every file of stopped log directories, without writing to them: \
            verify DIR... or verify --config FILE",
    groups: &[
        Group {
            heading: "Which directories",
            options: &[Opt::value(
                "config",
                "FILE",
                "The server.properties file of the node: its log.dirs and metadata.log.dir",
            )
            .short('c')],
        },
        Group {
            heading: "Output",
            options: &[Opt::flag(
                "json",
                "Print one JSON object: counts, faults, notes and who can start",
            )],
        },
        HELP,
    ],
    after: "Every batch, index, producer snapshot and checkpoint is read, the metadata log and its \
            snapshots too. Each file with a fault is named with its first fault, where it is, what \
            kafkars and Apache Kafka do about it on start, and what you can do.\n\n\
            Exit code 0: no faults; 1: faults, or a directory that cannot be checked.",
};

const FORMAT: Definition = Definition {
    name: "format",
    about: "Format the log directories of this node",
    groups: &[
        Group {
            heading: "Which node",
            options: &[
                CONFIG,
                Opt::value(
                    "cluster-id",
                    "ID",
                    "The id of the cluster, of random-uuid (required)",
                )
                .short('t')
                .required(),
                Opt::flag(
                    "ignore-formatted",
                    "Pass over directories that are formatted already",
                )
                .short('g'),
            ],
        },
        Group {
            heading: "The quorum, if controller.quorum.voters is not set (one of them)",
            options: &[
                Opt::flag("standalone", "This controller is the first and only one").short('s'),
                Opt::flag(
                    "no-initial-controllers",
                    "This node joins a quorum that exists",
                )
                .short('N'),
                Opt::value(
                    "initial-controllers",
                    "VOTERS",
                    "The first controllers, the same on all nodes: \
                     0@host0:9093:DIRECTORY-ID,1@host1:9093:DIRECTORY-ID",
                )
                .short('I'),
            ],
        },
        Group {
            heading: "What the cluster starts with",
            options: &[
                Opt::value(
                    "release-version",
                    "VERSION",
                    "3.3-IV3 or later [default: 4.3-IV0]",
                )
                .short('r'),
                Opt::value(
                    "feature",
                    "NAME=LEVEL",
                    "The level of a feature (repeatable)",
                )
                .short('f')
                .repeatable(),
                Opt::value(
                    "add-scram",
                    "CREDENTIAL",
                    "A user (repeatable): SCRAM-SHA-256=[name=alice,password=alice-secret]",
                )
                .short('S')
                .repeatable(),
            ],
        },
        HELP,
    ],
    after: "",
};
