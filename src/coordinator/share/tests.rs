use std::collections::BTreeMap;

use super::shard::ShardRequest;
use super::*;
use crate::coordinator::shard::{Now, Shard, Token};
use crate::protocol::{ErrorCode, Uuid};

const TOPIC: Uuid = Uuid::from_u128(7);

fn batch(
    first_offset: i64,
    last_offset: i64,
    delivery_state: i8,
    delivery_count: i16,
) -> StateBatch {
    StateBatch {
        first_offset,
        last_offset,
        delivery_state,
        delivery_count,
    }
}

fn key() -> ShareKey {
    ShareKey {
        group: "g:with colons".into(),
        topic_id: TOPIC,
        partition: 3,
    }
}

/// A shard and the log that it is made of.
struct Context {
    shard: ShareShard,
    config: ShareStateConfig,
    log: Vec<(bytes::Bytes, Option<bytes::Bytes>)>,
    effects: Vec<Effect>,
    now: Now,
}

impl Context {
    fn new(config: ShareStateConfig) -> Context {
        let now = Now {
            wall_ms: 1_000_000,
            monotonic_ms: 0,
        };
        let mut shard = ShareShard::new(config);
        shard.loaded(now);
        Context {
            shard,
            config,
            log: Vec::new(),
            effects: Vec::new(),
            now,
        }
    }

    fn carry_out(&mut self, decision: crate::coordinator::shard::Decision<ShareShard>) {
        for record in decision.records {
            self.log.push(record.encode().unwrap());
            self.shard.replay(self.log.len() as i64 - 1, None, record);
        }
        self.effects.extend(decision.effects);
        self.shard.check_invariants();
    }

    fn send(&mut self, request: ShardRequest) -> StateReply {
        let mut decision = self.shard.handle(self.now, Token(0), request);
        let answer = decision.answers.pop().unwrap();
        self.carry_out(decision);
        answer.reply
    }

    fn ask(&mut self, request: StateRequest) -> StateReply {
        self.send(ShardRequest::State {
            key: key(),
            topic_exists: true,
            request,
        })
    }

    fn write(&mut self, start_offset: i64, batches: &[StateBatch]) -> StateReply {
        self.ask(StateRequest::Write(Write {
            state_epoch: 2,
            leader_epoch: 0,
            start_offset,
            delivery_complete_count: 1,
            batches: batches.to_vec(),
        }))
    }

    fn read(&mut self) -> Read {
        match self.ask(StateRequest::Read { leader_epoch: -1 }) {
            StateReply::Read(read) => read,
            other => panic!("{other:?}"),
        }
    }

    fn initialize(&mut self) {
        let initialize = StateRequest::Initialize {
            state_epoch: 2,
            start_offset: 0,
        };
        assert_eq!(self.ask(initialize), StateReply::Done);
    }

    fn sleep(&mut self, ms: i64) {
        self.now.wall_ms += ms;
        self.now.monotonic_ms += ms;
        while let Some(decision) = self.shard.expire(self.now) {
            self.carry_out(decision);
        }
    }

    /// Replays the log from `from` on.
    fn restart(&mut self, from: usize) {
        self.shard = ShareShard::new(self.config);
        for (offset, (key, value)) in self.log.iter().enumerate().skip(from) {
            let record = ShareShard::decode(key.clone(), value.clone());
            self.shard
                .replay(offset as i64, None, record.unwrap().unwrap());
        }
        self.shard.loaded(self.now);
    }
}

