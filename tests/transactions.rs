//! Transactions through the real binary: Java's client, refusals, crashes, and a directory that goes from one
//! implementation to the other in the middle of them. Other clients' transactions are in `clients.rs`.

mod support;

use std::process::Command;

use bytes::Bytes;
use kafkars::coordinator::transaction::{
    Partitions, Transaction, TransactionRecord, TransactionState,
};
use kafkars::log::{AppendOrigin, Log, LogConfig, LogOptions, TopicPartition};
use kafkars::protocol::messages::*;
use kafkars::protocol::{ErrorCode, Records};
use kafkars::record::{BatchBuilder, BatchMeta};
use support::genuine::Genuine;
use support::wire::Connection;
use support::{Broker, Setup, root, run_command, skip, until};

const TOPIC: &str = "t";
const STATE_TOPIC: &str = "__transaction_state";
/// The last version that names topics; transaction version 2.
const PRODUCE: i16 = 12;
const TIMEOUT_MS: i32 = 600_000;
const PARTITIONS: i32 = 3;

/// A transactional producer of transaction version 2, request by request.
struct Producer {
    connection: Connection,
    transactional_id: String,
    producer_id: i64,
    epoch: i16,
    /// Of the next batch in each partition.
    sequences: [i32; PARTITIONS as usize],
}

impl Producer {
    fn start(broker: &Broker, transactional_id: &str) -> Producer {
        let mut connection = Connection::open(broker.port);
        find(&mut connection, transactional_id);
        let init = InitProducerIdRequest {
            transactional_id: Some(transactional_id.to_owned()),
            transaction_timeout_ms: TIMEOUT_MS,
            ..Default::default()
        };
        let owner = until("the transactional id is given", || {
            let response = connection.ask(&init, 5);
            passes(response.error_code).then(|| assert_eq!(response.error_code, 0))?;
            Some(response)
        });
        Producer {
            connection,
            transactional_id: transactional_id.to_owned(),
            producer_id: owner.producer_id,
            epoch: owner.producer_epoch,
            sequences: [0; PARTITIONS as usize],
        }
    }

    /// Goes on against a broker that has come since.
    fn reconnect(&mut self, broker: &Broker) {
        self.connection = Connection::open(broker.port);
        find(&mut self.connection, &self.transactional_id);
    }

    fn batch(&self, partition: i32, value: &str) -> Bytes {
        let mut builder = BatchBuilder::new();
        builder
            .append(1, None, Some(value.as_bytes()), &[])
            .unwrap();
        let meta = BatchMeta {
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            base_sequence: self.sequences[partition as usize],
            transactional: true,
            ..BatchMeta::default()
        };
        builder.finish(&meta).unwrap()
    }

    fn try_write(&mut self, partition: i32, value: &str, version: i16) -> i16 {
        let batch = self.batch(partition, value);
        let id = Some(self.transactional_id.as_str());
        produce(&mut self.connection, partition, batch, id, version)
    }

    fn write(&mut self, partition: i32, value: &str) {
        until("the record is written", || {
            let error = self.try_write(partition, value, PRODUCE);
            passes(error).then(|| assert_eq!(error, 0, "{value}"))
        });
        self.sequences[partition as usize] += 1;
    }

