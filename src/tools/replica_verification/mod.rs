//! `kafka-replica-verification`: fetches all replicas of topics side by side and compares them.
mod compare;
mod fetch;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Zoned;
use tokio::time::Instant;

use compare::{Difference, Fetched, compare};
use fetch::{Position, Source};

use super::cluster::{Interrupt, admin_config, block_on};
use super::console_producer::options::check_bootstrap;
use super::options::jopt::OptionSet;
use super::options::{Definition, Group, Opt};
use super::output::{Invocation, Printer, message};
use super::registry::Exit;
use super::session::OTHER;
use super::topics::TopicFilter;
use super::usage::{self, UsageError, require};
use crate::client::TopicPartition;
use crate::client::admin::{Admin, OffsetSpec, PARTITIONS_PER_RESPONSE};
use crate::client::config::IsolationLevel;
use crate::config::Properties;

pub static DEFINITION: Definition = Definition {
    name: "replica-verification",
    about: "Compares the replicas of topics, batch by batch, until it is stopped. Deprecated in Kafka.",
    groups: &[
        Group {
            heading: "Where",
            options: &[Opt::value(
                "broker-list",
                "HOST:PORT,...",
                "A broker of the cluster (required)",
            )],
        },
        Group {
            heading: "Of what",
            options: &[
                Opt::value("topics-include", "REGEX", "Topics whose whole name matches")
                    .default(".*"),
                Opt::value(
                    "time",
                    "TIMESTAMP",
                    "Begin at this time in ms: -1 the end, -2 the beginning",
                )
                .default("-1"),
            ],
        },
        Group {
            heading: "How",
            options: &[
                Opt::value("fetch-size", "BYTES", "Of each partition at once").default("1048576"),
                Opt::value(
                    "max-wait-ms",
                    "MS",
                    "How long a broker may wait for records",
                )
                .default("1000"),
                Opt::value("report-interval-ms", "MS", "Tell the greatest lag so often")
                    .default("30000"),
            ],
        },
        OTHER,
    ],
    after: "",
};

/// Before what failed is tried again.
const BACKOFF: Duration = Duration::from_millis(500);

/// What is asked for.
struct Wanted {
    topics: TopicFilter,
    time: i64,
    fetch_bytes: i32,
    max_wait_ms: i32,
    report_interval: Duration,
}

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    message("WARNING: This tool is deprecated and may be removed in a future major release.");
    let options = match usage::parse(&DEFINITION, &invocation)? {
        Ok(options) => options,
        Err(exit) => return Ok(exit),
    };
    let wanted = match check(&options) {
        Ok(wanted) => wanted,
        Err(error) => return Ok(usage::refuse(&DEFINITION, &invocation, &error)),
    };
    let mut properties = Properties::new();
    properties.set(
        "bootstrap.servers",
        options.value("broker-list")?.unwrap_or_default(),
    );
    let config = admin_config(&properties)?;
    block_on(async {
        let admin = Admin::new(config);
        let interrupt = Interrupt::listen()?;
        let verified = tokio::select! {
            verified = verify(&admin, &wanted) => verified,
            exit = interrupt.first() => Ok(exit),
        };
        admin.close().await;
        verified
    })
}

fn check(options: &OptionSet) -> Result<Wanted, UsageError> {
    require(options, &["broker-list"])?;
    check_bootstrap(options.value("broker-list")?)?;
    let interval: i64 = options.number("report-interval-ms")?.unwrap_or_default();
    let topics = options.value("topics-include")?.unwrap_or(".*");
    Ok(Wanted {
        topics: TopicFilter::new(topics).map_err(|error| UsageError(error.to_string()))?,
        time: options.number("time")?.unwrap_or(-1),
        fetch_bytes: options.number("fetch-size")?.unwrap_or_default(),
        max_wait_ms: options.number("max-wait-ms")?.unwrap_or_default(),
        report_interval: Duration::from_millis(u64::try_from(interval).unwrap_or(0)),
    })
}

fn now() -> String {
    Zoned::now().strftime("%Y-%m-%d %H:%M:%S,%3f").to_string()
}

/// Goes round until it is stopped, or replicas differ so that nothing can be compared any more.
async fn verify(admin: &Admin, wanted: &Wanted) -> anyhow::Result<Exit> {
    let mut verification = Verification::begin(admin, wanted).await?;
    let mut printer = Printer::default();
    printer.line(format!("{}: verification process is started", now()))?;
    printer.flush()?;
    let mut reported = Instant::now();
    loop {
        let (fetched, all_well) = verification.fetch(admin, wanted).await;
        let verdict = verification.compare(fetched, &mut printer)?;
        if reported.elapsed() > wanted.report_interval {
            reported = Instant::now();
            if let Some(Lag {
                partition,
                lag,
                offset,
            }) = &verdict.lag
            {
                printer.line(format!(
                    "{}: max lag is {lag} for partition {partition} at offset {offset} among {} \
                     partitions",
                    now(),
                    verification.positions.len()
                ))?;
            }
        }
        printer.flush()?;
        if verdict.ends {
            return Ok(Exit::FAILURE);
        }
        if !all_well {
            tokio::time::sleep(BACKOFF).await;
        }
    }
}

struct Lag {
    partition: TopicPartition,
    lag: i64,
    offset: i64,
}

/// What a round found.
#[derive(Default)]
struct Verdict {
    lag: Option<Lag>,
    ends: bool,
}

/// What each replica gave of each partition.
type Round = BTreeMap<TopicPartition, Vec<Fetched>>;

