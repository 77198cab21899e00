//! Delegation tokens.

use std::collections::BTreeMap;

use crate::protocol::records::metadata::DelegationTokenRecord;

/// Delegation tokens by their id.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TokensImage {
    pub by_id: BTreeMap<String, DelegationTokenRecord>,
}
