//! The first command of the README: the quickstart plays from start to end.

mod support;

use std::process::Command;

#[test]
fn the_quickstart_plays() {
    let mut script = Command::new(support::root().join("scripts/quickstart.sh"));
    script.env("KAFKARS", support::kafkars());
    let ran = support::run_command(script, b"");
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    for step in [
        "both events, in order",
        "test.sink.txt holds both lines",
        "at the consumer",
    ] {
        assert!(
            ran.stdout.contains(step),
            "{step:?} is missing in\n{}",
            ran.stdout
        );
    }
}

#[test]
fn links_are_tools_under_their_kafka_names() {
    let dir = tempfile::tempdir().unwrap();
    let mut script = Command::new(support::root().join("scripts/link-tools.sh"));
    script.arg(dir.path()).arg(support::kafkars());
    let linked = support::run_command(script, b"");
    assert_eq!(linked.code, Some(0), "{linked:?}");
    let mut topics = Command::new(dir.path().join("kafka-topics.sh"));
    topics.arg("--version");
    assert_eq!(support::run_command(topics, b"").ok(), "4.3.1\n");
}
