//! What genuine Kafka alone drives for now: transactions (committed, aborted, one left open), consumer, share and
//! streams groups. What it then says of them must be the same after a turn of ours.

use std::collections::BTreeMap;

use kafkars::protocol::messages::*;
use kafkars::protocol::{Request, Uuid};
use kafkars::record::{BatchMeta, Compression};

use crate::contents::{Contents, Sent, batch_of, configure};
use crate::support::until;
use crate::support::wire::{Connection, PRODUCE_BY_NAME, now_ms, produce_request};

const STEADY: &str = "steady";
const LEFT_OPEN: &str = "left-open";
const TXN_GROUP: &str = "ledger-readers";
const CONSUMERS: &str = "next-generation";
const SHARERS: &str = "sharers";
const STREAMERS: &str = "streamers";
/// The members that stay in their groups.
const CONSUMER: &str = "AAAAAAAAAAAAAAAAAAAAAw";
const SHARER: &str = "AAAAAAAAAAAAAAAAAAAABA";
const STREAMER: &str = "AAAAAAAAAAAAAAAAAAAABQ";

const GROUP_RESOURCE: i8 = 32;
const ACCEPT: i8 = 1;
const RELEASE: i8 = 2;

#[derive(Default)]
pub struct Newer {
    /// What was said of everything at the end of genuine Kafka's last turn.
    described: Vec<String>,
    /// Epochs of the members of the consumer and streams groups.
    consumer_epoch: i32,
    streamer_epoch: i32,
    sharer_epoch: i32,
    /// The first offset of "shared" that the share group has not accepted.
    next_shared: i64,
}

fn newest<R: Request>() -> i16 {
    *R::KEY.broker_versions().unwrap().end()
}

fn ask<R: Request>(c: &mut Connection, request: &R) -> R::Response {
    c.ask(request, newest::<R>())
}

/// Whether to ask again: a coordinator that is not there yet, or still at the transaction before.
fn is_passing(error: i16) -> bool {
    const NOT_THERE: [i16; 3] = [14, 15, 16];
    const CONCURRENT_TRANSACTIONS: i16 = 51;
    NOT_THERE.contains(&error) || error == CONCURRENT_TRANSACTIONS
}

/// Asks until the answer is neither passing nor unfinished; any other error fails.
fn settled<R: Request>(
    c: &mut Connection,
    what: &str,
    request: impl Fn() -> R,
    error: impl Fn(&R::Response) -> i16,
    done: impl Fn(&R::Response) -> bool,
) -> R::Response
where
    R::Response: std::fmt::Debug,
{
    until(what, || {
        let response = ask(c, &request());
        let code = error(&response);
        if is_passing(code) {
            return None;
        }
        assert_eq!(code, 0, "{what}: {response:?}");
        done(&response).then_some(response)
    })
}

/// A transactional producer.
struct Producer {
    transactional_id: &'static str,
    id: i64,
    epoch: i16,
    sequences: BTreeMap<(String, i32), i32>,
}

impl Producer {
    fn init(c: &mut Connection, transactional_id: &'static str) -> Producer {
        until("the transactional id has a coordinator", || {
            const TRANSACTION: i8 = 1;
            let request = FindCoordinatorRequest {
                key_type: TRANSACTION,
                coordinator_keys: vec![transactional_id.to_owned()],
                ..Default::default()
            };
            (ask(c, &request).coordinators[0].error_code == 0).then_some(())
        });
        let request = || InitProducerIdRequest {
            transactional_id: Some(transactional_id.to_owned()),
            transaction_timeout_ms: 900_000,
            producer_id: -1,
            producer_epoch: -1,
        };
        let got = settled(c, transactional_id, request, |r| r.error_code, |_| true);
        Producer {
            transactional_id,
            id: got.producer_id,
            epoch: got.producer_epoch,
            sequences: BTreeMap::new(),
        }
    }

