//! Random operations: after every one the invariants hold, nobody is answered twice (the context
//! sees to both), and the log replays to the state that the shard has.
use proptest::prelude::*;

use super::context::*;
use crate::coordinator::group::GroupConfig;
use crate::coordinator::group::shard::{GroupReply, GroupRequest};
use crate::coordinator::shard::Token;
use crate::protocol::ErrorCode;

#[derive(Clone, Debug)]
enum Op {
    Join {
        who: usize,
        version: i16,
        instance: Option<u8>,
        protocol: u8,
    },
    Rejoin {
        who: usize,
        protocol: u8,
    },
    Sync {
        who: usize,
    },
    SyncAll,
    /// Everyone who is in the group, or has been told an id, joins again.
    RejoinAll,
    Heartbeat {
        who: usize,
    },
    Leave {
        who: usize,
    },
    Commit {
        who: Option<usize>,
        offset: i64,
    },
    Transaction {
        producer_id: i64,
        offset: i64,
    },
    EndTransaction {
        producer_id: i64,
        committed: bool,
    },
    Sleep {
        ms: i64,
    },
    Fail {
        on: bool,
    },
    Delete,
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    let who = 0usize..4;
    let versions = prop::sample::select(vec![3i16, 9]);
    prop_oneof![
        4 => (who.clone(), versions, prop::option::of(0u8..2), 0u8..3).prop_map(
            |(who, version, instance, protocol)| Op::Join { who, version, instance, protocol }
        ),
        6 => (who.clone(), 0u8..3).prop_map(|(who, protocol)| Op::Rejoin { who, protocol }),
        3 => who.clone().prop_map(|who| Op::Sync { who }),
        5 => Just(Op::SyncAll),
        5 => Just(Op::RejoinAll),
        2 => who.clone().prop_map(|who| Op::Heartbeat { who }),
        2 => who.clone().prop_map(|who| Op::Leave { who }),
        3 => (prop::option::of(who), 0i64..100)
            .prop_map(|(who, offset)| Op::Commit { who, offset }),
        1 => (0i64..2, 0i64..100)
            .prop_map(|(producer_id, offset)| Op::Transaction { producer_id, offset }),
        1 => (0i64..2, any::<bool>())
            .prop_map(|(producer_id, committed)| Op::EndTransaction { producer_id, committed }),
        6 => prop::sample::select(vec![1i64, 3_000, 3_000, 6_000, 9_000, 70_000])
            .prop_map(|ms| Op::Sleep { ms }),
        1 => Just(Op::Sleep { ms: 700_000_000 }),
        1 => any::<bool>().prop_map(|on| Op::Fail { on }),
        1 => Just(Op::Delete),
        1 => Just(Op::Restart),
    ]
}

/// What a client remembers between its requests.
#[derive(Clone, Default)]
struct Client {
    member_id: String,
    instance: Option<u8>,
    generation: i32,
    is_leader: bool,
    join: Option<Token>,
    members: Vec<String>,
}

struct World {
    context: Context,
    clients: Vec<Client>,
}

impl World {
    fn new() -> World {
        let config = GroupConfig {
            max_size: 3,
            ..GroupConfig::default()
        };
        World {
            context: Context::with(config),
            clients: vec![Client::default(); 4],
        }
    }

    fn join(&mut self, who: usize, version: i16, protocol: u8) {
        let client = &self.clients[who];
        let protocols: &[(&str, &str)] = match protocol {
            0 => &[("range", "r")],
            1 => &[("sticky", "s"), ("range", "r")],
            _ => &[("range", "r2"), ("sticky", "s")],
        };
        let join = Join {
            api_version: version,
            instance_id: client.instance.map(|id| format!("i{id}")),
            ..Join::old(&format!("c{who}"))
                .protocols(protocols)
                .member(&client.member_id)
        };
        let token = self.context.send_join(join);
        self.clients[who].join = Some(token);
    }

    /// Clients take note of the answers that have come.
    fn listen(&mut self) {
        for client in &mut self.clients {
            let Some(token) = client.join else { continue };
            if self.context.is_waiting(token) {
                continue;
            }
            client.join = None;
            let Some(Ok(reply)) = self.context.answer(token) else {
                continue;
            };
            let GroupReply::Join(joined) = reply else {
                continue;
            };
            match ErrorCode::from_code(joined.error_code) {
                ErrorCode::None => {
                    client.generation = joined.generation_id;
                    client.is_leader = joined.leader == joined.member_id;
                    client.members = joined
                        .members
                        .iter()
                        .map(|member| member.member_id.clone())
                        .collect();
                    client.member_id = joined.member_id;
                }
                ErrorCode::MemberIdRequired => client.member_id = joined.member_id,
                _ => client.member_id.clear(),
            }
        }
    }

