//! ShareFetch (key 78), versions 1–2 (KIP-932).
//!
//! Members acknowledge what they have with the request that fetches more. A fetch that finds less than `min_bytes`
//! waits for records in the log, and for records that come back from others, at most `max_wait_ms`.
//!
//! - 2: strict limits (KIP-1206), renewal of locks (KIP-1222).

mod respond;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::broker::context::RequestContext;
use crate::broker::delayed::Waiter;
use crate::broker::share::ShareGroups;
use crate::broker::share::acknowledge::{Allowed, Batches, Outcomes, acknowledge};
use crate::broker::share::fetch::{Delivery, Found, Source};
use crate::broker::share::hosted::ShareError;
use crate::broker::share::partition::{Acknowledged, Wish};
use crate::broker::share::sessions::{
    INITIAL_EPOCH, MemberKey, Plan, SessionRequest, TopicPartition,
};
use crate::broker::share::settings::GroupSettings;
use crate::coordinator::share::ShareKey;
use crate::protocol::messages::{ShareFetchRequest, ShareFetchResponse};
use crate::protocol::{ErrorCode, Uuid};

const FIRST_WITH_RENEWAL: i16 = 2;
/// `share_acquire_mode` of those who want no more records than they say.
const RECORD_LIMIT: i8 = 1;
/// So often others may be faster before an answer without records leaves.
const RACES_MAX: usize = 3;

/// What each partition has for the member.
type Deliveries = Vec<(TopicPartition, Result<Delivery, ShareError>)>;

pub async fn handle(cx: &RequestContext<'_>, request: ShareFetchRequest) -> ShareFetchResponse {
    let key = match member_of(cx, &request) {
        Ok(key) => key,
        Err((error, message)) => return respond::refused(error, &message),
    };
    let acknowledged = batches(&request);
    let plan = {
        let mut sessions = cx.broker.share.sessions.lock();
        sessions.begin(session_request(cx, &key, &request))
    };
    let plan = match plan {
        Ok(plan) => plan,
        Err(error) => {
            if error == ErrorCode::ShareSessionLimitReached {
                // Whoever is turned away is not to come back at once.
                idle(cx, request.max_wait_ms).await;
            }
            return respond::refused(error, error.message());
        }
    };
    if request.share_session_epoch == INITIAL_EPOCH {
        *cx.connection.share_member.lock() = Some(key.clone());
    }
    let allowed = Allowed {
        knows_renewal: cx.api_version >= FIRST_WITH_RENEWAL,
        renews: request.is_renew_ack,
    };
    let outcomes = match acknowledged.is_empty() {
        true => Outcomes::new(),
        false => acknowledge(cx.broker, &key, acknowledged, allowed).await,
    };
    let settings = GroupSettings::of(cx.broker, &key.group);
    let deliveries = match &plan {
        Plan::All(partitions) | Plan::Changed(partitions) if !request.is_renew_ack => {
            fetch(cx, &key, partitions, &settings, &request).await
        }
        _ => Deliveries::new(),
    };
    if plan == Plan::Last {
        let had = cx.broker.share.sessions.lock().remove(&key);
        ShareGroups::release(cx.broker, &key, had.unwrap_or_default()).await;
    }
    respond::answer(
        cx,
        &key,
        &plan,
        deliveries,
        outcomes,
        settings.limits.lock_ms,
    )
}

fn member_of(
    cx: &RequestContext<'_>,
    request: &ShareFetchRequest,
) -> Result<MemberKey, (ErrorCode, String)> {
    let invalid = |message: &str| (ErrorCode::InvalidRequest, message.to_owned());
    if !cx.broker.offers_share_groups() {
        let error = ErrorCode::UnsupportedVersion;
        return Err((error, error.message().to_owned()));
    }
    let group = request.group_id.as_deref();
    let group = group.ok_or_else(|| invalid("Invalid group id in the request."))?;
    let member = request.member_id.as_deref().unwrap_or_default();
    if !super::is_member_id(member) {
        return Err(invalid("Invalid member id in the request."));
    }
    if request.is_renew_ack {
        let must_be_zero = [
            ("maxBytes", request.max_bytes),
            ("minBytes", request.min_bytes),
            ("maxRecords", request.max_records),
            ("maxWaitMs", request.max_wait_ms),
        ];
        let wrong = must_be_zero.iter().filter(|(_, value)| *value != 0);
        let wrong: String = wrong
            .map(|(name, _)| format!("{name} must be set to 0, "))
            .collect();
        if !wrong.is_empty() {
            return Err(invalid(&format!("{wrong}if isRenewAck is true.")));
        }
    }
    Ok(MemberKey {
        group: group.to_owned(),
        member: member.to_owned(),
    })
}

