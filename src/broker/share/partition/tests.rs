use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::*;
use crate::coordinator::share::{Read, StateBatch, combine};
use crate::protocol::ErrorCode;

const LIMITS: Limits = Limits {
    deliveries: 5,
    lock_ms: 100,
    locks: 50,
    allows_renewal: true,
};
const WISH: Wish = Wish {
    max_records: 1_000,
    batch_size: 1_000,
    is_strict: false,
};

fn at_start() -> SharePartition {
    let state = Read {
        state_epoch: 1,
        start_offset: 0,
        batches: Vec::new(),
    };
    SharePartition::load(&state, 0)
}

fn log(batches: &[(i64, i64)]) -> Fetched {
    Fetched {
        batches: batches.to_vec(),
        aborted: Vec::new(),
    }
}

fn acquire(
    partition: &mut SharePartition,
    member: &str,
    fetched: &Fetched,
    now: i64,
) -> Vec<Acquired> {
    acquire_as(partition, member, fetched, now, &WISH)
}

fn acquire_as(
    partition: &mut SharePartition,
    member: &str,
    fetched: &Fetched,
    now: i64,
    wish: &Wish,
) -> Vec<Acquired> {
    let offset = partition.fetch_offset();
    let acquired = partition.acquire(&member.into(), fetched, offset, wish, &LIMITS, now);
    partition.check_invariants();
    acquired
}

fn done(first_offset: i64, last_offset: i64, types: &[i8]) -> Acknowledged {
    Acknowledged {
        first_offset,
        last_offset,
        types: types.to_vec(),
    }
}

/// Acknowledges and writes.
fn settle(partition: &mut SharePartition, member: &str, batches: &[Acknowledged]) -> ToWrite {
    let write = partition
        .acknowledge(member, batches, &LIMITS, 0)
        .unwrap()
        .unwrap();
    partition.complete(write.transition, true, &LIMITS, 0);
    partition.check_invariants();
    write
}

fn ranges(acquired: &[Acquired]) -> Vec<(i64, i64, i16)> {
    let range = |a: &Acquired| (a.first_offset, a.last_offset, a.deliveries);
    acquired.iter().map(range).collect()
}

#[test]
fn records_go_to_one_member_and_come_back_when_released() {
    let mut partition = at_start();
    let fetched = log(&[(0, 9), (10, 19)]);
    assert_eq!(
        ranges(&acquire(&mut partition, "a", &fetched, 0)),
        [(0, 19, 1)]
    );
    assert_eq!(partition.fetch_offset(), 20);
    assert!(acquire(&mut partition, "b", &fetched, 0).is_empty());
    let write = settle(
        &mut partition,
        "a",
        &[done(0, 4, &[ACCEPT]), done(5, 9, &[RELEASE])],
    );
    assert_eq!(write.delivery_complete_count, 5);
    assert_eq!(partition.start_offset(), 5);
    assert_eq!(
        ranges(&acquire(&mut partition, "b", &fetched, 0)),
        [(5, 9, 2)]
    );
    settle(
        &mut partition,
        "b",
        &[done(5, 9, &[ACCEPT, REJECT, GAP, ACCEPT, ACCEPT])],
    );
    assert_eq!(partition.start_offset(), 10);
    settle(&mut partition, "a", &[done(10, 19, &[ACCEPT])]);
    assert_eq!(
        (partition.start_offset(), partition.fetch_offset()),
        (20, 20)
    );
}

