//! Which partitions are at work, paused, or cannot be cleaned; and how far each was cleaned.
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::log::checkpoints::{self, Offsets};
use crate::log::error::LogError;
use crate::log::names::TopicPartition;
use crate::log::storage::Disk;

/// What is done with a partition; nothing is the usual state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CleaningState {
    /// It is being cleaned, or retention deletes from it.
    InProgress,
    /// As that, and told to end.
    Aborted,
    /// Neither may begin, until so many calls of [`States::resume`].
    Paused(u32),
}

/// The states of all partitions.
#[derive(Debug, Default)]
pub struct States {
    states: Mutex<BTreeMap<TopicPartition, CleaningState>>,
    changed: Condvar,
    /// With the reason.
    uncleanable: Mutex<BTreeMap<TopicPartition, Arc<str>>>,
}

impl States {
    pub fn of(&self, tp: &TopicPartition) -> Option<CleaningState> {
        self.states.lock().get(tp).copied()
    }

    /// Takes a partition for a cleaning or for retention, unless somebody has it.
    pub fn take(&self, tp: &TopicPartition) -> Option<Taken<'_>> {
        let mut states = self.states.lock();
        if states.contains_key(tp) {
            return None;
        }
        states.insert(tp.clone(), CleaningState::InProgress);
        Some(Taken {
            states: self,
            tp: tp.clone(),
        })
    }

    /// Ends what is done with a partition, waits for that end, and lets nothing begin until
    /// [`Self::resume`].
    pub fn abort_and_pause(&self, tp: &TopicPartition) {
        let mut states = self.states.lock();
        loop {
            match states.get(tp).copied() {
                None => {
                    states.insert(tp.clone(), CleaningState::Paused(1));
                    return;
                }
                Some(CleaningState::Paused(times)) => {
                    states.insert(tp.clone(), CleaningState::Paused(times + 1));
                    return;
                }
                Some(CleaningState::InProgress | CleaningState::Aborted) => {
                    states.insert(tp.clone(), CleaningState::Aborted);
                    self.changed.wait(&mut states);
                }
            }
        }
    }

    /// Undoes one [`Self::abort_and_pause`].
    pub fn resume(&self, tp: &TopicPartition) {
        let mut states = self.states.lock();
        match states.get(tp).copied() {
            Some(CleaningState::Paused(times)) if times > 1 => {
                states.insert(tp.clone(), CleaningState::Paused(times - 1));
            }
            Some(CleaningState::Paused(_)) => {
                states.remove(tp);
            }
            other => debug_assert!(other.is_none(), "{tp} is not paused: {other:?}"),
        }
    }

    pub fn set_uncleanable(&self, tp: &TopicPartition, reason: &str) {
        self.uncleanable.lock().insert(tp.clone(), reason.into());
    }

    pub fn is_uncleanable(&self, tp: &TopicPartition) -> bool {
        self.uncleanable.lock().contains_key(tp)
    }

    pub fn uncleanable(&self) -> BTreeMap<TopicPartition, Arc<str>> {
        self.uncleanable.lock().clone()
    }

    /// A deleted partition leaves nothing to its successor of the same name.
    pub fn forget(&self, tps: &[TopicPartition]) {
        let mut uncleanable = self.uncleanable.lock();
        tps.iter().for_each(|tp| drop(uncleanable.remove(tp)));
    }
}

/// A partition that is taken, given back when this is dropped.
#[derive(Debug)]
pub struct Taken<'a> {
    states: &'a States,
    tp: TopicPartition,
}

impl Taken<'_> {
    pub fn is_aborted(&self) -> bool {
        self.states.of(&self.tp) == Some(CleaningState::Aborted)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.states.states.lock().remove(&self.tp);
        self.states.changed.notify_all();
    }
}

/// `cleaner-offset-checkpoint` of each log directory, read when first asked for.
#[derive(Debug)]
pub struct CleanerCheckpoints {
    dirs: Vec<Mutex<Option<Offsets>>>,
}

impl CleanerCheckpoints {
    pub fn new(dirs: usize) -> Self {
        Self {
            dirs: (0..dirs).map(|_| Mutex::default()).collect(),
        }
    }

    /// The first offsets that were not cleaned, of the partitions in `dir`, the `at`-th.
    pub fn get(&self, disk: &dyn Disk, dir: &Path, at: usize) -> Offsets {
        let Some(known) = self.dirs.get(at) else {
            return Offsets::new();
        };
        known.lock().get_or_insert_with(|| read(disk, dir)).clone()
    }

    /// Changes the offsets of a directory, and writes them if `change` says so.
    pub fn update(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        at: usize,
        change: impl FnOnce(&mut Offsets) -> bool,
    ) -> Result<(), LogError> {
        let Some(known) = self.dirs.get(at) else {
            return Ok(());
        };
        let mut known = known.lock();
        let offsets = known.get_or_insert_with(|| read(disk, dir));
        if change(offsets) {
            checkpoints::write(disk, &dir.join(checkpoints::CLEANER), offsets)?;
        }
        Ok(())
    }
}

/// What cannot be read is taken for nothing: all is cleaned once more.
fn read(disk: &dyn Disk, dir: &Path) -> Offsets {
    checkpoints::read(disk, &dir.join(checkpoints::CLEANER)).unwrap_or_else(|e| {
        tracing::warn!("{e}; it is taken for empty");
        Offsets::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_taken_once_and_paused_as_often_as_resumed() {
        let states = States::default();
        let tp = TopicPartition::new("t", 0);
        let taken = states.take(&tp).unwrap();
        assert!(states.take(&tp).is_none());
        assert!(!taken.is_aborted());
        drop(taken);
        states.abort_and_pause(&tp);
        states.abort_and_pause(&tp);
        assert_eq!(states.of(&tp), Some(CleaningState::Paused(2)));
        assert!(states.take(&tp).is_none());
        states.resume(&tp);
        assert!(states.take(&tp).is_none());
        states.resume(&tp);
        assert!(states.take(&tp).is_some());
        assert_eq!(states.of(&tp), None);
    }

    #[test]
    fn a_pause_waits_for_the_end_of_what_it_aborts() {
        let states = States::default();
        let tp = TopicPartition::new("t", 0);
        let taken = states.take(&tp).unwrap();
        std::thread::scope(|scope| {
            let pausing = scope.spawn(|| states.abort_and_pause(&tp));
            while !taken.is_aborted() {
                std::thread::yield_now();
            }
            assert!(!pausing.is_finished());
            drop(taken);
            pausing.join().unwrap();
        });
        assert_eq!(states.of(&tp), Some(CleaningState::Paused(1)));
    }
}