fn session_request(
    cx: &RequestContext<'_>,
    key: &MemberKey,
    request: &ShareFetchRequest,
) -> SessionRequest {
    let mut partitions = Vec::new();
    let mut acknowledges = false;
    for topic in &request.topics {
        for partition in &topic.partitions {
            partitions.push((topic.topic_id, partition.partition_index));
            acknowledges |= !partition.acknowledgement_batches.is_empty();
        }
    }
    let forgotten = request.forgotten_topics_data.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(|partition| (topic.topic_id, *partition))
    });
    SessionRequest {
        key: key.clone(),
        epoch: request.share_session_epoch,
        partitions,
        forgotten: forgotten.collect(),
        acknowledges,
        connection: cx.peer.connection,
    }
}

fn batches(request: &ShareFetchRequest) -> Batches {
    let mut batches = Batches::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let batch = partition
                .acknowledgement_batches
                .iter()
                .map(|b| Acknowledged {
                    first_offset: b.first_offset,
                    last_offset: b.last_offset,
                    types: b.acknowledge_types.clone(),
                });
            let batch: Vec<Acknowledged> = batch.collect();
            if !batch.is_empty() {
                batches.insert((topic.topic_id, partition.partition_index), batch);
            }
        }
    }
    batches
}

async fn idle(cx: &RequestContext<'_>, max_wait_ms: i32) {
    let wait = Duration::from_millis(u64::try_from(max_wait_ms).unwrap_or(0));
    tokio::select! {
        () = tokio::time::sleep(wait) => {}
        () = cx.broker.stopping.cancelled() => {}
    }
}

async fn fetch(
    cx: &RequestContext<'_>,
    key: &MemberKey,
    partitions: &[TopicPartition],
    settings: &GroupSettings,
    request: &ShareFetchRequest,
) -> Deliveries {
    if partitions.is_empty() || request.max_records <= 0 || request.max_bytes <= 0 {
        return Deliveries::new();
    }
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let deadline = Instant::now() + wait;
    let mut partitions = partitions.to_vec();
    // Each partition is first in its turn.
    let turn = usize::try_from(request.share_session_epoch).unwrap_or(0);
    let turn = turn % partitions.len();
    partitions.rotate_left(turn);
    let (mut sources, mut deliveries) = (Vec::new(), Deliveries::new());
    for (topic_id, index) in partitions {
        match source(cx, &key.group, topic_id, index).await {
            Ok(source) => sources.push(((topic_id, index), source)),
            Err(error) => deliveries.push(((topic_id, index), Err(error))),
        }
    }
    if sources.is_empty() {
        return deliveries;
    }
    let limit = usize::try_from(cx.broker.settings.fetch.max_bytes).unwrap_or(0);
    let pass = Pass {
        cx,
        member: key.member.as_str().into(),
        sources,
        settings,
        max_bytes: usize::try_from(request.max_bytes).unwrap_or(0).min(limit),
        min_bytes: usize::try_from(request.min_bytes).unwrap_or(0),
        wish: Wish {
            max_records: i64::from(request.max_records),
            batch_size: i64::from(request.batch_size.max(1)),
            is_strict: request.share_acquire_mode == RECORD_LIMIT,
        },
    };
    deliveries.extend(pass.until_enough(deadline).await);
    deliveries
}

