//! Kafka Streams applications with Java's own library, over the classic protocol and over
//! `group.protocol=streams` (KIP-1071): what comes out is what a plain computation gives, each update once, however
//! often the application or the broker is killed.

mod app;
mod bench;
mod lines;
#[path = "../support/mod.rs"]
mod support;
mod word_count;

use std::collections::BTreeSet;
use std::time::Duration;

use bench::Bench;
use lines::{Line, WORDS_PER_LINE, lines, lines_until, write};
use support::wire::now_ms;

const STREAMS: &str = "group.protocol=streams";
const EXACTLY_ONCE: &str = "processing.guarantee=exactly_once_v2";

/// How long an application may take for a step: longer than a session and a transaction need to end.
const PATIENCE: Duration = Duration::from_secs(100);

/// How many lines there are between one kill and the next.
fn lines_per_part() -> usize {
    let asked = std::env::var("KAFKARS_STREAMS_LINES").ok();
    asked.map_or(6000, |lines| lines.parse().unwrap())
}

#[test]
fn words_are_counted_over_the_classic_protocol() {
    let what = "words_are_counted_over_the_classic_protocol";
    let Some(mut bench) = Bench::new(what, &[]) else {
        return;
    };
    let lines = lines(now_ms(), 0..700);
    write(&bench.broker, &lines);
    let app = bench.start("one");
    bench.check(&lines);
    app.close();
}

/// The group changes hands between our broker and Kafka's on one data directory: each goes on where the other stopped, with an
/// application that starts anew and with one that runs on.
#[test]
fn words_are_counted_by_a_streams_group() {
    let what = "words_are_counted_by_a_streams_group";
    let Some(mut bench) = Bench::new(what, &[STREAMS]) else {
        return;
    };
    let mut lines = lines(now_ms(), 0..700);
    write(&bench.broker, &lines);
    let app = bench.start("one");
    bench.check(&lines);
    app.close();

    bench.swap_to_genuine();
    goes_on(&bench, &mut lines);
    let app = bench.start("one");
    app.wait_for("state RUNNING");
    bench.check(&lines);
    let told_by_kafka = told(&bench);

    bench.swap_to_ours();
    assert_eq!(told(&bench), told_by_kafka);
    goes_on(&bench, &mut lines);
    bench.check(&lines);
    app.close();
}

/// What Kafka's tool is told of the group, in an order of its own.
fn told(bench: &Bench) -> BTreeSet<String> {
    let parts = ["--members", "--state", "--offsets"].into_iter();
    let describe = |part| bench.group_tool(&["--describe", "--group", "app", "--verbose", part]);
    let described: String = parts.map(describe).collect();
    assert!(described.contains("Stable"), "{described}");
    described.lines().map(str::to_owned).collect()
}

fn goes_on(bench: &Bench, lines: &mut Vec<Line>) {
    let more = Line::after(lines, 70);
    write(&bench.broker, &more);
    lines.extend(more);
}

/// In the midst of its work the application is killed, then the broker, then one of two instances.
fn survives(what: &str, settings: &[&str]) {
    let Some(mut bench) = Bench::new(what, settings) else {
        return;
    };
    let part = lines_per_part();
    let lines = lines_until(now_ms(), 3 * part);
    let parts: Vec<&[Line]> = lines.chunks(part).collect();
    let a_few_of = |nth: usize| nth * part * WORDS_PER_LINE + 100;
    write(&bench.broker, parts[0]);
    let first = bench.start("one");
    bench.wait_for_count("counts", a_few_of(0));
    first.kill();

    let first = bench.start("one");
    let second = bench.start("two");
    second.wait_for("state RUNNING");
    write(&bench.broker, parts[1]);
    bench.wait_for_count("counts", a_few_of(1));
    bench.crash();

    write(&bench.broker, parts[2]);
    bench.wait_for_count("counts", a_few_of(2));
    first.kill();
    bench.check(&lines);
    second.close();
}

#[test]
fn exactly_once_survives_kills_over_the_classic_protocol() {
    let what = "exactly_once_survives_kills_over_the_classic_protocol";
    survives(what, &[EXACTLY_ONCE]);
}

#[test]
fn exactly_once_survives_kills_in_a_streams_group() {
    let what = "exactly_once_survives_kills_in_a_streams_group";
    survives(what, &[EXACTLY_ONCE, STREAMS]);
}
