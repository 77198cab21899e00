//! Many groups of one member.

use std::thread;
use std::time::Duration;

use bytes::Bytes;
use kafkars::protocol::frame;
use kafkars::protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafkars::protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafkars::protocol::messages::{JoinGroupRequest, JoinGroupResponse, SyncGroupRequest};

use super::support::node::Node;
use super::support::report::{Report, Target};
use super::support::turns::Bench;
use super::support::wire::{Connection, encode};

const JOIN_VERSION: i16 = 9;
const SYNC_VERSION: i16 = 5;
const MEMBER_ID_REQUIRED: i16 = 79;
const GROUPS: usize = 1000;
const REST: Duration = Duration::from_secs(3);

impl Bench<'_> {
    /// The first measurement of a run: what it adds is told from a node that has done nothing else.
    pub fn single(&self, report: &mut Report) {
        let name = "1,000 groups of one member, beyond their connections";
        if !self.options.wants(name) {
            return;
        }
        let grown: Vec<f64> = self.nodes.iter().map(measure).collect();
        let target = Target::AtMost(20.0);
        report.add(name, "kB a group", target, grown[0], grown.get(1).copied());
    }
}

fn measure(node: &Node) -> f64 {
    let mut members: Vec<Connection> = (0..GROUPS).map(|_| node.connect()).collect();
    for (index, member) in members.iter_mut().enumerate() {
        member.find_coordinator(&group(index), 0);
    }
    thread::sleep(REST);
    let before = node.rss_mb();
    let mut ids = vec![String::new(); GROUPS];
    // The first question gives the member its id, the second lets it in.
    for _ in 0..2 {
        for (index, member) in members.iter_mut().enumerate() {
            let mut request = encode(&join(index, &ids[index]), JOIN_VERSION);
            member.send(&mut request, 1).expect("a request is sent");
        }
        for (index, member) in members.iter_mut().enumerate() {
            let body = member.receive().expect("a response");
            let (_, joined) = frame::decode_response::<JoinGroupResponse>(body, JOIN_VERSION)
                .expect("a response that decodes");
            match joined.error_code {
                MEMBER_ID_REQUIRED => ids[index] = joined.member_id,
                0 => sync(member, index, &joined),
                error => panic!("join: error {error}"),
            }
        }
    }
    thread::sleep(REST);
    (node.rss_mb() - before) * 1e3 / GROUPS as f64
}

fn group(index: usize) -> String {
    format!("single-{index}")
}

fn join(index: usize, member_id: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: group(index),
        session_timeout_ms: 45_000,
        rebalance_timeout_ms: 300_000,
        member_id: member_id.to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".to_owned(),
            metadata: Bytes::from_static(b"\0\x01\0\0\0\x01\0\x05topic\xff\xff\xff\xff\0\0\0\0"),
        }],
        ..Default::default()
    }
}

fn sync(member: &mut Connection, index: usize, joined: &JoinGroupResponse) {
    let request = SyncGroupRequest {
        group_id: group(index),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        protocol_type: joined.protocol_type.clone(),
        protocol_name: joined.protocol_name.clone(),
        assignments: vec![SyncGroupRequestAssignment {
            member_id: joined.member_id.clone(),
            assignment: Bytes::from_static(b"\0\x01\0\0\0\0\0\0\0\0"),
        }],
        ..Default::default()
    };
    let error = member.ask(&request, SYNC_VERSION).error_code;
    assert_eq!(error, 0, "sync");
}
