//! AlterClientQuotas (key 49), versions 0–1 (KIP-546). The controller decides; see `controller/client_quotas.rs`.
//!
//! - 1: flexible.

use crate::broker::context::RequestContext;
use crate::protocol::messages::alter_client_quotas_response::{EntityData, EntryData};
use crate::protocol::messages::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, alter_client_quotas_request,
};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: AlterClientQuotasRequest,
) -> AlterClientQuotasResponse {
    let asked = request.entries.clone();
    let decided = cx
        .broker
        .controller
        .decide(move |c, image| Ok(c.alter_client_quotas(image, &request)));
    decided.await.unwrap_or_else(|error| {
        let part = |part: alter_client_quotas_request::EntityData| EntityData {
            entity_type: part.entity_type,
            entity_name: part.entity_name,
        };
        let failed = |entry: alter_client_quotas_request::EntryData| EntryData {
            error_code: error.code.code(),
            error_message: Some(error.text()),
            entity: entry.entity.into_iter().map(part).collect(),
        };
        AlterClientQuotasResponse {
            entries: asked.into_iter().map(failed).collect(),
            ..Default::default()
        }
    })
}
