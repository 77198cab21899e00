//! Classic groups: they form, and once more when another member comes.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafkars::protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafkars::protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafkars::protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, SyncGroupRequest,
    leave_group_request::MemberIdentity,
};

use super::support::node::Node;
use super::support::report::{Report, Target};
use super::support::turns::Bench;
use super::support::wire::Connection;

const JOIN_VERSION: i16 = 9;
const SYNC_VERSION: i16 = 5;
const HEARTBEAT_VERSION: i16 = 4;
const LEAVE_VERSION: i16 = 5;
const REBALANCE_IN_PROGRESS: i16 = 27;
const MEMBER_ID_REQUIRED: i16 = 79;
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a member asks whether it has to rejoin.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(250);
/// Formed at once, so that the broker's CPU is more than its clock's ticks.
const GROUPS: usize = 4;

struct Measured {
    form_s: f64,
    rebalance_s: f64,
    cpu_ms_per_group: f64,
}

impl Bench<'_> {
    pub fn classic(&self, report: &mut Report) {
        let members = self.options.size("BENCH_MEMBERS", 100, 20) as usize;
        let name = format!("classic group of {members} members, then one more");
        if !self.options.wants(&name) {
            return;
        }
        let once = |node: &Node| measure(node, members);
        self.warm_up(|node| once(node).cpu_ms_per_group);
        for rep in 0..self.options.reps {
            let all = self.in_turn(rep, once);
            let mut add = |unit, target, value: fn(&Measured) -> f64| {
                report.add(&name, unit, target, value(&all[0]), all.get(1).map(value));
            };
            add("CPU ms", Target::RatioAtMost(0.33), |m| m.cpu_ms_per_group);
            add("s to form", Target::RatioAtMost(1.0), |m| m.form_s);
            add("s to rebalance", Target::RatioAtMost(1.0), |m| {
                m.rebalance_s
            });
        }
    }
}

fn measure(node: &Node, members: usize) -> Measured {
    node.connect().find_coordinator("any", 0);
    let cpu = node.cpu_seconds();
    let groups: Vec<Group> = (0..GROUPS).map(|_| Group::new(node, members)).collect();
    let times = thread::scope(|scope| {
        let running: Vec<_> = groups.iter().map(|g| scope.spawn(|| g.run())).collect();
        let times = running.into_iter().map(|g| g.join().expect("a group"));
        times.collect::<Vec<_>>()
    });
    let cpu = node.cpu_seconds() - cpu;
    let latest = |of: fn(&(f64, f64)) -> f64| times.iter().map(of).fold(0.0, f64::max);
    Measured {
        form_s: latest(|(form, _)| *form),
        rebalance_s: latest(|(_, rebalance)| *rebalance),
        cpu_ms_per_group: cpu * 1e3 / GROUPS as f64,
    }
}

struct Group<'a> {
    node: &'a Node<'a>,
    id: String,
    members: usize,
    /// Of each member: how many the group had when it last became stable.
    sizes: Mutex<Vec<usize>>,
}

impl<'a> Group<'a> {
    fn new(node: &'a Node<'a>, members: usize) -> Group<'a> {
        Group {
            node,
            id: format!("classic-{:08x}", fastrand::u32(..)),
            members,
            sizes: Mutex::new(vec![0; members + 1]),
        }
    }

    /// How long it took to form, and to be stable again when another member had come.
    fn run(&self) -> (f64, f64) {
        thread::scope(|scope| {
            let start = Instant::now();
            for index in 0..self.members {
                scope.spawn(move || Member::new(self, index).live());
            }
            let formed = self.wait_for(self.members, start);
            let start = Instant::now();
            scope.spawn(|| Member::new(self, self.members).live());
            (formed, self.wait_for(self.members + 1, start))
        })
    }

    fn wait_for(&self, size: usize, start: Instant) -> f64 {
        loop {
            let stable = self.count(size);
            if stable == size {
                return start.elapsed().as_secs_f64();
            }
            assert!(start.elapsed() < PATIENCE, "{stable} of {size} are stable");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// How many members know a group of that size.
    fn count(&self, size: usize) -> usize {
        let sizes = self.sizes.lock().expect("no member has panicked");
        sizes.iter().filter(|known| **known == size).count()
    }
}

struct Member<'a> {
    group: &'a Group<'a>,
    index: usize,
    connection: Connection,
    id: String,
    generation: i32,
}

