//! Share sessions (KIP-932): the broker remembers what a member of a share group fetches, so that
//! requests name only what has changed. Pure: who is connected comes from outside.

use std::collections::HashMap;

use crate::protocol::{ErrorCode, Uuid};

/// Opens a session.
pub const INITIAL_EPOCH: i32 = 0;
/// Ends it.
pub const FINAL_EPOCH: i32 = -1;

/// A member of a share group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MemberKey {
    pub group: String,
    pub member: String,
}

pub type TopicPartition = (Uuid, i32);

#[derive(Debug)]
struct Session {
    epoch: i32,
    /// In the order in which they were added; whether a response has named them yet.
    partitions: Vec<(TopicPartition, bool)>,
    connection: u64,
}

/// The session part of a ShareFetch.
#[derive(Debug)]
pub struct SessionRequest {
    pub key: MemberKey,
    pub epoch: i32,
    pub partitions: Vec<TopicPartition>,
    pub forgotten: Vec<TopicPartition>,
    pub acknowledges: bool,
    pub connection: u64,
}

/// What to fetch, and how to answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Plan {
    /// A new session: everything is answered.
    All(Vec<TopicPartition>),
    /// What has something to say is answered.
    Changed(Vec<TopicPartition>),
    /// The session ends with this request: nothing is fetched.
    Last,
}

/// All sessions of a broker, at most `max` of them (`group.share.max.share.sessions`).
#[derive(Debug)]
pub struct ShareSessions {
    max: usize,
    sessions: HashMap<MemberKey, Session>,
}

impl ShareSessions {
    pub fn new(max: usize) -> ShareSessions {
        ShareSessions {
            max,
            sessions: HashMap::new(),
        }
    }

    /// Takes the session part of a ShareFetch in.
    pub fn begin(&mut self, request: SessionRequest) -> Result<Plan, ErrorCode> {
        match request.epoch {
            FINAL_EPOCH if self.sessions.contains_key(&request.key) => Ok(Plan::Last),
            FINAL_EPOCH => Err(ErrorCode::ShareSessionNotFound),
            INITIAL_EPOCH => self.open(request),
            _ => self.go_on(request),
        }
    }

    fn open(&mut self, request: SessionRequest) -> Result<Plan, ErrorCode> {
        if request.acknowledges {
            return Err(ErrorCode::InvalidRequest);
        }
        self.sessions.remove(&request.key);
        if self.sessions.len() >= self.max {
            return Err(ErrorCode::ShareSessionLimitReached);
        }
        let mut session = Session {
            epoch: 1,
            partitions: Vec::new(),
            connection: request.connection,
        };
        session.add(&request.partitions, true);
        let partitions = session.listed();
        self.sessions.insert(request.key, session);
        Ok(Plan::All(partitions))
    }

    fn go_on(&mut self, request: SessionRequest) -> Result<Plan, ErrorCode> {
        let session = self.advance(&request.key, request.epoch)?;
        session.add(&request.partitions, false);
        session
            .partitions
            .retain(|(partition, _)| !request.forgotten.contains(partition));
        Ok(Plan::Changed(session.listed()))
    }

    fn advance(&mut self, key: &MemberKey, epoch: i32) -> Result<&mut Session, ErrorCode> {
        let session = self.sessions.get_mut(key);
        let session = session.ok_or(ErrorCode::ShareSessionNotFound)?;
        if session.epoch != epoch {
            return Err(ErrorCode::InvalidShareSessionEpoch);
        }
        session.epoch = match session.epoch {
            i32::MAX => 1,
            epoch => epoch + 1,
        };
        Ok(session)
    }

    /// Takes the session part of a ShareAcknowledge in.
    pub fn acknowledge(&mut self, key: &MemberKey, epoch: i32) -> Result<(), ErrorCode> {
        match epoch {
            INITIAL_EPOCH => Err(ErrorCode::InvalidShareSessionEpoch),
            FINAL_EPOCH if self.sessions.contains_key(key) => Ok(()),
            FINAL_EPOCH => Err(ErrorCode::ShareSessionNotFound),
            _ => self.advance(key, epoch).map(drop),
        }
    }

    /// Whether a response that goes on with a session names the partition though there is nothing
    /// to say of it: the first does.
    pub fn must_name(&mut self, key: &MemberKey, partition: TopicPartition) -> bool {
        let session = self.sessions.get_mut(key);
        let known = session.and_then(|session| {
            let mut partitions = session.partitions.iter_mut();
            partitions.find(|(known, _)| *known == partition)
        });
        known.is_some_and(|(_, is_named)| !std::mem::replace(is_named, true))
    }

