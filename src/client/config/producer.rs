//! The producer's settings.
use std::sync::Arc;
use std::time::Duration;

use super::settings::{Settings, invalid};
use super::{ClientConfig, simple_class_name};
use crate::client::errors::{ClientError, Result};
use crate::config::Properties;
use crate::record::Compression;

/// When a batch counts as delivered: `acks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// 0: once it is on its way. Nothing is known about its fate.
    None,
    /// 1: once the leader has it.
    Leader,
    /// -1, `all`: once all in-sync replicas have it.
    All,
}

impl Acks {
    pub(crate) fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// How a partition is chosen for a record that does not name one: `partitioner.class`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partitioning {
    /// Kafka's built-in: murmur2 of the key; without a key, one partition for a batch's worth.
    BuiltIn,
    /// `RoundRobinPartitioner`: the next partition for each record, whatever its key.
    RoundRobin,
}

#[derive(Clone)]
pub struct ProducerConfig {
    pub client: ClientConfig,
    pub acks: Acks,
    /// `transactional.id` and `transaction.timeout.ms`
    pub transactional: Option<(Arc<str>, Duration)>,
    /// `enable.idempotence`
    pub idempotence: bool,
    /// `batch.size`: a batch is closed when its records reach it.
    pub batch_bytes: usize,
    /// `linger.ms`: how long a batch that is not full waits for more.
    pub linger: Duration,
    /// `buffer.memory`: what may wait or be in flight; beyond it `append` waits.
    pub buffer_memory_bytes: usize,
    /// `max.request.size`
    pub request_bytes_max: usize,
    /// `max.in.flight.requests.per.connection`
    pub in_flight_max: usize,
    /// `retries`: how often a batch is sent again, within `delivery.timeout.ms`.
    pub retries: u32,
    /// `delivery.timeout.ms`: from `append` to the outcome.
    pub delivery_timeout: Duration,
    /// `max.block.ms`: how long `append` waits for memory or metadata.
    pub block_max: Duration,
    /// `compression.type`
    pub compression: Compression,
    /// `compression.{gzip,lz4,zstd}.level`, of the chosen codec; `None` is the codec's default.
    pub compression_level: Option<i32>,
    /// `partitioner.class`
    pub partitioning: Partitioning,
    /// `partitioner.ignore.keys`
    pub ignore_keys: bool,
    /// `partitioner.adaptive.partitioning.enable`
    pub adaptive: bool,
    /// `metadata.max.idle.ms`: a topic that is not produced to is forgotten after it.
    pub metadata_max_idle: Duration,
}

impl ProducerConfig {
    /// Reads and checks Kafka's producer keys.
    pub fn from_properties(properties: &Properties) -> Result<Self> {
        let settings = Settings::new(properties, "producer");
        let mut client = ClientConfig::read(&settings, 30_000, 300_000)?;
        client.auto_create_topics = true;
        let compression = compression(&settings)?;
        let int_max = i64::from(i32::MAX);
        let config = Self {
            acks: acks(settings.text("acks", "all"))?,
            idempotence: false,
            transactional: transactional(&settings)?,
            batch_bytes: settings.int("batch.size", 16_384, 0, int_max)? as usize,
            linger: settings.ms("linger.ms", 5)?,
            buffer_memory_bytes: settings.bytes("buffer.memory", 32 * 1024 * 1024)?,
            request_bytes_max: settings.int("max.request.size", 1_048_576, 0, int_max)? as usize,
            in_flight_max: settings.int("max.in.flight.requests.per.connection", 5, 1, int_max)?
                as usize,
            retries: client.retries,
            delivery_timeout: settings.ms("delivery.timeout.ms", 120_000)?,
            block_max: settings.ms("max.block.ms", 60_000)?,
            compression,
            compression_level: compression_level(&settings, compression)?,
            partitioning: partitioning(&settings)?,
            ignore_keys: settings.bool("partitioner.ignore.keys", false)?,
            adaptive: settings.bool("partitioner.adaptive.partitioning.enable", true)?,
            metadata_max_idle: settings.ms("metadata.max.idle.ms", 300_000)?,
            client,
        };
        let config = config.with_idempotence(&settings)?.checked(&settings)?;
        settings.warn_about_unknown();
        Ok(config)
    }

    /// Idempotence is on unless a setting that excludes it was chosen, as in Kafka 3 and later.
    fn with_idempotence(mut self, settings: &Settings<'_>) -> Result<Self> {
        let asked = settings.get("enable.idempotence").is_some();
        let wanted = settings.bool("enable.idempotence", true)?;
        let obstacle = if self.acks != Acks::All {
            Some(
                "Must set acks to all in order to use the idempotent producer. Otherwise we \
                  cannot guarantee idempotence.",
            )
        } else if self.retries == 0 {
            Some("Must set retries to non-zero when using the idempotent producer.")
        } else if self.in_flight_max > 5 {
            Some(
                "Must set max.in.flight.requests.per.connection to at most 5 to use the \
                  idempotent producer.",
            )
        } else {
            None
        };
        self.idempotence = match obstacle {
            Some(text) if asked && wanted => return Err(ClientError::config(text)),
            Some(_) => false,
            None => wanted,
        };
        if self.transactional.is_some() && !self.idempotence {
            return Err(ClientError::config(
                "Cannot set a transactional.id without also enabling idempotence.",
            ));
        }
        Ok(self)
    }

