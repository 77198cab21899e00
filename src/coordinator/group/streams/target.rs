//! The next target assignment: what the assignor says of the group with one member changed.
use std::collections::BTreeMap;

use tracing::info;

use super::assignor::{self, MemberSpec, SubtopologySpec};
use super::configure::ConfiguredTopology;
use super::member::StreamsMember;
use super::record::StreamsRecord;
use super::state::StreamsGroup;
use super::tasks::Tasks;
use crate::coordinator::group::record::GroupRecord;

/// The target assignment as it stands for one member.
pub struct Target {
    pub epoch: i32,
    pub tasks: Tasks,
}

/// Assigns `group` with `updated` in it; the records that change, and what each member gets.
pub fn assign(
    group_id: &str,
    group: &StreamsGroup,
    epoch: i32,
    updated: Option<&StreamsMember>,
    topology: &ConfiguredTopology,
    standby_replicas: usize,
    now_ms: i64,
) -> (Vec<GroupRecord>, BTreeMap<String, Tasks>) {
    let mut members: BTreeMap<String, MemberSpec> = BTreeMap::new();
    for member in group.members.values().chain(updated) {
        let target = group.target_of(&member.id);
        let spec = MemberSpec {
            process_id: member.process_id.clone(),
            active: target.active,
            standby: target.standby,
        };
        members.insert(member.id.clone(), spec);
    }
    let assignment = match topology.ready() {
        Some(subtopologies) => {
            let spec = |(id, subtopology): (&String, &super::configure::ConfiguredSubtopology)| {
                let spec = SubtopologySpec {
                    tasks: subtopology.tasks,
                    is_stateful: !subtopology.changelog_topics.is_empty(),
                };
                (id.clone(), spec)
            };
            let subtopologies = subtopologies.iter().map(spec).collect();
            assignor::assign(&members, &subtopologies, standby_replicas)
        }
        None => members
            .into_keys()
            .map(|id| (id, Tasks::default()))
            .collect(),
    };
    let mut records = Vec::new();
    for (id, tasks) in &assignment {
        if group.target.get(id) != Some(tasks) {
            records.push(StreamsRecord::target(id, tasks).of(group_id));
        }
    }
    records.push(StreamsRecord::target_epoch(epoch, now_ms).of(group_id));
    info!(
        "group {group_id}: target assignment of epoch {epoch} for {} members",
        assignment.len()
    );
    (records, assignment)
}
