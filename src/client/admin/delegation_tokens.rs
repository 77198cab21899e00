//! Delegation tokens: creating, renewing, expiring and describing them.
use bytes::Bytes;

use super::{Admin, not_controller};
use crate::client::cluster::Route;
use crate::client::errors::{ClientError, Result};
use crate::protocol::ErrorCode;
use crate::protocol::messages::create_delegation_token_request::{
    CreatableRenewers, CreateDelegationTokenRequest,
};
use crate::protocol::messages::describe_delegation_token_request::{
    DescribeDelegationTokenOwner, DescribeDelegationTokenRequest,
};
use crate::protocol::messages::{ExpireDelegationTokenRequest, RenewDelegationTokenRequest};

/// `User` and `alice`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Principal {
    pub kind: String,
    pub name: String,
}

impl std::fmt::Display for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelegationToken {
    pub token_id: String,
    pub hmac: Bytes,
    pub owner: Principal,
    pub requester: Principal,
    pub renewers: Vec<Principal>,
    /// In milliseconds since 1970, as the next two.
    pub issued: i64,
    pub expires: i64,
    pub lives_until: i64,
}

fn principal(kind: String, name: String) -> Principal {
    Principal { kind, name }
}

impl Admin {
    /// Creates a token; -1 as lifetime means the broker's. The owner is who asks, unless named.
    pub async fn create_delegation_token(
        &self,
        owner: Option<&Principal>,
        renewers: &[Principal],
        lifetime_max_ms: i64,
    ) -> Result<DelegationToken> {
        let build = |version| {
            let renewer = |renewer: &Principal| CreatableRenewers {
                principal_type: renewer.kind.clone(),
                principal_name: renewer.name.clone(),
            };
            // Older brokers know no owners but the requester.
            let owner = owner.filter(|_| version >= 3);
            CreateDelegationTokenRequest {
                owner_principal_type: owner.map(|owner| owner.kind.clone()),
                owner_principal_name: owner.map(|owner| owner.name.clone()),
                renewers: renewers.iter().map(renewer).collect(),
                max_lifetime_ms: lifetime_max_ms,
            }
        };
        let options = self.options("createDelegationToken");
        let response = self
            .client()
            .call(options, Route::Controller, build, |response| {
                not_controller([response.error_code])
            })
            .await?;
        ClientError::check(response.error_code, None)?;
        Ok(DelegationToken {
            token_id: response.token_id,
            hmac: response.hmac,
            owner: principal(response.principal_type, response.principal_name),
            requester: principal(
                response.token_requester_principal_type,
                response.token_requester_principal_name,
            ),
            renewers: renewers.to_vec(),
            issued: response.issue_timestamp_ms,
            expires: response.expiry_timestamp_ms,
            lives_until: response.max_timestamp_ms,
        })
    }

    /// Renews a token; gives when it expires now.
    pub async fn renew_delegation_token(&self, hmac: &Bytes, period_ms: i64) -> Result<i64> {
        let build = |_version| RenewDelegationTokenRequest {
            hmac: hmac.clone(),
            renew_period_ms: period_ms,
        };
        let options = self.options("renewDelegationToken");
        let response = self
            .client()
            .call(options, Route::Controller, build, |response| {
                not_controller([response.error_code])
            })
            .await?;
        ClientError::check(response.error_code, None)?;
        Ok(response.expiry_timestamp_ms)
    }

    /// Lets a token expire, at once with -1; gives when it does.
    pub async fn expire_delegation_token(&self, hmac: &Bytes, period_ms: i64) -> Result<i64> {
        let build = |_version| ExpireDelegationTokenRequest {
            hmac: hmac.clone(),
            expiry_time_period_ms: period_ms,
        };
        let options = self.options("expireDelegationToken");
        let response = self
            .client()
            .call(options, Route::Controller, build, |response| {
                not_controller([response.error_code])
            })
            .await?;
        ClientError::check(response.error_code, None)?;
        Ok(response.expiry_timestamp_ms)
    }

    /// The tokens of these owners, or all that the user may see.
    pub async fn describe_delegation_tokens(
        &self,
        owners: Option<&[Principal]>,
    ) -> Result<Vec<DelegationToken>> {
        let owner = |owner: &Principal| DescribeDelegationTokenOwner {
            principal_type: owner.kind.clone(),
            principal_name: owner.name.clone(),
        };
        let build = |_version| DescribeDelegationTokenRequest {
            owners: owners.map(|owners| owners.iter().map(owner).collect()),
        };
        let options = self.options("describeDelegationToken");
        let response = self
            .client()
            .call(options, Route::Any, build, |response| {
                ErrorCode::from_code(response.error_code)
            })
            .await?;
        ClientError::check(response.error_code, None)?;
        let tokens = response.tokens.into_iter().map(|token| DelegationToken {
            token_id: token.token_id,
            hmac: token.hmac,
            owner: principal(token.principal_type, token.principal_name),
            requester: principal(
                token.token_requester_principal_type,
                token.token_requester_principal_name,
            ),
            renewers: token
                .renewers
                .into_iter()
                .map(|renewer| principal(renewer.principal_type, renewer.principal_name))
                .collect(),
            issued: token.issue_timestamp,
            expires: token.expiry_timestamp,
            lives_until: token.max_timestamp,
        });
        Ok(tokens.collect())
    }
}
