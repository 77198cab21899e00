//! Random producers, lost answers, restarts, logs that refuse, clocks that jump: a transaction ends
//! the same way in all of its partitions, and the way its producer was told.
use std::collections::BTreeMap;

use super::context::*;
use crate::coordinator::histories;
use crate::coordinator::transaction::{
    Markers, ProducerIdAndEpoch, TransactionConfig, TransactionReply, TransactionRequest,
    TransactionState,
};
use crate::protocol::ErrorCode;

const PARTITIONS: i32 = 3;
const STEPS: u64 = 30_000;
const STEPS_PER_ROUND: u64 = 1_000;

/// Names a transaction that a producer began.
type Tag = u64;

/// A partition that is written to: as the log keeps it, but with tags for records.
#[derive(Default)]
struct Partition {
    /// Of each producer id: its epoch, and what is open.
    open: BTreeMap<i64, (i16, Vec<Tag>)>,
}

#[derive(Clone, Default)]
struct Producer {
    owner: Option<ProducerIdAndEpoch>,
    version: i16,
    /// Its transaction under way.
    tag: Option<Tag>,
    /// It has asked to end it so, and does not know yet whether it was heard.
    ending: Option<bool>,
}

struct World {
    context: Context,
    rng: fastrand::Rng,
    partitions: Vec<Partition>,
    producers: Vec<Producer>,
    outcomes: BTreeMap<Tag, bool>,
    last_tag: Tag,
    /// The finalised transaction version.
    version: i16,
}

impl World {
    fn new(seed: u64) -> World {
        let mut rng = fastrand::Rng::with_seed(seed);
        let version = if rng.bool() { 2 } else { 0 };
        let config = TransactionConfig {
            version,
            id_expiration_ms: 3_600_000,
            ..TransactionConfig::default()
        };
        World {
            context: Context::with(config),
            rng,
            partitions: (0..PARTITIONS).map(|_| Partition::default()).collect(),
            producers: vec![Producer::default(); 2],
            outcomes: BTreeMap::new(),
            last_tag: 0,
            version,
        }
    }

    fn step(&mut self) {
        let who = self.rng.usize(..self.producers.len());
        match self.rng.u32(..100) {
            0..10 => self.start(who),
            10..55 => self.write(who),
            55..75 => self.end(who),
            75..88 => self.deliver(),
            88..93 => {
                let ms = [1, 500, 9_000, 70_000][self.rng.usize(..4)];
                self.context.sleep(ms);
            }
            93 => self.context.now.wall_ms += self.rng.i64(-60_000..60_000),
            94 => self.context.sleep(4_000_000),
            95..97 => {
                let fails = self.rng.bool();
                self.context.failure = fails.then_some(ErrorCode::NotEnoughReplicas);
            }
            _ => self.context.restart(),
        }
        self.check();
    }

    fn start(&mut self, who: usize) {
        let known = self.producers[who].owner.filter(|_| self.rng.bool());
        let token = self.context.send_init(known);
        let answer = self.context.answer(token);
        let heard = self.rng.u32(..5) > 0;
        if let (Some(Ok(TransactionReply::Initialized(Ok(owner)))), true) = (answer, heard) {
            let version = if self.rng.bool() { self.version } else { 0 };
            self.producers[who] = Producer {
                owner: Some(owner),
                version,
                tag: None,
                ending: None,
            };
        }
    }

    /// Adds a partition and writes to it, as the log lets it.
    fn write(&mut self, who: usize) {
        let producer = self.producers[who].clone();
        let (Some(owner), None) = (producer.owner, producer.ending) else {
            return;
        };
        let index = self.rng.i32(0..PARTITIONS);
        let added = self
            .context
            .add(owner, &partitions("t", &[index]), producer.version);
        if let Err(error) = added {
            return self.learn(who, error);
        }
        let known = self.context.verify(owner).expect("just added");
        assert!(known["t"].contains(&index));
        let tag = producer.tag.unwrap_or_else(|| {
            self.last_tag += 1;
            self.last_tag
        });
        self.producers[who].tag = Some(tag);
        let open = &mut self.partitions[index as usize].open;
        let (epoch, tags) = open
            .entry(owner.producer_id)
            .or_insert((owner.epoch, vec![]));
        assert!(owner.epoch >= *epoch, "the coordinator let a zombie in");
        *epoch = owner.epoch;
        tags.push(tag);
    }

