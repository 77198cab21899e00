//! The tables of groups and of client metrics subscriptions, which are only set while the broker runs.
use super::definition::ConfigDef;
use super::resource_keys;
use std::sync::LazyLock;

static TABLE: LazyLock<ConfigDef> = LazyLock::new(|| ConfigDef::new(&[resource_keys::GROUP_KEYS]));
static CLIENT_METRICS: LazyLock<ConfigDef> =
    LazyLock::new(|| ConfigDef::new(&[resource_keys::CLIENT_METRICS_KEYS]));

pub fn table() -> &'static ConfigDef {
    &TABLE
}

pub fn client_metrics_table() -> &'static ConfigDef {
    &CLIENT_METRICS
}
