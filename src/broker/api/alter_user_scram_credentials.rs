//! AlterUserScramCredentials (key 51), version 0 (KIP-554). The controller decides; see `controller/scram.rs`.

use std::collections::BTreeSet;

use crate::broker::context::RequestContext;
use crate::protocol::messages::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
use crate::protocol::messages::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse,
};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: AlterUserScramCredentialsRequest,
) -> AlterUserScramCredentialsResponse {
    let deleted = request.deletions.iter().map(|deletion| &deletion.name);
    let upserted = request.upsertions.iter().map(|upsertion| &upsertion.name);
    let users: BTreeSet<String> = deleted.chain(upserted).cloned().collect();
    let decided = cx
        .broker
        .controller
        .decide(move |c, image| Ok(c.alter_user_scram_credentials(image, &request)));
    decided.await.unwrap_or_else(|error| {
        let failed = |user| AlterUserScramCredentialsResult {
            user,
            error_code: error.code.code(),
            error_message: Some(error.text()),
        };
        AlterUserScramCredentialsResponse {
            results: users.into_iter().map(failed).collect(),
            ..Default::default()
        }
    })
}