#[test]
fn only_the_owner_acknowledges_and_all_or_nothing() {
    let mut partition = at_start();
    acquire(&mut partition, "a", &log(&[(0, 9)]), 0);
    let refused = |partition: &mut SharePartition, member: &str, batches: &[Acknowledged]| {
        partition
            .acknowledge(member, batches, &LIMITS, 0)
            .unwrap_err()
            .code
    };
    let state = ErrorCode::InvalidRecordState;
    assert_eq!(
        refused(&mut partition, "b", &[done(0, 0, &[ACCEPT])]),
        state
    );
    let past = [done(0, 3, &[ACCEPT]), done(8, 12, &[ACCEPT])];
    assert_eq!(
        refused(&mut partition, "a", &past),
        ErrorCode::InvalidRequest
    );
    assert_eq!(
        partition.delivery_complete_count(),
        0,
        "nothing of it is done"
    );
    let write = partition.acknowledge("a", &[done(0, 9, &[ACCEPT])], &LIMITS, 0);
    let write = write.unwrap().unwrap();
    assert_eq!(
        refused(&mut partition, "a", &[done(3, 3, &[RELEASE])]),
        state,
        "in transition"
    );
    partition.complete(write.transition, false, &LIMITS, 0);
    partition.check_invariants();
    assert_eq!(partition.start_offset(), 0, "it could not be written");
    settle(&mut partition, "a", &[done(0, 9, &[ACCEPT])]);
    assert_eq!(
        partition.acknowledge("a", &[done(0, 9, &[ACCEPT])], &LIMITS, 0),
        Ok(None)
    );
}

#[test]
fn locks_run_out_and_can_be_renewed() {
    let mut partition = at_start();
    acquire(&mut partition, "a", &log(&[(0, 3)]), 0);
    assert_eq!(partition.next_deadline_ms(), Some(100));
    let renewed = partition.acknowledge("a", &[done(2, 3, &[RENEW])], &LIMITS, 60);
    assert_eq!(renewed, Ok(None), "nothing to write");
    let write = partition.expire(&LIMITS, 100).unwrap();
    assert_eq!(write.batches.len(), 1);
    assert_eq!(
        (write.batches[0].first_offset, write.batches[0].last_offset),
        (0, 1)
    );
    assert_eq!(partition.next_deadline_ms(), Some(160));
    assert_eq!(
        ranges(&acquire(&mut partition, "b", &log(&[(0, 3)]), 100)),
        [(0, 1, 2)]
    );
    let no_renewal = Limits {
        allows_renewal: false,
        ..LIMITS
    };
    let refused = partition.acknowledge("a", &[done(2, 3, &[RENEW])], &no_renewal, 60);
    assert_eq!(refused.unwrap_err().code, ErrorCode::InvalidRecordState);
}

#[test]
fn what_fails_again_and_again_is_delivered_with_ever_fewer_others_and_given_up() {
    let mut partition = at_start();
    let fetched = log(&[(0, 15)]);
    let mut deliveries: BTreeMap<i64, i16> = BTreeMap::new();
    let mut sizes = Vec::new();
    loop {
        let acquired = acquire(&mut partition, "a", &fetched, 0);
        let Some(first) = acquired.first() else { break };
        let last = acquired.last().unwrap().last_offset;
        sizes.push(last - first.first_offset + 1);
        for own in &acquired {
            for offset in own.first_offset..=own.last_offset {
                let before = deliveries.insert(offset, own.deliveries).unwrap_or(0);
                assert_eq!(own.deliveries, before + 1);
            }
        }
        settle(
            &mut partition,
            "a",
            &[done(first.first_offset, last, &[RELEASE])],
        );
    }
    assert!(
        deliveries.values().all(|count| *count == 5),
        "{deliveries:?}"
    );
    assert_eq!(sizes[..3], [16, 16, 16]);
    assert_eq!(sizes[3], 8, "half of them");
    assert!(sizes.contains(&1), "the last attempt is alone");
    assert_eq!(partition.start_offset(), 16);
}

#[test]
fn no_more_is_locked_than_may_be() {
    let mut partition = at_start();
    let fetched = log(&[(0, 39), (40, 49), (50, 59)]);
    assert_eq!(
        ranges(&acquire(&mut partition, "a", &fetched, 0)),
        [(0, 49, 1)]
    );
    assert!(!partition.can_acquire(&LIMITS));
    assert!(acquire(&mut partition, "b", &log(&[(50, 59)]), 0).is_empty());
    settle(&mut partition, "a", &[done(20, 29, &[RELEASE])]);
    assert!(partition.can_acquire(&LIMITS), "some came back");
    assert_eq!(
        ranges(&acquire(&mut partition, "b", &fetched, 0)),
        [(20, 29, 2)]
    );
}