    /// Ends a session; what it fetched.
    pub fn remove(&mut self, key: &MemberKey) -> Option<Vec<TopicPartition>> {
        self.sessions.remove(key).map(|session| session.listed())
    }

    /// Ends the session that a connection opened, if it is still the connection's.
    pub fn disconnect(&mut self, key: &MemberKey, connection: u64) -> Option<Vec<TopicPartition>> {
        let session = self.sessions.get(key)?;
        match session.connection == connection {
            true => self.remove(key),
            false => None,
        }
    }

    pub fn has_members(&self, group: &str) -> bool {
        self.sessions.keys().any(|key| key.group == group)
    }
}

impl Session {
    fn add(&mut self, partitions: &[TopicPartition], is_named: bool) {
        for partition in partitions {
            if !self.partitions.iter().any(|(known, _)| known == partition) {
                self.partitions.push((*partition, is_named));
            }
        }
    }

    fn listed(&self) -> Vec<TopicPartition> {
        self.partitions
            .iter()
            .map(|(partition, _)| *partition)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: Uuid = Uuid::from_u128(3);

    fn key(member: &str) -> MemberKey {
        MemberKey {
            group: "g".into(),
            member: member.into(),
        }
    }

    fn request(member: &str, epoch: i32, partitions: &[i32]) -> SessionRequest {
        SessionRequest {
            key: key(member),
            epoch,
            partitions: partitions.iter().map(|p| (TOPIC, *p)).collect(),
            forgotten: Vec::new(),
            acknowledges: false,
            connection: 7,
        }
    }

    #[test]
    fn a_session_goes_on_with_what_it_was_told() {
        let mut sessions = ShareSessions::new(10);
        let all = sessions.begin(request("m", 0, &[0, 1])).unwrap();
        assert_eq!(all, Plan::All(vec![(TOPIC, 0), (TOPIC, 1)]));
        let mut next = request("m", 1, &[2]);
        next.forgotten = vec![(TOPIC, 0)];
        let changed = sessions.begin(next).unwrap();
        assert_eq!(changed, Plan::Changed(vec![(TOPIC, 1), (TOPIC, 2)]));
        assert!(!sessions.must_name(&key("m"), (TOPIC, 1)));
        assert!(sessions.must_name(&key("m"), (TOPIC, 2)), "it is new");
        assert!(!sessions.must_name(&key("m"), (TOPIC, 2)));
        assert_eq!(sessions.acknowledge(&key("m"), 2), Ok(()));
        assert_eq!(sessions.begin(request("m", -1, &[])).unwrap(), Plan::Last);
    }

    #[test]
    fn wrong_epochs_are_refused() {
        let mut sessions = ShareSessions::new(10);
        let refused = |sessions: &mut ShareSessions, epoch| {
            sessions.begin(request("m", epoch, &[])).unwrap_err()
        };
        assert_eq!(refused(&mut sessions, 1), ErrorCode::ShareSessionNotFound);
        assert_eq!(refused(&mut sessions, -1), ErrorCode::ShareSessionNotFound);
        sessions.begin(request("m", 0, &[])).unwrap();
        assert_eq!(
            refused(&mut sessions, 2),
            ErrorCode::InvalidShareSessionEpoch
        );
        let acknowledged = sessions.acknowledge(&key("m"), 0);
        assert_eq!(acknowledged, Err(ErrorCode::InvalidShareSessionEpoch));
        let mut early = request("m", 0, &[]);
        early.acknowledges = true;
        assert_eq!(
            sessions.begin(early).unwrap_err(),
            ErrorCode::InvalidRequest
        );
    }

    #[test]
    fn sessions_are_bounded_and_end_with_their_connection() {
        let mut sessions = ShareSessions::new(1);
        sessions.begin(request("m", 0, &[4])).unwrap();
        let refused = sessions.begin(request("n", 0, &[])).unwrap_err();
        assert_eq!(refused, ErrorCode::ShareSessionLimitReached);
        sessions.begin(request("m", 0, &[4])).unwrap();
        assert_eq!(sessions.disconnect(&key("m"), 8), None, "another's");
        assert!(sessions.has_members("g"));
        assert_eq!(sessions.disconnect(&key("m"), 7), Some(vec![(TOPIC, 4)]));
        assert!(!sessions.has_members("g"));
    }
}
