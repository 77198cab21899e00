//! AlterUserScramCredentials: what users authenticate with.

use std::collections::BTreeMap;

use super::{ApiError, Controller, ControllerResult};
use crate::metadata::image::MetadataImage;
use crate::metadata::record::{VersionedRecord, v0};
use crate::metadata::scram::{ITERATIONS_MAX, ITERATIONS_MIN, Mechanism};
use crate::protocol::ErrorCode;
use crate::protocol::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use crate::protocol::messages::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
use crate::protocol::messages::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse,
};
use crate::protocol::records::metadata::{
    RemoveUserScramCredentialRecord, UserScramCredentialRecord,
};

impl Controller {
    pub fn alter_user_scram_credentials(
        &self,
        image: &MetadataImage,
        request: &AlterUserScramCredentialsRequest,
    ) -> ControllerResult<AlterUserScramCredentialsResponse> {
        // By user; a user that is named again has neither change carried out.
        let mut changes: BTreeMap<&str, Result<VersionedRecord, ApiError>> = BTreeMap::new();
        let supports = image.features.metadata_version().supports_scram();
        let checked = |change: Result<VersionedRecord, ApiError>| match supports {
            true => change,
            false => Err(ApiError::new(
                ErrorCode::UnsupportedVersion,
                "The current metadata.version does not support SCRAM",
            )),
        };
        for deletion in &request.deletions {
            note(&mut changes, &deletion.name, || {
                checked(delete(image, deletion))
            });
        }
        for upsertion in &request.upsertions {
            note(&mut changes, &upsertion.name, || checked(upsert(upsertion)));
        }
        let mut records = Vec::new();
        let mut response = AlterUserScramCredentialsResponse::default();
        for (user, change) in changes {
            let error = match change {
                Ok(record) => {
                    records.push(record);
                    ApiError::bare(ErrorCode::None)
                }
                Err(error) => error,
            };
            response.results.push(AlterUserScramCredentialsResult {
                user: user.to_owned(),
                error_code: error.code.code(),
                error_message: error.message,
            });
        }
        ControllerResult::atomic(records, response)
    }
}

fn note<'a>(
    changes: &mut BTreeMap<&'a str, Result<VersionedRecord, ApiError>>,
    user: &'a str,
    change: impl FnOnce() -> Result<VersionedRecord, ApiError>,
) {
    match changes.get_mut(user) {
        None => {
            changes.insert(user, change());
        }
        Some(earlier @ Ok(_)) => {
            *earlier = Err(ApiError::new(
                ErrorCode::DuplicateResource,
                "A user credential cannot be altered twice in the same request",
            ));
        }
        // The first error stands.
        Some(Err(_)) => {}
    }
}

fn mechanism(user: &str, code: i8) -> Result<Mechanism, ApiError> {
    if user.is_empty() {
        return Err(unacceptable("Username must not be empty"));
    }
    Mechanism::from_code(code).ok_or_else(|| {
        ApiError::new(
            ErrorCode::UnsupportedSaslMechanism,
            "Unknown SCRAM mechanism",
        )
    })
}

fn unacceptable(message: &str) -> ApiError {
    ApiError::new(ErrorCode::UnacceptableCredential, message)
}

fn delete(
    image: &MetadataImage,
    deletion: &ScramCredentialDeletion,
) -> Result<VersionedRecord, ApiError> {
    mechanism(&deletion.name, deletion.mechanism)?;
    let key = (deletion.mechanism, deletion.name.clone());
    if !image.scram.credentials.contains_key(&key) {
        return Err(ApiError::new(
            ErrorCode::ResourceNotFound,
            "Attempt to delete a user credential that does not exist",
        ));
    }
    Ok(v0(RemoveUserScramCredentialRecord {
        name: deletion.name.clone(),
        mechanism: deletion.mechanism,
        ..Default::default()
    }))
}

fn upsert(upsertion: &ScramCredentialUpsertion) -> Result<VersionedRecord, ApiError> {
    let mechanism = mechanism(&upsertion.name, upsertion.mechanism)?;
    if upsertion.iterations < ITERATIONS_MIN {
        return Err(unacceptable("Too few iterations"));
    }
    if upsertion.iterations > ITERATIONS_MAX {
        return Err(unacceptable("Too many iterations"));
    }
    let keys = mechanism
        .keys(&upsertion.salted_password)
        .ok_or_else(|| unacceptable("The salted password must not be empty"))?;
    Ok(v0(UserScramCredentialRecord {
        name: upsertion.name.clone(),
        mechanism: upsertion.mechanism,
        salt: upsertion.salt.clone(),
        stored_key: keys.stored.into(),
        server_key: keys.server.into(),
        iterations: upsertion.iterations,
        ..Default::default()
    }))
}