async fn source(
    cx: &RequestContext<'_>,
    group: &str,
    topic_id: Uuid,
    index: i32,
) -> Result<Source, ShareError> {
    let broker = cx.broker;
    let image = broker.image();
    let topic = image.topics.get_by_id(topic_id);
    let topic = topic.ok_or(ErrorCode::UnknownTopicId)?;
    if !topic.partitions.contains_key(&index) {
        return Err(ErrorCode::UnknownTopicOrPartition.into());
    }
    let hosted = broker.topics.by_id(&topic_id);
    let partition = hosted.and_then(|topic| topic.partition(index));
    let partition = partition.ok_or_else(|| broker.absent_partition(&topic.name, index))?;
    let key = ShareKey {
        group: group.to_owned(),
        topic_id,
        partition: index,
    };
    let hosted = broker.share.open(broker, &key, &partition).await?;
    Ok(Source { partition, hosted })
}

/// A fetch on its way.
struct Pass<'a> {
    cx: &'a RequestContext<'a>,
    member: Arc<str>,
    sources: Vec<(TopicPartition, Source)>,
    settings: &'a GroupSettings,
    max_bytes: usize,
    min_bytes: usize,
    wish: Wish,
}

impl Pass<'_> {
    async fn until_enough(&self, deadline: Instant) -> Deliveries {
        let waiter = Arc::new(Waiter::default());
        let mut races = 0;
        loop {
            for (_, source) in &self.sources {
                source.partition.waiters.register(&waiter);
                source.hosted.waiters.register(&waiter);
            }
            let found = self.look();
            let is_over = Instant::now() >= deadline || self.cx.broker.stopping.is_cancelled();
            let mut woken = false;
            if found.is_enough(self.min_bytes) || is_over {
                let deliveries = self.acquire(found);
                let has_news = deliveries.iter().any(|(_, delivery)| match delivery {
                    Ok(delivery) => !delivery.acquired.is_empty(),
                    Err(_) => true,
                });
                races += 1;
                if has_news || is_over || self.min_bytes == 0 || races > RACES_MAX {
                    self.deregister(&waiter);
                    return deliveries;
                }
                woken = true;
            }
            if !woken {
                tokio::select! {
                    _ = timeout_at(deadline, waiter.woken()) => {}
                    () = self.cx.broker.stopping.cancelled() => {}
                }
            }
            self.deregister(&waiter);
        }
    }

    fn deregister(&self, waiter: &Arc<Waiter>) {
        for (_, source) in &self.sources {
            source.partition.waiters.deregister(waiter);
            source.hosted.waiters.deregister(waiter);
        }
    }

    /// What each partition has that nobody has acquired.
    fn look(&self) -> Looked {
        let each = (self.max_bytes / self.sources.len().max(1)).max(1);
        let mut looked = Looked::default();
        for (_, source) in &self.sources {
            let found = source.look(self.settings, each, looked.bytes == 0);
            match &found {
                Ok(Some(found)) => looked.bytes += found.len(),
                Ok(None) => {}
                Err(_) => looked.has_errors = true,
            }
            looked.found.push(found);
        }
        looked
    }

    fn acquire(&self, looked: Looked) -> Deliveries {
        let mut deliveries = Deliveries::with_capacity(self.sources.len());
        let mut wish = self.wish;
        for ((partition, source), found) in self.sources.iter().zip(looked.found) {
            let delivery = match found {
                Ok(Some(found)) => {
                    source.acquire(self.cx.broker, &self.member, self.settings, &found, &wish)
                }
                Ok(None) => Ok(Delivery::default()),
                Err(error) => Err(error.into()),
            };
            if let Ok(delivery) = &delivery {
                let records = delivery.acquired.iter();
                let count: i64 = records.map(|a| a.last_offset - a.first_offset + 1).sum();
                wish.max_records -= count;
            }
            deliveries.push((*partition, delivery));
        }
        deliveries
    }
}

#[derive(Default)]
struct Looked {
    found: Vec<Result<Option<Found>, ErrorCode>>,
    bytes: usize,
    has_errors: bool,
}

impl Looked {
    fn is_enough(&self, min_bytes: usize) -> bool {
        self.has_errors || self.bytes >= min_bytes
    }
}
