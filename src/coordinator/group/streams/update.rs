//! One heartbeat on its way through a streams group. Records are collected in `out`.
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use tracing::{debug, info};

use super::SoftGroup;
use super::configure::{ConfiguredTopology, StatusCode, configure};
use super::member::{MemberState, StreamsMember};
use super::partition_counts::TopologyError;
use super::reconcile::Reconciliation;
use super::record::StreamsRecord;
use super::settings::{Settings, StreamsGroupConfig, standby_replicas};
use super::state::StreamsGroup;
use super::target::{self, Target};
use super::tasks::Tasks;
use super::topology::Topology;
use crate::coordinator::group::consumer::metadata_hash;
use crate::coordinator::group::consumer::{METADATA_REFRESH_MS, MetadataRefresh, Refusal};
use crate::coordinator::group::shard::GroupDecision;
use crate::coordinator::group::timers::{TimerKey, Timers};
use crate::coordinator::shard::Now;
use crate::metadata::image::MetadataImage;
use crate::protocol::ErrorCode;
use crate::protocol::messages::streams_group_heartbeat_request as request;
use crate::protocol::messages::streams_group_heartbeat_response::Status;
use crate::protocol::records::group::StreamsGroupMetadataValue;
use crate::protocol::records::group::streams_group_metadata_value::LastAssignmentConfig;

pub struct Update<'a> {
    pub id: &'a str,
    pub group: &'a StreamsGroup,
    /// It is not in the log yet.
    pub is_new: bool,
    pub config: &'a StreamsGroupConfig,
    pub settings: Settings,
    pub image: &'a MetadataImage,
    pub timers: &'a mut Timers,
    /// A copy: the group's own stays as it is if the heartbeat is refused.
    pub soft: SoftGroup,
    pub now: Now,
    pub out: &'a mut GroupDecision,
}

impl<'a> Update<'a> {
    fn push(&mut self, record: StreamsRecord) {
        self.out.records.push(record.of(self.id));
    }

    pub fn check_size(&self) -> Result<(), Refusal> {
        let max = self.config.max_size;
        if self.group.members.len() < usize::try_from(max).unwrap_or(0) {
            return Ok(());
        }
        let message =
            format!("The streams group has reached its maximum capacity of {max} members.");
        Err(Refusal::new(ErrorCode::GroupMaxSizeReached, message))
    }

    /// Records what the member says of itself; whether that is new.
    pub fn write_member(&mut self, member: &StreamsMember, updated: &StreamsMember) -> bool {
        let is_new = updated != member;
        if is_new {
            self.push(StreamsRecord::member(updated));
        }
        is_new
    }