    fn end(&mut self, who: usize) {
        let producer = self.producers[who].clone();
        let Some(owner) = producer.owner else { return };
        let committed = producer.ending.unwrap_or_else(|| self.rng.bool());
        self.producers[who].ending = Some(committed);
        let token = self.context.send_end(owner, committed, producer.version);
        if self.rng.bool() {
            self.deliver();
        }
        let Some(answer) = self.context.ended(token) else {
            // It waits; or is lost.
            if self.rng.bool() {
                let delayed = TransactionRequest::MarkersDelayed(ID.to_owned());
                let _ = self.context.ask(delayed);
            }
            return;
        };
        let next = match answer {
            Ok(next) => next,
            Err(error) => return self.learn(who, error),
        };
        if let Some(tag) = producer.tag {
            self.decided(tag, committed);
        }
        let me = &mut self.producers[who];
        (me.tag, me.ending) = (None, None);
        if producer.version >= 2 {
            me.owner = Some(next);
        }
    }

    /// A producer gives up on errors that do not pass.
    fn learn(&mut self, who: usize, error: ErrorCode) {
        let passes = matches!(
            error,
            ErrorCode::ConcurrentTransactions | ErrorCode::CoordinatorNotAvailable
        );
        if !passes {
            self.producers[who] = Producer::default();
        }
    }

    /// What was decided must never be decided otherwise.
    fn decided(&mut self, tag: Tag, committed: bool) {
        let before = self.outcomes.insert(tag, committed);
        assert!(
            before.is_none_or(|before| before == committed),
            "transaction {tag} was told or written both ways"
        );
    }

    /// Writes markers: all of them, or some before the coordinator dies.
    fn deliver(&mut self) {
        let dies = self.rng.u32(..6) == 0;
        let due: Vec<Markers> = std::mem::take(&mut self.context.markers).into();
        for markers in &due {
            for index in markers.partitions.values().flatten() {
                if !dies || self.rng.bool() {
                    self.write_marker(*index as usize, markers);
                }
            }
        }
        if dies {
            return self.context.restart();
        }
        for markers in due {
            let request = TransactionRequest::MarkersWritten(markers.clone());
            // Said again until it is heard.
            if self.context.ask(request).is_err() {
                self.context.markers.push_back(markers);
            }
        }
    }

    fn write_marker(&mut self, index: usize, markers: &Markers) {
        let open = &mut self.partitions[index].open;
        let Some((epoch, tags)) = open.get_mut(&markers.producer_id) else {
            return;
        };
        assert!(markers.producer_epoch >= *epoch, "a late marker");
        *epoch = markers.producer_epoch;
        for tag in std::mem::take(tags) {
            self.decided(tag, markers.committed);
        }
    }

    /// With time and a working log everything comes to an end.
    fn finish(&mut self) {
        self.context.failure = None;
        self.context.sleep(i64::from(TIMEOUT_MS) * 3);
        while !self.context.markers.is_empty() {
            self.deliver();
        }
        self.check();
        let known = self.context.shard.transactions().get(ID);
        assert!(known.is_none_or(|known| known.state != TransactionState::Ongoing));
    }

    fn check(&self) {
        let mut live = self.context.shard.transactions().clone();
        for transaction in live.values_mut() {
            // What no log keeps.
            transaction.last_producer_epoch = -1;
            if self.version == 0 {
                transaction.previous_producer_id = -1;
            }
        }
        assert_eq!(live, self.context.added_up(), "the log is the state");
        let known = live.get(ID);
        let is_idle = known.is_none_or(|known| known.state.is_idle());
        for (index, partition) in self.partitions.iter().enumerate() {
            let hangs = partition.open.values().any(|(_, tags)| !tags.is_empty());
            assert!(!(hangs && is_idle), "a transaction hangs in t-{index}");
        }
    }
}

#[test]
fn transactions_are_atomic_whatever_happens() {
    let mut ended = [0, 0];
    let rounds = histories::play(STEPS, STEPS_PER_ROUND, |seed| {
        let mut world = World::new(seed);
        for _ in 0..STEPS_PER_ROUND {
            world.step();
        }
        world.finish();
        for committed in world.outcomes.values() {
            ended[usize::from(*committed)] += 1;
        }
    });
    assert!(
        ended[0] > rounds && ended[1] > rounds,
        "aborted, committed: {ended:?}"
    );
}
