//! Access control entries.

use std::collections::BTreeMap;

use crate::protocol::Uuid;
use crate::protocol::records::metadata::AccessControlEntryRecord;

/// Access control entries by their id.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AclsImage {
    pub by_id: BTreeMap<Uuid, AccessControlEntryRecord>,
}