#[test]
fn fetches_get_what_they_ask_for() {
    let fetched = log(&[(0, 9), (10, 19), (20, 29)]);
    let wish = Wish {
        max_records: 12,
        batch_size: 10,
        is_strict: false,
    };
    let mut partition = at_start();
    let acquired = acquire_as(&mut partition, "a", &fetched, 0, &wish);
    assert_eq!(ranges(&acquired), [(0, 9, 1), (10, 19, 1)], "whole batches");
    let mut partition = at_start();
    let strict = Wish {
        is_strict: true,
        ..wish
    };
    let acquired = acquire_as(&mut partition, "a", &fetched, 0, &strict);
    assert_eq!(ranges(&acquired), [(0, 11, 1)]);
    let acquired = acquire_as(&mut partition, "b", &log(&[(10, 19)]), 0, &strict);
    assert_eq!(ranges(&acquired), [(12, 19, 1)], "the rest is another's");
}

#[test]
fn what_the_log_has_no_more_is_not_waited_for() {
    let mut partition = at_start();
    acquire(&mut partition, "a", &log(&[(0, 9)]), 0);
    settle(&mut partition, "a", &[done(2, 5, &[RELEASE])]);
    // Compaction has removed what came back, and something that was never fetched.
    assert!(acquire(&mut partition, "b", &log(&[(7, 9)]), 0).is_empty());
    assert_eq!(
        ranges(&acquire(&mut partition, "b", &log(&[(15, 19)]), 0)),
        [(15, 19, 1)]
    );
    settle(
        &mut partition,
        "a",
        &[done(0, 1, &[ACCEPT]), done(6, 9, &[ACCEPT])],
    );
    assert_eq!(partition.start_offset(), 15);
    partition.log_start_moved(17);
    partition.check_invariants();
    assert_eq!(partition.start_offset(), 17);
    let late = partition.acknowledge("b", &[done(15, 16, &[ACCEPT])], &LIMITS, 0);
    assert_eq!(late, Ok(None));
    settle(&mut partition, "b", &[done(15, 19, &[ACCEPT])]);
    partition.log_start_moved(40);
    assert_eq!(
        (partition.start_offset(), partition.fetch_offset()),
        (40, 40)
    );
}

#[test]
fn aborted_records_go_to_nobody() {
    let mut partition = at_start();
    let fetched = Fetched {
        batches: vec![(0, 4), (5, 9), (10, 14)],
        aborted: vec![(5, 9)],
    };
    assert_eq!(
        ranges(&acquire(&mut partition, "a", &fetched, 0)),
        [(0, 4, 1), (10, 14, 1)]
    );
    settle(&mut partition, "a", &[done(0, 4, &[ACCEPT])]);
    assert_eq!(partition.start_offset(), 10);
}

/// What is written of a share partition, as the share coordinator keeps it.
#[derive(Clone, Default)]
struct Written {
    start_offset: i64,
    batches: Vec<StateBatch>,
}

/// The records that nobody gets any more once this is written.
fn finished(write: &ToWrite) -> impl Iterator<Item = i64> + '_ {
    let finished = write
        .batches
        .iter()
        .filter(|batch| batch.delivery_state > 0);
    finished.flat_map(|batch| batch.first_offset..=batch.last_offset)
}