    /// The first topology is the group's. Who comes with an older one is told so; a newer one is
    /// not taken yet.
    pub fn update_topology(
        &mut self,
        told: Option<&request::Topology>,
    ) -> Result<Cow<'a, Topology>, Refusal> {
        let known = self.group.topology.as_ref();
        let Some(told) = told else {
            return known.map(Cow::Borrowed).ok_or_else(|| {
                unexpected("The topology is null and the group topology is also null.".into())
            });
        };
        if told.epoch < 0 {
            return Err(unexpected("Topology epoch must be non-negative.".into()));
        }
        let topology = Topology::from_request(told);
        if topology.by_id().len() != topology.subtopologies().len() {
            return Err(unexpected("Subtopology ids must be unique.".into()));
        }
        match known {
            None => {
                info!(
                    "group {}: topology of epoch {} with {} subtopologies",
                    self.id,
                    told.epoch,
                    told.subtopologies.len()
                );
                self.push(StreamsRecord::Topology(Some(topology.value().clone())));
                Ok(Cow::Owned(topology))
            }
            Some(known) if known.epoch() > told.epoch || *known == topology => {
                Ok(Cow::Borrowed(known))
            }
            Some(_) => Err(Refusal::new(
                ErrorCode::InvalidRequest,
                "Topology updates are not supported yet.".into(),
            )),
        }
    }

    fn has_metadata_expired(&self) -> bool {
        match self.soft.refresh {
            None => true,
            Some(refresh) => {
                self.now.monotonic_ms >= refresh.deadline_ms || self.group.epoch < refresh.epoch
            }
        }
    }

    /// The topology with its topics as they are, and their hash; both anew if topics may have
    /// changed.
    pub fn configure(
        &mut self,
        topology: &Topology,
    ) -> Result<(Arc<ConfiguredTopology>, i64), Refusal> {
        let last_hash = self.group.metadata_hash;
        let is_first = self.group.topology.is_none();
        let last = self.soft.configured.clone().filter(|_| !is_first);
        if let Some(configured) = &last
            && configured.metadata_hash == last_hash
            && !self.has_metadata_expired()
        {
            return Ok((configured.clone(), last_hash));
        }
        let required: BTreeSet<&str> = topology.required_topics();
        let hash = metadata_hash(required.into_iter(), self.image);
        let configured = match last.filter(|configured| configured.metadata_hash == hash) {
            Some(configured) => configured,
            None => Arc::new(configure(topology, self.image, hash).map_err(refusal)?),
        };
        self.soft.configured = Some(configured.clone());
        self.soft.refresh = None;
        Ok((configured, hash))
    }

    /// The group's epoch, bumped if anything that the assignor looks at has changed.
    pub fn update_epoch(
        &mut self,
        has_member_changed: bool,
        configured: &ConfiguredTopology,
        hash: i64,
    ) -> i32 {
        let validated = configured.ready().map_or(-1, |_| configured.epoch);
        let configs = self.settings.assignment_configs();
        let group = self.group;
        let mut epoch = group.epoch;
        if has_member_changed
            || hash != group.metadata_hash
            || validated != group.validated_topology_epoch
            || configs != group.assignment_configs
        {
            epoch += 1;
            let config = |(key, value): (String, String)| LastAssignmentConfig {
                key,
                value,
                unknown_tags: Vec::new(),
            };
            let value = StreamsGroupMetadataValue {
                epoch,
                metadata_hash: hash,
                validated_topology_epoch: validated,
                last_assignment_configs: Some(configs.into_iter().map(config).collect()),
                unknown_tags: Vec::new(),
            };
            self.push(StreamsRecord::Epoch(Some(value)));
            debug!("group {}: epoch {epoch}, metadata hash {hash}", self.id);
        }
        let deadline_ms = self.now.monotonic_ms + METADATA_REFRESH_MS;
        if self.soft.refresh.is_none() || epoch != group.epoch {
            self.soft.refresh = Some(MetadataRefresh { deadline_ms, epoch });
        }
        epoch
    }

    /// The target assignment, made anew if the group is ahead of it and neither the first members
    /// nor the last assignment are too young.
    pub fn update_target(
        &mut self,
        epoch: i32,
        updated: &StreamsMember,
        configured: &ConfiguredTopology,
        status: &mut Vec<Status>,
    ) -> Target {
        let group = self.group;
        let delay_ms = i64::from(self.settings.initial_rebalance_delay_ms);
        let delay = TimerKey::FirstAssignment(self.id.into());
        if group.members.is_empty() && delay_ms > 0 && !self.timers.contains(&delay) {
            let deadline_ms = self.now.monotonic_ms + delay_ms;
            self.timers.set(delay.clone(), deadline_ms);
        }
        let mut delayed = |why: &str| {
            let detail = format!("Assignment delayed due to the configured {why}.");
            status.push(StatusCode::AssignmentDelayed.with(detail));
        };
        if self.timers.contains(&delay) {
            delayed("initial rebalance delay");
            return Target {
                epoch: group.assignment_epoch,
                tasks: Tasks::default(),
            };
        }
        let last = || Target {
            epoch: group.assignment_epoch,
            tasks: group.target_of(&updated.id),
        };
        if group.assignment_epoch >= epoch {
            return last();
        }
        if self.is_too_soon() {
            delayed("assignment interval");
            return last();
        }
        let replicas = standby_replicas(&self.settings.assignment_configs());
        let (records, mut targets) = target::assign(
            self.id,
            group,
            epoch,
            Some(updated),
            configured,
            replicas,
            self.now.wall_ms,
        );
        self.out.records.extend(records);
        let tasks = targets.remove(&updated.id).unwrap_or_default();
        Target { epoch, tasks }
    }

    fn is_too_soon(&self) -> bool {
        let last_ms = self.group.assignment_timestamp_ms;
        let age_ms = self.now.wall_ms.saturating_sub(last_ms);
        let interval_ms = i64::from(self.settings.assignment_interval_ms);
        last_ms != 0 && (0..interval_ms).contains(&age_ms)
    }

    /// The first members have had time to join: they are assigned what there is.
    pub fn assign_delayed(&mut self) {
        let group = self.group;
        let configured = self.soft.configured.clone();
        let Some(configured) = configured.filter(|_| !group.members.is_empty()) else {
            return;
        };
        if group.epoch <= group.assignment_epoch || self.is_too_soon() {
            return;
        }
        let (records, _) = target::assign(
            self.id,
            group,
            group.epoch,
            None,
            &configured,
            standby_replicas(&group.assignment_configs),
            self.now.wall_ms,
        );
        self.out.records.extend(records);
    }

    /// Moves the member towards its target, and watches that it gives up what it has to.
    pub fn reconcile(
        &mut self,
        member: StreamsMember,
        target: &Target,
        owned: Option<&Tasks>,
    ) -> Result<StreamsMember, Refusal> {
        let reconciliation = Reconciliation {
            group: self.group,
            target_epoch: target.epoch,
            target: &target.tasks,
            owned,
        };
        let next = reconciliation.next(&member).map_err(|_| {
            let message = "The streams group member is in a unknown state. The member must \
                           abandon all its tasks and rejoin.";
            Refusal::new(ErrorCode::FencedMemberEpoch, message.into())
        })?;
        if next == member {
            return Ok(next);
        }
        self.push(StreamsRecord::assignment(&next));
        self.watch_revocation(&next);
        Ok(next)
    }

    /// A member that has to give up tasks has until its rebalance time-out.
    pub fn watch_revocation(&mut self, member: &StreamsMember) {
        let key = TimerKey::Rebalance(self.id.into(), member.id.clone());
        match member.state {
            MemberState::UnrevokedTasks => {
                let timeout_ms = i64::from(member.rebalance_timeout_ms.max(0));
                self.timers.set(key, self.now.monotonic_ms + timeout_ms);
            }
            _ => self.timers.cancel(&key),
        }
    }

    pub fn schedule_session(&mut self, member_id: &str) {
        let key = TimerKey::Session(self.id.into(), member_id.into());
        let timeout_ms = i64::from(self.settings.session_timeout_ms);
        self.timers.set(key, self.now.monotonic_ms + timeout_ms);
    }
}

fn unexpected(message: String) -> Refusal {
    Refusal::new(ErrorCode::UnknownServerError, message)
}

fn refusal(error: TopologyError) -> Refusal {
    match error {
        TopologyError::Invalid(message) => Refusal::new(ErrorCode::StreamsInvalidTopology, message),
        TopologyError::Unexpected(message) => unexpected(message),
        TopologyError::Topics(status) => unexpected(status.status_detail),
    }
}
