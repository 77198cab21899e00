//! CreatePartitions (key 37), versions 0–3. The controller decides; see `controller/topics.rs`.
//!
//! - 2: flexible. 3: throttled creations (KIP-599).

use crate::broker::context::RequestContext;
use crate::broker::full_disk::check_room;
use crate::controller::ApiError;
use crate::protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use crate::protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

/// The first version that is refused when its client's quota is used up (KIP-599); older ones wait.
const FIRST_STRICT: i16 = 3;

pub async fn handle(
    cx: &RequestContext<'_>,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let names: Vec<String> = request
        .topics
        .iter()
        .map(|topic| topic.name.clone())
        .collect();
    if let Err(error) = check_room(cx.broker) {
        return failed(names, error);
    }
    let permits = cx.permits(cx.api_version >= FIRST_STRICT);
    let decided = cx
        .broker
        .controller
        .create_partitions(request, permits)
        .await;
    cx.note_mutations();
    match decided {
        Ok(response) => response,
        Err(error) => failed(names, error),
    }
}

fn failed(names: Vec<String>, error: ApiError) -> CreatePartitionsResponse {
    let result = |name| CreatePartitionsTopicResult {
        name,
        error_code: error.code.code(),
        error_message: Some(error.text()),
    };
    CreatePartitionsResponse {
        results: names.into_iter().map(result).collect(),
        ..Default::default()
    }
}
