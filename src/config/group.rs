//! The tables of groups and of client metrics subscriptions, which are only set while the broker runs.
use super::definition::{ConfigDef, Values};
use super::layers::DynamicConfig;
use super::{Properties, broker, resource_keys};
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

/// A group's bounds: its key, the broker's keys for the least and the most, and whether they hold
/// for the broker's default too.
struct Bounds {
    key: &'static str,
    least: Option<&'static str>,
    most: &'static str,
    is_for_default: bool,
}

const fn bounds(
    key: &'static str,
    least: &'static str,
    most: &'static str,
    is_for_default: bool,
) -> Bounds {
    Bounds {
        key,
        least: Some(least),
        most,
        is_for_default,
    }
}

#[rustfmt::skip]
const BOUNDS: [Bounds; 13] = [
    bounds("consumer.heartbeat.interval.ms", "group.consumer.min.heartbeat.interval.ms", "group.consumer.max.heartbeat.interval.ms", true),
    bounds("consumer.session.timeout.ms", "group.consumer.min.session.timeout.ms", "group.consumer.max.session.timeout.ms", true),
    bounds("consumer.assignment.interval.ms", "group.consumer.min.assignment.interval.ms", "group.consumer.max.assignment.interval.ms", false),
    bounds("share.heartbeat.interval.ms", "group.share.min.heartbeat.interval.ms", "group.share.max.heartbeat.interval.ms", true),
    bounds("share.session.timeout.ms", "group.share.min.session.timeout.ms", "group.share.max.session.timeout.ms", true),
    bounds("share.record.lock.duration.ms", "group.share.min.record.lock.duration.ms", "group.share.max.record.lock.duration.ms", true),
    bounds("share.delivery.count.limit", "group.share.min.delivery.count.limit", "group.share.max.delivery.count.limit", true),
    bounds("share.partition.max.record.locks", "group.share.min.partition.max.record.locks", "group.share.max.partition.max.record.locks", true),
    bounds("share.assignment.interval.ms", "group.share.min.assignment.interval.ms", "group.share.max.assignment.interval.ms", false),
    bounds("streams.heartbeat.interval.ms", "group.streams.min.heartbeat.interval.ms", "group.streams.max.heartbeat.interval.ms", true),
    bounds("streams.session.timeout.ms", "group.streams.min.session.timeout.ms", "group.streams.max.session.timeout.ms", true),
    bounds("streams.assignment.interval.ms", "group.streams.min.assignment.interval.ms", "group.streams.max.assignment.interval.ms", false),
    Bounds { key: "streams.num.standby.replicas", least: None, most: "group.streams.max.standby.replicas", is_for_default: true },
];

/// Why a group cannot be configured so, in Kafka's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct GroupConfigError(String);

/// Checks what a group would be configured with: names, values, and the broker's bounds.
pub fn validate(configs: &DynamicConfig, broker: &Values) -> Result<(), GroupConfigError> {
    for name in configs.keys() {
        if table().key(name).is_none() {
            let message = format!("Unknown group config name: {name}");
            return Err(GroupConfigError(message));
        }
    }
    let mut all = Properties::default();
    for key in table().keys() {
        let inherited = format!("group.{}", key.name);
        let inherited = broker::table()
            .key(&inherited)
            .map(|_| broker.value(&inherited));
        match (configs.get(key.name), inherited) {
            (Some(own), _) => all.set(key.name, own),
            (None, Some(value)) => all.set(key.name, value.to_text().unwrap_or_default()),
            (None, None) => {}
        }
    }
    let (values, errors) = table().parse_all(&all);
    if let Some(error) = errors.first() {
        return Err(GroupConfigError(error.to_string()));
    }
    for bounds in &BOUNDS {
        if !bounds.is_for_default && !configs.contains_key(bounds.key) {
            continue;
        }
        let (key, value) = (bounds.key, values.int(bounds.key));
        let fails = |relation: &str, bound: &str| {
            let message = format!("{key} must be {relation} than or equal to {bound}");
            Err(GroupConfigError(message))
        };
        if let Some(least) = bounds.least
            && value < broker.int(least)
        {
            return fails("greater", least);
        }
        if value > broker.int(bounds.most) {
            return fails("less", bounds.most);
        }
    }
    for kind in ["consumer", "share", "streams"] {
        let session = format!("{kind}.session.timeout.ms");
        let heartbeat = format!("{kind}.heartbeat.interval.ms");
        if values.int(&session) <= values.int(&heartbeat) {
            let message = format!("{session} must be greater than {heartbeat}");
            return Err(GroupConfigError(message));
        }
    }
    Ok(())
}
