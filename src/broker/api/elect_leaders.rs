//! ElectLeaders (key 43), versions 0–2 (KIP-183). The controller decides; see `controller/elect_leaders.rs`.
//!
//! - 1: unclean elections (KIP-460). 2: flexible.

use crate::broker::context::RequestContext;
use crate::controller::ApiError;
use crate::protocol::ErrorCode;
use crate::protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use crate::protocol::messages::{ElectLeadersRequest, ElectLeadersResponse};

const FIRST_WITH_ERROR: i16 = 1;

pub async fn handle(cx: &RequestContext<'_>, request: ElectLeadersRequest) -> ElectLeadersResponse {
    let asked = request.clone();
    let decided = cx
        .broker
        .controller
        .decide(move |c, image| c.elect_leaders(image, &request));
    let mut response = decided
        .await
        .unwrap_or_else(|error| refused(&asked, &error));
    if cx.api_version < FIRST_WITH_ERROR {
        response.error_code = ErrorCode::None.code();
    }
    response
}

fn refused(asked: &ElectLeadersRequest, error: &ApiError) -> ElectLeadersResponse {
    let result = |partition_id: &i32| PartitionResult {
        partition_id: *partition_id,
        error_code: error.code.code(),
        error_message: Some(error.text()),
    };
    let topics = asked.topic_partitions.iter().flatten();
    ElectLeadersResponse {
        error_code: error.code.code(),
        replica_election_results: topics
            .map(|topic| ReplicaElectionResult {
                topic: topic.topic.clone(),
                partition_result: topic.partitions.iter().map(result).collect(),
            })
            .collect(),
        ..Default::default()
    }
}
