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
