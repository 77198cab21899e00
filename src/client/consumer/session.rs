//! Fetch sessions (KIP-227): the broker remembers what is fetched, so that a request names only
//! what changed.
use std::collections::BTreeMap;

use crate::client::TopicPartition;
use crate::protocol::{ErrorCode, Uuid};

/// The epoch that asks for a new session.
const INITIAL_EPOCH: i32 = 0;
/// The epoch that ends a session.
pub const FINAL_EPOCH: i32 = -1;

/// What is asked of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub topic_id: Uuid,
    pub offset: i64,
    pub leader_epoch: i32,
    /// Not sent: the seek count, to tell whether the answer is still wanted.
    pub seeks: u64,
}

#[derive(Debug, Default)]
pub struct FetchSession {
    id: i32,
    epoch: i32,
    partitions: BTreeMap<TopicPartition, Asked>,
}

/// The session part of a request.
#[derive(Debug, PartialEq, Eq)]
pub struct SessionRequest {
    pub id: i32,
    pub epoch: i32,
    pub ask: Vec<(TopicPartition, Asked)>,
    pub forget: Vec<(TopicPartition, Uuid)>,
}

impl FetchSession {
    /// The request that makes the session ask for `wanted`.
    pub fn request(&mut self, wanted: &BTreeMap<TopicPartition, Asked>) -> SessionRequest {
        if self.epoch == INITIAL_EPOCH {
            self.partitions = wanted.clone();
            let ask = wanted
                .iter()
                .map(|(partition, asked)| (partition.clone(), asked.clone()));
            return SessionRequest {
                id: self.id,
                epoch: INITIAL_EPOCH,
                ask: ask.collect(),
                forget: Vec::new(),
            };
        }
        let mut request = SessionRequest {
            id: self.id,
            epoch: self.epoch,
            ask: Vec::new(),
            forget: Vec::new(),
        };
        for (partition, known) in &self.partitions {
            // A topic that was made anew under its name is another one to the broker.
            if wanted
                .get(partition)
                .is_none_or(|asked| asked.topic_id != known.topic_id)
            {
                request.forget.push((partition.clone(), known.topic_id));
            }
        }
        for (partition, asked) in wanted {
            if self.partitions.get(partition) != Some(asked) {
                request.ask.push((partition.clone(), asked.clone()));
            }
        }
        self.partitions.clone_from(wanted);
        request
    }

    /// Takes over what the broker says about the session; false if the fetch must be sent anew.
    pub fn answered(&mut self, code: ErrorCode, session_id: i32) -> bool {
        match code {
            ErrorCode::None => {
                if session_id == 0 {
                    self.reset();
                } else {
                    self.id = session_id;
                    self.epoch = if self.epoch == i32::MAX {
                        1
                    } else {
                        self.epoch + 1
                    };
                }
                true
            }
            ErrorCode::FetchSessionIdNotFound => {
                self.reset();
                false
            }
            _ => {
                self.restart();
                false
            }
        }
    }

    /// After a lost connection or an error: the next request closes the session and asks for
    /// another one.
    pub fn restart(&mut self) {
        self.epoch = INITIAL_EPOCH;
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    /// The id of a session that the broker holds.
    pub fn open_id(&self) -> Option<i32> {
        (self.id != 0).then_some(self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(partitions: &[(i32, i64)]) -> BTreeMap<TopicPartition, Asked> {
        let asked = |offset| Asked {
            topic_id: Uuid::ZERO,
            offset,
            leader_epoch: 0,
            seeks: 0,
        };
        let named =
            |(index, offset): &(i32, i64)| (TopicPartition::new("t", *index), asked(*offset));
        partitions.iter().map(named).collect()
    }

    /// What a request says, briefly: id, epoch, asked and forgotten partitions.
    fn brief(request: SessionRequest) -> (i32, i32, Vec<i32>, Vec<i32>) {
        let ask = request
            .ask
            .iter()
            .map(|(partition, _)| partition.partition)
            .collect();
        let forget = request
            .forget
            .iter()
            .map(|(partition, _)| partition.partition)
            .collect();
        (request.id, request.epoch, ask, forget)
    }

    #[test]
    fn a_session_names_only_what_changed() {
        let mut session = FetchSession::default();
        let first = session.request(&wanted(&[(0, 5), (1, 5), (2, 5)]));
        assert_eq!(brief(first), (0, 0, vec![0, 1, 2], vec![]));
        assert!(session.answered(ErrorCode::None, 77));
        let second = session.request(&wanted(&[(0, 5), (1, 9)]));
        assert_eq!(brief(second), (77, 1, vec![1], vec![2]));
        assert!(session.answered(ErrorCode::None, 77));
        assert_eq!(
            brief(session.request(&wanted(&[(0, 5), (1, 9)]))),
            (77, 2, vec![], vec![])
        );
        assert_eq!(session.open_id(), Some(77));
    }

    #[test]
    fn errors_lead_to_a_new_session() {
        let mut session = FetchSession::default();
        session.request(&wanted(&[(0, 5)]));
        session.answered(ErrorCode::None, 77);
        assert!(!session.answered(ErrorCode::InvalidFetchSessionEpoch, 0));
        assert_eq!(
            brief(session.request(&wanted(&[(0, 5)]))),
            (77, 0, vec![0], vec![])
        );
        assert!(!session.answered(ErrorCode::FetchSessionIdNotFound, 0));
        assert_eq!(
            brief(session.request(&wanted(&[(0, 5)]))),
            (0, 0, vec![0], vec![])
        );
        assert!(session.answered(ErrorCode::None, 0));
        assert_eq!(
            session.open_id(),
            None,
            "the broker may refuse to keep sessions"
        );
    }
}
