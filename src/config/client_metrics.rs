//! The rules of client metrics subscriptions (KIP-714).

use super::group::client_metrics_table;
use super::layers::DynamicConfig;
use std::ops::RangeInclusive;

const INTERVAL: &str = "interval.ms";
const MATCH: &str = "match";
const INTERVAL_MS: RangeInclusive<i32> = 100..=3_600_000;

/// What clients are chosen by.
const SELECTORS: [&str; 6] = [
    "client_instance_id",
    "client_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

/// Why a subscription cannot be so, in Kafka's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientMetricsError {
    /// The request is at fault.
    #[error("{0}")]
    Request(String),
    /// A value is.
    #[error("{0}")]
    Config(String),
}

/// Checks all that would be set on the subscription `name`.
pub fn validate(name: &str, configs: &DynamicConfig) -> Result<(), ClientMetricsError> {
    use ClientMetricsError::{Config, Request};
    if name.is_empty() {
        return Err(Request("Subscription name can't be empty".to_owned()));
    }
    for (key, text) in configs {
        let Some(known) = client_metrics_table().key(key) else {
            return Err(Request(format!(
                "Unknown client metrics configuration: {key}"
            )));
        };
        known.parse(text).map_err(|e| Config(e.to_string()))?;
    }
    if let Some(interval) = configs.get(INTERVAL)
        && !interval
            .trim()
            .parse()
            .is_ok_and(|ms| INTERVAL_MS.contains(&ms))
    {
        return Err(Request(format!(
            "Invalid value {interval} for {INTERVAL}, interval must be between {} and {} (1 hour)",
            INTERVAL_MS.start(),
            INTERVAL_MS.end()
        )));
    }
    let patterns = configs.get(MATCH).map(String::as_str).unwrap_or_default();
    for pattern in patterns.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        if !is_selector(pattern) {
            return Err(Config(format!(
                "Illegal client matching pattern: {pattern}"
            )));
        }
    }
    Ok(())
}

/// `selector=regular expression`
fn is_selector(pattern: &str) -> bool {
    pattern
        .split_once('=')
        .is_some_and(|(selector, expression)| {
            SELECTORS.contains(&selector.trim()) && regex::Regex::new(expression.trim()).is_ok()
        })
}
