//! The consumer's settings.
use std::sync::Arc;
use std::time::Duration;

use super::settings::{Settings, invalid};
use super::{ClientConfig, list, simple_class_name};
use crate::client::errors::{ClientError, Result};
use crate::config::Properties;

/// `isolation.level`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IsolationLevel {
    ReadUncommitted,
    ReadCommitted,
}

impl IsolationLevel {
    pub(crate) fn code(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}

/// `auto.offset.reset`: where to start without a valid position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoOffsetReset {
    Earliest,
    Latest,
    /// An error.
    None,
    /// `by_duration:<ISO 8601>`: the first record not older than this.
    ByDuration(Duration),
}

/// `group.protocol`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupProtocol {
    /// Members assign the partitions among themselves.
    Classic,
    /// The coordinator does (KIP-848).
    Consumer,
}

/// A partition assignor that this client has, by Kafka's class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssignorKind {
    Range,
    RoundRobin,
    Sticky,
    CooperativeSticky,
}

impl AssignorKind {
    fn from_class(class: &str) -> Result<Self> {
        match simple_class_name(class) {
            "RangeAssignor" => Ok(Self::Range),
            "RoundRobinAssignor" => Ok(Self::RoundRobin),
            "StickyAssignor" => Ok(Self::Sticky),
            "CooperativeStickyAssignor" => Ok(Self::CooperativeSticky),
            _ => Err(invalid(
                "partition.assignment.strategy",
                class,
                "only Kafka's RangeAssignor, RoundRobinAssignor, StickyAssignor and \
                 CooperativeStickyAssignor are known here",
            )),
        }
    }
}

#[derive(Clone)]
pub struct ConsumerConfig {
    pub client: ClientConfig,
    /// `group.id`; needed to subscribe or commit.
    pub group_id: Option<Arc<str>>,
    /// `group.protocol`
    pub group_protocol: GroupProtocol,
    /// `group.remote.assignor`: the coordinator's assignor in the consumer protocol.
    pub remote_assignor: Option<Arc<str>>,
    /// `group.instance.id`: static membership.
    pub group_instance_id: Option<Arc<str>>,
    /// `auto.offset.reset`
    pub auto_offset_reset: AutoOffsetReset,
    /// `auto.commit.interval.ms`; `None` without `enable.auto.commit` or group.
    pub auto_commit: Option<Duration>,
    /// `isolation.level`
    pub isolation_level: IsolationLevel,
    /// `fetch.min.bytes`
    pub fetch_bytes_min: i32,
    /// `fetch.max.bytes`
    pub fetch_bytes_max: i32,
    /// `max.partition.fetch.bytes`
    pub partition_fetch_bytes_max: i32,
    /// `fetch.max.wait.ms`
    pub fetch_wait_max: Duration,
    /// `max.poll.records`: a poll ends at the first batch boundary at or after this many.
    pub poll_records_max: usize,
    /// `max.poll.interval.ms`
    pub poll_interval_max: Duration,
    /// `session.timeout.ms`
    pub session_timeout: Duration,
    /// `heartbeat.interval.ms`
    pub heartbeat_interval: Duration,
    /// `check.crcs`
    pub check_crcs: bool,
    /// `client.rack`
    pub rack: String,
    /// `exclude.internal.topics`: whether a pattern subscription leaves them out.
    pub exclude_internal_topics: bool,
    /// `partition.assignment.strategy`, most wanted first.
    pub assignors: Vec<AssignorKind>,
}

