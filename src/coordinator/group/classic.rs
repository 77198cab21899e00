//! A classic group as its members see it: who is here, which generation, who waits for what.
//! Between two generations nothing of this is in the log; what is, is in [`stored`](super::stored).
//!
//! ```text
//! Empty ──join──▶ PreparingRebalance ──all joined, or time is up──▶ CompletingRebalance
//!   ▲              │    ▲        ▲                                   │             │
//!   └─nobody left──┘    │        └──a member comes, goes or changes──┘       leader's SyncGroup
//!                       │                                                          ▼
//!                       └──────────a member comes, goes or changes────────────── Stable
//! ```
//! Dead is what a group that does not exist is called; no group object is ever in that state.
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::record::{GroupMetadataValue, GroupRecord, MemberMetadata, detached};
use crate::coordinator::shard::Token;
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_groups_response::DescribedGroupMember;
use crate::protocol::messages::join_group_request::JoinGroupRequestProtocol;
use crate::protocol::messages::join_group_response::JoinGroupResponseMember;
use crate::protocol::wire::{DecodeError, Reader};

pub const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }

    /// Whether Kafka lets a group go from `self` to `next`.
    pub fn may_become(self, next: State) -> bool {
        match next {
            State::Empty => self == State::PreparingRebalance,
            State::PreparingRebalance => self != State::PreparingRebalance,
            State::CompletingRebalance => self == State::PreparingRebalance,
            State::Stable => self == State::CompletingRebalance,
        }
    }
}

/// A protocol (assignor) that a member supports, in its order of preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    pub name: String,
    pub metadata: Bytes,
}

impl Protocol {
    pub fn list(request: &[JoinGroupRequestProtocol]) -> Vec<Protocol> {
        let protocol = |p: &JoinGroupRequestProtocol| Protocol {
            name: p.name.clone(),
            metadata: detached(&p.metadata),
        };
        request.iter().map(protocol).collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// `group.instance.id` of a static member (KIP-345).
    pub instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    pub protocols: Vec<Protocol>,
    pub assignment: Bytes,
    pub awaiting_join: Option<Token>,
    pub awaiting_sync: Option<Token>,
    /// In its first join, while it does not know its id yet or has not had an answer.
    pub is_new: bool,
}

impl Member {
    fn from_stored(member: &MemberMetadata, protocol: &str) -> Member {
        let rebalance_timeout_ms = match member.rebalance_timeout {
            -1 => member.session_timeout,
            timeout => timeout,
        };
        Member {
            instance_id: member.group_instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout,
            protocols: vec![Protocol {
                name: protocol.into(),
                metadata: member.subscription.clone(),
            }],
            assignment: member.assignment.clone(),
            awaiting_join: None,
            awaiting_sync: None,
            is_new: false,
        }
    }

