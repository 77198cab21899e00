//! DescribeUserScramCredentials (key 50), version 0 (KIP-554): mechanisms and iterations, never keys.

use std::collections::BTreeMap;

use crate::broker::context::RequestContext;
use crate::metadata::image::MetadataImage;
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_user_scram_credentials_response::{
    CredentialInfo, DescribeUserScramCredentialsResult,
};
use crate::protocol::messages::{
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse,
};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: DescribeUserScramCredentialsRequest,
) -> DescribeUserScramCredentialsResponse {
    let image = cx.broker.image();
    // How often each user is asked for.
    let mut users: BTreeMap<String, usize> = BTreeMap::new();
    match request.users {
        Some(asked) if !asked.is_empty() => {
            for user in asked {
                *users.entry(user.name).or_default() += 1;
            }
        }
        _ => {
            let known = image.scram.credentials.keys();
            users.extend(known.map(|(_, user)| (user.clone(), 1)));
        }
    }
    DescribeUserScramCredentialsResponse {
        results: users
            .into_iter()
            .map(|(user, times)| described(&image, user, times))
            .collect(),
        ..Default::default()
    }
}

fn described(
    image: &MetadataImage,
    user: String,
    times: usize,
) -> DescribeUserScramCredentialsResult {
    let own = image.scram.credentials.iter();
    let credential_infos: Vec<CredentialInfo> = own
        .filter(|((_, name), _)| *name == user)
        .map(|((mechanism, _), credential)| CredentialInfo {
            mechanism: *mechanism,
            iterations: credential.iterations,
        })
        .collect();
    let refused = |error: ErrorCode, message: String| DescribeUserScramCredentialsResult {
        user: user.clone(),
        error_code: error.code(),
        error_message: Some(message),
        ..Default::default()
    };
    if times > 1 {
        return refused(
            ErrorCode::DuplicateResource,
            format!(
                "Cannot describe SCRAM credentials for the same user twice in a single request: {user}"
            ),
        );
    }
    if credential_infos.is_empty() {
        return refused(
            ErrorCode::ResourceNotFound,
            format!("Attempt to describe a user credential that does not exist: {user}"),
        );
    }
    DescribeUserScramCredentialsResult {
        user,
        credential_infos,
        ..Default::default()
    }
}
