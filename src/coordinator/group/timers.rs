//! Deadlines by name: what the group machine uses for sessions, rebalances and clean-ups. No clock
//! in here.
use std::collections::{BTreeMap, BTreeSet};

/// What happens when a deadline passes. Setting a key again moves its deadline.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimerKey {
    /// Look for offsets and groups past their retention.
    Retention,
    /// The join phase of the group ends.
    Join(String),
    /// Members that have not sent SyncGroup are removed.
    Sync(String),
    /// The member (or pending member) has not been heard of for its session timeout.
    Session(String, String),
    /// A member of a consumer group has to have revoked what it was told to.
    Rebalance(String, String),
    /// A classic member of a consumer group has to have rejoined.
    ConsumerJoin(String, String),
    /// A classic member of a consumer group has to have fetched its assignment.
    ConsumerSync(String, String),
    /// The first members of a streams group have had time to join.
    FirstAssignment(String),
    /// The regular expressions of a consumer group are to be resolved.
    Regex(String),
}

#[derive(Debug, Default)]
pub struct Timers {
    by_key: BTreeMap<TimerKey, i64>,
    queue: BTreeSet<(i64, TimerKey)>,
}

impl Timers {
    pub fn set(&mut self, key: TimerKey, deadline_ms: i64) {
        if let Some(previous) = self.by_key.insert(key.clone(), deadline_ms) {
            self.queue.remove(&(previous, key.clone()));
        }
        self.queue.insert((deadline_ms, key));
    }

    pub fn cancel(&mut self, key: &TimerKey) {
        if let Some(deadline) = self.by_key.remove(key) {
            self.queue.remove(&(deadline, key.clone()));
        }
    }

    pub fn next_ms(&self) -> Option<i64> {
        self.queue.first().map(|(deadline, _)| *deadline)
    }

    /// Takes the earliest deadline that has passed.
    pub fn pop_due(&mut self, now_ms: i64) -> Option<TimerKey> {
        if self.next_ms()? > now_ms {
            return None;
        }
        let (_, key) = self.queue.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }

    pub fn contains(&self, key: &TimerKey) -> bool {
        self.by_key.contains_key(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_set_again_moves() {
        let mut timers = Timers::default();
        timers.set(TimerKey::Retention, 10);
        timers.set(TimerKey::Join("g".into()), 20);
        timers.set(TimerKey::Retention, 30);
        assert_eq!(timers.next_ms(), Some(20));
        assert_eq!(timers.pop_due(19), None);
        assert_eq!(timers.pop_due(40), Some(TimerKey::Join("g".into())));
        assert_eq!(timers.pop_due(40), Some(TimerKey::Retention));
        assert_eq!(timers.pop_due(40), None);
    }

    #[test]
    fn a_cancelled_deadline_never_comes() {
        let mut timers = Timers::default();
        timers.set(TimerKey::Sync("g".into()), 5);
        timers.cancel(&TimerKey::Sync("g".into()));
        assert_eq!(timers.next_ms(), None);
        assert_eq!(timers.pop_due(i64::MAX), None);
    }
}