/// One history: members, what they have, and what they were told.
struct History {
    random: fastrand::Rng,
    partition: SharePartition,
    written: Written,
    /// First and last offsets of the log's batches.
    log: Vec<(i64, i64)>,
    log_start: i64,
    now: i64,
    held: BTreeMap<i64, Arc<str>>,
    /// Writes whose outcome is not known yet.
    open: VecDeque<(ToWrite, bool)>,
    /// Acknowledged or given up, and that was written.
    done: BTreeSet<i64>,
    /// Out of attempts, which need not be written.
    given_up: BTreeSet<i64>,
    delivered: BTreeMap<i64, i16>,
}

impl History {
    fn new(seed: u64) -> History {
        History {
            random: fastrand::Rng::with_seed(seed),
            partition: at_start(),
            written: Written::default(),
            log: Vec::new(),
            log_start: 0,
            now: 0,
            held: BTreeMap::new(),
            open: VecDeque::new(),
            done: BTreeSet::new(),
            given_up: BTreeSet::new(),
            delivered: BTreeMap::new(),
        }
    }

    fn end(&self) -> i64 {
        self.log.last().map_or(0, |(_, last)| last + 1)
    }

    fn append(&mut self) {
        let first = self.end();
        self.log.push((first, first + self.random.i64(0..8)));
    }

    fn fetch(&mut self, member: &Arc<str>) {
        if !self.partition.can_acquire(&LIMITS) {
            return;
        }
        self.partition.log_start_moved(self.log_start);
        let offset = self.partition.fetch_offset();
        let batches = self.log.iter().filter(|(_, last)| *last >= offset);
        let batches = batches.take(self.random.usize(1..5)).copied().collect();
        let fetched = Fetched {
            batches,
            aborted: Vec::new(),
        };
        let wish = Wish {
            max_records: self.random.i64(1..20),
            batch_size: self.random.i64(1..10),
            is_strict: self.random.bool(),
        };
        let partition = &mut self.partition;
        for own in partition.acquire(member, &fetched, offset, &wish, &LIMITS, self.now) {
            assert!((1..=LIMITS.deliveries).contains(&own.deliveries), "{own:?}");
            for offset in own.first_offset..=own.last_offset {
                assert!(!self.done.contains(&offset), "{offset} is delivered again");
                let owner = self.held.insert(offset, member.clone());
                assert_eq!(owner, None, "{offset} is another's");
                self.delivered.insert(offset, own.deliveries);
            }
        }
    }

    /// Acknowledges some of what the member has.
    fn acknowledge(&mut self, member: &Arc<str>, accept_all: bool) {
        let mut batches = Vec::new();
        let mut settled = Vec::new();
        for (offset, owner) in &self.held {
            if owner != member || !accept_all && self.random.bool() {
                continue;
            }
            let kind = match accept_all {
                true => ACCEPT,
                false => [ACCEPT, ACCEPT, RELEASE, REJECT][self.random.usize(..4)],
            };
            batches.push(done(*offset, *offset, &[kind]));
            settled.push(*offset);
        }
        match self
            .partition
            .acknowledge(member, &batches, &LIMITS, self.now)
        {
            Ok(Some(write)) => self.write(write, settled),
            Ok(None) => {}
            Err(refusal) => panic!("{refusal:?}: {batches:?} of {:?}", self.held),
        }
    }

    fn write(&mut self, write: ToWrite, settled: Vec<i64>) {
        for offset in &settled {
            self.held.remove(offset);
        }
        let is_written = self.random.u8(..10) > 0;
        if is_written {
            let batches = combine(&self.written.batches, &write.batches, write.start_offset);
            self.written = Written {
                start_offset: write.start_offset,
                batches,
            };
        }
        self.open.push_back((write, is_written));
        if self.random.bool() {
            self.complete_all();
        }
    }

    fn complete_all(&mut self) {
        while let Some((write, is_written)) = self.open.pop_front() {
            self.partition
                .complete(write.transition, is_written, &LIMITS, self.now);
            if is_written {
                self.done.extend(finished(&write));
            } else {
                self.find_held();
            }
        }
    }

