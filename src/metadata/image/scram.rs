//! SCRAM credentials.

use std::collections::BTreeMap;

use crate::protocol::records::metadata::UserScramCredentialRecord;

/// Credentials by mechanism code (1 SHA-256, 2 SHA-512) and user.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScramImage {
    pub credentials: BTreeMap<(i8, String), UserScramCredentialRecord>,
}
