//! ShareAcknowledge (key 79), versions 1–2 (KIP-932).
//!
//! - 2: renewal of locks (KIP-1222), and how long locks last.

use crate::broker::context::RequestContext;
use crate::broker::share::ShareGroups;
use crate::broker::share::acknowledge::{Allowed, Batches, Outcomes, acknowledge};
use crate::broker::share::partition::Acknowledged;
use crate::broker::share::sessions::{FINAL_EPOCH, MemberKey};
use crate::broker::share::settings::GroupSettings;
use crate::protocol::messages::share_acknowledge_request::AcknowledgeTopic;
use crate::protocol::messages::share_acknowledge_response::{
    LeaderIdAndEpoch, NodeEndpoint, PartitionData, ShareAcknowledgeTopicResponse,
};
use crate::protocol::messages::{ShareAcknowledgeRequest, ShareAcknowledgeResponse};
use crate::protocol::{ErrorCode, Str};

const FIRST_WITH_RENEWAL: i16 = 2;

pub async fn handle(
    cx: &RequestContext<'_>,
    request: ShareAcknowledgeRequest,
) -> ShareAcknowledgeResponse {
    let broker = cx.broker;
    if !broker.offers_share_groups() {
        let error = ErrorCode::UnsupportedVersion;
        return refused(error, error.message());
    }
    let Some(group) = request.group_id.as_deref() else {
        let message = "Invalid group id in the request.";
        return refused(ErrorCode::InvalidRequest, message);
    };
    let member = request.member_id.as_deref().unwrap_or_default();
    if !super::is_member_id(member) {
        let message = "Invalid member id in the request.";
        return refused(ErrorCode::InvalidRequest, message);
    }
    let key = MemberKey {
        group: group.to_owned(),
        member: member.to_owned(),
    };
    let epoch = request.share_session_epoch;
    let session = broker.share.sessions.lock().acknowledge(&key, epoch);
    if let Err(error) = session {
        return refused(error, error.message());
    }
    let allowed = Allowed {
        knows_renewal: cx.api_version >= FIRST_WITH_RENEWAL,
        renews: request.is_renew_ack,
    };
    let batches = batches(&request.topics);
    let outcomes = acknowledge(broker, &key, batches, allowed).await;
    if epoch == FINAL_EPOCH {
        let had = broker.share.sessions.lock().remove(&key);
        ShareGroups::release(broker, &key, had.unwrap_or_default()).await;
    }
    let settings = GroupSettings::of(broker, &key.group);
    respond(cx, outcomes, settings.limits.lock_ms)
}

fn batches(topics: &[AcknowledgeTopic]) -> Batches {
    let mut batches = Batches::new();
    for topic in topics {
        for partition in &topic.partitions {
            let batch = partition
                .acknowledgement_batches
                .iter()
                .map(|b| Acknowledged {
                    first_offset: b.first_offset,
                    last_offset: b.last_offset,
                    types: b.acknowledge_types.clone(),
                });
            batches.insert((topic.topic_id, partition.partition_index), batch.collect());
        }
    }
    batches
}

fn respond(cx: &RequestContext<'_>, outcomes: Outcomes, lock_ms: i64) -> ShareAcknowledgeResponse {
    let mut response = ShareAcknowledgeResponse {
        acquisition_lock_timeout_ms: i32::try_from(lock_ms).unwrap_or(i32::MAX),
        ..Default::default()
    };
    let mut leaders = Vec::new();
    for ((topic_id, partition_index), outcome) in outcomes {
        let mut data = PartitionData {
            partition_index,
            ..Default::default()
        };
        if let Err(error) = outcome {
            data.error_code = error.code.code();
            data.error_message = Some(error.message.into());
            let moved = error.code == ErrorCode::NotLeaderOrFollower;
            let leader = cx.broker.leader_of(&topic_id, partition_index);
            if let Some((leader_id, leader_epoch)) = leader.filter(|_| moved) {
                data.current_leader = LeaderIdAndEpoch {
                    leader_id,
                    leader_epoch,
                };
                leaders.push(leader_id);
            }
        }
        match response.responses.last_mut() {
            Some(topic) if topic.topic_id == topic_id => topic.partitions.push(data),
            _ => response.responses.push(ShareAcknowledgeTopicResponse {
                topic_id,
                partitions: vec![data],
            }),
        }
    }
    for node in cx.broker.endpoints_of(&leaders, &cx.peer.listener) {
        response.node_endpoints.push(NodeEndpoint {
            node_id: node.id,
            host: node.host.into(),
            port: node.port,
            rack: node.rack.map(Str::from),
        });
    }
    response
}

fn refused(error: ErrorCode, message: &str) -> ShareAcknowledgeResponse {
    ShareAcknowledgeResponse {
        error_code: error.code(),
        error_message: Some(message.into()),
        ..Default::default()
    }
}
