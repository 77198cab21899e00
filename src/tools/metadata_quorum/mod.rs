//! `kafka-metadata-quorum`: the quorum of controllers.
mod controllers;
mod describe;

use anyhow::bail;

use super::cluster::{block_on, thrown};
use super::options::argparse::{Commands, Parsed, Subcommand};
use super::options::{Definition, Group, Opt};
use super::output::{Format, Invocation, OUTPUT, Printer};
use super::registry::Exit;
use super::subcommands;
use crate::client::admin::Admin;
use crate::config::Properties;

static GLOBALS: Subcommand = Subcommand {
    definition: Definition {
        name: "",
        about: "",
        groups: &[Group {
            heading: "Where",
            options: &[
                Opt::value(
                    "command-config",
                    "FILE",
                    "Settings of the client; for add-controller also the controller's own",
                ),
                Opt::value(
                    "bootstrap-server",
                    "HOST:PORT,...",
                    "A broker of the cluster",
                ),
                Opt::value(
                    "bootstrap-controller",
                    "HOST:PORT,...",
                    "A controller of the cluster",
                ),
            ],
        }],
        after: "",
    },
    exclusive: &["bootstrap-server", "bootstrap-controller"],
    one_required: true,
    words: None,
};

const DRY_RUN: Opt = Opt::flag("dry-run", "Only tell what would be done");

pub static COMMANDS: Commands = Commands {
    program: "kafka-metadata-quorum",
    about: "Shows and changes the quorum of controllers.",
    globals: Some(&GLOBALS),
    commands: &[
        Subcommand::new(
            "describe",
            "Show the quorum",
            &[
                Group {
                    heading: "What (one of the first two)",
                    options: &[
                        Opt::flag("status", "Leader, lag and voters, briefly"),
                        Opt::flag("replication", "How far each node has come"),
                        Opt::flag("human-readable", "Replication: times as how long ago"),
                    ],
                },
                OUTPUT,
            ],
        ),
        Subcommand::new(
            "add-controller",
            "Make the controller of --command-config a voter",
            &[Group {
                heading: "How",
                options: &[DRY_RUN],
            }],
        ),
        Subcommand::new(
            "remove-controller",
            "Take a controller's vote",
            &[Group {
                heading: "Which controller",
                options: &[
                    Opt::value("controller-id", "ID", "Its node id")
                        .short('i')
                        .required(),
                    Opt::value("controller-directory-id", "UUID", "The id of its directory")
                        .short('d')
                        .required(),
                    DRY_RUN,
                ],
            }],
        ),
    ],
};

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let parsed = match subcommands::read(&COMMANDS, &invocation, Exit::SUCCESS)? {
        Ok(parsed) => parsed,
        Err(exit) => return Ok(exit),
    };
    let file = parsed.value("command-config");
    if let Some(path) = file.filter(|path| !std::path::Path::new(path).exists()) {
        bail!("Properties file {path} does not exists!");
    }
    let config = subcommands::client_config(&parsed, file)?;
    let format = subcommands::format(&parsed, &invocation)?;
    let mut printer = Printer::default();
    let result = block_on(async {
        let admin = Admin::new(config);
        let result = execute(&admin, &parsed, format, &mut printer).await;
        admin.close().await;
        result
    });
    printer.flush()?;
    let result = result.map(|()| Exit::SUCCESS);
    subcommands::end(&COMMANDS, &invocation, result)
}

async fn execute(
    admin: &Admin,
    parsed: &Parsed,
    format: Format,
    printer: &mut Printer,
) -> anyhow::Result<()> {
    match parsed.command.definition.name {
        "describe" => {
            let (status, replication) = (parsed.has("status"), parsed.has("replication"));
            let human = parsed.has("human-readable");
            match (status, replication) {
                (true, true) => bail!(
                    "Only one of --status or --replication should be specified with describe \
                     sub-command"
                ),
                (false, false) => bail!(
                    "One of --status or --replication must be specified with describe sub-command"
                ),
                (true, false) if human => {
                    bail!("The option --human-readable is only supported along with --replication")
                }
                _ => {}
            }
            let quorum = admin.describe_metadata_quorum().await.map_err(thrown)?;
            if replication {
                describe::replication(printer, format, &quorum, human)
            } else {
                let cluster = admin.describe_cluster().await.map_err(thrown)?;
                describe::status(printer, format, &quorum, &cluster.cluster_id)
            }
        }
        "add-controller" => {
            let Some(path) = parsed.value("command-config") else {
                bail!(
                    "You must supply the configuration file of the controller you are adding when \
                     using add-controller."
                );
            };
            let properties = Properties::load(path)?;
            controllers::add(admin, parsed, printer, &properties).await
        }
        _ => controllers::remove(admin, parsed, printer).await,
    }
}