    fn checked(mut self, settings: &Settings<'_>) -> Result<Self> {
        let least = self.linger.saturating_add(self.client.request_timeout);
        if self.delivery_timeout < least {
            if settings.get("delivery.timeout.ms").is_some() {
                return Err(ClientError::config(
                    "delivery.timeout.ms should be equal to or larger than linger.ms + \
                     request.timeout.ms",
                ));
            }
            tracing::warn!(
                "delivery.timeout.ms should be equal to or larger than linger.ms + \
                 request.timeout.ms. Setting it to {}.",
                least.as_millis()
            );
            self.delivery_timeout = least;
        }
        Ok(self)
    }
}

fn transactional(settings: &Settings<'_>) -> Result<Option<(Arc<str>, Duration)>> {
    let key = "transaction.timeout.ms";
    let timeout_ms = settings.int(key, 60_000, 0, i64::from(i32::MAX))?;
    if settings.bool("transaction.two.phase.commit.enable", false)? {
        return Err(ClientError::config(match settings.get(key) {
            Some(_) => {
                "Cannot set transaction.timeout.ms when transaction.two.phase.commit.enable is set \
                 to true. Transactions will not expire with two-phase commit enabled."
            }
            None => {
                "transaction.two.phase.commit.enable=true: no released broker takes part in \
                 two-phase commits"
            }
        }));
    }
    match settings.get("transactional.id") {
        Some("") => Err(invalid("transactional.id", "", "String must be non-empty")),
        id => Ok(id.map(|id| (id.into(), Duration::from_millis(timeout_ms.unsigned_abs())))),
    }
}

fn acks(text: &str) -> Result<Acks> {
    match text {
        "0" => Ok(Acks::None),
        "1" => Ok(Acks::Leader),
        "all" | "-1" => Ok(Acks::All),
        _ => Err(invalid(
            "acks",
            text,
            "String must be one of: all, -1, 0, 1",
        )),
    }
}

fn compression(settings: &Settings<'_>) -> Result<Compression> {
    let words = ["none", "gzip", "snappy", "lz4", "zstd"];
    Ok(match settings.one_of("compression.type", "none", &words)? {
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        _ => Compression::None,
    })
}

/// All levels are checked; the chosen codec's is used.
fn compression_level(settings: &Settings<'_>, chosen: Compression) -> Result<Option<i32>> {
    let gzip = settings.int("compression.gzip.level", -1, -1, 9)?;
    if gzip == 0 {
        return Err(invalid(
            "compression.gzip.level",
            "0",
            "Value must be between 1 and 9 or equal to -1",
        ));
    }
    let lz4 = settings.int("compression.lz4.level", 9, 1, 17)?;
    let zstd = settings.int("compression.zstd.level", 3, -131_072, 22)?;
    let given = |key, level: i64| settings.get(key).is_some().then_some(level as i32);
    Ok(match chosen {
        Compression::Gzip => given("compression.gzip.level", gzip).filter(|level| *level > 0),
        Compression::Lz4 => given("compression.lz4.level", lz4),
        Compression::Zstd => given("compression.zstd.level", zstd),
        Compression::None | Compression::Snappy => None,
    })
}

fn partitioning(settings: &Settings<'_>) -> Result<Partitioning> {
    let availability = settings.ms("partitioner.availability.timeout.ms", 0)?;
    if !availability.is_zero() {
        tracing::warn!("partitioner.availability.timeout.ms is not acted on yet");
    }
    match settings.get("partitioner.class").map(simple_class_name) {
        None => Ok(Partitioning::BuiltIn),
        Some("RoundRobinPartitioner") => Ok(Partitioning::RoundRobin),
        Some(other) => Err(invalid(
            "partitioner.class",
            other,
            "Only org.apache.kafka.clients.producer.RoundRobinPartitioner is known here",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ProducerConfig> {
        let text = format!("bootstrap.servers=localhost:9092\n{text}");
        ProducerConfig::from_properties(&Properties::parse(&text).unwrap())
    }

    #[test]
    fn defaults_are_those_of_kafka_4() {
        let config = parse("").unwrap();
        assert_eq!(config.acks, Acks::All);
        assert!(config.idempotence && config.adaptive && config.client.auto_create_topics);
        assert_eq!((config.batch_bytes, config.linger.as_millis()), (16_384, 5));
        assert_eq!(config.buffer_memory_bytes, 33_554_432);
        assert_eq!(config.delivery_timeout.as_millis(), 120_000);
    }

    #[test]
    fn idempotence_gives_way_only_when_it_was_not_asked_for() {
        assert!(!parse("acks=1").unwrap().idempotence);
        assert!(
            !parse("max.in.flight.requests.per.connection=6")
                .unwrap()
                .idempotence
        );
        assert!(parse("acks=1\nenable.idempotence=true").is_err());
    }

    #[test]
    fn bad_values_name_key_and_value() {
        for (line, part) in [
            (
                "compression.type=zip",
                "Invalid value zip for configuration compression.type",
            ),
            ("batch.size=x", "batch.size"),
            ("linger.ms=-1", "linger.ms"),
            (
                "delivery.timeout.ms=10",
                "delivery.timeout.ms should be equal",
            ),
            ("compression.gzip.level=0", "compression.gzip.level"),
            (
                "transactional.id=",
                "Invalid value  for configuration transactional.id: String must be non-empty",
            ),
            (
                "transactional.id=x\nacks=1",
                "Cannot set a transactional.id without also enabling idempotence.",
            ),
            (
                "transaction.timeout.ms=1\ntransaction.two.phase.commit.enable=true",
                "Cannot set transaction.timeout.ms when",
            ),
        ] {
            let error = parse(line)
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default();
            assert!(error.contains(part), "{line}: {error:?}");
        }
    }
}
