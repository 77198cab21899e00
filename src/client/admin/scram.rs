//! SCRAM credentials of users: which there are, setting and deleting them.
use bytes::Bytes;

use super::{Admin, not_controller};
use crate::client::cluster::Route;
use crate::client::errors::{ClientError, Result};
use crate::protocol::ErrorCode;
use crate::protocol::messages::alter_user_scram_credentials_request::{
    AlterUserScramCredentialsRequest, ScramCredentialDeletion, ScramCredentialUpsertion,
};
use crate::protocol::messages::describe_user_scram_credentials_request::{
    DescribeUserScramCredentialsRequest, UserName,
};

/// A credential's mechanism (1 SCRAM-SHA-256, 2 SCRAM-SHA-512) and number of iterations.
pub type ScramInfo = (i8, i32);

/// A credential to set; the password does not leave the client, what is salted does.
#[derive(Debug, Clone)]
pub struct ScramUpsertion {
    pub mechanism: i8,
    pub iterations: i32,
    pub salt: Bytes,
    pub salted_password: Bytes,
}

impl Admin {
    /// The credentials of these users, or of all who have some; each user has its own outcome.
    pub async fn describe_user_scram_credentials(
        &self,
        users: &[&str],
    ) -> Result<Vec<(String, Result<Vec<ScramInfo>>)>> {
        let named = |user: &&str| UserName {
            name: (*user).to_owned(),
        };
        let build = |_version| DescribeUserScramCredentialsRequest {
            users: (!users.is_empty()).then(|| users.iter().map(named).collect()),
        };
        let options = self.options("describeUserScramCredentials");
        let response = self
            .client()
            .call(options, Route::Any, build, |response| {
                ErrorCode::from_code(response.error_code)
            })
            .await?;
        ClientError::check(response.error_code, response.error_message.as_deref())?;
        let results = response.results.into_iter();
        Ok(results
            .map(|result| {
                let infos = result.credential_infos.iter();
                let infos = infos
                    .map(|info| (info.mechanism, info.iterations))
                    .collect();
                let message = result.error_message.as_deref();
                let outcome = ClientError::check(result.error_code, message).map(|()| infos);
                (result.user, outcome)
            })
            .collect())
    }

    /// Deletes credentials of a user by mechanism, and sets others.
    pub async fn alter_user_scram_credentials(
        &self,
        user: &str,
        deletions: &[i8],
        upsertions: &[ScramUpsertion],
    ) -> Result<()> {
        let deletion = |mechanism: &i8| ScramCredentialDeletion {
            name: user.to_owned(),
            mechanism: *mechanism,
        };
        let upsertion = |upsertion: &ScramUpsertion| ScramCredentialUpsertion {
            name: user.to_owned(),
            mechanism: upsertion.mechanism,
            iterations: upsertion.iterations,
            salt: upsertion.salt.clone(),
            salted_password: upsertion.salted_password.clone(),
        };
        let build = |_version| AlterUserScramCredentialsRequest {
            deletions: deletions.iter().map(deletion).collect(),
            upsertions: upsertions.iter().map(upsertion).collect(),
        };
        let options = self.options("alterUserScramCredentials");
        let response = self
            .client()
            .call(options, Route::Controller, build, |response| {
                not_controller(response.results.iter().map(|result| result.error_code))
            })
            .await?;
        for result in response.results {
            ClientError::check(result.error_code, result.error_message.as_deref())?;
        }
        Ok(())
    }
}