    /// Writes records in the transaction that this begins if none is; their offsets.
    fn write(
        &mut self,
        c: &mut Connection,
        contents: &mut Contents,
        (topic, partition): (&str, i32),
        records: &[Sent],
    ) -> Vec<i64> {
        let sequence = self
            .sequences
            .entry((topic.to_owned(), partition))
            .or_default();
        let meta = BatchMeta {
            producer_id: self.id,
            producer_epoch: self.epoch,
            base_sequence: *sequence,
            transactional: true,
            compression: Compression::Zstd,
            ..BatchMeta::default()
        };
        *sequence += records.len() as i32;
        let request = || ProduceRequest {
            transactional_id: Some(self.transactional_id.into()),
            ..produce_request(topic, partition, batch_of(records, &meta))
        };
        let base = until("the records are written", || {
            let response = c.ask(&request(), PRODUCE_BY_NAME);
            let answered = &response.responses[0].partition_responses[0];
            if is_passing(answered.error_code) {
                return None;
            }
            assert_eq!(answered.error_code, 0, "{topic}-{partition}");
            Some(answered.base_offset)
        });
        contents.take(c, (topic, partition), records, base);
        (base..base + records.len() as i64).collect()
    }

    fn commit_offset(&self, c: &mut Connection, topic: &str, partition: i32, offset: i64) {
        use txn_offset_commit_request::*;
        c.find_group(TXN_GROUP);
        let request = || TxnOffsetCommitRequest {
            transactional_id: self.transactional_id.to_owned(),
            group_id: TXN_GROUP.to_owned(),
            producer_id: self.id,
            producer_epoch: self.epoch,
            generation_id: -1,
            topics: vec![TxnOffsetCommitRequestTopic {
                name: topic.to_owned(),
                partitions: vec![TxnOffsetCommitRequestPartition {
                    partition_index: partition,
                    committed_offset: offset,
                    ..Default::default()
                }],
            }],
            ..Default::default()
        };
        let error = |r: &TxnOffsetCommitResponse| r.topics[0].partitions[0].error_code;
        settled(
            c,
            "the offset is in the transaction",
            request,
            error,
            |_| true,
        );
    }

    fn end(&mut self, c: &mut Connection, committed: bool) {
        let request = || EndTxnRequest {
            transactional_id: self.transactional_id.to_owned(),
            producer_id: self.id,
            producer_epoch: self.epoch,
            committed,
        };
        let ended = settled(c, "the end", request, |r| r.error_code, |_| true);
        (self.id, self.epoch) = (ended.producer_id, ended.producer_epoch);
        self.sequences.clear();
    }
}

/// Waits until the markers are written.
fn until_stable(c: &mut Connection, topic: &str, partition: i32) {
    until("the transaction has ended", || {
        let (end, _) = c.offset(topic, partition, -1, false);
        (c.offset(topic, partition, -1, true).0 == end).then_some(())
    });
}

impl Newer {
    /// Compares what is said of everything with what was said before our turn.
    pub fn check(&self, c: &mut Connection) {
        if !self.described.is_empty() {
            let now = describe(c);
            for (now, before) in now.iter().zip(&self.described) {
                assert_eq!(now, before);
            }
        }
    }

    pub fn note(&mut self, c: &mut Connection) {
        self.described = describe(c);
    }

    pub fn drive(&mut self, c: &mut Connection, contents: &mut Contents, turn: i64) {
        if turn == 1 {
            contents.create(c, "ledger", 2, &[]);
            let compacted = [("cleanup.policy", "compact"), ("segment.ms", "500")];
            contents.create(c, "accounts", 1, &compacted);
            contents.create(c, "shared", 1, &[]);
            contents.create(c, "grouped", 2, &[]);
            c.until_led();
            // Initialises the share group's partitions at their start.
            configure(
                c,
                (GROUP_RESOURCE, SHARERS),
                "share.auto.offset.reset",
                "earliest",
            );
        } else {
            self.end_the_open_one(c, contents);
        }
        self.transact(c, contents, turn);
        self.consume(c, contents, turn);
        self.share(c, contents, turn);
        self.stream(c);
    }

    /// A new incarnation of its producer aborts the transaction that was open for two turns.
    fn end_the_open_one(&mut self, c: &mut Connection, contents: &mut Contents) {
        Producer::init(c, LEFT_OPEN);
        until_stable(c, "ledger", 1);
        let written = contents.written("ledger", 1);
        assert!(written.open.take().is_some());
    }