    /// Whoever was told that it failed has its records still, unless time has run out.
    fn find_held(&mut self) {
        let members: [Arc<str>; 3] = ["a".into(), "b".into(), "c".into()];
        for offset in self.log_start..self.end() {
            if self.held.contains_key(&offset) {
                continue;
            }
            for member in &members {
                let renew = [done(offset, offset, &[RENEW])];
                let is_held = self
                    .partition
                    .acknowledge(member, &renew, &LIMITS, self.now)
                    .is_ok();
                if is_held && offset >= self.partition.start_offset() {
                    self.held.insert(offset, member.clone());
                }
            }
        }
    }

    fn sleep(&mut self) {
        self.complete_all();
        self.now += self.random.i64(1..80);
        let write = self.partition.expire(&LIMITS, self.now);
        for batch in write.iter().flat_map(|write| &write.batches) {
            for offset in batch.first_offset..=batch.last_offset {
                assert!(self.held.remove(&offset).is_some(), "{offset} was nobody's");
            }
        }
        if let Some(write) = write {
            // That counts though it may not be written.
            self.given_up.extend(finished(&write));
            self.write(write, Vec::new());
        }
    }

    fn leave(&mut self, member: &Arc<str>) {
        self.complete_all();
        if let Some(write) = self.partition.release(member, &LIMITS) {
            let owned = self.held.iter().filter(|(_, owner)| *owner == member);
            let owned: Vec<i64> = owned.map(|(offset, _)| *offset).collect();
            self.write(write, owned);
        }
    }

    fn delete_records(&mut self) {
        self.complete_all();
        let to = self.random.i64(self.log_start..=self.end());
        let batches = self.log.iter().filter(|(_, last)| *last < to).count();
        self.log_start = to;
        self.log
            .drain(..batches.min(self.log.len().saturating_sub(1)));
        self.partition.log_start_moved(to);
        self.held.retain(|offset, _| *offset >= to);
    }

    fn restart(&mut self) {
        for (write, is_written) in std::mem::take(&mut self.open) {
            if is_written {
                self.done.extend(finished(&write));
            }
        }
        self.held.clear();
        let state = Read {
            state_epoch: 1,
            start_offset: self.written.start_offset,
            batches: self.written.batches.clone(),
        };
        self.partition = SharePartition::load(&state, 0);
        self.partition.log_start_moved(self.log_start);
    }

    fn step(&mut self) {
        let member: Arc<str> = ["a", "b", "c"][self.random.usize(..3)].into();
        match self.random.u8(..100) {
            0..20 => self.append(),
            20..50 => self.fetch(&member),
            50..80 => self.acknowledge(&member, false),
            80..92 => self.sleep(),
            92..96 => self.leave(&member),
            96..97 => self.delete_records(),
            97..99 => self.restart(),
            _ => self.complete_all(),
        }
        self.partition.check_invariants();
    }

    /// One member that accepts everything gets to the end.
    fn drain(&mut self) {
        let member: Arc<str> = "a".into();
        for _ in 0..10_000 {
            if self.partition.start_offset() >= self.end() {
                break;
            }
            self.fetch(&member);
            self.acknowledge(&member, true);
            self.complete_all();
            self.sleep();
        }
        assert_eq!(
            self.partition.start_offset(),
            self.end(),
            "{:?}",
            self.partition
        );
        for offset in self.log_start..self.end() {
            let is_done = self.done.contains(&offset) || self.given_up.contains(&offset);
            assert!(is_done, "{offset} is lost");
            assert!(
                self.delivered.contains_key(&offset),
                "{offset} was never delivered"
            );
        }
    }
}

#[test]
fn random_histories_lose_nothing_and_repeat_nothing() {
    let first = match std::env::var("SHARE_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => fastrand::u64(..u64::MAX / 2),
    };
    for seed in first..first + 200 {
        println!("SHARE_SEED={seed}");
        let mut history = History::new(seed);
        for _ in 0..400 {
            history.step();
        }
        history.drain();
    }
}
