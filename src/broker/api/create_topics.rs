//! CreateTopics (key 19), versions 2–7. The controller decides; see `controller/topics.rs`.
//!
//! - 5: flexible; the created topic's configuration is answered (KIP-525). 7: topic ids (KIP-516).

use crate::broker::context::RequestContext;
use crate::broker::full_disk::check_room;
use crate::controller::ApiError;
use crate::protocol::messages::create_topics_response::CreatableTopicResult;
use crate::protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};

/// The first version that is refused when its client's quota is used up (KIP-599); older ones wait.
const FIRST_STRICT: i16 = 6;

pub async fn handle(cx: &RequestContext<'_>, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let names: Vec<String> = request
        .topics
        .iter()
        .map(|topic| topic.name.clone())
        .collect();
    if let Err(error) = check_room(cx.broker) {
        return failed(names, error);
    }
    let permits = cx.permits(cx.api_version >= FIRST_STRICT);
    let decided = cx.broker.controller.create_topics(request, permits).await;
    cx.note_mutations();
    match decided {
        Ok(response) => response,
        Err(error) => failed(names, error),
    }
}

fn failed(names: Vec<String>, error: ApiError) -> CreateTopicsResponse {
    let topic = |name| CreatableTopicResult {
        name,
        error_code: error.code.code(),
        error_message: Some(error.text()),
        ..Default::default()
    };
    CreateTopicsResponse {
        topics: names.into_iter().map(topic).collect(),
        ..Default::default()
    }
}
