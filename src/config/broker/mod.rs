//! The table of every broker key of Kafka 4.3.
mod group;
mod log;
mod network;
mod own;
mod quorum;
mod remote;
mod replication;
mod security;
mod server;
mod share;
mod streams;
mod transaction;

pub use own::GROUP_COMMIT;

use super::definition::ConfigDef;
use std::sync::LazyLock;

static TABLE: LazyLock<ConfigDef> = LazyLock::new(|| {
    ConfigDef::new(&[
        group::KEYS,
        log::KEYS,
        network::KEYS,
        quorum::KEYS,
        remote::KEYS,
        replication::KEYS,
        security::KEYS,
        server::KEYS,
        share::KEYS,
        streams::KEYS,
        transaction::KEYS,
    ])
});

static OWN: LazyLock<ConfigDef> = LazyLock::new(|| ConfigDef::new(&[own::KEYS]));

static DYNAMIC_ONLY: LazyLock<ConfigDef> =
    LazyLock::new(|| ConfigDef::new(&[super::resource_keys::DYNAMIC_ONLY_KEYS]));

/// Keys that may stand in `server.properties`.
pub fn table() -> &'static ConfigDef {
    &TABLE
}

/// Keys in it that Kafka does not have.
pub fn own() -> &'static ConfigDef {
    &OWN
}

/// Keys that can only be set while the broker runs (replication throttles).
pub fn dynamic_only() -> &'static ConfigDef {
    &DYNAMIC_ONLY
}