    fn transact(&mut self, c: &mut Connection, contents: &mut Contents, turn: i64) {
        let mut producer = Producer::init(c, STEADY);
        for committed in [true, false, true] {
            let text = format!("committed: {committed}, turn {turn}");
            let timestamp = now_ms() - 3_600_000 + turn * 60_000;
            for (topic, partition) in [("ledger", 0), ("accounts", 0), ("ledger", 1)] {
                // A second batch of the same transaction is a segment further in the compacted topic.
                for at in 0..2 {
                    let records = ["k0", "k1", &text].map(|key| Sent {
                        timestamp: timestamp + at * 1000,
                        ..Sent::new(key, &text)
                    });
                    let offsets = producer.write(c, contents, (topic, partition), &records);
                    if !committed {
                        let written = contents.written(topic, partition);
                        written.aborted.extend(offsets);
                    }
                }
            }
            let (end, _) = c.offset("ledger", 0, -1, false);
            producer.commit_offset(c, "ledger", 0, end);
            producer.end(c, committed);
            for (topic, partition) in [("ledger", 0), ("ledger", 1), ("accounts", 0)] {
                until_stable(c, topic, partition);
            }
            if committed {
                until("the offset is committed", || {
                    let found = c.committed(TXN_GROUP);
                    let offset = found.get(&("ledger".to_owned(), 0)).map(|found| found.0);
                    (offset == Some(end)).then_some(())
                });
                contents.note_commit(TXN_GROUP, "ledger", 0, end);
            }
        }
    }

    /// Leaves a transaction open for the turn of ours.
    pub fn leave_one_open(&mut self, c: &mut Connection, contents: &mut Contents, turn: i64) {
        let mut producer = Producer::init(c, LEFT_OPEN);
        let records = [Sent::new("k", &format!("left open in turn {turn}"))];
        let offsets = producer.write(c, contents, ("ledger", 1), &records);
        let written = contents.written("ledger", 1);
        // It ends by an abort.
        written.aborted.extend(&offsets);
        written.open = offsets.first().copied();
    }

    /// What ours writes behind it is not seen by those who read committed records until it has ended.
    pub fn write_behind_the_open_one(
        &mut self,
        c: &mut Connection,
        contents: &mut Contents,
        turn: i64,
    ) {
        let records = [Sent::new("k", &format!("behind, in turn {turn}"))];
        contents.write(c, ("ledger", 1), &records, &BatchMeta::default());
        let open = contents.written("ledger", 1).open;
        assert_eq!(Some(c.offset("ledger", 1, -1, true).0), open);
    }

    /// A member of a consumer group (KIP-848) that goes on where it was, and commits.
    fn consume(&mut self, c: &mut Connection, contents: &mut Contents, turn: i64) {
        for partition in 0..2 {
            let records = [Sent::new("k", &format!("grouped in turn {turn}"))];
            contents.write(c, ("grouped", partition), &records, &BatchMeta::default());
        }
        c.find_group(CONSUMERS);
        let joins = self.consumer_epoch == 0;
        let beat = || ConsumerGroupHeartbeatRequest {
            group_id: CONSUMERS.to_owned(),
            member_id: CONSUMER.to_owned(),
            member_epoch: self.consumer_epoch,
            rebalance_timeout_ms: if joins { 300_000 } else { -1 },
            subscribed_topic_names: joins.then(|| vec!["grouped".to_owned()]),
            topic_partitions: joins.then(Vec::new),
            ..Default::default()
        };
        let assigned = |r: &ConsumerGroupHeartbeatResponse| {
            let assignment = r.assignment.as_ref();
            !joins || assignment.is_some_and(|a| !a.topic_partitions.is_empty())
        };
        let answer = settled(
            c,
            "a member of the consumer group",
            beat,
            |r| r.error_code,
            assigned,
        );
        if !joins {
            assert_eq!(answer.member_epoch, self.consumer_epoch);
        }
        self.consumer_epoch = answer.member_epoch;
        for partition in 0..2 {
            let (end, _) = c.offset("grouped", partition, -1, false);
            let request = || OffsetCommitRequest {
                group_id: CONSUMERS.to_owned(),
                generation_id_or_member_epoch: self.consumer_epoch,
                member_id: CONSUMER.to_owned(),
                topics: vec![offset_commit_request::OffsetCommitRequestTopic {
                    name: "grouped".to_owned(),
                    partitions: vec![offset_commit_request::OffsetCommitRequestPartition {
                        partition_index: partition,
                        committed_offset: end,
                        ..Default::default()
                    }],
                    ..Default::default()
                }],
                ..Default::default()
            };
            let response = c.ask(&request(), 9);
            assert_eq!(response.topics[0].partitions[0].error_code, 0);
            contents.note_commit(CONSUMERS, "grouped", partition, end);
        }
    }

