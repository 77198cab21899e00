//! DeleteTopics (key 20), versions 1–6. The controller decides; see `controller/topics.rs`.
//!
//! - 4: flexible. 5: error messages. 6: topics may be named by id (KIP-516).
//!
//! With `delete.topic.enable=false` every topic is refused with TOPIC_DELETION_DISABLED.

use crate::broker::context::RequestContext;
use crate::controller::ApiError;
use crate::protocol::messages::delete_topics_request::DeleteTopicState;
use crate::protocol::messages::delete_topics_response::DeletableTopicResult;
use crate::protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};
use crate::protocol::{ErrorCode, Uuid};

const FIRST_BY_ID: i16 = 6;

/// The first version that is refused when its client's quota is used up (KIP-599); older ones wait.
const FIRST_STRICT: i16 = 5;

pub async fn handle(
    cx: &RequestContext<'_>,
    mut request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    if cx.api_version < FIRST_BY_ID {
        let by_name = |name| DeleteTopicState {
            name: Some(name),
            topic_id: Uuid::ZERO,
        };
        request.topics = std::mem::take(&mut request.topic_names)
            .into_iter()
            .map(by_name)
            .collect();
    }
    let failed = |topics: Vec<DeleteTopicState>, error: ApiError| {
        let result = |topic: DeleteTopicState| DeletableTopicResult {
            name: topic.name,
            topic_id: topic.topic_id,
            error_code: error.code.code(),
            error_message: Some(error.text()),
        };
        let responses = topics.into_iter().map(result).collect();
        DeleteTopicsResponse {
            responses,
            ..Default::default()
        }
    };
    if !cx.broker.settings.topics.delete_enable {
        return failed(
            request.topics,
            ApiError::from(ErrorCode::TopicDeletionDisabled),
        );
    }
    let topics = request.topics.clone();
    let permits = cx.permits(cx.api_version >= FIRST_STRICT);
    let decided = cx.broker.controller.delete_topics(request, permits).await;
    cx.note_mutations();
    match decided {
        Ok(response) => response,
        Err(error) => failed(topics, error),
    }
}