    fn rejoin_all(&mut self) {
        for who in 0..self.clients.len() {
            let client = &self.clients[who];
            if !client.member_id.is_empty() && client.join.is_none() {
                self.join(who, 9, 0);
            }
        }
    }

    fn sync(&mut self, who: usize) {
        let client = self.clients[who].clone();
        let joined = crate::protocol::messages::JoinGroupResponse {
            generation_id: client.generation,
            member_id: client.member_id,
            protocol_name: None,
            ..Default::default()
        };
        let assignments: Vec<(&str, &str)> = match client.is_leader {
            true => client
                .members
                .iter()
                .map(|id| (id.as_str(), id.as_str()))
                .collect(),
            false => Vec::new(),
        };
        self.context.send_sync(&joined, &assignments);
    }

    fn leave(&mut self, who: usize) {
        let client = std::mem::take(&mut self.clients[who]);
        let members = vec![identity(&client.member_id, None)];
        let request = crate::protocol::messages::LeaveGroupRequest {
            group_id: GROUP.into(),
            members,
            ..Default::default()
        };
        self.context.send(GroupRequest::Leave(request));
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Join {
                who,
                version,
                instance,
                protocol,
            } => {
                self.clients[who] = Client {
                    instance,
                    ..Client::default()
                };
                self.join(who, version, protocol);
            }
            Op::Rejoin { who, protocol } => self.join(who, 9, protocol),
            Op::Sync { who } => self.sync(who),
            Op::RejoinAll => self.rejoin_all(),
            Op::SyncAll => (0..self.clients.len()).for_each(|who| self.sync(who)),
            Op::Heartbeat { who } => {
                let client = &self.clients[who];
                self.context
                    .heartbeat(&client.member_id.clone(), client.generation);
            }
            Op::Leave { who } => self.leave(who),
            Op::Commit { who, offset } => {
                let client = who.map(|who| self.clients[who].clone());
                let (id, generation) =
                    client.map_or((String::new(), -1), |c| (c.member_id, c.generation));
                let request = commit_request(&id, generation, offset).into();
                let token = self.context.send(GroupRequest::OffsetCommit {
                    api_version: 9,
                    request,
                });
                if let Some(Ok(GroupReply::OffsetCommit(response))) = self.context.answer(token)
                    && response.topics[0].partitions[0].error_code == ErrorCode::None.code()
                {
                    assert_eq!(self.context.offset(), offset, "an acknowledged commit");
                }
            }
            Op::Transaction {
                producer_id,
                offset,
            } => {
                super::offsets::transactional_commit(&mut self.context, producer_id, offset);
            }
            Op::EndTransaction {
                producer_id,
                committed,
            } => {
                self.context.end_transaction(producer_id, committed);
            }
            Op::Sleep { ms } => self.context.sleep(ms),
            Op::Fail { on } => {
                self.context.failure = on.then_some(ErrorCode::KafkaStorageError);
            }
            Op::Delete => {
                self.context.send(GroupRequest::Delete(vec![GROUP.into()]));
            }
            Op::Restart => {
                self.clients
                    .iter_mut()
                    .for_each(|client| client.join = None);
                let committed = self.context.offset();
                self.context.restart();
                assert_eq!(self.context.offset(), committed, "after a restart");
            }
        }
    }
}

/// As many as asked for in the long run, a slice of them otherwise.
fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|cases| cases.parse().ok()).unwrap_or(150)
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_log_is_the_state(ops in prop::collection::vec(op(), 1..60)) {
        let mut world = World::new();
        for op in ops {
            world.apply(op);
            world.listen();
            prop_assert_eq!(&world.context.stored_from_log(), world.context.shard.stored());
        }
        // Whatever happened, with time and a working log everybody who waits is answered.
        world.context.failure = None;
        world.context.sleep(i64::from(REBALANCE_MS) * 10);
        world.listen();
        prop_assert!(world.clients.iter().all(|client| client.join.is_none()));
    }
}
