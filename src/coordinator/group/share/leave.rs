//! Members that leave a share group, or whose session expires.
use tracing::info;

use super::Refusal;
use super::record::ShareRecord;
use super::settings::ShareSettings;
use crate::coordinator::group::consumer::metadata_hash;
use crate::coordinator::group::shard::{GroupDecision, GroupShard};
use crate::coordinator::group::stored::StoredGroup;
use crate::coordinator::group::timers::TimerKey;
use crate::coordinator::shard::Now;
use crate::protocol::messages::{ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse};

impl GroupShard {
    pub(super) fn share_leave(
        &mut self,
        request: &ShareGroupHeartbeatRequest,
        out: &mut GroupDecision,
    ) -> Result<ShareGroupHeartbeatResponse, Refusal> {
        let (id, member_id) = (request.group_id.as_str(), request.member_id.as_str());
        let group = self.known_share_group(id)?;
        if !group.members.contains_key(member_id) {
            return Err(Refusal::unknown_member(id, member_id));
        }
        info!("share group {id}: member {member_id} leaves");
        self.fence_share_member(id, member_id, out);
        Ok(ShareGroupHeartbeatResponse {
            member_id: Some(member_id.into()),
            member_epoch: request.member_epoch,
            ..Default::default()
        })
    }

    /// Removes a member for good; the rest of the group is assigned anew.
    fn fence_share_member(&mut self, id: &str, member_id: &str, out: &mut GroupDecision) {
        let Some(StoredGroup::Share(group)) = self.stored.groups.get(id) else {
            return;
        };
        let tombstones = ShareRecord::member_tombstones(member_id);
        out.records
            .extend(tombstones.into_iter().map(|record| record.of(id)));
        let left = group.members.values().filter(|m| m.id != member_id);
        let names = left.flat_map(|member| &member.topic_names);
        let names: std::collections::BTreeSet<&str> = names.map(String::as_str).collect();
        let hash = metadata_hash(names.into_iter(), &self.image);
        out.records
            .push(ShareRecord::epoch(group.epoch + 1, hash).of(id));
        let key = TimerKey::Session(id.into(), member_id.into());
        self.timers.cancel(&key);
    }

    /// A member has not been heard of in time.
    pub(in crate::coordinator::group) fn share_session_deadline(
        &mut self,
        id: &str,
        member_id: &str,
    ) -> GroupDecision {
        let mut out = GroupDecision::default();
        info!("share group {id}: member {member_id} is fenced: its session has expired");
        self.fence_share_member(id, member_id, &mut out);
        out
    }

    /// Sessions of a group's members start anew, as after a load.
    pub(in crate::coordinator::group) fn resume_share_group(&mut self, now: Now, id: &str) {
        let Some(StoredGroup::Share(group)) = self.stored.groups.get(id) else {
            return;
        };
        let settings = ShareSettings::of(id, &self.config.share, &self.image);
        for member_id in group.members.keys() {
            let key = TimerKey::Session(id.into(), member_id.clone());
            let timeout_ms = i64::from(settings.session_timeout_ms);
            self.timers.set(key, now.monotonic_ms + timeout_ms);
        }
    }
}