impl ConsumerConfig {
    /// Reads and checks Kafka's consumer keys.
    pub fn from_properties(properties: &Properties) -> Result<Self> {
        let settings = Settings::new(properties, "consumer");
        let int_max = i64::from(i32::MAX);
        let int = |key, default, min| -> Result<i32> {
            Ok(settings.int(key, default, min, int_max)? as i32)
        };
        let mut client = ClientConfig::read(&settings, 30_000, 300_000)?;
        client.auto_create_topics = settings.bool("allow.auto.create.topics", true)?;
        let group_protocol = group_protocol(&settings)?;
        let group_id = settings.get("group.id").map(Arc::from);
        let config = Self {
            auto_offset_reset: auto_offset_reset(settings.text("auto.offset.reset", "latest"))?,
            auto_commit: auto_commit(&settings, group_id.is_some())?,
            group_id,
            group_protocol,
            remote_assignor: settings.get("group.remote.assignor").map(Arc::from),
            group_instance_id: settings.get("group.instance.id").map(Arc::from),
            isolation_level: isolation_level(&settings)?,
            fetch_bytes_min: int("fetch.min.bytes", 1, 0)?,
            fetch_bytes_max: int("fetch.max.bytes", 52_428_800, 0)?,
            partition_fetch_bytes_max: int("max.partition.fetch.bytes", 1_048_576, 0)?,
            fetch_wait_max: settings.ms("fetch.max.wait.ms", 500)?,
            poll_records_max: int("max.poll.records", 500, 1)? as usize,
            poll_interval_max: settings.ms("max.poll.interval.ms", 300_000)?,
            session_timeout: settings.ms("session.timeout.ms", 45_000)?,
            heartbeat_interval: settings
                .ms("heartbeat.interval.ms", 3_000)?
                .max(Duration::from_millis(1)),
            check_crcs: settings.bool("check.crcs", true)?,
            rack: settings.text("client.rack", "").to_owned(),
            exclude_internal_topics: settings.bool("exclude.internal.topics", true)?,
            assignors: assignors(&settings)?,
            client,
        };
        settings.warn_about_unknown();
        config.checked()
    }

    fn checked(mut self) -> Result<Self> {
        if self.heartbeat_interval >= self.session_timeout {
            return Err(ClientError::config(
                "Heartbeat must be set lower than the session timeout",
            ));
        }
        // One batch may exceed the fetch limits by what the broker lets in.
        let asked = usize::try_from(self.fetch_bytes_max).unwrap_or_default();
        let room = self.client.connection.response_bytes_max;
        self.client.connection.response_bytes_max =
            asked.saturating_add(room).max(i32::MAX as usize / 2);
        Ok(self)
    }
}

/// What the coordinator decides in the consumer protocol cannot be set, and the other way round.
fn group_protocol(settings: &Settings<'_>) -> Result<GroupProtocol> {
    let words = ["classic", "consumer"];
    let (protocol, name, foreign): (_, _, &[&str]) =
        match settings.one_of("group.protocol", "classic", &words)? {
            "classic" => (
                GroupProtocol::Classic,
                "CLASSIC",
                &["group.remote.assignor"],
            ),
            _ => (
                GroupProtocol::Consumer,
                "CONSUMER",
                &[
                    "partition.assignment.strategy",
                    "heartbeat.interval.ms",
                    "session.timeout.ms",
                ],
            ),
        };
    match foreign.iter().find(|key| settings.get(key).is_some()) {
        Some(key) => Err(ClientError::config(format!(
            "{key} cannot be set when group.protocol={name}"
        ))),
        None => Ok(protocol),
    }
}

fn auto_commit(settings: &Settings<'_>, has_group: bool) -> Result<Option<Duration>> {
    let asked = settings.get("enable.auto.commit").is_some();
    let enabled = settings.bool("enable.auto.commit", true)?;
    let interval = settings.ms("auto.commit.interval.ms", 5_000)?;
    if enabled && asked && !has_group {
        return Err(invalid(
            "enable.auto.commit",
            "true",
            "cannot be set to true when default group id (null) is used",
        ));
    }
    Ok((enabled && has_group).then_some(interval))
}

fn isolation_level(settings: &Settings<'_>) -> Result<IsolationLevel> {
    let words = ["read_committed", "read_uncommitted"];
    Ok(
        match settings.one_of("isolation.level", "read_uncommitted", &words)? {
            "read_committed" => IsolationLevel::ReadCommitted,
            _ => IsolationLevel::ReadUncommitted,
        },
    )
}

