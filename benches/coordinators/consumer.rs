//! Groups of the new consumer protocol (KIP-848): they form, grow and shrink by one.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kafkars::protocol::Uuid;
use kafkars::protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafkars::protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use super::support::node::Node;
use super::support::report::{Report, Target};
use super::support::turns::Bench;
use super::support::wire::Connection;

const HEARTBEAT_VERSION: i16 = 1;
const MEMBERS: usize = 8;
const PARTITIONS: i32 = 16;
const LEAVE_EPOCH: i32 = -1;
/// Between two heartbeats of a member that has nothing to say.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(60);

struct Measured {
    form_ms: f64,
    grow_ms: f64,
    shrink_ms: f64,
    cpu_ms: f64,
}

impl Bench<'_> {
    pub fn consumer(&self, report: &mut Report) {
        let name = "KIP-848 group of 8 members, one more, one less";
        if !self.options.wants(name) {
            return;
        }
        self.warm_up(|node| measure(node).cpu_ms);
        for rep in 0..self.options.reps {
            let all = self.in_turn(rep, measure);
            let mut add = |unit, target, value: fn(&Measured) -> f64| {
                report.add(name, unit, target, value(&all[0]), all.get(1).map(value));
            };
            add("CPU ms", Target::None, |m| m.cpu_ms);
            add("ms to form", Target::RatioAtMost(1.0), |m| m.form_ms);
            add("ms to grow", Target::RatioAtMost(1.0), |m| m.grow_ms);
            add("ms to shrink", Target::RatioAtMost(1.0), |m| m.shrink_ms);
        }
    }
}

fn measure(node: &Node) -> Measured {
    let topic = format!("consumer-{:08x}", fastrand::u32(..));
    let mut admin = node.connect();
    admin.find_coordinator("any", 0);
    admin.create_topic(&topic, PARTITIONS);
    let cpu = node.cpu_seconds();
    let group = Group {
        node,
        topic,
        owned: Mutex::new(vec![None; MEMBERS + 1]),
        leaves: (0..=MEMBERS).map(|_| AtomicBool::new(false)).collect(),
    };
    let (form, grow, shrink) = thread::scope(|scope| {
        let group = &group;
        let spawn = |index| scope.spawn(move || Member::new(group, index).live());
        let form = group.settle(MEMBERS, || {
            (0..MEMBERS).for_each(|index| drop(spawn(index)))
        });
        let grow = group.settle(MEMBERS + 1, || drop(spawn(MEMBERS)));
        let shrink = group.settle(MEMBERS, || group.leaves[0].store(true, Ordering::Relaxed));
        for leaves in &group.leaves {
            leaves.store(true, Ordering::Relaxed);
        }
        (form, grow, shrink)
    });
    let cpu = node.cpu_seconds() - cpu;
    admin.delete_topic(&group.topic);
    Measured {
        form_ms: form,
        grow_ms: grow,
        shrink_ms: shrink,
        cpu_ms: cpu * 1e3,
    }
}

/// A member epoch, and the partitions that go with it.
type Owned = (i32, Vec<i32>);

struct Group<'a> {
    node: &'a Node<'a>,
    topic: String,
    /// Of each member; none if it is not there.
    owned: Mutex<Vec<Option<Owned>>>,
    leaves: Vec<AtomicBool>,
}

impl Group<'_> {
    /// How long it takes from `change` on until all partitions are fairly dealt out among `members`, in milliseconds.
    fn settle(&self, members: usize, change: impl FnOnce()) -> f64 {
        let start = Instant::now();
        change();
        while !self.is_settled(members) {
            assert!(start.elapsed() < PATIENCE, "{:?}", self.owned);
            thread::sleep(Duration::from_micros(200));
        }
        start.elapsed().as_secs_f64() * 1e3
    }

    fn is_settled(&self, members: usize) -> bool {
        let owned = self.owned.lock().expect("no member has panicked");
        let present: Vec<_> = owned.iter().flatten().collect();
        let epochs: BTreeSet<i32> = present.iter().map(|(epoch, _)| *epoch).collect();
        let dealt: usize = present.iter().map(|(_, partitions)| partitions.len()).sum();
        let all: BTreeSet<i32> = present.iter().flat_map(|(_, p)| p).copied().collect();
        present.len() == members
            && epochs.len() == 1
            && dealt == PARTITIONS as usize
            && all.len() == dealt
            && present.iter().all(|(_, partitions)| !partitions.is_empty())
    }
}

struct Member<'a> {
    group: &'a Group<'a>,
    index: usize,
    connection: Connection,
    id: String,
    epoch: i32,
    topic_id: Uuid,
    partitions: Vec<i32>,
}

impl<'a> Member<'a> {
    fn new(group: &'a Group<'a>, index: usize) -> Member<'a> {
        Member {
            group,
            index,
            connection: group.node.connect(),
            id: Uuid::from_random(fastrand::u128(..)).to_string(),
            epoch: 0,
            topic_id: Uuid::ZERO,
            partitions: Vec::new(),
        }
    }

    fn live(mut self) {
        let mut response = self.heartbeat(true);
        loop {
            let is_news = self.take(response);
            if self.group.leaves[self.index].load(Ordering::Relaxed) {
                self.epoch = LEAVE_EPOCH;
                self.heartbeat(false);
                self.group.owned.lock().expect("no member has panicked")[self.index] = None;
                return;
            }
            // What was assigned or taken away is confirmed at once.
            if !is_news {
                thread::sleep(HEARTBEAT_INTERVAL);
            }
            response = self.heartbeat(is_news);
        }
    }

    /// Whether the assignment has changed.
    fn take(&mut self, response: ConsumerGroupHeartbeatResponse) -> bool {
        let message = response.error_message.as_deref().unwrap_or_default();
        assert_eq!(response.error_code, 0, "heartbeat: {message}");
        self.epoch = response.member_epoch;
        let before = self.partitions.clone();
        for topic in response
            .assignment
            .into_iter()
            .flat_map(|a| a.topic_partitions)
        {
            self.topic_id = topic.topic_id;
            self.partitions = topic.partitions;
        }
        let mut owned = self.group.owned.lock().expect("no member has panicked");
        owned[self.index] = Some((self.epoch, self.partitions.clone()));
        self.partitions != before
    }

    fn heartbeat(&mut self, is_full: bool) -> ConsumerGroupHeartbeatResponse {
        let owned = TopicPartitions {
            topic_id: self.topic_id,
            partitions: self.partitions.clone(),
        };
        let owned = match self.partitions.is_empty() {
            true => Vec::new(),
            false => vec![owned],
        };
        let request = ConsumerGroupHeartbeatRequest {
            group_id: self.group.topic.clone(),
            member_id: self.id.clone(),
            member_epoch: self.epoch,
            rebalance_timeout_ms: if is_full { 300_000 } else { -1 },
            subscribed_topic_names: is_full.then(|| vec![self.group.topic.clone()]),
            topic_partitions: is_full.then_some(owned),
            ..Default::default()
        };
        self.connection.ask(&request, HEARTBEAT_VERSION)
    }
}