/// How far it has come.
struct Verification {
    positions: BTreeMap<TopicPartition, Position>,
    sources: Vec<Source>,
}

impl Verification {
    async fn begin(admin: &Admin, wanted: &Wanted) -> anyhow::Result<Self> {
        let listed = admin.list_topics(true).await?;
        let names = listed.iter().map(|topic| &*topic.name);
        let names: Vec<&str> = names.filter(|name| wanted.topics.matches(name)).collect();
        if names.is_empty() {
            bail!(
                "No topics found. --topics-include, if specified, is either filtering out all \
                 topics or there is no topic."
            );
        }
        let mut replicas: BTreeMap<i32, Vec<TopicPartition>> = BTreeMap::new();
        let mut ids = BTreeMap::new();
        for (_, topic) in admin
            .describe_topics(&names, PARTITIONS_PER_RESPONSE)
            .await?
        {
            let topic = topic?;
            for partition in &topic.partitions {
                let place = TopicPartition::new(topic.name.clone(), partition.partition);
                ids.insert(place.clone(), topic.id);
                for replica in &partition.replicas {
                    replicas.entry(*replica).or_default().push(place.clone());
                }
            }
        }
        let offsets = first_offsets(admin, wanted.time, ids.keys()).await?;
        let positions = ids.into_iter().map(|(partition, topic_id)| {
            let offset = offsets.get(&partition).copied().unwrap_or_default();
            (partition, Position { topic_id, offset })
        });
        let brokers = admin.describe_cluster().await?.brokers;
        let sources = replicas.into_iter().map(|(broker, partitions)| {
            let endpoint = brokers
                .iter()
                .find(|endpoint| endpoint.id == broker)
                .cloned();
            Source::new(broker, endpoint, partitions)
        });
        Ok(Self {
            positions: positions.collect(),
            sources: sources.collect(),
        })
    }

    /// Asks all brokers at once; false if one could not give all that it was asked for.
    async fn fetch(&mut self, admin: &Admin, wanted: &Wanted) -> (Round, bool) {
        let limits = (wanted.fetch_bytes, wanted.max_wait_ms);
        let positions = &self.positions;
        let fetches = self
            .sources
            .iter_mut()
            .map(|s| s.fetch(admin, positions, limits));
        let mut round = Round::new();
        let mut all_well = true;
        for (fetched, well) in futures_joined(fetches).await {
            all_well &= well;
            for (partition, fetched) in fetched {
                round.entry(partition).or_default().push(fetched);
            }
        }
        (round, all_well)
    }

    fn compare(&mut self, round: Round, printer: &mut Printer) -> anyhow::Result<Verdict> {
        let mut verdict = Verdict::default();
        for (partition, mut replicas) in round {
            let Some(position) = self.positions.get_mut(&partition) else {
                continue;
            };
            replicas.sort_by_key(|fetched| fetched.replica);
            let compared = compare(position.offset, &replicas).with_context(|| {
                format!(
                    "Error in partition {partition} at offset {}",
                    position.offset
                )
            })?;
            position.offset = compared.next_offset;
            for difference in &compared.differences {
                printer.line(format!(
                    "{}: partition {partition}{}",
                    now(),
                    told(difference)
                ))?;
                verdict.ends |= matches!(difference, Difference::Offset { .. });
            }
            let greatest = replicas.iter().map(|fetched| fetched.high_watermark).max();
            let lag = greatest.unwrap_or(-1).saturating_sub(position.offset);
            if verdict.lag.as_ref().map_or(-1, |lag| lag.lag) < lag {
                let offset = position.offset;
                verdict.lag = Some(Lag {
                    partition,
                    lag,
                    offset,
                });
            }
        }
        Ok(verdict)
    }
}

fn told(difference: &Difference) -> String {
    match difference {
        Difference::Offset { first, other } => format!(
            ": replica {}'s offset {} doesn't match replica {}'s offset {}",
            first.0, first.1, other.0, other.1
        ),
        Difference::Checksum {
            offset,
            first,
            other,
        } => format!(
            " has unmatched checksum at offset {offset}; replica {}'s checksum {}; replica {}'s \
             checksum {}",
            first.0, first.1, other.0, other.1
        ),
    }
}

/// All of them side by side, in their order.
async fn futures_joined<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut ready = true;
        for (future, output) in &mut pending {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(done) => *output = Some(done),
                    std::task::Poll::Pending => ready = false,
                }
            }
        }
        match ready {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    pending
        .into_iter()
        .filter_map(|(_, output)| output)
        .collect()
}

/// Where each partition begins; one without a record so young begins at its end.
async fn first_offsets<'p>(
    admin: &Admin,
    time: i64,
    partitions: impl Iterator<Item = &'p TopicPartition>,
) -> anyhow::Result<BTreeMap<TopicPartition, i64>> {
    let spec = match time {
        -1 => OffsetSpec::Latest,
        -2 => OffsetSpec::Earliest,
        time => OffsetSpec::Timestamp(time),
    };
    let wanted = partitions
        .map(|partition| (partition.clone(), spec))
        .collect();
    let isolation = IsolationLevel::ReadUncommitted;
    let mut found = BTreeMap::new();
    let mut at_end = BTreeMap::new();
    for (partition, offset) in admin.list_offsets(&wanted, isolation).await? {
        match offset?.offset {
            -1 => at_end.insert(partition, OffsetSpec::Latest).map(|_| ()),
            offset => found.insert(partition, offset).map(|_| ()),
        };
    }
    for (partition, offset) in admin.list_offsets(&at_end, isolation).await? {
        found.insert(partition, offset?.offset);
    }
    Ok(found)
}
