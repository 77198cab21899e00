//! The table of every broker key of Kafka 4.3.
mod group;
mod log;
mod network;
mod quorum;
mod remote;
mod replication;
mod security;
mod server;
mod share;
mod streams;
mod transaction;

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

static DYNAMIC_ONLY: LazyLock<ConfigDef> =
    LazyLock::new(|| ConfigDef::new(&[super::resource_keys::DYNAMIC_ONLY_KEYS]));

/// Keys that may stand in `server.properties`.
pub fn table() -> &'static ConfigDef {
    &TABLE
}

/// Keys that can only be set while the broker runs (replication throttles).
pub fn dynamic_only() -> &'static ConfigDef {
    &DYNAMIC_ONLY
}