    /// A member of a share group accepts all but two records, which are delivered again in the next turn.
    fn share(&mut self, c: &mut Connection, contents: &mut Contents, turn: i64) {
        let records: Vec<Sent> = (0..6)
            .map(|n| Sent::new("k", &format!("shared {n} in turn {turn}")))
            .collect();
        contents.write(c, ("shared", 0), &records, &BatchMeta::default());
        c.find_group(SHARERS);
        let joins = self.sharer_epoch == 0;
        let beat = || ShareGroupHeartbeatRequest {
            group_id: SHARERS.to_owned(),
            member_id: SHARER.to_owned(),
            member_epoch: self.sharer_epoch,
            subscribed_topic_names: joins.then(|| vec!["shared".to_owned()]),
            ..Default::default()
        };
        let assigned = |r: &ShareGroupHeartbeatResponse| {
            let assignment = r.assignment.as_ref();
            !joins || assignment.is_some_and(|a| !a.topic_partitions.is_empty())
        };
        let answer = settled(
            c,
            "a member of the share group",
            beat,
            |r| r.error_code,
            assigned,
        );
        self.sharer_epoch = answer.member_epoch;
        let (end, _) = c.offset("shared", 0, -1, false);
        self.accept_until(c, end - 2);
    }

    /// Acquires all records and accepts those before `until`.
    fn accept_until(&mut self, c: &mut Connection, accepted: i64) {
        let topic_id = topic_id(c, "shared");
        let mut epoch = 0;
        let acquired = until("records are acquired", || {
            use share_fetch_request::{FetchPartition, FetchTopic};
            let request = ShareFetchRequest {
                group_id: Some(SHARERS.into()),
                member_id: Some(SHARER.into()),
                share_session_epoch: epoch,
                max_wait_ms: 200,
                min_bytes: 1,
                max_bytes: 1 << 20,
                max_records: 100,
                batch_size: 100,
                topics: vec![FetchTopic {
                    topic_id,
                    partitions: vec![FetchPartition::default()],
                }],
                ..Default::default()
            };
            let response = ask(c, &request);
            assert_eq!(response.error_code, 0, "{response:?}");
            epoch += 1;
            let partition = response.responses.first()?.partitions.first()?;
            let ranges = &partition.acquired_records;
            let (first, last) = (ranges.first()?.first_offset, ranges.last()?.last_offset);
            Some((first, last))
        });
        assert_eq!(acquired.0, self.next_shared, "of the share group's records");
        use share_acknowledge_request::*;
        let batch = |first_offset, last_offset, how| AcknowledgementBatch {
            first_offset,
            last_offset,
            acknowledge_types: vec![how],
        };
        let request = ShareAcknowledgeRequest {
            group_id: Some(SHARERS.into()),
            member_id: Some(SHARER.into()),
            share_session_epoch: epoch,
            topics: vec![AcknowledgeTopic {
                topic_id,
                partitions: vec![AcknowledgePartition {
                    partition_index: 0,
                    acknowledgement_batches: vec![
                        batch(acquired.0, accepted - 1, ACCEPT),
                        batch(accepted, acquired.1, RELEASE),
                    ],
                }],
            }],
            ..Default::default()
        };
        let response = ask(c, &request);
        assert_eq!(response.error_code, 0, "{response:?}");
        let partition = &response.responses[0].partitions[0];
        assert_eq!(partition.error_code, 0, "{response:?}");
        self.next_shared = accepted;
    }

