//! UnregisterBroker (key 64), version 0 (KIP-631). The controller decides; see `controller/unregister_broker.rs`.

use crate::broker::context::RequestContext;
use crate::protocol::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: UnregisterBrokerRequest,
) -> UnregisterBrokerResponse {
    let decided = cx
        .broker
        .controller
        .decide(move |c, image| c.unregister_broker(image, &request));
    match decided.await {
        Ok(()) => UnregisterBrokerResponse::default(),
        Err(error) => UnregisterBrokerResponse {
            error_code: error.code.code(),
            error_message: Some(error.text()),
            ..Default::default()
        },
    }
}