fn auto_offset_reset(text: &str) -> Result<AutoOffsetReset> {
    let lower = text.to_ascii_lowercase();
    if let Some(duration) = lower.strip_prefix("by_duration:") {
        let iso = duration
            .starts_with(['p', '-', '+'])
            .then(|| duration.to_uppercase());
        let span: jiff::Span = iso
            .and_then(|iso| iso.parse().ok())
            .ok_or_else(|| invalid("auto.offset.reset", text, "not an ISO-8601 duration"))?;
        let duration = span
            .to_duration(jiff::SpanRelativeTo::days_are_24_hours())
            .ok()
            .and_then(|duration| Duration::try_from(duration).ok())
            .ok_or_else(|| {
                invalid(
                    "auto.offset.reset",
                    text,
                    "the duration must not be negative",
                )
            })?;
        return Ok(AutoOffsetReset::ByDuration(duration));
    }
    match lower.as_str() {
        "earliest" => Ok(AutoOffsetReset::Earliest),
        "latest" => Ok(AutoOffsetReset::Latest),
        "none" => Ok(AutoOffsetReset::None),
        _ => Err(invalid(
            "auto.offset.reset",
            text,
            "the value must be either 'earliest', 'latest', 'none' or of the format \
             'by_duration:<PnDTnHnMn.nS>'",
        )),
    }
}

fn assignors(settings: &Settings<'_>) -> Result<Vec<AssignorKind>> {
    match settings.get("partition.assignment.strategy") {
        None => Ok(vec![AssignorKind::Range, AssignorKind::CooperativeSticky]),
        Some(text) => list(text)
            .iter()
            .map(|class| AssignorKind::from_class(class))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ConsumerConfig> {
        let text = format!("bootstrap.servers=localhost:9092\n{text}");
        ConsumerConfig::from_properties(&Properties::parse(&text).unwrap())
    }

    #[test]
    fn offset_reset_words_and_durations() {
        for (text, expected) in [
            ("earliest", AutoOffsetReset::Earliest),
            ("NONE", AutoOffsetReset::None),
            (
                "by_duration:PT1H",
                AutoOffsetReset::ByDuration(Duration::from_secs(3600)),
            ),
            (
                "by_duration:P1DT1S",
                AutoOffsetReset::ByDuration(Duration::from_secs(86_401)),
            ),
        ] {
            assert_eq!(auto_offset_reset(text).unwrap(), expected, "{text}");
        }
        for bad in [
            "",
            "first",
            "by_duration:",
            "by_duration:-PT1H",
            "by_duration:1h30",
        ] {
            assert!(auto_offset_reset(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn protocols_have_settings_of_their_own() {
        let protocol = |text: &str| parse(text).map(|config| config.group_protocol);
        assert_eq!(protocol("").unwrap(), GroupProtocol::Classic);
        let consumer = "group.protocol=consumer\n";
        assert_eq!(protocol(consumer).unwrap(), GroupProtocol::Consumer);
        let error = |text: &str| protocol(text).unwrap_err().to_string();
        assert_eq!(
            error(&format!("{consumer}session.timeout.ms=6000")),
            "session.timeout.ms cannot be set when group.protocol=CONSUMER"
        );
        assert_eq!(
            error("group.remote.assignor=range"),
            "group.remote.assignor cannot be set when group.protocol=CLASSIC"
        );
        assert!(parse("partition.assignment.strategy=com.example.Mine").is_err());
    }

    #[test]
    fn auto_commit_needs_a_group() {
        assert_eq!(parse("").unwrap().auto_commit, None);
        assert_eq!(
            parse("group.id=g").unwrap().auto_commit,
            Some(Duration::from_secs(5))
        );
        assert!(parse("enable.auto.commit=true").is_err());
    }
}
