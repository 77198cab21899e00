//! StreamsGroupDescribe.
use super::state::StreamsGroup;
use crate::coordinator::group::shard::{GroupDecision, GroupReply, GroupShard};
use crate::coordinator::shard::Token;
use crate::protocol::ErrorCode;
use crate::protocol::messages::streams_group_describe_response::DescribedGroup;

impl GroupShard {
    pub(in crate::coordinator::group) fn describe_streams_groups(
        &self,
        token: Token,
        groups: &[String],
    ) -> GroupDecision {
        let mut out = GroupDecision::default();
        let describe = |id: &String| match self.known_streams_group(id) {
            Ok(group) => self.describe_streams_group(id, group),
            Err(refusal) => DescribedGroup {
                error_code: refusal.code.code(),
                error_message: Some(refusal.message),
                group_id: id.clone(),
                ..DescribedGroup::default()
            },
        };
        let described = groups.iter().map(describe).collect();
        out.answer(token, GroupReply::StreamsDescribe(described));
        out
    }

    fn describe_streams_group(&self, id: &str, group: &StreamsGroup) -> DescribedGroup {
        let soft = self.soft_streams.get(id);
        let configured = soft.and_then(|soft| soft.configured.as_ref());
        let configured = configured.filter(|configured| configured.ready().is_some());
        let topology = match configured {
            Some(configured) => Some(configured.describe()),
            None => group.topology.as_ref().map(|topology| topology.describe()),
        };
        let members = group.members.values();
        let members = members.map(|member| member.describe(group.target_of(&member.id).describe()));
        DescribedGroup {
            group_id: id.into(),
            group_state: group.state().into(),
            group_epoch: group.epoch,
            assignment_epoch: group.assignment_epoch,
            topology,
            members: members.collect(),
            ..DescribedGroup::default()
        }
    }
}

pub fn describe_error(group: &str, error: ErrorCode) -> DescribedGroup {
    DescribedGroup {
        error_code: error.code(),
        group_id: group.into(),
        ..DescribedGroup::default()
    }
}