    pub fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|p| p.name == protocol)
    }

    /// The metadata it gave for `protocol`; empty if it gave none.
    pub fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|p| p.name == protocol);
        found.map(|p| p.metadata.clone()).unwrap_or_default()
    }

    /// While a member waits for us, silence is not its fault. A new member has to be dropped some
    /// time all the same.
    pub fn may_be_silent(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicGroup {
    pub id: String,
    pub state: State,
    pub previous_state: Option<State>,
    pub generation: i32,
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub leader: Option<String>,
    /// Wall clock. `None` in records of Kafka before 2.1.
    pub state_since_ms: Option<i64>,
    pub members: BTreeMap<String, Member>,
    /// Member ids by instance id.
    pub static_members: BTreeMap<String, String>,
    /// Ids given out that have not joined with it yet (KIP-394).
    pub pending_join: BTreeSet<String>,
    /// Members of the generation that have not sent SyncGroup yet.
    pub pending_sync: BTreeSet<String>,
    /// Somebody joined during the initial rebalance delay: it is worth waiting for more.
    pub new_member_added: bool,
    /// The initial rebalance: how long it waits now, and how much longer it may.
    pub initial_delay_ms: i64,
    pub initial_remaining_ms: i64,
}

impl ClassicGroup {
    pub fn new(id: &str, now_ms: i64) -> ClassicGroup {
        ClassicGroup {
            id: id.into(),
            state: State::Empty,
            previous_state: None,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            state_since_ms: Some(now_ms),
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_join: BTreeSet::new(),
            pending_sync: BTreeSet::new(),
            new_member_added: false,
            initial_delay_ms: 0,
            initial_remaining_ms: 0,
        }
    }

    /// The group as it was when its last generation was written.
    pub fn from_stored(id: &str, value: &GroupMetadataValue) -> ClassicGroup {
        let protocol = value.protocol.as_deref().unwrap_or_default();
        let members: BTreeMap<_, _> = value
            .members
            .iter()
            .map(|member| {
                (
                    member.member_id.clone(),
                    Member::from_stored(member, protocol),
                )
            })
            .collect();
        let instance = |(id, member): (&String, &Member)| {
            member
                .instance_id
                .clone()
                .map(|instance_id| (instance_id, id.clone()))
        };
        let since = value.current_state_timestamp;
        ClassicGroup {
            state: if members.is_empty() {
                State::Empty
            } else {
                State::Stable
            },
            generation: value.generation,
            protocol_type: Some(value.protocol_type.clone()).filter(|name| !name.is_empty()),
            protocol: value.protocol.clone(),
            leader: value.leader.clone(),
            state_since_ms: (since != -1).then_some(since),
            static_members: members.iter().filter_map(instance).collect(),
            members,
            ..ClassicGroup::new(id, 0)
        }
    }

    /// The record of the current generation. Members without an entry in `assignments` get an empty
    /// one.
    pub fn to_record(&self, assignments: &BTreeMap<String, Bytes>) -> GroupRecord {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let member = |(id, member): (&String, &Member)| MemberMetadata {
            member_id: id.clone(),
            group_instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout: member.rebalance_timeout_ms,
            session_timeout: member.session_timeout_ms,
            subscription: member.metadata(protocol),
            assignment: assignments.get(id).cloned().unwrap_or_default(),
            ..MemberMetadata::default()
        };
        let value = GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            current_state_timestamp: self.state_since_ms.unwrap_or(-1),
            members: self.members.iter().map(member).collect(),
            ..GroupMetadataValue::default()
        };
        GroupRecord::ClassicGroup {
            group: self.id.clone(),
            value: Some(value),
        }
    }

    pub fn assignments(&self) -> BTreeMap<String, Bytes> {
        self.members
            .iter()
            .map(|(id, member)| (id.clone(), member.assignment.clone()))
            .collect()
    }

    pub fn transition(&mut self, next: State, now_ms: i64) {
        assert!(
            self.state.may_become(next),
            "group {} cannot go from {} to {}",
            self.id,
            self.state.name(),
            next.name()
        );
        self.previous_state = Some(self.state);
        self.state = next;
        self.state_since_ms = Some(now_ms);
    }

    pub fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    pub fn is_initial_rebalance(&self) -> bool {
        self.state == State::PreparingRebalance && self.previous_state == Some(State::Empty)
    }

    pub fn awaiting_join_count(&self) -> usize {
        self.members
            .values()
            .filter(|member| member.awaiting_join.is_some())
            .count()
    }

    pub fn all_have_joined(&self) -> bool {
        self.pending_join.is_empty()
            && self
                .members
                .values()
                .all(|member| member.awaiting_join.is_some())
    }

    /// The longest that a member may take to rejoin: the time the group waits for it.
    pub fn rebalance_timeout_ms(&self) -> i64 {
        let timeouts = self
            .members
            .values()
            .map(|member| member.rebalance_timeout_ms);
        i64::from(timeouts.max().unwrap_or(0).max(0))
    }

    /// Whether a member that speaks these protocols can join: at least one that all others speak.
    pub fn accepts_protocols(
        &self,
        protocol_type: &str,
        names: &[JoinGroupRequestProtocol],
    ) -> bool {
        if self.state == State::Empty {
            return !protocol_type.is_empty() && !names.is_empty();
        }
        let spoken_by_all = |protocol: &JoinGroupRequestProtocol| {
            self.members
                .values()
                .all(|member| member.supports(&protocol.name))
        };
        self.protocol_type.as_deref() == Some(protocol_type) && names.iter().any(spoken_by_all)
    }

    /// The protocol of the next generation: each member votes for the first of its list that all
    /// can speak. Among equals the first by name wins (in Kafka, the order of a hash map).
    pub fn select_protocol(&self) -> Option<String> {
        let spoken_by_all = |name: &str| self.members.values().all(|member| member.supports(name));
        let candidates: BTreeSet<&str> = match self.members.values().next() {
            Some(member) => {
                let names = member
                    .protocols
                    .iter()
                    .map(|protocol| protocol.name.as_str());
                names.filter(|name| spoken_by_all(name)).collect()
            }
            None => return None,
        };
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let names = member
                .protocols
                .iter()
                .map(|protocol| protocol.name.as_str());
            if let Some(name) = names.into_iter().find(|name| candidates.contains(name)) {
                *votes.entry(name).or_default() += 1;
            }
        }
        let best = votes
            .iter()
            .max_by(|a, b| a.1.cmp(b.1).then_with(|| b.0.cmp(a.0)));
        best.map(|(name, _)| name.to_string())
    }

    pub fn add(&mut self, member_id: String, member: Member, protocol_type: &str) {
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.into());
        }
        if let Some(instance_id) = &member.instance_id {
            self.static_members
                .insert(instance_id.clone(), member_id.clone());
        }
        self.leader.get_or_insert_with(|| member_id.clone());
        self.pending_join.remove(&member_id);
        self.members.insert(member_id, member);
    }

    pub fn remove(&mut self, member_id: &str) -> Option<Member> {
        let removed = self.members.remove(member_id);
        if let Some(instance_id) = removed
            .as_ref()
            .and_then(|member| member.instance_id.as_ref())
        {
            self.static_members.remove(instance_id);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.pending_join.remove(member_id);
        self.pending_sync.remove(member_id);
        removed
    }

    /// Gives a static member a new id. Whoever waited under the old one is returned with the old
    /// member.
    pub fn rename_static(
        &mut self,
        instance_id: &str,
        old_id: &str,
        new_id: &str,
    ) -> Option<Member> {
        let old = self.members.remove(old_id)?;
        let new = Member {
            awaiting_join: None,
            awaiting_sync: None,
            is_new: false,
            ..old.clone()
        };
        self.members.insert(new_id.into(), new);
        if self.is_leader(old_id) {
            self.leader = Some(new_id.into());
        }
        self.static_members
            .insert(instance_id.into(), new_id.into());
        Some(old)
    }

    /// Keeps the leader if it has rejoined, else elects a member that has. `false`: nobody has.
    pub fn elect_joined_leader(&mut self) -> bool {
        let has_joined = |id: &String| {
            self.members
                .get(id)
                .is_some_and(|member| member.awaiting_join.is_some())
        };
        if self.leader.as_ref().is_some_and(has_joined) {
            return true;
        }
        match self.members.keys().find(|id| has_joined(id)) {
            Some(id) if self.leader.is_some() => {
                self.leader = Some(id.clone());
                true
            }
            _ => false,
        }
    }

    /// Whether the caller is the member it says it is.
    pub fn validate_member(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<(), ErrorCode> {
        if let Some(instance_id) = instance_id {
            match self.static_members.get(instance_id) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(owner) if owner != member_id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) {
            Ok(())
        } else {
            Err(ErrorCode::UnknownMemberId)
        }
    }

    /// What the leader needs to assign: every member with its metadata.
    pub fn join_response_members(&self) -> Vec<JoinGroupResponseMember> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let member = |(id, member): (&String, &Member)| JoinGroupResponseMember {
            member_id: id.clone(),
            group_instance_id: member.instance_id.clone(),
            metadata: member.metadata(protocol),
        };
        self.members.iter().map(member).collect()
    }

    pub fn describe_members(&self) -> Vec<DescribedGroupMember> {
        let protocol = self
            .protocol
            .as_deref()
            .filter(|_| self.state == State::Stable);
        let member = |(id, member): (&String, &Member)| DescribedGroupMember {
            member_id: id.clone(),
            group_instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            member_metadata: protocol
                .map(|name| member.metadata(name))
                .unwrap_or_default(),
            member_assignment: member.assignment.clone(),
        };
        self.members.iter().map(member).collect()
    }

    pub fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL_TYPE)
    }

    /// The topics that members of a consumer group subscribe to; `None` if it cannot be told.
    pub fn subscribed_topics(&self) -> Option<BTreeSet<String>> {
        if !self.uses_consumer_protocol() {
            return None;
        }
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol = self.protocol.as_deref()?;
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(subscription_topics(member.metadata(protocol)).ok()?);
        }
        Some(topics)
    }

    /// Whether offsets of the topic are in use. A consumer group whose subscriptions cannot be read
    /// uses them all.
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        match self.subscribed_topics() {
            Some(topics) => topics.contains(topic),
            None => self.uses_consumer_protocol(),
        }
    }
}

