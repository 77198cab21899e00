//! The filthiest of all logs is found and cleaned, and what that means for it is remembered.
use std::sync::Arc;

use super::choice::{CheckpointFault, LogFacts, Plan};
use super::clean::{Cleaner, CleaningStats, Resources};
use super::state::{CleaningState, Taken};
use super::{CleaningError, Supervisor};
use crate::log::checkpoints::Offsets;
use crate::log::error::LogError;
use crate::log::health::Condition;
use crate::log::log::Log;
use crate::log::manager::LogManager;
use crate::log::names::TopicPartition;

/// A cleaning that came to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Cleaned {
    pub tp: TopicPartition,
    pub stats: CleaningStats,
    /// So much later than `max.compaction.lag.ms` demanded.
    pub overdue_ms: i64,
}

/// A log that could be cleaned.
struct Candidate {
    log: Arc<Log>,
    dir: usize,
    plan: Plan,
}

impl LogManager {
    /// Cleans the log with the greatest part of dirty bytes, if there is one that is due. `Ok(None)`
    /// if there is none, or if its cleaning was aborted.
    ///
    /// A log that cannot be cleaned, for it is damaged say, is logged, marked, and left alone until
    /// it is deleted or the broker is started again. A full disk is an error, and nothing more.
    pub fn clean_filthiest(
        &self,
        cleaner: &mut Cleaner,
        resources: &Resources,
        seed: u64,
        supervisor: &dyn Supervisor,
        now_ms: i64,
    ) -> Result<Option<Cleaned>, LogError> {
        let Some((candidate, taken)) = self.take_filthiest(now_ms) else {
            return Ok(None);
        };
        let Candidate { log, dir, plan } = candidate;
        let tp = log.topic_partition().clone();
        let watched = Watched {
            logs: self,
            log: &log,
            taken: &taken,
            supervisor,
        };
        let cleaned = cleaner.clean(&log, &plan, resources, seed, &watched, now_ms);
        match cleaned {
            Ok(stats) => {
                if !taken.is_aborted() && self.hosts(&log) {
                    self.set_cleaner_checkpoint(dir, &tp, Some(stats.end_offset))?;
                }
                Ok(Some(Cleaned {
                    tp,
                    stats,
                    overdue_ms: plan.overdue_ms,
                }))
            }
            Err(CleaningError::Aborted) => Ok(None),
            // It was deleted, or its directory has failed.
            Err(_) if !self.hosts(&log) || log.check_online().is_err() => Ok(None),
            Err(CleaningError::Log(e)) if e.is_disk_full() => Err(e),
            Err(e) => {
                self.give_up_cleaning(&tp, &e.to_string());
                Ok(None)
            }
        }
    }

    /// Applies retention to the compacted logs: what lies before their start goes, and by time and
    /// size what `cleanup.policy` compact,delete gives up. The work of cleaners, in Kafka too, so
    /// that it does not meet a cleaning.
    pub fn retain_compacted(&self, now_ms: i64) -> Result<usize, LogError> {
        self.retain(now_ms, |log| log.config_now().compact)
    }

    /// Applies retention to the logs of which `wanted` holds and with which nothing else is done. A
    /// log that fails does not keep the others from it; the first error is returned.
    pub(in crate::log) fn retain(
        &self,
        now_ms: i64,
        wanted: impl Fn(&Log) -> bool,
    ) -> Result<usize, LogError> {
        let mut deleted = 0;
        self.for_all_where(wanted, |log| {
            if let Some(_taken) = self.cleaning.take(log.topic_partition()) {
                deleted += log.apply_retention(now_ms)?;
            }
            Ok(())
        })?;
        Ok(deleted)
    }

    /// Ends the cleaning of a partition and waits for that end; no other begins until
    /// [`Self::resume_cleaning`].
    pub fn abort_and_pause_cleaning(&self, tp: &TopicPartition) {
        self.cleaning.abort_and_pause(tp);
    }

    pub fn resume_cleaning(&self, tp: &TopicPartition) {
        self.cleaning.resume(tp);
    }

    /// `None`: nothing is done with the partition.
    pub fn cleaning_state(&self, tp: &TopicPartition) -> Option<CleaningState> {
        self.cleaning.of(tp)
    }

    /// The partitions that cannot be cleaned, and why.
    pub fn uncleanable_partitions(&self) -> Vec<(TopicPartition, Arc<str>)> {
        self.cleaning.uncleanable().into_iter().collect()
    }

