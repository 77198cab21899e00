//! FindCoordinator (key 10), versions 0–6.
//!
//! The first question for a group creates `__consumer_offsets`, for a transactional id `__transaction_state`. Kafka
//! answers COORDINATOR_NOT_AVAILABLE meanwhile and makes the client ask again; here the answer waits for the topic.
//!
//! - 1: key types (0 group, 1 transaction, 2 share), error message. 3: flexible. 4: several keys (KIP-699).
//! - 5: transactions (KIP-890). 6: share groups (KIP-932).
//!
//! The share coordinator is asked for by `group:topicId:partition`.

use crate::broker::auto_create;
use crate::broker::context::RequestContext;
use crate::broker::node::Endpoint;
use crate::coordinator::share::ShareKey;
use crate::protocol::ErrorCode;
use crate::protocol::messages::find_coordinator_response::Coordinator;
use crate::protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;
const FIRST_WITH_SEVERAL: i16 = 4;
const FIRST_WITH_SHARE: i16 = 6;

pub async fn handle(
    cx: &RequestContext<'_>,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let mut response = FindCoordinatorResponse::default();
    if cx.api_version < FIRST_WITH_SEVERAL {
        let found = find(cx, request.key_type, &request.key).await;
        // Kafka's words for no error: the error's name in these versions, and none later.
        let message = found.error_message().unwrap_or("NONE");
        response.error_message = Some(message.to_owned());
        response.error_code = found.error().code();
        (response.node_id, response.host, response.port) = found.address();
        return response;
    }
    for key in request.coordinator_keys {
        let found = find(cx, request.key_type, &key).await;
        let (error_code, error_message) = (
            found.error().code(),
            Some(found.error_message().unwrap_or_default().to_owned()),
        );
        let (node_id, host, port) = found.address();
        response.coordinators.push(Coordinator {
            node_id,
            host,
            port,
            error_code,
            error_message,
            key,
        });
    }
    response
}

enum Found {
    At(Endpoint),
    Failed(ErrorCode, String),
}

impl Found {
    fn error(&self) -> ErrorCode {
        match self {
            Found::At(_) => ErrorCode::None,
            Found::Failed(error, _) => *error,
        }
    }

    fn error_message(&self) -> Option<&str> {
        match self {
            Found::At(_) => None,
            Found::Failed(_, message) => Some(message),
        }
    }

    fn address(self) -> (i32, String, i32) {
        match self {
            Found::At(node) => (node.id, node.host, node.port),
            Found::Failed(..) => (-1, String::new(), -1),
        }
    }
}

async fn find(cx: &RequestContext<'_>, key_type: i8, key: &str) -> Found {
    let share_key = ShareKey::parse(key);
    let topic = match key_type {
        GROUP => auto_create::OFFSETS_TOPIC,
        TRANSACTION => auto_create::TRANSACTION_TOPIC,
        SHARE if cx.api_version >= FIRST_WITH_SHARE && share_key.is_some() => {
            auto_create::SHARE_STATE_TOPIC
        }
        _ => {
            let error = ErrorCode::InvalidRequest;
            return Found::Failed(error, error.message().to_owned());
        }
    };
    if let Err(error) = auto_create::ensure_topic(cx.broker, topic).await {
        return Found::Failed(error, error.message().to_owned());
    }
    let coordinator = match (key_type, share_key) {
        (TRANSACTION, _) => cx.broker.transaction_coordinator_of(key),
        (SHARE, Some(key)) => cx.broker.share_coordinator_of(&key),
        _ => cx.broker.group_coordinator_of(key),
    };
    match coordinator.and_then(|id| cx.broker.endpoint_of(id, &cx.peer.listener)) {
        Some(node) => Found::At(node),
        None => {
            let error = ErrorCode::CoordinatorNotAvailable;
            Found::Failed(error, error.message().to_owned())
        }
    }
}
