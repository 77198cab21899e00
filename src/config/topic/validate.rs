//! What CreateTopics and the alterations of topic configs allow, in Kafka's words.
use super::super::definition::{ConfigError, Values};
use super::super::layers::DynamicConfig;
use super::config::resolve_values;
use super::table;

/// Checks the complete set of `overrides` that a topic is to have, on a broker for which `broker`
/// holds. Kafka answers a problem with INVALID_CONFIG.
pub fn validate(overrides: &DynamicConfig, broker: &Values) -> Result<(), ConfigError> {
    for name in overrides.keys() {
        if table().key(name).is_none() {
            return Err(ConfigError::Other(format!(
                "Unknown topic config name: {name}"
            )));
        }
    }
    for (name, text) in overrides {
        if let Some(key) = table().key(name) {
            key.parse(text)?;
        }
    }
    let values = resolve_values(broker, overrides);
    let (min, max) = (
        values.long("min.compaction.lag.ms"),
        values.long("max.compaction.lag.ms"),
    );
    if min > max {
        return Err(ConfigError::Other(format!(
            "conflict topic config setting min.compaction.lag.ms ({min}) > \
             max.compaction.lag.ms ({max})"
        )));
    }
    if values.bool("remote.storage.enable") {
        return Err(ConfigError::Other(
            "Tiered Storage functionality is disabled in the broker. Topic cannot be configured \
             with remote log storage."
                .into(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::{Properties, broker};
    use super::*;

    fn check(overrides: &[(&str, &str)]) -> String {
        let (broker, _) = broker::table().parse_all(&Properties::new());
        let overrides = overrides
            .iter()
            .map(|(k, v)| ((*k).into(), (*v).into()))
            .collect();
        validate(&overrides, &broker).map_or_else(|error| error.to_string(), |()| "OK".into())
    }

    #[test]
    fn speaks_as_kafka() {
        assert_eq!(
            check(&[("retention.ms", "1"), ("cleanup.policy", "compact,delete")]),
            "OK"
        );
        assert_eq!(
            check(&[("no.such.config", "1")]),
            "Unknown topic config name: no.such.config"
        );
        assert_eq!(
            check(&[("retention.ms", "abc")]),
            "Invalid value abc for configuration retention.ms: Not a number of type LONG"
        );
        assert_eq!(
            check(&[("retention.ms", "abc"), ("unknown", "1")]),
            "Unknown topic config name: unknown"
        );
        assert_eq!(
            check(&[
                ("min.compaction.lag.ms", "5"),
                ("max.compaction.lag.ms", "4")
            ]),
            "conflict topic config setting min.compaction.lag.ms (5) > max.compaction.lag.ms (4)"
        );
        assert!(check(&[("remote.storage.enable", "true")]).starts_with("Tiered Storage"));
    }
}
