//! The options of every tool, whichever way it reads them: for completions, man pages and profiles.
use clap::CommandFactory;

use super::options::argparse::Commands;
use super::options::{self, Definition, WithFiles};
use super::registry::Tool;
use super::{
    acls, broker_api_versions, client_metrics, cluster_tool, completions, configs,
    connect_plugin_path, connect_standalone, console_consumer, console_producer,
    console_share_consumer, consumer_groups, consumer_perf, delegation_tokens, delete_records, dev,
    dump_log, e2e_latency, features, get_offsets, groups, leader_election, link_tools, log_dirs,
    man, metadata_quorum, metadata_shell, own, producer_perf, profile, reassign_partitions,
    replica_verification, server_start, server_stop, share_consumer_perf, share_groups, storage,
    streams_application_reset, streams_groups, top, topics, transactions, verifiable_consumer,
    verifiable_producer, verifiable_share_consumer,
};

/// How a tool reads its command line.
#[derive(Clone, Copy)]
pub enum Options {
    /// As jopt-simple does.
    Flat(&'static Definition),
    /// As argparse4j does, with subcommands.
    Commands(&'static Commands),
    /// In its own way, files beside options.
    Files(&'static WithFiles),
    /// As `clap` does: kafkars' own tools.
    Own(fn() -> clap::Command),
    /// Not at all: what it does elsewhere is not done here.
    Nothing,
}

pub fn of(name: &str) -> Options {
    use Options::{Commands, Files, Flat, Nothing, Own};
    match name {
        "acls" => Flat(&acls::options::DEFINITION),
        "broker-api-versions" => Flat(&broker_api_versions::DEFINITION),
        "client-metrics" => Flat(&client_metrics::DEFINITION),
        "cluster" => Commands(&cluster_tool::COMMANDS),
        "completions" => Own(completions::Options::command),
        "configs" => Flat(&configs::options::DEFINITION),
        "connect-plugin-path" => Commands(&connect_plugin_path::COMMANDS),
        "connect-standalone" => Files(&connect_standalone::TOOL),
        "console-consumer" => Flat(&console_consumer::options::DEFINITION),
        "console-producer" => Flat(&console_producer::options::DEFINITION),
        "console-share-consumer" => Flat(&console_share_consumer::options::DEFINITION),
        "consumer-groups" => Flat(&consumer_groups::options::DEFINITION),
        "consumer-perf-test" => Flat(&consumer_perf::options::DEFINITION),
        "delegation-tokens" => Flat(&delegation_tokens::options::DEFINITION),
        "delete-records" => Flat(&delete_records::DEFINITION),
        "dev" => Own(dev::Options::command),
        "dump-log" => Flat(&dump_log::options::DEFINITION),
        "e2e-latency" => Flat(&e2e_latency::options::DEFINITION),
        "features" => Commands(&features::COMMANDS),
        "get-offsets" => Flat(&get_offsets::DEFINITION),
        "groups" => Flat(&groups::DEFINITION),
        "leader-election" => Flat(&leader_election::DEFINITION),
        "link-tools" => Own(link_tools::Options::command),
        "log-dirs" => Flat(&log_dirs::DEFINITION),
        "man" => Own(man::Options::command),
        "metadata-quorum" => Commands(&metadata_quorum::COMMANDS),
        "metadata-shell" => Flat(&metadata_shell::DEFINITION),
        "producer-perf-test" => Flat(&producer_perf::options::TOOL.definition),
        "profile" => Own(profile::Options::command),
        "reassign-partitions" => Flat(&reassign_partitions::options::DEFINITION),
        "replica-verification" => Flat(&replica_verification::DEFINITION),
        "server-start" => Files(&server_start::TOOL),
        "server-stop" => Flat(&server_stop::DEFINITION),
        "share-consumer-perf-test" => Flat(&share_consumer_perf::options::DEFINITION),
        "share-groups" => Flat(&share_groups::options::DEFINITION),
        "storage" => Commands(&storage::options::COMMANDS),
        "streams-application-reset" => Flat(&streams_application_reset::options::DEFINITION),
        "streams-groups" => Flat(&streams_groups::options::DEFINITION),
        "top" => Own(top::Options::command),
        "topics" => Flat(&topics::options::DEFINITION),
        "transactions" => Commands(&transactions::options::COMMANDS),
        "verifiable-consumer" => Flat(&verifiable_consumer::options::TOOL.definition),
        "verifiable-producer" => Flat(&verifiable_producer::options::TOOL.definition),
        "verifiable-share-consumer" => Flat(&verifiable_share_consumer::options::TOOL.definition),
        _ => Nothing,
    }
}

/// The tool as a `clap` command, subcommands and all.
pub fn command(tool: &Tool) -> clap::Command {
    let program = format!("kafkars {}", tool.name);
    match of(tool.name) {
        Options::Flat(definition) => options::command(definition, &program),
        Options::Commands(commands) => {
            let mut command = clap::Command::new(tool.name)
                .bin_name(program.clone())
                .about(commands.about);
            for option in commands.globals.iter().flat_map(|g| g.definition.options()) {
                command = command.arg(options::argument(option));
            }
            for subcommand in commands.commands {
                let program = format!("{program} {}", subcommand.definition.name);
                command = command.subcommand(options::command(&subcommand.definition, &program));
            }
            command
        }
        Options::Own(command) => own::command(command(), &program),
        Options::Files(tool) => options::command_with_files(tool, &program),
        Options::Nothing => clap::Command::new(tool.name)
            .bin_name(program)
            .about(tool.summary),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::registry::SECTIONS;

    #[test]
    fn every_tool_is_in_it() {
        let replaced = ["jmx", "run-class", "trogdor"];
        let tools = SECTIONS.iter().flat_map(|section| section.tools);
        for tool in tools.filter(|tool| tool.run.is_some()) {
            let takes_nothing = matches!(of(tool.name), Options::Nothing);
            assert_eq!(
                takes_nothing,
                replaced.contains(&tool.name),
                "{}",
                tool.name
            );
        }
    }
}
