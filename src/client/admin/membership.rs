//! Members that are removed from their group from outside.
use super::groups::{first_code, group_route};
use super::{Admin, ConsumerGroupMember};
use crate::client::errors::{ClientError, Result};
use crate::protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};

impl Admin {
    /// Removes members; the first that cannot be is the error. Needs brokers of Kafka 2.4 or later.
    pub async fn remove_group_members(
        &self,
        group: &str,
        members: &[ConsumerGroupMember],
    ) -> Result<()> {
        let identity = |member: &ConsumerGroupMember, version| MemberIdentity {
            // Static members are known by their instance alone.
            member_id: match &member.group_instance_id {
                Some(_) => String::new(),
                None => member.member_id.clone(),
            },
            group_instance_id: member.group_instance_id.clone(),
            reason: (version >= 5).then(|| "member was removed by an admin".to_owned()),
        };
        let build = |version| LeaveGroupRequest {
            group_id: group.to_owned(),
            members: members.iter().map(|m| identity(m, version)).collect(),
            ..Default::default()
        };
        let options = self.options("leaveGroup");
        let response = self
            .client()
            .call(options, group_route(group), build, |response| {
                first_code([response.error_code])
            })
            .await?;
        ClientError::check(response.error_code, None)?;
        for member in response.members {
            ClientError::check(member.error_code, None)?;
        }
        Ok(())
    }
}
