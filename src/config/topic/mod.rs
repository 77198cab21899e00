//! Topic keys: their table, what they resolve to, and what is allowed.
pub(super) mod keys;

use super::definition::ConfigDef;
use std::sync::LazyLock;

static TABLE: LazyLock<ConfigDef> = LazyLock::new(|| ConfigDef::new(&[keys::KEYS]));

pub fn table() -> &'static ConfigDef {
    &TABLE
}
