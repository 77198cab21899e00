//! A member of a streams group as the log knows it: the process it runs in, and where it is on its
//! way to the target assignment.
use std::collections::BTreeMap;

use super::tasks::{EpochTasks, current_list};
use crate::protocol::messages::streams_group_describe_response as described;
use crate::protocol::records::group::streams_group_member_metadata_value::{Endpoint, KeyValue};
use crate::protocol::records::group::{
    StreamsGroupCurrentMemberAssignmentValue, StreamsGroupMemberMetadataValue,
};

/// A member leaves with it, and is left with it while its records are removed.
pub const LEAVE_EPOCH: i32 = -1;
/// A static member would leave for a while with it.
pub const STATIC_LEAVE_EPOCH: i32 = -2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberState {
    /// It has what it should at its epoch.
    Stable,
    /// It has to give tasks up before it goes on.
    UnrevokedTasks,
    /// It waits for tasks that others have not given up.
    UnreleasedTasks,
    /// Written by a Kafka that knows more states.
    Unknown,
}

impl MemberState {
    pub fn code(self) -> i8 {
        match self {
            MemberState::Stable => 1,
            MemberState::UnrevokedTasks => 2,
            MemberState::UnreleasedTasks => 3,
            MemberState::Unknown => 127,
        }
    }

    pub fn from_code(code: i8) -> MemberState {
        match code {
            1 => MemberState::Stable,
            2 => MemberState::UnrevokedTasks,
            3 => MemberState::UnreleasedTasks,
            _ => MemberState::Unknown,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct StreamsMember {
    pub id: String,
    pub epoch: i32,
    pub previous_epoch: i32,
    pub state: MemberState,
    pub instance_id: Option<String>,
    pub rack_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub rebalance_timeout_ms: i32,
    pub topology_epoch: i32,
    /// Members of one process share its disk: no task is twice in one.
    pub process_id: String,
    /// Where others ask for what this member's stores have.
    pub endpoint: Option<Endpoint>,
    pub client_tags: BTreeMap<String, String>,
    pub assigned: EpochTasks,
    pub revoking: EpochTasks,
}

impl StreamsMember {
    pub fn new(id: &str) -> StreamsMember {
        StreamsMember {
            id: id.into(),
            epoch: 0,
            previous_epoch: 0,
            state: MemberState::Stable,
            instance_id: None,
            rack_id: None,
            client_id: String::new(),
            client_host: String::new(),
            rebalance_timeout_ms: -1,
            topology_epoch: -1,
            process_id: String::new(),
            endpoint: None,
            client_tags: BTreeMap::new(),
            assigned: EpochTasks::default(),
            revoking: EpochTasks::default(),
        }
    }

    pub fn is_reconciled_to(&self, assignment_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == assignment_epoch
    }

    /// Moves to an epoch, be it the one it has: what was current is then previous.
    pub fn move_to_epoch(&mut self, epoch: i32) {
        self.previous_epoch = std::mem::replace(&mut self.epoch, epoch);
    }

    /// When the task was assigned, if the member has it or is giving it up.
    pub fn assignment_epoch(&self, subtopology: &str, partition: i32) -> Option<i32> {
        let assigned = self.assigned.epoch_of(subtopology, partition);
        assigned.or_else(|| self.revoking.epoch_of(subtopology, partition))
    }

    pub fn update_with_metadata(&mut self, value: StreamsGroupMemberMetadataValue) {
        self.instance_id = value.instance_id;
        self.rack_id = value.rack_id;
        self.client_id = value.client_id;
        self.client_host = value.client_host;
        self.rebalance_timeout_ms = value.rebalance_timeout_ms;
        self.topology_epoch = value.topology_epoch;
        self.process_id = value.process_id;
        self.endpoint = value.user_endpoint;
        let tags = value.client_tags.into_iter();
        self.client_tags = tags.map(|tag| (tag.key, tag.value)).collect();
    }

    pub fn update_with_assignment(&mut self, value: &StreamsGroupCurrentMemberAssignmentValue) {
        self.epoch = value.member_epoch;
        self.previous_epoch = value.previous_member_epoch;
        self.state = MemberState::from_code(value.state);
        self.assigned = EpochTasks::from_lists(
            &value.active_tasks,
            &value.standby_tasks,
            &value.warmup_tasks,
            value.member_epoch,
        );
        self.revoking = EpochTasks::from_lists(
            &value.active_tasks_pending_revocation,
            &value.standby_tasks_pending_revocation,
            &value.warmup_tasks_pending_revocation,
            value.member_epoch,
        );
    }

    pub fn metadata_value(&self) -> StreamsGroupMemberMetadataValue {
        let tag = |(key, value): (&String, &String)| KeyValue {
            key: key.clone(),
            value: value.clone(),
            unknown_tags: Vec::new(),
        };
        StreamsGroupMemberMetadataValue {
            instance_id: self.instance_id.clone(),
            rack_id: self.rack_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            topology_epoch: self.topology_epoch,
            process_id: self.process_id.clone(),
            user_endpoint: self.endpoint.clone(),
            client_tags: self.client_tags.iter().map(tag).collect(),
            unknown_tags: Vec::new(),
        }
    }

    pub fn assignment_value(&self) -> StreamsGroupCurrentMemberAssignmentValue {
        StreamsGroupCurrentMemberAssignmentValue {
            member_epoch: self.epoch,
            previous_member_epoch: self.previous_epoch,
            state: self.state.code(),
            active_tasks: self.assigned.active_list(),
            standby_tasks: current_list(&self.assigned.standby),
            warmup_tasks: current_list(&self.assigned.warmup),
            active_tasks_pending_revocation: self.revoking.active_list(),
            standby_tasks_pending_revocation: current_list(&self.revoking.standby),
            warmup_tasks_pending_revocation: current_list(&self.revoking.warmup),
            unknown_tags: Vec::new(),
        }
    }

    pub fn describe(&self, target: described::Assignment) -> described::Member {
        let tag = |(key, value): (&String, &String)| described::KeyValue {
            key: key.clone(),
            value: value.clone(),
        };
        let endpoint = self.endpoint.as_ref().map(|endpoint| described::Endpoint {
            host: endpoint.host.clone(),
            port: endpoint.port,
        });
        described::Member {
            member_id: self.id.clone(),
            member_epoch: self.epoch,
            instance_id: self.instance_id.clone(),
            rack_id: self.rack_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            topology_epoch: self.topology_epoch,
            process_id: self.process_id.clone(),
            user_endpoint: endpoint,
            client_tags: self.client_tags.iter().map(tag).collect(),
            assignment: self.assigned.plain().describe(),
            target_assignment: target,
            ..described::Member::default()
        }
    }
}
