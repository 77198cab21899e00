//! Fetch sessions (KIP-227): the broker remembers what a consumer or follower fetches, so that requests and responses
//! name only what has changed.
//!
//! Pure but for the lock around the cache: session ids and the time come from outside.

use std::collections::{BTreeMap, HashMap};

use crate::protocol::{ErrorCode, Str, Uuid};

/// A session used within this time is not evicted for another of its kind (KIP-227).
const EVICTION_MS: i64 = 120_000;

const FINAL_EPOCH: i32 = -1;
const INITIAL_EPOCH: i32 = 0;

/// How a request names a topic: by id from version 13 on, by name before.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TopicKey {
    Id(Uuid),
    Name(Str),
}

/// A partition as a fetch names it.
pub type PartitionKey = (TopicKey, i32);

/// What to fetch of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    pub fetch_offset: i64,
    /// The leader epoch that the client believes in; -1 for none.
    pub current_leader_epoch: i32,
    /// The epoch of the last record the client has; -1 for none.
    pub last_fetched_epoch: i32,
    pub max_bytes: i32,
}

/// What the last response said of a partition: an incremental response repeats it only when something differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    pub high_watermark: i64,
    pub log_start_offset: i64,
}

#[derive(Debug)]
struct Member {
    wanted: Wanted,
    told: Option<Told>,
    order: u64,
}

/// One session.
#[derive(Debug)]
struct Session {
    epoch: i32,
    by_id: bool,
    privileged: bool,
    used_ms: i64,
    members: HashMap<PartitionKey, Member>,
    /// Partitions answered with data go to the end, so that a size limit starves none.
    order: BTreeMap<u64, PartitionKey>,
    next_order: u64,
}

impl Session {
    fn new(by_id: bool, privileged: bool, now_ms: i64) -> Session {
        Session {
            epoch: 1,
            by_id,
            privileged,
            used_ms: now_ms,
            members: HashMap::new(),
            order: BTreeMap::new(),
            next_order: 0,
        }
    }

    fn put(&mut self, key: PartitionKey, wanted: Wanted) {
        if let Some(member) = self.members.get_mut(&key) {
            member.wanted = wanted;
            return;
        }
        let order = self.next_order;
        self.next_order += 1;
        self.order.insert(order, key.clone());
        self.members.insert(
            key,
            Member {
                wanted,
                told: None,
                order,
            },
        );
    }

    fn forget(&mut self, key: &PartitionKey) {
        if let Some(member) = self.members.remove(key) {
            self.order.remove(&member.order);
        }
    }

    fn move_to_end(&mut self, key: &PartitionKey) {
        let Some(member) = self.members.get_mut(key) else {
            return;
        };
        self.order.remove(&member.order);
        member.order = self.next_order;
        self.order.insert(member.order, key.clone());
        self.next_order += 1;
    }

    fn listed(&self) -> Vec<(PartitionKey, Wanted)> {
        let wanted = |key: &PartitionKey| Some((key.clone(), self.members.get(key)?.wanted));
        self.order.values().filter_map(wanted).collect()
    }
}

/// The session part of a request.
#[derive(Debug)]
pub struct SessionRequest {
    pub session_id: i32,
    pub session_epoch: i32,
    pub by_id: bool,
    /// Followers keep their sessions before consumers do.
    pub privileged: bool,
    pub partitions: Vec<(PartitionKey, Wanted)>,
    pub forgotten: Vec<PartitionKey>,
}

/// How the response is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKind {
    /// No session: everything asked for is answered, with session id 0.
    None,
    /// A new session: everything is answered, and remembered.
    New { id: i32 },
    /// Only what has changed is answered.
    Incremental { id: i32 },
}

impl SessionKind {
    /// The id that the response carries.
    pub fn id(self) -> i32 {
        match self {
            SessionKind::None => 0,
            SessionKind::New { id } | SessionKind::Incremental { id } => id,
        }
    }
}

/// What one request comes to: the partitions to read, in order.
#[derive(Debug, PartialEq)]
pub struct FetchPlan {
    pub kind: SessionKind,
    pub partitions: Vec<(PartitionKey, Wanted)>,
}

/// All sessions of a broker, at most `slots` of them (`max.incremental.fetch.session.cache.slots`).
#[derive(Debug)]
pub struct FetchSessions {
    slots: usize,
    sessions: HashMap<i32, Session>,
}

