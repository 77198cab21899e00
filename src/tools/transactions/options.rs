//! The subcommands of `kafka-transactions` and their options.
use crate::tools::options::argparse::{Commands, Subcommand};
use crate::tools::options::{Definition, Group, Opt};
use crate::tools::output::OUTPUT;

static GLOBALS: Subcommand = Subcommand {
    definition: Definition {
        name: "",
        about: "",
        groups: &[Group {
            heading: "Where",
            options: &[
                Opt::flag("version", "Show the version").short('v'),
                Opt::value(
                    "command-config",
                    "FILE",
                    "Settings of the client: a .properties file",
                ),
                Opt::value(
                    "bootstrap-server",
                    "HOST:PORT,...",
                    "A broker of the cluster",
                )
                .required(),
            ],
        }],
        after: "",
    },
    exclusive: &[],
    one_required: false,
    words: None,
};

const TOPIC: Opt = Opt::value("topic", "TOPIC", "The topic").required();
const PARTITION: Opt = Opt::value("partition", "N", "The partition").required();

pub static COMMANDS: Commands = Commands {
    program: "kafka-transactions.sh",
    about: "Shows transactions and the producers behind them, and ends those that hang.",
    globals: Some(&GLOBALS),
    commands: &[
        Subcommand::new(
            "list",
            "List transactions",
            &[
                Group {
                    heading: "Which transactions",
                    options: &[
                        Opt::value("duration-filter", "MS", "Only those running for longer"),
                        Opt::value(
                            "transactional-id-pattern",
                            "REGEX",
                            "Only those whose id matches",
                        ),
                    ],
                },
                OUTPUT,
            ],
        ),
        Subcommand::new(
            "describe",
            "Show the state of a transactional id",
            &[
                Group {
                    heading: "Which transaction",
                    options: &[
                        Opt::value("transactional-id", "ID", "Its transactional id").required()
                    ],
                },
                OUTPUT,
            ],
        ),
        Subcommand::new(
            "describe-producers",
            "Show the producers of a partition",
            &[
                Group {
                    heading: "Which partition",
                    options: &[
                        Opt::value(
                            "broker-id",
                            "ID",
                            "As this replica knows them, not the leader",
                        ),
                        TOPIC,
                        PARTITION,
                    ],
                },
                OUTPUT,
            ],
        ),
        Subcommand::new(
            "abort",
            "Abort a transaction that hangs",
            &[
                Group {
                    heading: "In which partition",
                    options: &[TOPIC, PARTITION],
                },
                Group {
                    heading: "Which transaction (before Kafka 3.0 by the last three)",
                    options: &[
                        Opt::value("start-offset", "OFFSET", "Where it begins"),
                        Opt::value("producer-id", "ID", "Its producer"),
                        Opt::value("producer-epoch", "N", "Its producer's epoch"),
                        Opt::value("coordinator-epoch", "N", "Its coordinator's epoch"),
                    ],
                },
            ],
        ),
        Subcommand::new(
            "find-hanging",
            "Find transactions that nobody will end",
            &[
                Group {
                    heading: "Where to look (a topic or a broker)",
                    options: &[
                        Opt::value("broker-id", "ID", "Partitions of this broker"),
                        Opt::value(
                            "max-transaction-timeout",
                            "MINUTES",
                            "Only what has been open for longer [default: 15]",
                        ),
                        Opt::value("topic", "TOPIC", "Partitions of this topic"),
                        Opt::value("partition", "N", "This partition of the topic"),
                    ],
                },
                OUTPUT,
            ],
        ),
        Subcommand::new(
            "forceTerminateTransaction",
            "End a transaction by fencing its producer",
            &[Group {
                heading: "Which transaction",
                options: &[Opt::value("transactionalId", "ID", "Its transactional id").required()],
            }],
        ),
    ],
};