    fn end(&mut self, committed: bool) {
        let request = EndTxnRequest {
            transactional_id: self.transactional_id.clone(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            committed,
        };
        let next = until("the transaction ends", || {
            let response = self.connection.ask(&request, 5);
            passes(response.error_code).then(|| assert_eq!(response.error_code, 0))?;
            Some(response)
        });
        assert_eq!(next.producer_id, self.producer_id);
        assert_eq!(next.producer_epoch, self.epoch + 1);
        self.epoch += 1;
        self.sequences = [0; PARTITIONS as usize];
    }

    /// Commits an offset of the first partition for a group, in the transaction.
    fn send_offset(&mut self, group: &str, offset: i64) {
        use txn_offset_commit_request::{
            TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
        };
        self.connection.find_group(group);
        let request = TxnOffsetCommitRequest {
            transactional_id: self.transactional_id.clone(),
            group_id: group.to_owned(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            generation_id: -1,
            topics: vec![TxnOffsetCommitRequestTopic {
                name: TOPIC.to_owned(),
                partitions: vec![TxnOffsetCommitRequestPartition {
                    committed_offset: offset,
                    ..Default::default()
                }],
            }],
            ..Default::default()
        };
        until("the offset is taken into the transaction", || {
            let response = self.connection.ask(&request, 5);
            let error = response.topics[0].partitions[0].error_code;
            passes(error).then(|| assert_eq!(error, 0, "{group}"))
        });
    }

    fn state(&mut self) -> String {
        let request = DescribeTransactionsRequest {
            transactional_ids: vec![self.transactional_id.clone()],
        };
        until("the transaction is described", || {
            let mut response = self.connection.ask(&request, 0);
            let state = response.transaction_states.remove(0);
            passes(state.error_code).then_some(state.transaction_state)
        })
    }
}

/// Makes sure that there is a coordinator.
fn find(connection: &mut Connection, transactional_id: &str) {
    let request = FindCoordinatorRequest {
        key_type: 1,
        coordinator_keys: vec![transactional_id.to_owned()],
        ..Default::default()
    };
    until("the transactional id has a coordinator", || {
        let found = connection.ask(&request, 6);
        (found.coordinators[0].error_code == 0).then_some(())
    });
}

/// Whether an error is the last word: not one that clients retry.
fn passes(error: i16) -> bool {
    let error = ErrorCode::from_code(error);
    error == ErrorCode::None || !error.is_retriable()
}

fn produce(
    connection: &mut Connection,
    partition: i32,
    batch: Bytes,
    transactional_id: Option<&str>,
    version: i16,
) -> i16 {
    let request = ProduceRequest {
        transactional_id: transactional_id.map(Into::into),
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![produce_request::TopicProduceData {
            name: TOPIC.into(),
            partition_data: vec![produce_request::PartitionProduceData {
                index: partition,
                records: Some(Records::Bytes(batch)),
            }],
            ..Default::default()
        }],
    };
    let response = connection.ask(&request, version);
    response.responses[0].partition_responses[0].error_code
}

/// What a consumer of either isolation level sees, in all partitions.
fn values(broker: &Broker, committed: bool) -> Vec<String> {
    let mut connection = Connection::open(broker.port);
    let mut values = Vec::new();
    for partition in 0..PARTITIONS {
        for row in connection.read(TOPIC, partition, committed) {
            let value = row.value.unwrap_or_default();
            values.push(String::from_utf8(value).unwrap());
        }
    }
    values.sort();
    values
}

fn topic(broker: &Broker) {
    let mut connection = Connection::open(broker.port);
    connection.create_topic(TOPIC, PARTITIONS, &[]);
}

#[test]
fn javas_producer_and_consumer() {
    let what = "javas_producer_and_consumer";
    if Command::new("javac").arg("-version").output().is_err() {
        return skip(what, "Java's sources need a JDK to run");
    }
    let Some(genuine) = Genuine::find(what) else {
        return;
    };
    let broker = Broker::start();
    Connection::open(broker.port).create_topic("java", 1, &[]);
    let mut command = genuine.command("class");
    command.arg(root().join("tests/apache-kafka/Transact.java"));
    command.args([&broker.bootstrap(), "java", "g"]);
    let said = run_command(command, b"").ok();
    let said: Vec<&str> = said.lines().collect();
    let expected = [
        "fenced",
        "offset 42",
        "read committed-1",
        "read committed-2",
        "read committed-3",
    ];
    assert_eq!(said, expected);
}

#[test]
fn a_transaction_is_seen_whole_or_not_at_all() {
    let broker = Broker::start();
    topic(&broker);
    let mut producer = Producer::start(&broker, "whole");
    let first = producer.epoch;
    producer.write(0, "a");
    producer.write(1, "a");
    assert_eq!(values(&broker, false), ["a", "a"]);
    assert_eq!(values(&broker, true), [""; 0]);
    assert_eq!(producer.state(), "Ongoing");
    producer.end(true);
    assert_eq!(values(&broker, true), ["a", "a"]);
    producer.write(1, "b");
    producer.write(2, "b");
    producer.end(false);
    assert_eq!(values(&broker, true), ["a", "a"]);
    assert_eq!(producer.epoch, first + 2);

    // Who starts under the same id aborts what is open, and shuts out who had it.
    producer.write(0, "c");
    let mut next = Producer::start(&broker, "whole");
    let refused = ErrorCode::from_code(producer.try_write(0, "c", PRODUCE));
    assert_eq!(refused, ErrorCode::InvalidProducerEpoch);
    next.write(0, "d");
    next.end(true);
    assert_eq!(values(&broker, true), ["a", "a", "d"]);
}

#[test]
fn what_does_not_belong_to_a_transaction_is_refused() {
    let broker = Broker::start();
    topic(&broker);
    let mut producer = Producer::start(&broker, "strict");
    // Clients of version 1 add partitions themselves; this one has not.
    for (version, expected) in [
        (11, ErrorCode::TransactionAbortable),
        (10, ErrorCode::InvalidTxnState),
        (3, ErrorCode::InvalidTxnState),
    ] {
        let refused = ErrorCode::from_code(producer.try_write(0, "x", version));
        assert_eq!(refused, expected, "version {version}");
    }
    let batch = producer.batch(0, "x");
    let connection = &mut producer.connection;
    let refused = |error| ErrorCode::from_code(error);
    let anonymous = produce(connection, 0, batch.clone(), None, PRODUCE);
    assert_eq!(refused(anonymous), ErrorCode::InvalidTxnState);
    let other = produce(connection, 0, batch, Some("another"), PRODUCE);
    assert_eq!(refused(other), ErrorCode::InvalidProducerIdMapping);
    producer.epoch += 1;
    let fenced = producer.try_write(0, "x", PRODUCE);
    assert_eq!(refused(fenced), ErrorCode::InvalidProducerEpoch);
    producer.epoch -= 1;
    assert_eq!(values(&broker, false), [""; 0]);
    assert_eq!(producer.state(), "Empty");
}

#[test]
fn a_killed_broker_keeps_transactions_and_completes_what_it_decided() {
    let dir = tempfile::tempdir().unwrap();
    let setup = || Setup::at(dir.path()).set("transaction.state.log.num.partitions", 1);
    let mut broker = setup().start();
    topic(&broker);
    let mut open = Producer::start(&broker, "open");
    let mut decided = Producer::start(&broker, "decided");
    open.write(0, "open");
    decided.write(0, "decided");
    decided.write(1, "decided");
    broker.kill();
    // As if it had been killed between the decision and the first marker.
    let partitions = Partitions::from([(TOPIC.to_owned(), [0, 1].into())]);
    let commit = TransactionState::PrepareCommit;
    decide(&broker, &decided, commit, partitions);

    let mut broker = setup().start();
    decided.reconnect(&broker);
    until("what was decided is complete", || {
        (decided.state() == "CompleteCommit").then_some(())
    });
    open.reconnect(&broker);
    assert_eq!(open.state(), "Ongoing");
    assert_eq!(
        values(&broker, true),
        ["decided"],
        "the other waits for \"open\""
    );
    open.write(1, "open");
    open.end(true);
    assert_eq!(
        values(&broker, true),
        ["decided", "decided", "open", "open"]
    );
    // What was acknowledged outlives the next one.
    broker.kill();
    let broker = setup().start();
    assert_eq!(
        values(&broker, true),
        ["decided", "decided", "open", "open"]
    );
}

/// Writes the decision about a transaction into a stopped broker's log.
fn decide(broker: &Broker, producer: &Producer, state: TransactionState, partitions: Partitions) {
    let record = TransactionRecord {
        transactional_id: producer.transactional_id.clone(),
        version: 2,
        value: Some(Transaction {
            producer_id: producer.producer_id,
            previous_producer_id: producer.producer_id,
            next_producer_id: -1,
            producer_epoch: producer.epoch + 1,
            last_producer_epoch: producer.epoch,
            timeout_ms: TIMEOUT_MS,
            state,
            partitions,
            start_ms: 1,
            last_update_ms: 2,
            client_version: 2,
        }),
    };
    let (key, value) = record.encode().unwrap();
    let mut builder = BatchBuilder::new();
    builder
        .append(2, Some(&key), value.as_deref(), &[])
        .unwrap();
    let batch = builder.finish(&BatchMeta::default()).unwrap();
    let partition = TopicPartition::new(STATE_TOPIC, 0);
    let dir = broker.data().join(format!("{STATE_TOPIC}-0"));
    let options = LogOptions::new(2);
    let log = Log::open(&dir, partition, LogConfig::default(), options).unwrap();
    let epoch = log.latest_epoch().unwrap().unwrap_or(0);
    log.append_as_leader(batch, AppendOrigin::Coordinator, epoch, 2)
        .unwrap();
    log.close(true).unwrap();
}

#[test]
fn a_directory_changes_hands_in_the_middle_of_transactions() {
    let Some(genuine) = Genuine::find("a_directory_changes_hands_in_the_middle_of_transactions")
    else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let setup = || {
        Setup::at(dir.path())
            .set("transaction.state.log.num.partitions", 2)
            .set("offsets.topic.num.partitions", 2)
    };
    let mut broker = setup().start();
    topic(&broker);
    let mut producer = Producer::start(&broker, "travelling");
    producer.write(0, "ours");
    producer.end(true);
    producer.write(0, "begun by us");
    producer.write(1, "begun by us");
    broker.kill();

    let mut broker = setup().start_genuine(&genuine);
    producer.reconnect(&broker);
    assert_eq!(producer.state(), "Ongoing");
    producer.write(2, "begun by us");
    producer.end(true);
    until("genuine Kafka has written the markers", || {
        (producer.state() == "CompleteCommit").then_some(())
    });
    producer.write(0, "begun by them");
    producer.write(2, "begun by them");
    broker.kill();

    let broker = setup().start();
    producer.reconnect(&broker);
    assert_eq!(producer.state(), "Ongoing");
    producer.write(1, "begun by them");
    producer.end(true);
    let us = ["begun by us"; 3];
    let them = ["begun by them"; 3];
    let mut expected: Vec<&str> = us.into_iter().chain(them).chain(["ours"]).collect();
    expected.sort_unstable();
    assert_eq!(values(&broker, true), expected);
}

/// Transactions that one broker leaves behind for another: decided either way, or open.
struct Left {
    /// Who left them.
    whose: &'static str,
    committing: Producer,
    aborting: Producer,
    open: Producer,
}

impl Left {
    fn begin(broker: &Broker, whose: &'static str) -> Left {
        let start = |what: &str| Producer::start(broker, &format!("{whose} {what}"));
        let mut left = Left {
            whose,
            committing: start("committing"),
            aborting: start("aborting"),
            open: start("open"),
        };
        for producer in [&mut left.committing, &mut left.aborting, &mut left.open] {
            let value = producer.transactional_id.clone();
            producer.write(0, &value);
            producer.write(1, &value);
            producer.send_offset(&value, 7);
        }
        left
    }

    /// As if the broker, which is gone, had been killed between the decision and the first marker.
    fn decide(&self, broker: &Broker) {
        for (producer, state) in [
            (&self.committing, TransactionState::PrepareCommit),
            (&self.aborting, TransactionState::PrepareAbort),
        ] {
            let partitions = Partitions::from([
                (TOPIC.to_owned(), [0, 1].into()),
                ("__consumer_offsets".to_owned(), [0].into()),
            ]);
            decide(broker, producer, state, partitions);
        }
    }

    /// What was decided is completed; who was decided about goes on; what was open goes to the next of that id.
    fn taken_up(mut self, broker: &Broker) {
        for (producer, complete) in [
            (&mut self.committing, "CompleteCommit"),
            (&mut self.aborting, "CompleteAbort"),
        ] {
            producer.reconnect(broker);
            until("what was decided is complete", || {
                (producer.state() == complete).then_some(())
            });
            // The decision has raised its epoch.
            producer.epoch += 1;
            producer.sequences = [0; PARTITIONS as usize];
        }
        let mut connection = Connection::open(broker.port);
        let place = (TOPIC.to_owned(), 0);
        let mut offset = |producer: &Producer| {
            let committed = connection.committed(&producer.transactional_id);
            committed.get(&place).map(|(offset, ..)| *offset)
        };
        // Kafka answers with what its high watermark has passed, which may be a moment later.
        until("the committed offset is seen", || {
            (offset(&self.committing) == Some(7)).then_some(())
        });
        assert_eq!(offset(&self.aborting), None);
        assert_eq!(offset(&self.open), None);

        self.open.reconnect(broker);
        assert_eq!(self.open.state(), "Ongoing");
        let mut next = Producer::start(broker, &self.open.transactional_id);
        let refused = ErrorCode::from_code(self.open.try_write(0, "fenced", PRODUCE));
        assert_eq!(refused, ErrorCode::InvalidProducerEpoch);
        assert_eq!(offset(&next), None);
        for producer in [&mut self.committing, &mut self.aborting, &mut next] {
            producer.write(2, &format!("{} and goes on", producer.transactional_id));
            producer.end(true);
        }
        let whose = self.whose;
        let found = values(broker, true).into_iter();
        let found: Vec<String> = found.filter(|value| value.starts_with(whose)).collect();
        let expected = [
            "aborting and goes on",
            "committing",
            "committing",
            "committing and goes on",
            "open and goes on",
        ];
        let expected = expected.map(|value| format!("{whose} {value}"));
        assert_eq!(found, expected);
    }
}

#[test]
fn what_one_has_decided_the_other_completes() {
    let Some(genuine) = Genuine::find("what_one_has_decided_the_other_completes") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let setup = || {
        Setup::at(dir.path())
            .set("transaction.state.log.num.partitions", 1)
            .set("offsets.topic.num.partitions", 1)
    };
    let mut broker = setup().start();
    topic(&broker);
    let left = Left::begin(&broker, "ours");
    // Genuine Kafka that finds a killed node's registration loads the coordinator before it is registered itself,
    // and once more after; markers of the first load that fail then count as written, and none is.
    broker.stop();
    left.decide(&broker);
    drop(broker);

    let mut broker = setup().start_genuine(&genuine);
    left.taken_up(&broker);
    let left = Left::begin(&broker, "theirs");
    broker.kill();
    left.decide(&broker);
    drop(broker);

    left.taken_up(&setup().start());
}