    /// A member of a streams group.
    fn stream(&mut self, c: &mut Connection) {
        use streams_group_heartbeat_request::{Subtopology, Topology};
        c.find_group(STREAMERS);
        let joins = self.streamer_epoch == 0;
        let beat = || StreamsGroupHeartbeatRequest {
            group_id: STREAMERS.to_owned(),
            member_id: STREAMER.to_owned(),
            member_epoch: self.streamer_epoch,
            rebalance_timeout_ms: if joins { 300_000 } else { -1 },
            topology: joins.then(|| Topology {
                epoch: 0,
                subtopologies: vec![Subtopology {
                    subtopology_id: "0".to_owned(),
                    source_topics: vec!["grouped".to_owned()],
                    ..Default::default()
                }],
            }),
            active_tasks: joins.then(Vec::new),
            standby_tasks: joins.then(Vec::new),
            warmup_tasks: joins.then(Vec::new),
            process_id: joins.then(|| "process".to_owned()),
            client_tags: joins.then(Vec::new),
            ..Default::default()
        };
        let assigned = |r: &StreamsGroupHeartbeatResponse| {
            !joins
                || r.active_tasks
                    .as_ref()
                    .is_some_and(|tasks| !tasks.is_empty())
        };
        let answer = settled(
            c,
            "a member of the streams group",
            beat,
            |r| r.error_code,
            assigned,
        );
        if !joins {
            assert_eq!(answer.member_epoch, self.streamer_epoch);
        }
        self.streamer_epoch = answer.member_epoch;
    }
}

fn topic_id(c: &mut Connection, name: &str) -> Uuid {
    let all = MetadataRequest {
        topics: None,
        ..Default::default()
    };
    let topics = c.ask(&all, 12).topics;
    let topic = topics.iter().find(|t| t.name.as_deref() == Some(name));
    topic.unwrap().topic_id
}

/// Everything that genuine Kafka says of transactions, their producers, and groups.
fn describe(c: &mut Connection) -> Vec<String> {
    for group in [CONSUMERS, SHARERS, STREAMERS] {
        c.find_group(group);
    }
    let mut said = Vec::new();
    let groups = |group: &str| vec![group.to_owned()];
    let mut listed = until("all groups are loaded", || {
        let listed = ask(c, &ListGroupsRequest::default());
        (!is_passing(listed.error_code)).then_some(listed.groups)
    });
    listed.sort_by(|a, b| a.group_id.cmp(&b.group_id));
    said.push(format!("{listed:#?}"));
    let request = ConsumerGroupDescribeRequest {
        group_ids: groups(CONSUMERS),
        ..Default::default()
    };
    said.push(format!("{:#?}", ask(c, &request).groups));
    let request = ShareGroupDescribeRequest {
        group_ids: groups(SHARERS),
        ..Default::default()
    };
    said.push(format!("{:#?}", ask(c, &request).groups));
    let request = StreamsGroupDescribeRequest {
        group_ids: groups(STREAMERS),
        ..Default::default()
    };
    said.push(format!("{:#?}", ask(c, &request).groups));
    use describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup;
    let request = DescribeShareGroupOffsetsRequest {
        groups: vec![DescribeShareGroupOffsetsRequestGroup {
            group_id: SHARERS.to_owned(),
            topics: None,
        }],
    };
    said.push(format!("{:#?}", ask(c, &request).groups));
    said.extend(describe_transactions(c));
    said
}

fn describe_transactions(c: &mut Connection) -> [String; 2] {
    let request = DescribeTransactionsRequest {
        transactional_ids: vec![STEADY.to_owned(), LEFT_OPEN.to_owned()],
    };
    let states = until("the transactions' state is loaded", || {
        let states = ask(c, &request).transaction_states;
        let loading = states.iter().any(|state| is_passing(state.error_code));
        (!loading).then_some(states)
    });
    let topic =
        |name: &str, partition_indexes: Vec<i32>| describe_producers_request::TopicRequest {
            name: name.to_owned(),
            partition_indexes,
        };
    let request = DescribeProducersRequest {
        topics: vec![topic("ledger", vec![0, 1]), topic("accounts", vec![0])],
    };
    let mut producers = ask(c, &request).topics;
    let partitions = producers.iter_mut().flat_map(|topic| &mut topic.partitions);
    for partition in partitions {
        partition.active_producers.sort_by_key(|p| p.producer_id);
    }
    [format!("{states:#?}"), format!("{producers:#?}")]
}
