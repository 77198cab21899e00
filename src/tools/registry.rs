//! Every tool that Kafka has in its `bin/`, and where each one lives here.
use tracing::Level;

use super::output::Invocation;
use super::{
    acls, broker_api_versions, client_metrics, cluster_tool, completions, configs,
    connect_plugin_path, connect_standalone, console_consumer, console_producer,
    console_share_consumer, consumer_groups, consumer_perf, delegation_tokens, delete_records, dev,
    dump_log, e2e_latency, features, get_offsets, groups, leader_election, link_tools, log_dirs,
    man, metadata_quorum, metadata_shell, options, producer_perf, profile, reassign_partitions,
    replaced, replica_verification, server_start, server_stop, share_consumer_perf, share_groups,
    storage, streams_application_reset, streams_groups, top, topics, transactions,
    verifiable_consumer, verifiable_producer, verifiable_share_consumer,
};

/// How a tool ended; the numbers are Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    pub const SUCCESS: Exit = Exit(0);
    pub const FAILURE: Exit = Exit(1);
}

pub type Run = fn(Invocation) -> anyhow::Result<Exit>;

/// One tool: `kafkars NAME`, also under its Kafka name.
pub struct Tool {
    pub name: &'static str,
    pub summary: &'static str,
    /// Log lines from this level up are shown.
    pub log_level: Level,
    /// `None`: Kafka has it, kafkars not yet.
    pub run: Option<Run>,
    /// Kafka has it.
    pub kafkas: bool,
}

/// Tools that belong together, as `kafkars --help` shows them.
pub struct Section {
    pub heading: &'static str,
    pub tools: &'static [Tool],
}

const fn tool(name: &'static str, summary: &'static str, run: Run) -> Tool {
    Tool {
        name,
        summary,
        log_level: Level::WARN,
        run: Some(run),
        kafkas: true,
    }
}

/// One that Kafka has not.
const fn own(name: &'static str, summary: &'static str, run: Run) -> Tool {
    Tool {
        kafkas: false,
        ..tool(name, summary, run)
    }
}

const fn missing(name: &'static str, summary: &'static str) -> Tool {
    Tool {
        name,
        summary,
        log_level: Level::WARN,
        run: None,
        kafkas: true,
    }
}

#[rustfmt::skip]
pub const SECTIONS: &[Section] = &[
    Section { heading: "Run a broker", tools: &[
        Tool { log_level: Level::INFO, ..tool("server-start", "Start a broker from a server.properties file", server_start::run) },
        own("dev", "Start a broker for a test, gone when it ends", dev::run),
        tool("server-stop", "Stop the brokers that run here", server_stop::run),
        tool("storage", "Format log directories and look at them", storage::run),
    ] },
    Section { heading: "Topics and records", tools: &[
        tool("topics", "Create, list, describe, alter and delete topics", topics::run),
        tool("console-producer", "Send the lines of stdin to a topic", console_producer::run),
        tool("console-consumer", "Print the records of topics", console_consumer::run),
        tool("console-share-consumer", "Print the records of a topic through a share group", console_share_consumer::run),
        tool("delete-records", "Delete the records before an offset", delete_records::run),
        tool("get-offsets", "Print the offsets of partitions", get_offsets::run),
        tool("dump-log", "Print what is in log and index files", dump_log::run),
    ] },
    Section { heading: "Groups and transactions", tools: &[
        tool("groups", "List groups of every type", groups::run),
        tool("consumer-groups", "List, describe, reset and delete consumer groups", consumer_groups::run),
        tool("share-groups", "List, describe, reset and delete share groups", share_groups::run),
        tool("streams-groups", "List, describe, reset and delete streams groups", streams_groups::run),
        tool("streams-application-reset", "Reset a Kafka Streams application", streams_application_reset::run),
        tool("transactions", "List, describe and abort transactions", transactions::run),
    ] },
    Section { heading: "Cluster", tools: &[
        tool("configs", "Show and change configurations", configs::run),
        tool("cluster", "Show the cluster's id and endpoints", cluster_tool::run),
        tool("broker-api-versions", "Show which APIs the brokers speak", broker_api_versions::run),
        tool("features", "Show and change feature levels", features::run),
        tool("log-dirs", "Show the log directories of brokers", log_dirs::run),
        tool("leader-election", "Elect leaders", leader_election::run),
        tool("reassign-partitions", "Move partitions between brokers", reassign_partitions::run),
        tool("replica-verification", "Compare the replicas of topics", replica_verification::run),
        tool("metadata-quorum", "Show and change the controller quorum", metadata_quorum::run),
        tool("metadata-shell", "Look into a metadata snapshot", metadata_shell::run),
        tool("client-metrics", "Show and change client metrics subscriptions", client_metrics::run),
        tool("acls", "Show and change access control lists", acls::run),
        tool("delegation-tokens", "Create, renew and expire delegation tokens", delegation_tokens::run),
    ] },
    Section { heading: "For people", tools: &[
        own("top", "Watch a cluster: brokers, topics, groups and their lag", top::run),
        own("profile", "Keep named clusters, so that --bootstrap-server may be left out", profile::run),
        own("completions", "Print what makes a shell complete tools, options, topics and groups", completions::run),
        own("man", "Print or write manual pages", man::run),
        own("link-tools", "Link Kafka's script names to kafkars", link_tools::run),
    ] },
    Section { heading: "Connect", tools: &[
        Tool { log_level: Level::INFO, ..tool("connect-standalone", "Run connectors in one process", connect_standalone::run) },
        missing("connect-distributed", "Run a worker of a Connect cluster"),
        missing("connect-mirror-maker", "Copy topics between clusters"),
        tool("connect-plugin-path", "List the connectors that are installed", connect_plugin_path::run),
    ] },
    Section { heading: "Measure and test", tools: &[
        tool("producer-perf-test", "Measure producing", producer_perf::run),
        tool("consumer-perf-test", "Measure consuming", consumer_perf::run),
        tool("share-consumer-perf-test", "Measure consuming through a share group", share_consumer_perf::run),
        tool("e2e-latency", "Measure the time from producing to consuming", e2e_latency::run),
        tool("verifiable-producer", "Produce numbered records, reporting as JSON", verifiable_producer::run),
        tool("verifiable-consumer", "Consume, reporting as JSON", verifiable_consumer::run),
        tool("verifiable-share-consumer", "Consume through a share group, reporting as JSON", verifiable_share_consumer::run),
        tool("jmx", "Read the metrics of a JVM", replaced::jmx),
        tool("run-class", "Run a class of Java", replaced::run_class),
        tool("trogdor", "Run workloads and faults on agents", replaced::trogdor),
    ] },
];

