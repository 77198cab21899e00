//! Random heartbeats, lost answers, leaves, restarts, clock jumps and changes of the configuration
//! and the topics. After every step the shard's invariants hold (each task runs once, the log is
//! the state), no process has a task twice; when members go on, the group settles.
use std::collections::BTreeSet;

use super::context::*;
use super::streams::{HEARTBEAT_MS, Running, TOPICS, Thread};
use crate::coordinator::group::GroupConfig;
use crate::coordinator::histories;
use crate::protocol::messages::StreamsGroupHeartbeatRequest;

const STEPS: u64 = 4_000;
const STEPS_PER_ROUND: u64 = 150;
const TASKS: usize = 6;

fn play(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut context = Context::with_topics(GroupConfig::default(), &TOPICS);
    context.shard.config.streams.standby_replicas = random.i32(0..3);
    let mut threads: Vec<Thread> = ["p", "p", "q", "r"]
        .iter()
        .zip(0..)
        .map(|(process, n): (&&str, u8)| Thread::new(&format!("m{n}"), process))
        .collect();
    for step in 0..STEPS_PER_ROUND {
        let at = random.usize(..threads.len());
        let thread = &mut threads[at];
        match random.u8(0..22) {
            // The answer is lost.
            0..=2 => drop(context.streams_beat_with(thread.request())),
            3 if thread.epoch > 0 => {
                let leave = StreamsGroupHeartbeatRequest {
                    member_epoch: -1,
                    ..thread.request()
                };
                context.streams_beat_with(leave);
                thread.forget();
            }
            // It crashes, and comes back with nothing.
            4 => thread.forget(),
            5 => context.restart(),
            6 => context.sleep(random.i64(0..60_000)),
            7 => context.now.wall_ms += random.i64(-100_000..100_000),
            8 if random.bool() => {
                context.shard.config.streams.standby_replicas = random.i32(0..3);
            }
            9 if thread.epoch > 0 => {
                let offset = i64::try_from(step).unwrap_or(0);
                let epoch = thread.epoch;
                let id = thread.id.clone();
                if context.commit(&id, epoch, offset) == crate::protocol::ErrorCode::None {
                    assert_eq!(context.offset(), offset, "seed {seed} step {step}");
                }
            }
            _ => {
                context.streams_beat(thread);
                context.sleep(random.i64(0..3_000));
            }
        }
        assert_eq!(
            &context.stored_from_log(),
            context.shard.stored(),
            "seed {seed} step {step}"
        );
        no_process_has_a_task_twice(&context, seed, step);
    }
    for _ in 0..40 {
        context.sleep(HEARTBEAT_MS);
        for thread in &mut threads {
            context.streams_beat(thread);
        }
    }
    let group = context.streams_group();
    assert_eq!(group.state(), "Stable", "seed {seed}: {group:?}");
    let mut running = BTreeSet::new();
    for thread in &threads {
        let of = |running: &Running| running.values().map(Vec::len).sum::<usize>();
        assert_eq!(of(&thread.active), thread.active_count());
        for (subtopology, partitions) in &thread.active {
            for partition in partitions {
                let is_new = running.insert((subtopology.clone(), *partition));
                assert!(is_new, "seed {seed}: {threads:?}");
            }
        }
    }
    assert_eq!(running.len(), TASKS, "seed {seed}: {threads:?}");
}

fn no_process_has_a_task_twice(context: &Context, seed: u64, step: u64) {
    let Some(crate::coordinator::group::StoredGroup::Streams(group)) =
        context.shard.stored.groups.get(GROUP)
    else {
        return;
    };
    let mut tasks = BTreeSet::new();
    for member in group.members.values() {
        for task in member.all_tasks() {
            let is_new = tasks.insert((member.process_id.clone(), task));
            assert!(is_new, "seed {seed} step {step}: {group:?}");
        }
    }
}

#[test]
fn random_applications_run_each_task_once_and_settle() {
    histories::play(STEPS, STEPS_PER_ROUND, play);
}
