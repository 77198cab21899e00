//! Tools of Kafka that are about Java: what does their work here.
use super::output::{Invocation, message};
use super::registry::Exit;

pub fn jmx(_invocation: Invocation) -> anyhow::Result<Exit> {
    Ok(refuse(
        "kafka-jmx reads the metrics of a JVM and kafkars is none: ask the broker itself, with log-dirs, consumer-groups or \
         metadata-quorum --describe.",
    ))
}

pub fn run_class(_invocation: Invocation) -> anyhow::Result<Exit> {
    Ok(refuse(
        "kafka-run-class runs a class of Java and kafkars has none: every tool is a subcommand, listed by kafkars --help.",
    ))
}

pub fn trogdor(_invocation: Invocation) -> anyhow::Result<Exit> {
    Ok(refuse(
        "trogdor's agents are not part of kafkars: producer-perf-test, consumer-perf-test and verifiable-producer make load; \
         tc and kill make faults.",
    ))
}

fn refuse(what: &str) -> Exit {
    message(what);
    Exit::FAILURE
}
