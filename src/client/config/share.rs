//! The share consumer's settings.
use std::sync::Arc;
use std::time::Duration;

use super::ClientConfig;
use super::settings::Settings;
use crate::client::errors::{ClientError, Result};
use crate::config::Properties;

/// What only consumers with partitions of their own have.
const REFUSED: [&str; 10] = [
    "auto.offset.reset",
    "enable.auto.commit",
    "group.instance.id",
    "isolation.level",
    "partition.assignment.strategy",
    "interceptor.classes",
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "group.protocol",
    "group.remote.assignor",
];

#[derive(Clone)]
pub struct ShareConsumerConfig {
    pub client: ClientConfig,
    /// `group.id`
    pub group_id: Arc<str>,
    /// `client.rack`
    pub rack: String,
    /// `fetch.min.bytes`
    pub fetch_bytes_min: i32,
    /// `fetch.max.bytes`
    pub fetch_bytes_max: i32,
    /// `fetch.max.wait.ms`
    pub fetch_wait_max: Duration,
    /// `max.poll.records`: how many records a broker hands out at once, about.
    pub poll_records_max: i32,
    /// `share.acquire.mode` is `record_limit`: never more than that.
    pub strict_limit: bool,
    /// `share.acknowledgement.mode` is `implicit`: the next poll accepts what this one returned.
    pub implicit: bool,
    /// `check.crcs`
    pub check_crcs: bool,
}

impl ShareConsumerConfig {
    /// Reads and checks Kafka's keys.
    pub fn from_properties(properties: &Properties) -> Result<Self> {
        if let Some(key) = REFUSED.iter().find(|key| properties.contains(key)) {
            return Err(ClientError::config(format!(
                "{key} cannot be set when using a share group."
            )));
        }
        let settings = Settings::new(properties, "share consumer");
        let int = |key, default, min| -> Result<i32> {
            Ok(settings.int(key, default, min, i64::from(i32::MAX))? as i32)
        };
        let client = ClientConfig::read(&settings, 30_000, 300_000)?;
        let modes = ["implicit", "explicit"];
        let acknowledgement = settings.one_of("share.acknowledgement.mode", "implicit", &modes)?;
        let modes = ["batch_optimized", "record_limit"];
        let mode = settings.one_of("share.acquire.mode", "batch_optimized", &modes)?;
        let mut config = Self {
            group_id: settings.required("group.id")?.into(),
            rack: settings.text("client.rack", "").to_owned(),
            fetch_bytes_min: int("fetch.min.bytes", 1, 0)?,
            fetch_bytes_max: int("fetch.max.bytes", 52_428_800, 0)?,
            fetch_wait_max: settings.ms("fetch.max.wait.ms", 500)?,
            poll_records_max: int("max.poll.records", 500, 1)?,
            strict_limit: mode == "record_limit",
            implicit: acknowledgement == "implicit",
            check_crcs: settings.bool("check.crcs", true)?,
            client,
        };
        settings.warn_about_unknown();
        // One batch may exceed the fetch limit by what the broker lets in.
        let asked = usize::try_from(config.fetch_bytes_max).unwrap_or_default();
        let room = &mut config.client.connection.response_bytes_max;
        *room = asked.saturating_add(*room).max(i32::MAX as usize / 2);
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ShareConsumerConfig> {
        let text = format!("bootstrap.servers=localhost:9092\n{text}");
        ShareConsumerConfig::from_properties(&Properties::parse(&text).unwrap())
    }

    #[test]
    fn settings_of_other_consumers_are_refused() {
        let config = parse("group.id=g\nshare.acquire.mode=record_limit").unwrap();
        assert_eq!((&*config.group_id, config.strict_limit), ("g", true));
        assert!(config.implicit);
        let explicit = parse("group.id=g\nshare.acknowledgement.mode=explicit").unwrap();
        assert!(!explicit.implicit);
        let error = parse("group.id=g\nauto.offset.reset=earliest")
            .err()
            .unwrap();
        assert_eq!(
            error.to_string(),
            "auto.offset.reset cannot be set when using a share group."
        );
        assert!(parse("").is_err());
    }
}
