//! What kafkars has beyond Kafka's tools: profiles, completions, manual pages, suggestions.
mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use support::{Broker, Ran, kafkars, run_command, skip, tool};

/// A tool of a user whose settings are in `home`.
fn at_home(home: &Path, environment: &[(&str, &str)], args: &[&str]) -> Ran {
    let mut command = Command::new(kafkars());
    command.args(args).env("XDG_CONFIG_HOME", home);
    command
        .env_remove("BOOTSTRAP_SERVER")
        .env_remove("KAFKARS_PROFILE");
    command.envs(environment.iter().copied());
    run_command(command, b"")
}

#[test]
fn a_profile_stands_in_for_bootstrap_server() {
    let (home, broker) = (tempfile::tempdir().unwrap(), Broker::start());
    let address = broker.bootstrap();
    let run = |environment: &[(&str, &str)], args: &[&str]| at_home(home.path(), environment, args);
    let list = ["topics", "--list"];
    let create = ["topics", "--create", "--topic", "t"];

    let refused = run(&[], &list);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("bootstrap-server"), "{refused:?}");

    run(
        &[],
        &["profile", "set", "here", "--bootstrap-server", &address],
    )
    .ok();
    run(
        &[],
        &[
            "profile",
            "set",
            "away",
            "--bootstrap-server",
            "localhost:1",
        ],
    )
    .ok();
    run(&[], &["profile", "use", "here"]).ok();
    run(&[], &create).ok();
    assert_eq!(run(&[], &list).ok(), "t\n");
    assert!(
        run(&[], &["cluster", "cluster-id"])
            .ok()
            .starts_with("Cluster ID: ")
    );

    run(&[], &["profile", "use", "away"]).ok();
    assert_eq!(run(&[("KAFKARS_PROFILE", "here")], &list).ok(), "t\n");
    assert_eq!(run(&[("BOOTSTRAP_SERVER", &address)], &list).ok(), "t\n");
    let explicit = ["topics", "--list", "--bootstrap-server", &address];
    assert_eq!(run(&[], &explicit).ok(), "t\n");
    let none = run(&[("KAFKARS_PROFILE", "none")], &list);
    assert_eq!(
        (none.code, none.stderr.lines().count()),
        (Some(1), 1),
        "{none:?}"
    );

    let listed = run(&[], &["profile", "list", "--output", "json"]).ok();
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[0]["name"], "away");
    assert_eq!(listed[0]["inUse"], true);
    let file = run(&[], &["profile", "file", "here"]).ok();
    let mode = std::fs::metadata(file.trim()).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "others can read it");
    run(&[], &["profile", "remove", "away"]).ok();
    assert_eq!(run(&[], &list).code, Some(1));
}

#[test]
fn a_kafka_name_knows_no_profile() {
    let home = tempfile::tempdir().unwrap();
    tool(&["link-tools", home.path().to_str().unwrap()], b"").ok();
    let mut command = Command::new(home.path().join("kafka-topics.sh"));
    command.arg("--list").env("BOOTSTRAP_SERVER", "localhost:1");
    let ran = run_command(command, b"");
    assert_eq!(ran.code, Some(1));
    let missing = "--bootstrap-server must be specified";
    assert!(ran.stderr.contains(missing), "{ran:?}");
}

#[test]
fn topics_of_the_cluster_are_completed() {
    let (home, broker) = (tempfile::tempdir().unwrap(), Broker::start());
    let address = broker.bootstrap();
    let environment = [("BOOTSTRAP_SERVER", address.as_str())];
    let run = |args: &[&str]| at_home(home.path(), &environment, args);
    for topic in ["orders", "events"] {
        run(&["topics", "--create", "--topic", topic]).ok();
    }
    let words = ["kafkars", "topics", "--describe", "--topic", "o"];
    let found = run(&[&["complete", "4"][..], &words].concat()).ok();
    assert_eq!(found, "orders\t\n");
    // No cluster, no names; and no error, for which a shell has no place.
    let nowhere = at_home(
        home.path(),
        &[("BOOTSTRAP_SERVER", "localhost:1")],
        &[&["complete", "4"][..], &words].concat(),
    );
    assert_eq!(nowhere.ok(), "");
}

#[test]
fn shells_take_their_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let script = tool(&["completions", shell], b"").ok();
        if Command::new(shell).arg("--version").output().is_err() {
            skip(
                "shells_take_their_completions",
                &format!("{shell} is not here"),
            );
            continue;
        }
        let mut command = Command::new(shell);
        command.arg("-n");
        run_command(command, script.as_bytes()).ok();
    }
    let script = tool(&["completions", "bash"], b"").ok();
    let asked = format!(
        "{script}\nPATH={}:$PATH\nCOMP_WORDS=(kafkars consumer-groups --desc)\nCOMP_CWORD=2\n_kafkars\necho ${{COMPREPLY[@]}}",
        Path::new(&kafkars()).parent().unwrap().display()
    );
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", &asked]);
    assert_eq!(run_command(bash, b"").ok(), "--describe\n");
}

#[test]
fn every_tool_has_a_manual_page() {
    let pages = tempfile::tempdir().unwrap();
    tool(&["man", "--dir", pages.path().to_str().unwrap()], b"").ok();
    let page = |name: &str| std::fs::read_to_string(pages.path().join(name)).unwrap();
    assert!(page("kafkars-topics.1").contains("bootstrap\\-server"));
    assert!(page("kafkars.1").contains("consumer\\-groups"));
    let printed = tool(&["man", "topics"], b"").ok();
    assert_eq!(printed, page("kafkars-topics.1"));
}

#[test]
fn a_slip_of_the_pen_is_told_the_right_tool() {
    for (typed, meant) in [
        ("topic", "topics"),
        ("kafka-topcis", "topics"),
        ("profil", "profile"),
    ] {
        let ran = tool(&[typed], b"");
        let want = format!("did you mean kafkars {meant}?");
        assert_eq!((ran.code, ran.stderr.lines().count()), (Some(1), 1));
        assert!(ran.stderr.contains(&want), "{ran:?}");
    }
}

#[test]
fn top_wants_a_terminal_and_a_cluster() {
    let home = tempfile::tempdir().unwrap();
    let ran = at_home(home.path(), &[], &["top"]);
    assert_eq!(
        (ran.code, ran.stderr.lines().count()),
        (Some(1), 1),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("--bootstrap-server"), "{ran:?}");
    let ran = at_home(
        home.path(),
        &[],
        &["top", "--bootstrap-server", "localhost:1"],
    );
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("terminal"), "{ran:?}");
}