impl FetchSessions {
    pub fn new(slots: usize) -> FetchSessions {
        FetchSessions {
            slots,
            sessions: HashMap::new(),
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Takes the session part of a request in. `random` supplies candidates for a new session's id.
    pub fn forget(&mut self, id: i32) {
        self.sessions.remove(&id);
    }

    pub fn begin(
        &mut self,
        request: SessionRequest,
        now_ms: i64,
        random: impl FnMut() -> i32,
    ) -> Result<FetchPlan, ErrorCode> {
        if matches!(request.session_epoch, INITIAL_EPOCH | FINAL_EPOCH) {
            // Either way the client starts over: a session that it had is over.
            self.sessions.remove(&request.session_id);
            return Ok(self.full(request, now_ms, random));
        }
        self.incremental(request, now_ms)
    }

    fn full(
        &mut self,
        request: SessionRequest,
        now_ms: i64,
        random: impl FnMut() -> i32,
    ) -> FetchPlan {
        let wants_session =
            request.session_epoch == INITIAL_EPOCH && !request.partitions.is_empty();
        let kind = if wants_session && self.has_room(request.privileged, now_ms) {
            let id = self.free_id(random);
            let mut session = Session::new(request.by_id, request.privileged, now_ms);
            for (key, wanted) in &request.partitions {
                session.put(key.clone(), *wanted);
            }
            self.sessions.insert(id, session);
            SessionKind::New { id }
        } else {
            SessionKind::None
        };
        FetchPlan {
            kind,
            partitions: request.partitions,
        }
    }

    fn incremental(
        &mut self,
        request: SessionRequest,
        now_ms: i64,
    ) -> Result<FetchPlan, ErrorCode> {
        let id = request.session_id;
        let session = self
            .sessions
            .get_mut(&id)
            .ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.epoch != request.session_epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.by_id != request.by_id {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        for key in &request.forgotten {
            session.forget(key);
        }
        for (key, wanted) in request.partitions {
            session.put(key, wanted);
        }
        if session.members.is_empty() {
            self.sessions.remove(&id);
            return Ok(FetchPlan {
                kind: SessionKind::None,
                partitions: Vec::new(),
            });
        }
        session.epoch = if session.epoch == i32::MAX {
            1
        } else {
            session.epoch + 1
        };
        session.used_ms = now_ms;
        Ok(FetchPlan {
            kind: SessionKind::Incremental { id },
            partitions: session.listed(),
        })
    }

    /// Decides whether a partition goes into the response, and remembers what the response says of it.
    pub fn answer(&mut self, kind: SessionKind, key: &PartitionKey, said: Answered) -> bool {
        let (id, incremental) = match kind {
            SessionKind::None => return true,
            SessionKind::New { id } => (id, false),
            SessionKind::Incremental { id } => (id, true),
        };
        let Some(session) = self.sessions.get_mut(&id) else {
            return true;
        };
        let Some(member) = session.members.get_mut(key) else {
            return true;
        };
        let changed = said.has_data || said.must_tell || member.told != Some(said.told);
        // After an error everything is told again, as the client may have dropped what it knew.
        member.told = (!said.must_tell).then_some(said.told);
        if incremental && said.has_data {
            session.move_to_end(key);
        }
        changed || !incremental
    }

    fn free_id(&self, mut random: impl FnMut() -> i32) -> i32 {
        loop {
            let id = random() & i32::MAX;
            if id != 0 && !self.sessions.contains_key(&id) {
                return id;
            }
        }
    }

    /// Makes room by evicting the least recently used session that may go; false if none may.
    fn has_room(&mut self, privileged: bool, now_ms: i64) -> bool {
        if self.sessions.len() < self.slots {
            return true;
        }
        let evictable = |s: &Session| {
            let stale = now_ms - s.used_ms > EVICTION_MS;
            stale || (privileged && !s.privileged)
        };
        let oldest = self.sessions.iter().filter(|(_, s)| evictable(s));
        let Some(id) = oldest.min_by_key(|(_, s)| s.used_ms).map(|(id, _)| *id) else {
            return false;
        };
        self.sessions.remove(&id);
        true
    }
}

/// What is about to be answered for a partition.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    pub told: Told,
    pub has_data: bool,
    /// An error, a diverging epoch or a preferred replica.
    pub must_tell: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(partition: i32) -> PartitionKey {
        (TopicKey::Name("t".into()), partition)
    }

    fn wanted(fetch_offset: i64) -> Wanted {
        Wanted {
            fetch_offset,
            current_leader_epoch: -1,
            last_fetched_epoch: -1,
            max_bytes: 100,
        }
    }

    fn request(id: i32, epoch: i32, partitions: &[(i32, i64)]) -> SessionRequest {
        SessionRequest {
            session_id: id,
            session_epoch: epoch,
            by_id: false,
            privileged: false,
            partitions: partitions
                .iter()
                .map(|(p, o)| (key(*p), wanted(*o)))
                .collect(),
            forgotten: Vec::new(),
        }
    }

    fn said(high_watermark: i64, has_data: bool) -> Answered {
        Answered {
            told: Told {
                high_watermark,
                log_start_offset: 0,
            },
            has_data,
            must_tell: false,
        }
    }

    fn partitions(plan: &FetchPlan) -> Vec<(i32, i64)> {
        plan.partitions
            .iter()
            .map(|((_, p), w)| (*p, w.fetch_offset))
            .collect()
    }

    #[test]
    fn an_incremental_request_changes_only_what_it_names() {
        let mut sessions = FetchSessions::new(10);
        let plan = sessions
            .begin(request(0, 0, &[(0, 5), (1, 6)]), 0, || 7)
            .unwrap();
        assert_eq!(plan.kind, SessionKind::New { id: 7 });
        let plan = sessions.begin(request(7, 1, &[(1, 9)]), 0, || 8).unwrap();
        assert_eq!(plan.kind, SessionKind::Incremental { id: 7 });
        assert_eq!(partitions(&plan), [(0, 5), (1, 9)]);
        let mut forget = request(7, 2, &[]);
        forget.forgotten = vec![key(0)];
        let plan = sessions.begin(forget, 0, || 8).unwrap();
        assert_eq!(partitions(&plan), [(1, 9)]);
    }

    #[test]
    fn answers_only_changes_and_moves_partitions_with_data_to_the_end() {
        let mut sessions = FetchSessions::new(10);
        let new = sessions
            .begin(request(0, 0, &[(0, 0), (1, 0)]), 0, || 7)
            .unwrap()
            .kind;
        assert!(sessions.answer(new, &key(0), said(1, false)));
        assert!(sessions.answer(new, &key(1), said(1, false)));
        let next = sessions.begin(request(7, 1, &[]), 0, || 8).unwrap().kind;
        assert!(sessions.answer(next, &key(0), said(2, true)));
        assert!(!sessions.answer(next, &key(1), said(1, false)));
        let plan = sessions.begin(request(7, 2, &[]), 0, || 8).unwrap();
        assert_eq!(partitions(&plan), [(1, 0), (0, 0)]);
    }

    #[test]
    fn wrong_epochs_and_ids_are_refused() {
        let mut sessions = FetchSessions::new(10);
        sessions.begin(request(0, 0, &[(0, 0)]), 0, || 7).unwrap();
        let refused = |s: &mut FetchSessions, r| s.begin(r, 0, || 8).unwrap_err();
        assert_eq!(
            refused(&mut sessions, request(7, 2, &[])),
            ErrorCode::InvalidFetchSessionEpoch
        );
        assert_eq!(
            refused(&mut sessions, request(9, 1, &[])),
            ErrorCode::FetchSessionIdNotFound
        );
        let mut by_id = request(7, 1, &[]);
        by_id.by_id = true;
        assert_eq!(
            refused(&mut sessions, by_id),
            ErrorCode::FetchSessionTopicIdError
        );
    }

    #[test]
    fn the_cache_is_bounded_and_evicts_only_stale_sessions() {
        let mut sessions = FetchSessions::new(1);
        sessions.begin(request(0, 0, &[(0, 0)]), 0, || 7).unwrap();
        let refused = sessions.begin(request(0, 0, &[(0, 0)]), 1, || 8).unwrap();
        assert_eq!(refused.kind, SessionKind::None);
        let taken = sessions
            .begin(request(0, 0, &[(0, 0)]), EVICTION_MS + 1, || 8)
            .unwrap();
        assert_eq!(taken.kind, SessionKind::New { id: 8 });
        assert_eq!(sessions.len(), 1);
    }
}
