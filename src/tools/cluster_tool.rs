//! `kafka-cluster`: the cluster's id and endpoints, and forgetting a broker.
use serde_json::{Value, json};

use super::cluster::{block_on, plain, thrown};
use super::listing::{self, column, padded, width};
use super::options::argparse::{ArgumentError, Commands, Parsed, Subcommand};
use super::options::{Definition, Group, Opt};
use super::output::{Format, Invocation, OUTPUT, Printer, message};
use super::registry::Exit;
use super::subcommands;
use crate::client::ClientError;
use crate::client::admin::{Admin, ClusterNode};

const WHERE: Group = Group {
    heading: "Where (exactly one of the last two)",
    options: &[
        Opt::value("config", "FILE", "Old name of --command-config"),
        Opt::value(
            "command-config",
            "FILE",
            "Settings of the client: a .properties file",
        )
        .short('c'),
        Opt::value(
            "bootstrap-server",
            "HOST:PORT,...",
            "A broker of the cluster",
        )
        .short('b'),
        Opt::value(
            "bootstrap-controller",
            "HOST:PORT,...",
            "A controller of the cluster",
        )
        .short('C'),
    ],
};

const EITHER: &[&str] = &["bootstrap-server", "bootstrap-controller"];

pub static COMMANDS: Commands = Commands {
    program: "kafka-cluster",
    about: "Shows the cluster's id and endpoints, and forgets brokers.",
    globals: None,
    commands: &[
        Subcommand {
            definition: Definition {
                name: "cluster-id",
                about: "Show the cluster's id",
                groups: &[WHERE],
                after: "",
            },
            exclusive: EITHER,
            one_required: true,
            words: None,
        },
        Subcommand {
            definition: Definition {
                name: "unregister",
                about: "Forget a broker that will not come back",
                groups: &[
                    WHERE,
                    Group {
                        heading: "Which broker",
                        options: &[Opt::value("id", "ID", "The broker's id")
                            .short('i')
                            .required()],
                    },
                ],
                after: "",
            },
            exclusive: EITHER,
            one_required: true,
            words: None,
        },
        Subcommand {
            definition: Definition {
                name: "list-endpoints",
                about: "List the brokers or controllers",
                groups: &[
                    WHERE,
                    Group {
                        heading: "Which endpoints",
                        options: &[Opt::flag(
                            "include-fenced-brokers",
                            "Also brokers that are registered and not in use",
                        )],
                    },
                    OUTPUT,
                ],
                after: "",
            },
            exclusive: EITHER,
            one_required: true,
            words: None,
        },
    ],
};

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let parsed = match subcommands::read(&COMMANDS, &invocation, Exit::FAILURE)? {
        Ok(parsed) => parsed,
        Err(exit) => return Ok(exit),
    };
    let mut printer = Printer::default();
    if parsed.has("config") {
        if parsed.has("command-config") {
            anyhow::bail!("--config and --command-config cannot be specified together.");
        }
        printer.line(
            "Option --config has been deprecated and will be removed in a future version. Use \
             --command-config instead.",
        )?;
    }
    let file = parsed.value("config").or(parsed.value("command-config"));
    let config = subcommands::client_config(&parsed, file)?;
    let format = subcommands::format(&parsed, &invocation)?;
    let result = block_on(async {
        let admin = Admin::new(config);
        let result = execute(&admin, &parsed, format, &mut printer).await;
        printer.flush()?;
        admin.close().await;
        match result {
            Ok(()) => Ok(Exit::SUCCESS),
            Err(failure) if failure.is::<std::io::Error>() || failure.is::<ArgumentError>() => {
                Err(failure)
            }
            Err(failure) => {
                match format {
                    Format::Kafka => message(failure.to_string()),
                    _ => message(plain(&failure)),
                }
                Ok(Exit::FAILURE)
            }
        }
    });
    subcommands::end(&COMMANDS, &invocation, result)
}

async fn execute(
    admin: &Admin,
    parsed: &Parsed,
    format: Format,
    printer: &mut Printer,
) -> anyhow::Result<()> {
    match parsed.command.definition.name {
        "cluster-id" => {
            let id = admin.describe_cluster().await.map_err(thrown)?.cluster_id;
            printer.line(format!("Cluster ID: {id}"))?;
        }
        "unregister" => {
            let id: i32 = parsed.number("id")?.unwrap_or_default();
            match admin.unregister_broker(id).await {
                Ok(()) => printer.line(format!("Broker {id} is no longer registered."))?,
                Err(error) => {
                    if matches!(error, ClientError::UnsupportedVersion(_)) {
                        printer.line(
                            "The target cluster does not support the broker unregistration API.",
                        )?;
                    }
                    return Err(thrown(error));
                }
            }
        }
        _ => {
            let controllers = parsed.has("bootstrap-controller");
            let fenced = parsed.has("include-fenced-brokers");
            if fenced && controllers {
                anyhow::bail!(
                    "The option --include-fenced-brokers is only supported with \
                     --bootstrap-server option"
                );
            }
            let nodes = admin.list_nodes(fenced).await.map_err(thrown)?;
            print(printer, format, &nodes, controllers)?;
        }
    }
    Ok(())
}

fn print(
    printer: &mut Printer,
    format: Format,
    nodes: &[ClusterNode],
    controllers: bool,
) -> std::io::Result<()> {
    if format != Format::Kafka {
        let columns = [
            column("Id", "id"),
            column("Host", "host"),
            column("Port", "port"),
            column("Rack", "rack"),
            column("Fenced", "fenced"),
        ];
        let row = |node: &ClusterNode| -> Vec<Value> {
            vec![
                json!(node.endpoint.id),
                json!(&*node.endpoint.host),
                json!(node.endpoint.port),
                json!(node.endpoint.rack.as_deref()),
                json!((!controllers).then_some(node.fenced)),
            ]
        };
        let rows: Vec<Vec<Value>> = nodes.iter().map(row).collect();
        return listing::show(printer, format, &columns, &rows, "No endpoints.");
    }
    let hosts = nodes.iter().map(|node| &*node.endpoint.host);
    let racks = nodes
        .iter()
        .filter_map(|node| node.endpoint.rack.as_deref());
    let (hosts, racks) = (width(0, hosts), width(0, racks));
    let or = |width: usize, other: usize| if width == 0 { other } else { width };
    let mut widths = vec![10, or(hosts, 100), 10, or(racks, 10)];
    let mut header = vec!["ID", "HOST", "PORT", "RACK"];
    if !controllers {
        widths.push(10);
        header.push("STATE");
    }
    widths.push(15);
    header.push("ENDPOINT_TYPE");
    printer.line(padded(&header, &widths))?;
    for node in nodes {
        let (id, port) = (node.endpoint.id.to_string(), node.endpoint.port.to_string());
        let rack = node.endpoint.rack.as_deref().unwrap_or("null");
        let mut row = vec![&*id, &*node.endpoint.host, &*port, rack];
        if !controllers {
            row.push(if node.fenced { "fenced" } else { "unfenced" });
        }
        row.push(if controllers { "controller" } else { "broker" });
        printer.line(padded(&row, &widths))?;
    }
    Ok(())
}
