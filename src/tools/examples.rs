//! Command lines that each tool's help and manual page show. They work as they stand, beside the broker of
//! `config/server.properties` with topics of these names: `tests/examples.rs` runs every one.
use super::output::Invocation;
use super::registry;

/// A longer line is broken before an option.
const WIDTH: usize = 100;

/// By tool, in the order of the registry.
const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "server-start",
        &[
            "kafkars server-start config/server.properties",
            "kafkars server-start config/server.properties --override num.partitions=3",
        ],
    ),
    (
        "dev",
        &[
            "kafkars dev",
            "kafkars dev --exec sh -c 'kafkars topics --create --topic t && kafkars topics --list'",
        ],
    ),
    (
        "server-stop",
        &["kafkars server-stop", "kafkars server-stop --node-id 1"],
    ),
    (
        "storage",
        &[
            "kafkars storage random-uuid",
            "kafkars storage format --config config/server.properties --cluster-id \"$(kafkars storage random-uuid)\"",
            "kafkars storage info --config config/server.properties",
            "kafkars storage verify --config config/server.properties",
            "kafkars storage version-mapping --release-version 4.3",
            "kafkars storage feature-dependencies --feature transaction.version=2",
        ],
    ),
    (
        "topics",
        &[
            "kafkars topics --bootstrap-server localhost:9092 --create --topic events --partitions 3",
            "kafkars topics --bootstrap-server localhost:9092 --describe --topic 'ev.*'",
        ],
    ),
    (
        "console-producer",
        &[
            "echo hello | kafkars console-producer --bootstrap-server localhost:9092 --topic events",
            "echo alice:paid | kafkars console-producer --bootstrap-server localhost:9092 --topic orders \
         --reader-property parse.key=true --reader-property key.separator=:",
        ],
    ),
    (
        "console-consumer",
        &[
            "kafkars console-consumer --bootstrap-server localhost:9092 --topic orders --from-beginning --max-messages 1",
            "kafkars console-consumer --bootstrap-server localhost:9092 --topic orders --group billing \
         --formatter-property print.key=true --formatter-property print.offset=true",
        ],
    ),
    (
        "console-share-consumer",
        &[
            "kafkars console-share-consumer --bootstrap-server localhost:9092 --topic jobs --group workers",
            "kafkars console-share-consumer --bootstrap-server localhost:9092 --topic jobs --max-messages 1 --release",
        ],
    ),
    (
        "delete-records",
        &[
            "echo '{\"partitions\":[{\"topic\":\"orders\",\"partition\":0,\"offset\":1}]}' > before.json",
            "kafkars delete-records --bootstrap-server localhost:9092 --offset-json-file before.json",
        ],
    ),
    (
        "get-offsets",
        &[
            "kafkars get-offsets --bootstrap-server localhost:9092 --topic orders",
            "kafkars get-offsets --bootstrap-server localhost:9092 --topic-partitions orders:0-2 --time earliest",
        ],
    ),
    (
        "dump-log",
        &[
            "kafkars dump-log --files /tmp/kafka-logs/orders-0/00000000000000000000.log --print-data-log",
            "kafkars dump-log --files /tmp/kafka-logs/__cluster_metadata-0/00000000000000000000.log \
         --cluster-metadata-decoder",
        ],
    ),
    (
        "groups",
        &[
            "kafkars groups --bootstrap-server localhost:9092 --list",
            "kafkars groups --bootstrap-server localhost:9092 --list --share",
        ],
    ),
    (
        "consumer-groups",
        &[
            "kafkars consumer-groups --bootstrap-server localhost:9092 --describe --all-groups",
            "kafkars consumer-groups --bootstrap-server localhost:9092 --reset-offsets --group billing \
         --topic orders --to-earliest --dry-run",
        ],
    ),
    (
        "share-groups",
        &[
            "kafkars share-groups --bootstrap-server localhost:9092 --describe --all-groups",
            "kafkars share-groups --bootstrap-server localhost:9092 --reset-offsets --group workers \
         --topic jobs --to-earliest --dry-run",
        ],
    ),
    (
        "streams-groups",
        &[
            "kafkars streams-groups --bootstrap-server localhost:9092 --list --state",
            "kafkars streams-groups --bootstrap-server localhost:9092 --describe --all-groups",
        ],
    ),
    (
        "streams-application-reset",
        &[
            "kafkars streams-application-reset --bootstrap-server localhost:9092 --application-id wordcount \
         --input-topics orders --dry-run",
            "kafkars streams-application-reset --bootstrap-server localhost:9092 --application-id wordcount \
         --input-topics orders --to-datetime 2026-01-01T00:00:00.000",
        ],
    ),
    (
        "transactions",
        &[
            "kafkars transactions --bootstrap-server localhost:9092 list",
            "kafkars transactions --bootstrap-server localhost:9092 describe-producers --topic orders --partition 0",
            "kafkars transactions --bootstrap-server localhost:9092 find-hanging --topic orders",
        ],
    ),
    (
        "configs",
        &[
            "kafkars configs --bootstrap-server localhost:9092 --describe --topic orders",
            "kafkars configs --bootstrap-server localhost:9092 --alter --topic orders --add-config retention.ms=86400000",
        ],
    ),
    (
        "cluster",
        &[
            "kafkars cluster cluster-id --bootstrap-server localhost:9092",
            "kafkars cluster list-endpoints --bootstrap-server localhost:9092",
        ],
    ),
    (
        "broker-api-versions",
        &[
            "kafkars broker-api-versions --bootstrap-server localhost:9092",
            "kafkars broker-api-versions --bootstrap-server localhost:9092 | grep Fetch",
        ],
    ),
    (
        "features",
        &[
            "kafkars features --bootstrap-server localhost:9092 describe",
            "kafkars features --bootstrap-server localhost:9092 upgrade --feature transaction.version=2 --dry-run",
            "kafkars features version-mapping --release-version 4.3",
            "kafkars features feature-dependencies --feature transaction.version=2",
        ],
    ),
    (
        "log-dirs",
        &[
            "kafkars log-dirs --bootstrap-server localhost:9092 --describe",
            "kafkars log-dirs --bootstrap-server localhost:9092 --describe --topic-list orders --broker-list 1",
        ],
    ),
    (
        "leader-election",
        &[
            "kafkars leader-election --bootstrap-server localhost:9092 --election-type preferred --all-topic-partitions",
            "kafkars leader-election --bootstrap-server localhost:9092 --election-type preferred --topic orders \
         --partition 0",
        ],
    ),
    (
        "reassign-partitions",
        &[
            "echo '{\"partitions\":[{\"topic\":\"orders\",\"partition\":0,\"replicas\":[1]}]}' > moves.json",
            "kafkars reassign-partitions --bootstrap-server localhost:9092 --execute --reassignment-json-file moves.json",
            "kafkars reassign-partitions --bootstrap-server localhost:9092 --list",
        ],
    ),
    (
        "replica-verification",
        &[
            "kafkars replica-verification --broker-list localhost:9092 --topics-include orders",
            "kafkars replica-verification --broker-list localhost:9092 --time -2 --report-interval-ms 1000",
        ],
    ),
    (
        "metadata-quorum",
        &[
            "kafkars metadata-quorum --bootstrap-server localhost:9092 describe --status",
            "kafkars metadata-quorum --bootstrap-server localhost:9092 describe --replication",
        ],
    ),
    (
        "metadata-shell",
        &[
            "kafkars metadata-shell --snapshot /tmp/kafka-logs/__cluster_metadata-0/00000000000000000000.log",
            "kafkars metadata-shell --snapshot /tmp/kafka-logs/__cluster_metadata-0/00000000000000000000.log \
         ls /image/topics/byName",
        ],
    ),
    (
        "client-metrics",
        &[
            "kafkars client-metrics --bootstrap-server localhost:9092 --alter --name producers \
         --metrics org.apache.kafka.producer. --interval 10000",
            "kafkars client-metrics --bootstrap-server localhost:9092 --list",
        ],
    ),
    (
        "acls",
        &[
            "kafkars acls --bootstrap-server localhost:9092 --add --allow-principal User:alice --consumer \
         --topic orders --group billing",
            "kafkars acls --bootstrap-server localhost:9092 --list --topic orders",
        ],
    ),
    (
        "delegation-tokens",
        &[
            "kafkars delegation-tokens --bootstrap-server localhost:9092 --command-config client.properties --create \
         --max-life-time-period -1 --renewer-principal User:alice",
            "kafkars delegation-tokens --bootstrap-server localhost:9092 --command-config client.properties --describe",
        ],
    ),
    (
        "top",
        &[
            "kafkars top --bootstrap-server localhost:9092",
            "kafkars top --bootstrap-server localhost:9092 --interval 0.5",
        ],
    ),
    (
        "profile",
        &[
            "kafkars profile set here --bootstrap-server localhost:9092",
            "kafkars profile use here",
            "kafkars topics --list",
        ],
    ),
    (
        "completions",
        &[
            "source <(kafkars completions bash)",
            "kafkars completions fish > ~/.config/fish/completions/kafkars.fish",
        ],
    ),
    (
        "man",
        &[
            "kafkars man topics | man -l -",
            "kafkars man --dir ~/.local/share/man/man1",
        ],
    ),
    (
        "link-tools",
        &[
            "kafkars link-tools ~/kafka-bin",
            "~/kafka-bin/kafka-topics.sh --version",
        ],
    ),
    (
        "connect-standalone",
        &[
            "kafkars connect-standalone config/connect-standalone.properties config/connect-file-source.properties",
            "kafkars connect-standalone config/connect-standalone.properties config/connect-file-sink.properties",
        ],
    ),
    (
        "connect-plugin-path",
        &[
            "kafkars connect-plugin-path list --plugin-path .",
            "kafkars connect-plugin-path sync-manifests --plugin-path . --dry-run",
        ],
    ),
    (
        "producer-perf-test",
        &[
            "kafkars producer-perf-test --bootstrap-server localhost:9092 --topic load --num-records 100000 \
         --record-size 100 --throughput -1",
            "kafkars producer-perf-test --bootstrap-server localhost:9092 --topic load --num-records 1000 \
         --payload-monotonic --throughput 1000 --command-property acks=1 linger.ms=10",
        ],
    ),
    (
        "consumer-perf-test",
        &[
            "kafkars consumer-perf-test --bootstrap-server localhost:9092 --topic load --num-records 100000",
            "kafkars consumer-perf-test --bootstrap-server localhost:9092 --include 'load.*' --num-records 100000 \
         --show-detailed-stats --reporting-interval 1000",
        ],
    ),
    (
        "share-consumer-perf-test",
        &[
            "kafkars share-consumer-perf-test --bootstrap-server localhost:9092 --topic load --num-records 1000",
            "kafkars share-consumer-perf-test --bootstrap-server localhost:9092 --topic load --num-records 1000 \
         --group perf --timeout 5000 --threads 2 --show-consumer-stats",
        ],
    ),
    (
        "e2e-latency",
        &[
            "kafkars e2e-latency --bootstrap-server localhost:9092 --topic latency --num-records 1000 \
         --producer-acks all --record-size 100",
            "kafkars e2e-latency --bootstrap-server localhost:9092 --topic latency --num-records 1000 \
         --producer-acks 1 --record-size 100 --record-key-size 8",
        ],
    ),
    (
        "verifiable-producer",
        &[
            "kafkars verifiable-producer --bootstrap-server localhost:9092 --topic numbers --max-messages 10",
            "kafkars verifiable-producer --bootstrap-server localhost:9092 --topic numbers --throughput 5 \
         --repeating-keys 3",
        ],
    ),
    (
        "verifiable-consumer",
        &[
            "kafkars verifiable-consumer --bootstrap-server localhost:9092 --topic numbers --group-id g \
         --max-messages 10 --verbose",
            "kafkars verifiable-consumer --bootstrap-server localhost:9092 --topic numbers --group-id g",
        ],
    ),
    (
        "verifiable-share-consumer",
        &[
            "kafkars verifiable-share-consumer --bootstrap-server localhost:9092 --topic numbers --group-id s \
         --offset-reset-strategy earliest --max-messages 10",
            "kafkars verifiable-share-consumer --bootstrap-server localhost:9092 --topic numbers --group-id s",
        ],
    ),
];

