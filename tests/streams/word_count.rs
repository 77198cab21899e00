//! The example of Kafka's quickstart, unchanged: `WordCountDemo` counts what the console producer writes, and the console
//! consumer shows it.

use std::fs;

use crate::app::App;
use crate::bench::quick;
use crate::support::Broker;
use crate::support::genuine::Genuine;
use crate::{EXACTLY_ONCE, STREAMS};

const DEMO: &str = "org.apache.kafka.streams.examples.wordcount.WordCountDemo";
const SERIALIZATION: &str = "org.apache.kafka.common.serialization";

/// What the quickstart has one type, and what it then shows.
const STEPS: [(&str, &[&str]); 3] = [
    (
        "all streams lead to kafka\n",
        &["all 1", "streams 1", "lead 1", "to 1", "kafka 1"],
    ),
    (
        "hello kafka streams\n",
        &["hello 1", "kafka 2", "streams 2"],
    ),
    ("join kafka summit\n", &["join 1", "kafka 3", "summit 1"]),
];

struct Example {
    genuine: Genuine,
    broker: Broker,
    dir: tempfile::TempDir,
}

impl Example {
    fn new(what: &str, settings: &[&str]) -> Option<Example> {
        let genuine = Genuine::find(what)?;
        let dir = tempfile::tempdir().unwrap();
        let broker = quick(&dir).start();
        let topic = ["topics", "--create", "--topic"];
        let compacted = ["--config", "cleanup.policy=compact"];
        let input = [&topic[..], &["streams-plaintext-input"]].concat();
        let output = [&topic[..], &["streams-wordcount-output"], &compacted].concat();
        broker.tool(&input, b"").ok();
        broker.tool(&output, b"").ok();
        let properties = [
            &format!("bootstrap.servers={}", broker.bootstrap()),
            &format!("state.dir={}", dir.path().join("state").display()),
            "session.timeout.ms=6000",
            "commit.interval.ms=100",
        ];
        let properties = [&properties[..], settings].concat().join("\n");
        fs::write(dir.path().join("streams.properties"), properties).unwrap();
        Some(Example {
            genuine,
            broker,
            dir,
        })
    }

    fn start(&self) -> App {
        let mut command = self.genuine.command("class");
        command.arg(DEMO);
        command.arg(self.dir.path().join("streams.properties"));
        App::start(command, &self.dir.path().join("demo.err"))
    }

    fn shows(&self, count: usize) -> Vec<String> {
        let consume = ["console-consumer", "--topic", "streams-wordcount-output"];
        let max = count.to_string();
        let from = ["--from-beginning", "--max-messages", &max];
        let committed = ["--isolation-level", "read_committed"];
        let patience = ["--timeout-ms", "60000"];
        let key = format!("key.deserializer={SERIALIZATION}.StringDeserializer");
        let value = format!("value.deserializer={SERIALIZATION}.LongDeserializer");
        let mut args = [&consume[..], &from, &committed, &patience].concat();
        for property in ["print.key=true", "key.separator= ", &key, &value] {
            args.extend(["--formatter-property", property]);
        }
        let shown = self.broker.tool(&args, b"").ok();
        shown.lines().map(str::to_owned).collect()
    }
}

/// The program is killed after the first line.
fn plays(what: &str, settings: &[&str]) {
    let Some(example) = Example::new(what, settings) else {
        return;
    };
    let mut expected = Vec::new();
    for steps in [&STEPS[..1], &STEPS[1..]] {
        let demo = example.start();
        for (typed, shown) in steps {
            let produce = ["console-producer", "--topic", "streams-plaintext-input"];
            example.broker.tool(&produce, typed.as_bytes()).ok();
            expected.extend_from_slice(shown);
            assert_eq!(example.shows(expected.len()), expected);
        }
        demo.kill();
    }
}

#[test]
fn the_quickstarts_example_plays_over_the_classic_protocol() {
    let what = "the_quickstarts_example_plays_over_the_classic_protocol";
    plays(what, &[EXACTLY_ONCE]);
}

#[test]
fn the_quickstarts_example_plays_in_a_streams_group() {
    let what = "the_quickstarts_example_plays_in_a_streams_group";
    plays(what, &[EXACTLY_ONCE, STREAMS]);
}