impl<'a> Member<'a> {
    fn new(group: &'a Group<'a>, index: usize) -> Member<'a> {
        Member {
            group,
            index,
            connection: group.node.connect(),
            id: String::new(),
            generation: -1,
        }
    }

    /// Takes part until the last member has come and all know of it.
    fn live(mut self) {
        let last_size = self.group.members + 1;
        self.join();
        while self.group.count(last_size) < last_size {
            thread::sleep(HEARTBEAT_INTERVAL);
            let request = HeartbeatRequest {
                group_id: self.group.id.clone(),
                generation_id: self.generation,
                member_id: self.id.clone(),
                ..Default::default()
            };
            match self.connection.ask(&request, HEARTBEAT_VERSION).error_code {
                0 => {}
                REBALANCE_IN_PROGRESS if self.group.count(last_size) < last_size => self.join(),
                REBALANCE_IN_PROGRESS => break,
                error => panic!("heartbeat: error {error}"),
            }
        }
        self.leave();
    }

    fn join(&mut self) {
        loop {
            let joined = self.ask_to_join();
            match joined.error_code {
                0 => {}
                MEMBER_ID_REQUIRED => {
                    self.id = joined.member_id;
                    continue;
                }
                error => panic!("join: error {error}"),
            }
            self.generation = joined.generation_id;
            if let Some(size) = self.sync(&joined) {
                let mut sizes = self.group.sizes.lock().expect("no member has panicked");
                sizes[self.index] = size;
                return;
            }
        }
    }

    fn ask_to_join(&mut self) -> JoinGroupResponse {
        let request = JoinGroupRequest {
            group_id: self.group.id.clone(),
            session_timeout_ms: 45_000,
            rebalance_timeout_ms: 300_000,
            member_id: self.id.clone(),
            protocol_type: "consumer".to_owned(),
            protocols: vec![JoinGroupRequestProtocol {
                name: "range".to_owned(),
                metadata: Bytes::from_static(
                    b"\0\x01\0\0\0\x01\0\x05topic\xff\xff\xff\xff\0\0\0\0",
                ),
            }],
            ..Default::default()
        };
        self.connection.ask(&request, JOIN_VERSION)
    }

    /// The size of the group, which its leader gives to everyone as assignment; none if it has to rejoin.
    fn sync(&mut self, joined: &JoinGroupResponse) -> Option<usize> {
        let size = u32::try_from(joined.members.len()).expect("a size");
        let assignments = joined.members.iter().map(|member| {
            let assignment = Bytes::copy_from_slice(&size.to_be_bytes());
            SyncGroupRequestAssignment {
                member_id: member.member_id.clone(),
                assignment,
            }
        });
        let request = SyncGroupRequest {
            group_id: self.group.id.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            protocol_type: joined.protocol_type.clone(),
            protocol_name: joined.protocol_name.clone(),
            assignments: assignments.collect(),
            ..Default::default()
        };
        let synced = self.connection.ask(&request, SYNC_VERSION);
        match synced.error_code {
            0 => {
                let size = synced.assignment.first_chunk().expect("a size");
                Some(u32::from_be_bytes(*size) as usize)
            }
            REBALANCE_IN_PROGRESS => None,
            error => panic!("sync: error {error}"),
        }
    }

    fn leave(&mut self) {
        let request = LeaveGroupRequest {
            group_id: self.group.id.clone(),
            members: vec![MemberIdentity {
                member_id: self.id.clone(),
                ..Default::default()
            }],
            ..Default::default()
        };
        self.connection.ask(&request, LEAVE_VERSION);
    }
}