fn refusal(reply: StateReply) -> ErrorCode {
    match reply {
        StateReply::Refused(error) => error.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn batches_are_laid_over_each_other() {
    // What is delivered more often counts, neighbours of the same fate become one.
    let laid = combine(
        &[batch(0, 9, 0, 1), batch(20, 29, 0, 1)],
        &[batch(5, 24, 2, 1), batch(7, 8, 0, 2)],
        -1,
    );
    assert_eq!(
        laid,
        [
            batch(0, 4, 0, 1),
            batch(5, 6, 2, 1),
            batch(7, 8, 0, 2),
            batch(9, 24, 2, 1),
            batch(25, 29, 0, 1)
        ]
    );
    let cut = combine(&[batch(0, 9, 0, 1), batch(10, 12, 0, 1)], &[], 4);
    assert_eq!(cut, [batch(4, 12, 0, 1)]);
}

#[test]
fn laying_is_the_best_of_every_offset() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..2_000 {
        let mut best: BTreeMap<i64, (i16, i8)> = BTreeMap::new();
        let start = random.i64(-1..20);
        let mut random_batch = || {
            let first = random.i64(0..40);
            let last = first + random.i64(0..12);
            batch(first, last, [0, 2, 4][random.usize(..3)], random.i16(1..4))
        };
        let batches: Vec<StateBatch> = (0..8).map(|_| random_batch()).collect();
        for batch in &batches {
            for offset in batch.first_offset.max(start)..=batch.last_offset {
                let fate = (batch.delivery_count, batch.delivery_state);
                let best = best.entry(offset).or_insert(fate);
                *best = fate.max(*best);
            }
        }
        let (so_far, more) = batches.split_at(random.usize(..8));
        let laid = combine(&combine(so_far, &[], start), more, start);
        let mut seen = BTreeMap::new();
        for batch in &laid {
            for offset in batch.first_offset..=batch.last_offset {
                let fate = (batch.delivery_count, batch.delivery_state);
                assert_eq!(seen.insert(offset, fate), None, "{laid:?}");
            }
        }
        assert_eq!(seen, best);
    }
}

#[test]
fn keys_are_read_as_they_are_written() {
    assert_eq!(ShareKey::parse(&key().to_string()), Some(key()));
    for wrong in [
        "",
        "g",
        "g:1",
        ":AAAAAAAAAAAAAAAAAAAABw:1",
        "g:x:1",
        "g:AAAAAAAAAAAAAAAAAAAABw:x",
    ] {
        assert_eq!(ShareKey::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn a_state_that_is_not_begun_is_neither_written_nor_read() {
    let mut context = Context::new(ShareStateConfig::default());
    assert_eq!(refusal(context.write(0, &[])), ErrorCode::InvalidRequest);
    let read = StateRequest::Read { leader_epoch: 0 };
    assert_eq!(refusal(context.ask(read)), ErrorCode::InvalidRequest);
    assert_eq!(context.ask(StateRequest::Delete), StateReply::Done);
    let StateReply::Summary(summary) = context.ask(StateRequest::Summarize) else {
        panic!()
    };
    assert_eq!(summary.start_offset, -1);
    assert!(context.log.is_empty());
    let unknown = context.send(ShardRequest::State {
        key: key(),
        topic_exists: false,
        request: StateRequest::Initialize {
            state_epoch: 0,
            start_offset: 0,
        },
    });
    assert_eq!(refusal(unknown), ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn what_was_written_is_read_after_a_restart() {
    let mut context = Context::new(ShareStateConfig {
        updates_per_snapshot: 2,
        ..ShareStateConfig::default()
    });
    context.initialize();
    for offset in 0..7 {
        assert_eq!(
            context.write(-1, &[batch(offset, offset, 2, 1)]),
            StateReply::Done
        );
    }
    assert_eq!(context.write(3, &[batch(10, 12, 0, 1)]), StateReply::Done);
    let before = context.read();
    assert_eq!(before.start_offset, 3);
    assert_eq!(before.batches, [batch(3, 6, 2, 1), batch(10, 12, 0, 1)]);
    context.restart(0);
    assert_eq!(context.read(), before);
    // Everything from the last snapshot on is enough.
    let snapshot = context.shard.states()[&key()].snapshot_offset.unwrap();
    assert!(snapshot > 0, "two updates, then a snapshot");
    context.restart(snapshot as usize);
    assert_eq!(context.read(), before);
}

#[test]
fn older_epochs_are_fenced() {
    let mut context = Context::new(ShareStateConfig::default());
    context.initialize();
    let StateReply::Read(_) = context.ask(StateRequest::Read { leader_epoch: 5 }) else {
        panic!()
    };
    assert_eq!(context.log.len(), 2, "the leader's epoch is noted");
    let read = StateRequest::Read { leader_epoch: 4 };
    assert_eq!(refusal(context.ask(read)), ErrorCode::FencedLeaderEpoch);
    assert_eq!(refusal(context.write(0, &[])), ErrorCode::FencedLeaderEpoch);
    let initialize = StateRequest::Initialize {
        state_epoch: 1,
        start_offset: 0,
    };
    assert_eq!(
        refusal(context.ask(initialize)),
        ErrorCode::FencedStateEpoch
    );
    let write = StateRequest::Write(Write {
        state_epoch: 1,
        leader_epoch: 5,
        ..Write::default()
    });
    assert_eq!(refusal(context.ask(write)), ErrorCode::FencedStateEpoch);
    context.restart(0);
    let read = StateRequest::Read { leader_epoch: 4 };
    assert_eq!(refusal(context.ask(read)), ErrorCode::FencedLeaderEpoch);
}

#[test]
fn cold_states_are_written_again_and_what_is_before_is_pruned() {
    let mut context = Context::new(ShareStateConfig {
        cold_snapshot_interval_ms: 100,
        prune_interval_ms: 150,
        ..ShareStateConfig::default()
    });
    context.initialize();
    context.write(1, &[batch(1, 1, 0, 1)]);
    let before = context.read();
    context.sleep(100);
    assert_eq!(context.log.len(), 3, "a cold snapshot");
    context.sleep(100);
    assert_eq!(context.log.len(), 3, "one is enough");
    assert_eq!(context.effects, [Effect::DeleteBefore(2)]);
    context.restart(2);
    assert_eq!(context.read(), before);
    context.send(ShardRequest::TopicsDeleted(vec![TOPIC]));
    context.effects.clear();
    context.sleep(300);
    assert_eq!(context.effects, [Effect::DeleteBefore(3)]);
    context.restart(0);
    assert!(context.shard.states().is_empty());
}
