//! The tables of Connect: workers, connectors, the file connectors.
mod connector;
mod distributed;
mod standalone;
mod worker;

use super::client::common;
use super::definition::ConfigDef;
use std::sync::LazyLock;

static STANDALONE: LazyLock<ConfigDef> =
    LazyLock::new(|| ConfigDef::new(&[worker::KEYS, standalone::KEYS, common::SSL]));
static DISTRIBUTED: LazyLock<ConfigDef> =
    LazyLock::new(|| ConfigDef::new(&[worker::KEYS, distributed::KEYS, common::SSL, common::SASL]));
static SOURCE: LazyLock<ConfigDef> =
    LazyLock::new(|| ConfigDef::new(&[connector::KEYS, connector::SOURCE_KEYS]));
static SINK: LazyLock<ConfigDef> =
    LazyLock::new(|| ConfigDef::new(&[connector::KEYS, connector::SINK_KEYS]));
static FILE_SOURCE: LazyLock<ConfigDef> =
    LazyLock::new(|| ConfigDef::new(&[connector::FILE_SOURCE_KEYS]));
static FILE_SINK: LazyLock<ConfigDef> =
    LazyLock::new(|| ConfigDef::new(&[connector::FILE_SINK_KEYS]));

/// Keys of a standalone worker.
pub fn standalone() -> &'static ConfigDef {
    &STANDALONE
}

/// Keys of a distributed worker.
pub fn distributed() -> &'static ConfigDef {
    &DISTRIBUTED
}

/// Keys of every source connector.
pub fn source() -> &'static ConfigDef {
    &SOURCE
}

/// Keys of every sink connector.
pub fn sink() -> &'static ConfigDef {
    &SINK
}

/// Keys that FileStreamSource adds.
pub fn file_source() -> &'static ConfigDef {
    &FILE_SOURCE
}

/// Keys that FileStreamSink adds.
pub fn file_sink() -> &'static ConfigDef {
    &FILE_SINK
}
