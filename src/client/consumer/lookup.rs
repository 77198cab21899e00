//! Finding positions: committed offsets first, then `auto.offset.reset`. Runs beside the polls,
//! so that a partition without a leader does not hold up the others.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::positions::{Position, Positions};
use super::{Consumer, ConsumerEvent};
use crate::client::TopicPartition;
use crate::client::admin::{OffsetSpec, fetch_offsets, list_offsets};
use crate::client::cluster::Client;
use crate::client::config::{AutoOffsetReset, ConsumerConfig};
use crate::client::errors::{ClientError, Result};

/// What one look-up tries before the consumer decides anew what is needed.
const ROUND: Duration = Duration::from_secs(5);

/// What a partition needs: its seek count, and how to reset if not by its committed offset.
type Needs = BTreeMap<TopicPartition, (u64, Option<AutoOffsetReset>)>;

pub(super) struct LookupAnswer {
    needs: Needs,
    found: Result<BTreeMap<TopicPartition, Result<Position>>>,
}

impl Consumer {
    /// Starts to look up what has no position and is not being looked up.
    pub(super) fn look_up_positions(&mut self) {
        if self.lookup_retry_at.is_some_and(|at| at > Instant::now()) {
            return;
        }
        let mut needs = Needs::new();
        for (name, state) in &mut self.positions.partitions {
            if state.position.is_none() && !std::mem::replace(&mut state.looking_up, true) {
                needs.insert(name.clone(), (state.seeks, state.reset));
            }
        }
        if needs.is_empty() {
            return;
        }
        let (client, config) = (self.client.clone(), self.config.clone());
        let events = self.events.clone();
        self.client.tasks().spawn(async move {
            let looking = find(&client, &config, &needs);
            let found = tokio::select! {
                found = looking => found,
                () = client.cancelled().cancelled() => Err(ClientError::Closed),
            };
            let answer = LookupAnswer { needs, found };
            let _consumer_gone = events.send(ConsumerEvent::Lookup(answer));
        });
    }

    pub(super) fn looked_up(&mut self, answer: LookupAnswer) -> Result<()> {
        let mut failure = Ok(());
        let mut found = match answer.found {
            Ok(found) => found,
            Err(error) if error.is_retriable() => {
                tracing::debug!("positions could not be looked up: {error}");
                BTreeMap::new()
            }
            Err(error) => {
                failure = Err(error);
                BTreeMap::new()
            }
        };
        for (name, (seeks, _)) in answer.needs {
            let outcome = found.remove(&name);
            if let Err(error) = settle(&mut self.positions, &name, seeks, outcome) {
                failure = Err(error);
            } else if self
                .positions
                .partitions
                .get(&name)
                .is_some_and(|s| s.position.is_none())
            {
                let wait = self.client.config().retry_backoff.first;
                self.lookup_retry_at = Some(Instant::now() + wait);
            }
        }
        failure
    }
}

fn settle(
    positions: &mut Positions,
    name: &TopicPartition,
    seeks: u64,
    outcome: Option<Result<Position>>,
) -> Result<()> {
    let Some(state) = positions.get_mut(name).filter(|state| state.seeks == seeks) else {
        return Ok(());
    };
    state.looking_up = false;
    match outcome {
        Some(Ok(position)) => {
            state.seek(position);
            Ok(())
        }
        Some(Err(error)) if error.is_retriable() => {
            tracing::debug!("no position for {name} yet: {error}");
            Ok(())
        }
        Some(Err(error)) => Err(error),
        None => Ok(()),
    }
}

async fn find(
    client: &Client,
    config: &Arc<ConsumerConfig>,
    needs: &Needs,
) -> Result<BTreeMap<TopicPartition, Result<Position>>> {
    let deadline = Instant::now() + ROUND;
    let mut found = BTreeMap::new();
    let uncommitted: Vec<TopicPartition> = needs
        .iter()
        .filter(|(_, (_, reset))| reset.is_none())
        .map(|(name, _)| name.clone())
        .collect();
    if let Some(group) = config
        .group_id
        .as_deref()
        .filter(|_| !uncommitted.is_empty())
    {
        let committed = fetch_offsets(client, group, Some(&uncommitted), Some(deadline)).await?;
        for (name, committed) in committed {
            let leader_epoch = committed.leader_epoch.unwrap_or(-1);
            found.insert(
                name,
                Ok(Position {
                    offset: committed.offset,
                    leader_epoch,
                }),
            );
        }
    }
    let mut wanted = BTreeMap::new();
    for (name, (_, reset)) in needs.iter().filter(|(name, _)| !found.contains_key(*name)) {
        wanted.insert(name.clone(), reset.unwrap_or(config.auto_offset_reset));
    }
    wanted.retain(|name, reset| {
        let none = *reset == AutoOffsetReset::None;
        if none {
            found.insert(name.clone(), Err(no_offset(name)));
        }
        !none
    });
    let specs = wanted
        .iter()
        .map(|(name, reset)| (name.clone(), spec(*reset)))
        .collect();
    let mut listed = list_offsets(client, &specs, config.isolation_level, deadline).await?;
    // No record as young as asked for: start at the end.
    let late: BTreeMap<_, _> = listed
        .iter()
        .filter(|(_, outcome)| outcome.as_ref().is_ok_and(|listed| listed.offset < 0))
        .map(|(name, _)| (name.clone(), OffsetSpec::Latest))
        .collect();
    if !late.is_empty() {
        listed.extend(list_offsets(client, &late, config.isolation_level, deadline).await?);
    }
    found.extend(listed.into_iter().map(|(name, outcome)| {
        let at = |listed: crate::client::admin::ListedOffset| Position {
            offset: listed.offset,
            // Of the last record read: none was read yet.
            leader_epoch: -1,
        };
        (name, outcome.map(at))
    }));
    Ok(found)
}

fn spec(reset: AutoOffsetReset) -> OffsetSpec {
    match reset {
        AutoOffsetReset::Earliest => OffsetSpec::Earliest,
        AutoOffsetReset::Latest | AutoOffsetReset::None => OffsetSpec::Latest,
        AutoOffsetReset::ByDuration(back) => {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            let at = now.saturating_sub(back).as_millis();
            OffsetSpec::Timestamp(i64::try_from(at).unwrap_or(i64::MAX))
        }
    }
}

fn no_offset(name: &TopicPartition) -> ClientError {
    ClientError::NoOffset(
        format!("Undefined offset with no reset policy for partition: {name}").into(),
    )
}