/// The topics of a `ConsumerProtocolSubscription`. Its version 0 is a prefix of all later ones.
fn subscription_topics(metadata: Bytes) -> Result<Vec<String>, DecodeError> {
    let mut reader = Reader::new(metadata);
    let _version = reader.i16()?;
    reader.array(0, false)
}

/// Whether Kafka can load a member with this `ConsumerProtocolSubscription`. One that ends early is to Kafka one without
/// topics; one with a length that goes beyond the end keeps a whole partition of `__consumer_offsets` from being loaded.
pub(super) fn is_loadable_subscription(metadata: Bytes) -> bool {
    let mut reader = Reader::new(metadata);
    let has = |reader: &Reader, length: i64| {
        usize::try_from(length).is_ok_and(|length| length <= reader.remaining())
    };
    let Ok(_version) = reader.i16() else {
        return true;
    };
    let Ok(count) = reader.i32() else {
        return true;
    };
    if !has(&reader, count.into()) {
        return false;
    }
    for _ in 0..count {
        let Ok(length) = reader.i16() else {
            return true;
        };
        if !has(&reader, length.into()) || reader.slice(length.unsigned_abs().into()).is_err() {
            return false;
        }
    }
    match reader.i32() {
        // -1: none.
        Ok(length) => has(&reader, length.max(0).into()),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_with_a_length_beyond_its_end_cannot_be_loaded() {
        let loadable = |bytes: &'static [u8]| is_loadable_subscription(Bytes::from_static(bytes));
        assert!(loadable(b""), "ends early");
        assert!(loadable(b"\0\0\0\0"), "ends in the count");
        assert!(
            loadable(b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff"),
            "one topic"
        );
        assert!(loadable(b"\0\0\0\0\0\x01\0\x01t"), "no user data");
        assert!(
            loadable(b"\0\x03\0\0\0\x01\0\x01t\0\0\0\x01u\0\0\0\0"),
            "more behind"
        );
        assert!(!loadable(b"subscription"), "topics");
        assert!(!loadable(b"\0\0\xff\xff\xff\xff\0\0"), "no topics");
        assert!(!loadable(b"\0\0\0\0\0\x01\0\x05t"), "a topic");
        assert!(
            !loadable(b"\0\0\0\0\0\x01\xff\xfft"),
            "a topic that is null"
        );
        assert!(!loadable(b"\0\0\0\0\0\x01\0\x01t\0\0\0\x02u"), "user data");
    }
}
