//! One file per `bin/` tool: its options, what it asks of a cluster, what it prints.
//!
//! `bin/kafkars.rs` calls [`run`] with the whole command line; [`registry`] knows every tool.
//! Options are data ([`options`]); printing goes through [`output`] alone.
pub mod acls;
mod alone;
pub mod broker_api_versions;
mod catalog;
pub mod client_metrics;
mod client_metrics_report;
pub mod cluster;
pub mod cluster_tool;
mod completions;
pub mod configs;
pub mod connect_plugin_path;
pub mod connect_standalone;
pub mod console_consumer;
pub mod console_producer;
pub mod console_share_consumer;
pub mod consumer_groups;
pub mod consumer_perf;
mod counted;
mod daemon;
mod date_format;
pub mod delegation_tokens;
pub mod delete_records;
pub mod dev;
pub mod dump_log;
pub mod e2e_latency;
mod events;
pub mod examples;
pub mod features;
mod forget_offsets;
pub mod get_offsets;
mod group_tool;
pub mod groups;
mod java_format;
mod java_json;
pub mod java_order;
mod java_text;
mod java_uuid;
mod json_input;
mod latencies;
pub mod leader_election;
mod link_tools;
pub mod listing;
pub mod log_dirs;
pub mod logging;
mod man;
pub mod metadata_quorum;
pub mod metadata_shell;
pub mod options;
pub mod output;
mod own;
pub mod producer_perf;
mod profile;
mod progress;
pub mod reassign_partitions;
pub mod registry;
pub mod replaced;
mod replica_verification;
mod reset_plan;
pub mod server_start;
pub mod server_stop;
pub mod session;
pub mod share_consumer_perf;
pub mod share_groups;
pub mod storage;
pub mod streams_application_reset;
pub mod streams_groups;
pub mod subcommands;
mod throttle;
mod top;
pub mod topics;
pub mod transactions;
mod usage;
pub mod verifiable_consumer;
pub mod verifiable_producer;
pub mod verifiable_share_consumer;

use std::ffi::OsString;
use std::io;

use output::{Invocation, Printer, base_name, message};
use profile::fill_in::{self, fill_in};
use registry::{Exit, Tool};

/// The version of Apache Kafka that the tools stand in for, as `--version` prints it.
pub const KAFKA_VERSION: &str = "4.3.1";

/// Runs what the command line asks for: the tool named by `argv[0]`, else by the first argument.
pub fn run(argv: impl IntoIterator<Item = OsString>) -> Exit {
    let mut argv = argv.into_iter();
    let called = base_name(&argv.next().unwrap_or_default());
    let mut args: Vec<String> = match argv.map(OsString::into_string).collect() {
        Ok(args) => args,
        Err(word) => {
            message(format!(
                "This argument is not valid UTF-8: {}",
                word.to_string_lossy()
            ));
            return Exit::FAILURE;
        }
    };
    if let Some(tool) = registry::find(&called) {
        return start(
            tool,
            Invocation {
                program: called,
                by_kafka_name: true,
                args,
            },
        );
    }
    let Some(first) = args.first().cloned() else {
        message(registry::overview());
        return Exit::FAILURE;
    };
    match first.as_str() {
        "help" if args.len() > 1 => help_of(args.get(1).map_or("", String::as_str)),
        "-h" | "--help" | "help" => print(&registry::overview()),
        // For the scripts of `kafkars completions`.
        "complete" => {
            let invocation = Invocation {
                program: called,
                by_kafka_name: false,
                args: args.split_off(1),
            };
            completions::complete(invocation).unwrap_or(Exit::FAILURE)
        }
        "-V" | "--version" | "version" => print(&format!(
            "kafkars {} (Apache Kafka {KAFKA_VERSION})\n",
            env!("CARGO_PKG_VERSION")
        )),
        name => match registry::find(name.strip_suffix(".sh").unwrap_or(name)) {
            Some(tool) => {
                args.remove(0);
                let program = format!("kafkars {}", tool.name);
                start(
                    tool,
                    Invocation {
                        program,
                        by_kafka_name: false,
                        args,
                    },
                )
            }
            None => {
                message(registry::unknown(name));
                Exit::FAILURE
            }
        },
    }
}

/// `kafkars help TOOL`.
fn help_of(name: &str) -> Exit {
    let Some(tool) = registry::find(name.strip_suffix(".sh").unwrap_or(name)) else {
        message(registry::unknown(name));
        return Exit::FAILURE;
    };
    let invocation = Invocation {
        program: format!("kafkars {}", tool.name),
        by_kafka_name: false,
        args: vec!["--help".to_owned()],
    };
    // Kafka's tools fail after their help; who asked for it here has what was asked for.
    start(tool, invocation);
    Exit::SUCCESS
}

fn start(tool: &Tool, mut invocation: Invocation) -> Exit {
    let Some(run) = tool.run else {
        message(format!(
            "{}: Kafka's {} tool is not built into this kafkars yet.",
            invocation.program, tool.name
        ));
        return Exit::FAILURE;
    };
    logging::install(tool.log_level);
    if !invocation.by_kafka_name
        && let Err(error) = fill_in(tool.name, &mut invocation.args, fill_in::default)
    {
        message(format!("{error:#}"));
        return Exit::FAILURE;
    }
    run(invocation).unwrap_or_else(|error| {
        if is_closed_pipe(&error) {
            return Exit::SUCCESS;
        }
        message(error.to_string());
        Exit::FAILURE
    })
}

/// The reader of our output went away (`kafkars topics --list | head -1`): it has what it wanted.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

fn print(text: &str) -> Exit {
    let mut printer = Printer::default();
    match printer.line(text.trim_end()).and_then(|()| printer.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::FAILURE,
        _ => Exit::SUCCESS,
    }
}
