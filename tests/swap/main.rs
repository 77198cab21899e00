//! One data directory, handed back and forth between this implementation and genuine Kafka under a mixed load: each
//! goes on where the other stopped, in order or not, and what only one of them drives survives the other.
//!
//! `KAFKARS_SWAP_TURNS` sets how often genuine Kafka takes over and gives back; without it once.

mod contents;
mod dump;
mod newer;
#[path = "../support/mod.rs"]
mod support;
mod workload;

use std::path::PathBuf;

use contents::Contents;
use newer::Newer;
use support::Setup;
use support::genuine::Genuine;
use support::wire::Connection;

/// The node's two log directories.
pub struct Dirs {
    root: tempfile::TempDir,
}

impl Dirs {
    fn all(&self) -> [PathBuf; 2] {
        ["data", "second"].map(|name| self.root.path().join(name))
    }

    fn setup(&self) -> Setup {
        let [first, second] = self.all();
        let dirs = format!("{},{}", first.display(), second.display());
        let mut setup = Setup::at(self.root.path());
        // No member of a group is given up while the other has its turn.
        for kind in ["consumer", "share", "streams"] {
            for key in ["session.timeout.ms", "max.session.timeout.ms"] {
                setup = setup.set(&format!("group.{kind}.{key}"), 1_800_000);
            }
        }
        setup
            .set("log.dirs", dirs)
            .set("offsets.topic.num.partitions", 3)
            .set("transaction.state.log.num.partitions", 2)
            .set("share.coordinator.state.topic.num.partitions", 2)
            .set("metadata.log.max.record.bytes.between.snapshots", 500)
            .set("log.cleaner.backoff.ms", 50)
            .set("log.cleaner.min.cleanable.ratio", "0.01")
            .set("log.retention.check.interval.ms", 500)
            .set("log.initial.task.delay.ms", 100)
    }
}

#[test]
fn a_directory_goes_back_and_forth() {
    let Some(genuine) = Genuine::find("a_directory_goes_back_and_forth") else {
        return;
    };
    let asked = std::env::var("KAFKARS_SWAP_TURNS").ok();
    let turns: i64 = asked.map_or(1, |turns| turns.parse().unwrap());
    let dirs = Dirs {
        root: tempfile::tempdir().unwrap(),
    };
    let mut contents = Contents::default();
    let mut newer = Newer::default();

    let mut ours = dirs.setup().start();
    let mut c = Connection::open(ours.port);
    workload::create_topics(&mut c, &mut contents);
    c.until_led();
    workload::run(&ours, &dirs, &mut contents, 0);
    contents.check(&mut c);
    assert!(ours.stop().success());
    if turns > 1 {
        dump::assert_clean(&genuine, &dirs, true);
    }

    for turn in 1..=turns {
        let mut theirs = dirs.setup().start_genuine(&genuine);
        let mut c = Connection::open(theirs.port);
        contents.check(&mut c);
        newer.check(&mut c);
        newer.drive(&mut c, &mut contents, turn);
        workload::run(&theirs, &dirs, &mut contents, turn * 2 - 1);
        newer.leave_one_open(&mut c, &mut contents, turn);
        contents.check(&mut c);
        newer.note(&mut c);
        // A clean stop of one is followed by a kill of the other.
        match turn % 2 {
            0 => drop(theirs.stop()),
            _ => theirs.kill(),
        }

        let mut ours = dirs.setup().start();
        let mut c = Connection::open(ours.port);
        contents.check(&mut c);
        workload::run(&ours, &dirs, &mut contents, turn * 2);
        newer.write_behind_the_open_one(&mut c, &mut contents, turn);
        contents.check(&mut c);
        match turn % 2 {
            0 => ours.kill(),
            _ => assert!(ours.stop().success()),
        }
        dump::assert_clean(&genuine, &dirs, turn % 2 == 1);
        eprintln!("turn {turn}: {} records", contents.records());
    }

    let mut theirs = dirs.setup().start_genuine(&genuine);
    let mut c = Connection::open(theirs.port);
    contents.check(&mut c);
    newer.check(&mut c);
    newer.drive(&mut c, &mut contents, turns + 1);
    contents.check(&mut c);
    theirs.stop();
}