/// The tool of that name: `topics`, `kafka-topics`, `connect-standalone`.
pub fn find(name: &str) -> Option<&'static Tool> {
    let short = name.strip_prefix("kafka-").unwrap_or(name);
    SECTIONS
        .iter()
        .flat_map(|section| section.tools)
        .find(|tool| tool.name == short && (tool.kafkas || short == name))
}

/// The name of the tool's script in Kafka's `bin/`, without `.sh`.
pub fn script_name(tool: &Tool) -> String {
    if tool.name.starts_with("connect-") || tool.name == "trogdor" {
        tool.name.to_owned()
    } else {
        format!("kafka-{}", tool.name)
    }
}

/// The script names of all tools that Kafka has.
pub fn scripts() -> impl Iterator<Item = String> {
    let tools = SECTIONS.iter().flat_map(|section| section.tools);
    tools.filter(|tool| tool.kafkas).map(script_name)
}

/// What to say of a tool that is not there.
pub fn unknown(name: &str) -> String {
    let tools = SECTIONS.iter().flat_map(|section| section.tools);
    let short = name.strip_prefix("kafka-").unwrap_or(name);
    match options::nearest(short, tools.map(|tool| tool.name)) {
        Some(near) => format!("kafkars has no tool '{name}': did you mean kafkars {near}?"),
        None => format!("kafkars has no tool '{name}': kafkars --help lists all tools."),
    }
}

/// What `kafkars --help` prints.
pub fn overview() -> String {
    let mut text = String::from(
        "Apache Kafka without the JVM: broker, tools and Connect in one binary.\n\n\
         Usage: kafkars TOOL [OPTIONS]     kafkars help TOOL tells the options of a tool\n",
    );
    for section in SECTIONS {
        text.push_str(&format!("\n{}:\n", section.heading));
        for tool in section.tools {
            let later = if tool.run.is_some() {
                ""
            } else {
                " (not built yet)"
            };
            text.push_str(&format!("  {:<26}{}{later}\n", tool.name, tool.summary));
        }
    }
    text.push_str(
        "\nA tool also answers to its Kafka name: linked as kafka-topics.sh or kafka-topics,\n\
         kafkars is the topics tool (kafkars link-tools DIR makes all links).\n\
         \n  -h, --help                Show this help\n  \
         -V, --version             Show the version\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_answer_to_both_names() {
        for name in ["topics", "kafka-topics"] {
            assert_eq!(find(name).unwrap().name, "topics");
        }
        assert_eq!(
            script_name(find("connect-standalone").unwrap()),
            "connect-standalone"
        );
        assert_eq!(script_name(find("topics").unwrap()), "kafka-topics");
        assert!(find("kafkars").is_none());
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = SECTIONS
            .iter()
            .flat_map(|section| section.tools)
            .map(|tool| tool.name)
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