/// Those of a tool: lines for a shell, in an order in which each works.
pub fn of(tool: &str) -> &'static [&'static str] {
    let known = EXAMPLES.iter().find(|(name, _)| *name == tool);
    known.map_or(&[], |(_, examples)| examples)
}

/// What a help ends with: the tool's examples, or those of one of its subcommands, under the name that the tool was
/// called by.
pub fn section(invocation: &Invocation, subcommand: Option<&str>) -> String {
    let program = &invocation.program;
    let called = program.strip_prefix("kafkars ").unwrap_or(program);
    let Some(tool) = registry::find(called) else {
        return String::new();
    };
    let ours = format!("kafkars {}", tool.name);
    let lines = of(tool.name).iter().filter(|example| {
        subcommand.is_none_or(|name| example.split(' ').any(|word| word == name))
    });
    let mut text = String::new();
    for line in lines {
        if text.is_empty() {
            text.push_str("\n\nExamples:");
        }
        text.push_str("\n  ");
        text.push_str(&broken(&line.replace(&ours, program), "\n      "));
    }
    text
}

/// Over several lines that a shell takes for one, where it is too long.
pub fn broken(line: &str, next_line: &str) -> String {
    let (mut text, mut width) = (String::new(), 0);
    for (at, part) in line.split(" --").enumerate() {
        let part = if at == 0 {
            part.to_owned()
        } else {
            format!("--{part}")
        };
        let quoted = text.matches('\'').count() % 2 == 1;
        if at > 0 && !quoted && width + part.len() + 3 > WIDTH {
            text.push_str(" \\");
            text.push_str(next_line);
            width = next_line.len();
        } else if at > 0 {
            text.push(' ');
            width += 1;
        }
        width += part.len();
        text.push_str(&part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::catalog::{self, Options};
    use super::super::registry::SECTIONS;
    use super::*;

    #[test]
    fn every_tool_has_two() {
        let tools = SECTIONS.iter().flat_map(|section| section.tools);
        for tool in tools.filter(|tool| tool.run.is_some()) {
            if matches!(catalog::of(tool.name), Options::Nothing) {
                continue;
            }
            let named = of(tool.name).iter().filter(|line| line.contains(tool.name));
            assert!(named.count() >= 1, "{}", tool.name);
            assert!(of(tool.name).len() >= 2, "{}", tool.name);
            let help = catalog::command(tool).render_long_help().to_string();
            assert!(
                !help.contains("Example"),
                "{} has others beside these",
                tool.name
            );
        }
    }

    #[test]
    fn a_long_line_is_broken_where_a_shell_goes_on() {
        for (_, examples) in EXAMPLES {
            for line in *examples {
                let broken = broken(line, "\n      ");
                assert!(
                    broken.lines().all(|line| line.len() <= WIDTH + 6),
                    "{broken}"
                );
                assert_eq!(broken.replace("\\\n      ", ""), *line);
            }
        }
    }

    #[test]
    fn a_section_is_of_the_name_that_was_called() {
        let called = |program: &str, by_kafka_name| Invocation {
            program: program.to_owned(),
            by_kafka_name,
            args: Vec::new(),
        };
        let topics = section(&called("kafka-topics", true), None);
        assert!(
            topics.contains("\n  kafka-topics --bootstrap-server"),
            "{topics}"
        );
        let info = section(&called("kafkars storage", false), Some("info"));
        assert_eq!(
            info,
            "\n\nExamples:\n  kafkars storage info --config config/server.properties"
        );
    }
}