    /// How far a partition was cleaned; `None`: it was not.
    pub fn cleaner_checkpoint(&self, tp: &TopicPartition) -> Option<i64> {
        let dir = self.hosted(tp)?.1;
        self.cleaned_offsets(dir).get(tp).copied()
    }

    /// After a truncation: what is appended from `offset` on was not cleaned.
    pub fn cap_cleaner_checkpoint(&self, tp: &TopicPartition, offset: i64) -> Result<(), LogError> {
        match self.cleaner_checkpoint(tp) {
            Some(known) if known > offset => match self.hosted(tp) {
                Some((_, dir)) => self.set_cleaner_checkpoint(dir, tp, Some(offset)),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Takes note of a cleaned offset, or forgets it, and all of partitions that are not there.
    fn set_cleaner_checkpoint(
        &self,
        dir: usize,
        tp: &TopicPartition,
        offset: Option<i64>,
    ) -> Result<(), LogError> {
        self.update_cleaned_offsets(dir, |offsets| {
            let before = offsets.clone();
            offsets.retain(|tp, _| self.hosted(tp).is_some());
            match offset {
                Some(offset) => offsets.insert(tp.clone(), offset),
                None => offsets.remove(tp),
            };
            *offsets != before
        })
    }

    /// A log, and which of the directories it is in.
    fn hosted(&self, tp: &TopicPartition) -> Option<(Arc<Log>, usize)> {
        let logs = self.logs.read();
        logs.get(tp)
            .map(|hosted| (Arc::clone(&hosted.log), hosted.dir))
    }

    /// How far the logs of a directory were cleaned.
    fn cleaned_offsets(&self, at: usize) -> Offsets {
        match self.dirs.get(at) {
            Some(dir) => self.cleaned.get(dir.essential.as_ref(), &dir.path, at),
            None => Offsets::new(),
        }
    }

    /// Changes what [`Self::cleaned_offsets`] gives, and writes it if `change` says so.
    fn update_cleaned_offsets(
        &self,
        at: usize,
        change: impl FnOnce(&mut Offsets) -> bool,
    ) -> Result<(), LogError> {
        match self.dirs.get(at).filter(|dir| !dir.is_offline()) {
            Some(dir) => {
                let disk = dir.essential.as_ref();
                self.cleaned.update(disk, &dir.path, at, change)
            }
            None => Ok(()),
        }
    }

    /// A partition of the same name begins anew.
    pub(in crate::log) fn forget_cleaned_offsets(
        &self,
        tps: &[TopicPartition],
    ) -> Result<(), LogError> {
        self.cleaning.forget(tps);
        for at in 0..self.dirs.len() {
            self.update_cleaned_offsets(at, |offsets| {
                let before = offsets.len();
                offsets.retain(|tp, _| !tps.contains(tp));
                offsets.len() < before
            })?;
        }
        Ok(())
    }

    /// A partition has moved from one directory to another, as it was.
    pub(in crate::log) fn carry_cleaned_offset(
        &self,
        tp: &TopicPartition,
        from: usize,
        to: usize,
    ) -> Result<(), LogError> {
        let cleaned = self.cleaned_offsets(from).get(tp).copied();
        self.set_cleaner_checkpoint(to, tp, cleaned)?;
        self.update_cleaned_offsets(from, |offsets| offsets.remove(tp).is_some())
    }

    /// What a recovery has cut off was cleaned for nothing: what is appended there now was not.
    pub(in crate::log) fn cap_cleaned_offsets(&self, at: usize) -> Result<(), LogError> {
        self.update_cleaned_offsets(at, |offsets| {
            let mut any = false;
            for (tp, offset) in offsets.iter_mut() {
                let end = self.hosted(tp).map(|(log, _)| log.log_end_offset());
                if let Some(end) = end.filter(|end| *end < *offset) {
                    *offset = end;
                    any = true;
                }
            }
            any
        })
    }

    fn hosts(&self, log: &Arc<Log>) -> bool {
        self.log(log.topic_partition())
            .is_some_and(|hosted| Arc::ptr_eq(&hosted, log))
    }

    fn give_up_cleaning(&self, tp: &TopicPartition, reason: &str) {
        tracing::error!(
            "{tp} cannot be cleaned and is left alone: {reason}; restart the broker to try again"
        );
        self.cleaning.set_uncleanable(tp, reason);
    }

    /// Finds the filthiest log that is due and takes it.
    fn take_filthiest(&self, now_ms: i64) -> Option<(Candidate, Taken<'_>)> {
        let checkpoints: Vec<_> = (0..self.dirs.len())
            .map(|dir| self.cleaned_offsets(dir))
            .collect();
        let mut due = Vec::new();
        for (log, dir) in self.logs_where(|log| log.config_now().compact) {
            let tp = log.topic_partition();
            if self.cleaning.of(tp).is_some() || self.cleaning.is_uncleanable(tp) {
                continue;
            }
            let checkpoint = checkpoints.get(dir).and_then(|known| known.get(tp));
            let plan = match log.plan_cleaning(checkpoint.copied(), now_ms) {
                Ok(Some(plan)) => plan,
                Ok(None) | Err(LogError::Closed(_) | LogError::Offline(_)) => continue,
                Err(e) => {
                    self.give_up_cleaning(tp, &e.to_string());
                    continue;
                }
            };
            if let Some(fault) = plan.fault {
                self.mend_checkpoint(&log, dir, fault, plan.first_dirty_offset);
            }
            if plan.is_due(log.config_now().min_cleanable_dirty_ratio) {
                due.push(Candidate { log, dir, plan });
            }
        }
        // Of equals the first: the order of topics and partitions.
        due.sort_by(|a, b| b.plan.dirty_ratio().total_cmp(&a.plan.dirty_ratio()));
        due.into_iter().find_map(|candidate| {
            let taken = self.cleaning.take(candidate.log.topic_partition())?;
            Some((candidate, taken))
        })
    }

    fn mend_checkpoint(&self, log: &Log, dir: usize, fault: CheckpointFault, offset: i64) {
        let tp = log.topic_partition();
        match fault {
            // Deletion by retention goes ahead of cleaning.
            CheckpointFault::BelowLogStart if log.config_now().delete => {}
            CheckpointFault::BelowLogStart => tracing::warn!(
                "{tp}: was cleaned up to below the log start offset {offset}; is taken to be dirty \
                 from there on"
            ),
            CheckpointFault::AboveLogEnd => tracing::warn!(
                "{tp}: was cleaned up to past its end at {}; all of it is cleaned anew",
                log.log_end_offset()
            ),
        }
        if let Err(e) = self.set_cleaner_checkpoint(dir, tp, Some(offset)) {
            tracing::warn!("{e}");
        }
    }
}

impl Log {
    /// What a cleaning would come to; `None` if there can be nothing to clean, or no room for it.
    pub(super) fn plan_cleaning(
        &self,
        checkpoint: Option<i64>,
        now_ms: i64,
    ) -> Result<Option<Plan>, LogError> {
        if self.place.disk.state() != Condition::Online {
            return Ok(None);
        }
        self.list()?;
        let segments = self.segments.load_full();
        let Some(active) = segments.last() else {
            return Ok(None);
        };
        let end = self.log_end_offset();
        let is_clean = |offset: i64| offset >= active.base_offset() && offset <= end;
        if segments.len() == 1 && checkpoint.is_none_or(|offset| offset <= end) {
            return Ok(None);
        }
        if checkpoint.is_some_and(is_clean) {
            return Ok(None);
        }
        let last_stable_offset = self.last_stable_offset()?;
        let config = self.config_now();
        let segments = segments
            .iter()
            .map(|s| s.cleaning_facts(&self.place, config.max_compaction_lag_ms < i64::MAX));
        let facts = LogFacts {
            segments: segments.collect::<Result<_, _>>()?,
            log_start_offset: self.log_start_offset(),
            log_end_offset: end,
            last_stable_offset,
            checkpoint,
            min_compaction_lag_ms: config.min_compaction_lag_ms,
            max_compaction_lag_ms: config.max_compaction_lag_ms,
            min_cleanable_dirty_ratio: config.min_cleanable_dirty_ratio,
        };
        Ok(Some(Plan::new(&facts, now_ms)))
    }
}

/// Ends the cleaning of a log that is deleted, or told to pause.
struct Watched<'a> {
    logs: &'a LogManager,
    log: &'a Arc<Log>,
    taken: &'a Taken<'a>,
    supervisor: &'a dyn Supervisor,
}

impl Supervisor for Watched<'_> {
    fn pass(&self, tp: &TopicPartition, bytes: usize) -> bool {
        self.supervisor.pass(tp, bytes) && !self.taken.is_aborted() && self.logs.hosts(self.log)
    }
}
