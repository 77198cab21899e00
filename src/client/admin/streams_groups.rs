//! Streams groups: members with their tasks, and the topics that their topology reads and writes.
//! Their offsets are those of consumer groups.
use super::Admin;
use super::groups::{first_code, group_route, unanswered};
use crate::client::cluster::Coordinator;
use crate::client::connection::Endpoint;
use crate::client::errors::{ClientError, Result};
use crate::protocol::messages::StreamsGroupDescribeRequest;
use crate::protocol::messages::streams_group_describe_response::{
    Assignment, DescribedGroup, Member, Subtopology, TaskIds, TopicInfo,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamsGroupDescription {
    pub group_id: String,
    /// `Stable`, `NotReady`, `Empty`, …
    pub state: String,
    pub coordinator: Endpoint,
    pub epoch: i32,
    pub target_assignment_epoch: i32,
    /// Absent before a topology was set up.
    pub topology_epoch: Option<i32>,
    pub subtopologies: Vec<StreamsSubtopology>,
    pub members: Vec<StreamsGroupMember>,
}

/// A part of the topology, and its topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamsSubtopology {
    pub id: String,
    pub source_topics: Vec<String>,
    pub repartition_source_topics: Vec<String>,
    pub state_changelog_topics: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamsGroupMember {
    pub member_id: String,
    pub epoch: i32,
    pub process_id: String,
    pub client_id: String,
    pub client_host: String,
    pub is_classic: bool,
    pub assignment: StreamsTasks,
    pub target_assignment: StreamsTasks,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamsTasks {
    pub active: Vec<SubtopologyTasks>,
    pub standby: Vec<SubtopologyTasks>,
    pub warmup: Vec<SubtopologyTasks>,
}

/// The tasks of one subtopology, by partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubtopologyTasks {
    pub subtopology: String,
    pub partitions: Vec<i32>,
}

impl Admin {
    /// Describes a streams group.
    pub async fn describe_streams_group(&self, group: &str) -> Result<StreamsGroupDescription> {
        let build = |_version| StreamsGroupDescribeRequest {
            group_ids: vec![group.to_owned()],
            ..Default::default()
        };
        let options = self.options("describeStreamsGroups");
        let response = self
            .client()
            .call(options, group_route(group), build, |response| {
                first_code(response.groups.iter().map(|group| group.error_code))
            })
            .await?;
        let described = response.groups.into_iter().next();
        let described = described.ok_or_else(|| unanswered(group))?;
        ClientError::check(described.error_code, described.error_message.as_deref())?;
        let coordinator = self
            .client()
            .find_coordinator(Coordinator::Group, group)
            .await?;
        Ok(description(described, coordinator))
    }
}

fn description(group: DescribedGroup, coordinator: Endpoint) -> StreamsGroupDescription {
    let topology_epoch = group.topology.as_ref().map(|topology| topology.epoch);
    let subtopologies = group.topology.and_then(|topology| topology.subtopologies);
    StreamsGroupDescription {
        group_id: group.group_id,
        state: group.group_state,
        coordinator,
        epoch: group.group_epoch,
        target_assignment_epoch: group.assignment_epoch,
        topology_epoch,
        subtopologies: subtopologies
            .unwrap_or_default()
            .into_iter()
            .map(subtopology)
            .collect(),
        members: group.members.into_iter().map(member).collect(),
    }
}

fn subtopology(subtopology: Subtopology) -> StreamsSubtopology {
    let names = |topics: Vec<TopicInfo>| topics.into_iter().map(|topic| topic.name).collect();
    StreamsSubtopology {
        id: subtopology.subtopology_id,
        source_topics: subtopology.source_topics,
        repartition_source_topics: names(subtopology.repartition_source_topics),
        state_changelog_topics: names(subtopology.state_changelog_topics),
    }
}

fn member(member: Member) -> StreamsGroupMember {
    StreamsGroupMember {
        member_id: member.member_id,
        epoch: member.member_epoch,
        process_id: member.process_id,
        client_id: member.client_id,
        client_host: member.client_host,
        is_classic: member.is_classic,
        assignment: tasks(member.assignment),
        target_assignment: tasks(member.target_assignment),
    }
}

fn tasks(assignment: Assignment) -> StreamsTasks {
    let ids = |tasks: Vec<TaskIds>| {
        let tasks = tasks.into_iter().map(|tasks| SubtopologyTasks {
            subtopology: tasks.subtopology_id,
            partitions: tasks.partitions,
        });
        tasks.collect()
    };
    StreamsTasks {
        active: ids(assignment.active_tasks),
        standby: ids(assignment.standby_tasks),
        warmup: ids(assignment.warmup_tasks),
    }
}
