//! Transactions in every version.

use kafkars::protocol::messages::*;

use crate::support::until;
use crate::support::wire::Connection;

/// Transactions of one producer, each ended by the next version.
pub fn answers(c: &mut Connection) {
    let id = || "every version".to_owned();
    let init = InitProducerIdRequest {
        transactional_id: Some(id()),
        transaction_timeout_ms: 60_000,
        ..Default::default()
    };
    let find = FindCoordinatorRequest {
        key_type: 1,
        coordinator_keys: vec![id()],
        ..Default::default()
    };
    until("the transaction coordinator is there", || {
        (c.ask(&find, 6).coordinators[0].error_code == 0).then_some(())
    });
    let owner = until("the transaction coordinator has loaded", || {
        let response = c.ask(&init, 5);
        (response.error_code == 0).then_some(response)
    });
    let producer_id = owner.producer_id;
    let epoch = std::cell::Cell::new(owner.producer_epoch);
    let add = |version: i16| {
        use add_partitions_to_txn_request as request;
        let topics = vec![request::AddPartitionsToTxnTopic {
            name: "t7".to_owned(),
            partitions: vec![0],
        }];
        let mut add = AddPartitionsToTxnRequest::default();
        if version < 4 {
            add.v3_and_below_transactional_id = id();
            add.v3_and_below_producer_id = producer_id;
            add.v3_and_below_producer_epoch = epoch.get();
            add.v3_and_below_topics = topics;
        } else {
            add.transactions = vec![request::AddPartitionsToTxnTransaction {
                transactional_id: id(),
                producer_id,
                producer_epoch: epoch.get(),
                verify_only: version == 5,
                topics,
            }];
        }
        add
    };
    c.ask_all(add, |version, response| {
        let results = match version {
            ..4 => response.results_by_topic_v3_and_below,
            _ => response.results_by_transaction[0].topic_results.clone(),
        };
        let error = results[0].results_by_partition[0].partition_error_code;
        assert_eq!(error, 0, "version {version}");
    });
    let offsets = |_| AddOffsetsToTxnRequest {
        transactional_id: id(),
        producer_id,
        producer_epoch: epoch.get(),
        group_id: "simple".to_owned(),
    };
    c.ask_all(offsets, |version, response| {
        assert_eq!(response.error_code, 0, "version {version}");
    });
    let commit = |version: i16| TxnOffsetCommitRequest {
        transactional_id: id(),
        group_id: "simple".to_owned(),
        producer_id,
        producer_epoch: epoch.get(),
        topics: vec![txn_offset_commit_request::TxnOffsetCommitRequestTopic {
            name: "t7".to_owned(),
            partitions: vec![txn_offset_commit_request::TxnOffsetCommitRequestPartition {
                partition_index: 0,
                committed_offset: i64::from(version),
                ..Default::default()
            }],
        }],
        ..Default::default()
    };
    c.ask_all(commit, |version, response| {
        let error = response.topics[0].partitions[0].error_code;
        assert_eq!(error, 0, "version {version}");
    });
    let end = |_| EndTxnRequest {
        transactional_id: id(),
        producer_id,
        producer_epoch: epoch.get(),
        committed: true,
    };
    // Versions 1 to 4 say the same of the same transaction again.
    c.ask_all(end, |version, response| {
        let expected = if version < 5 { 0 } else { INVALID_TXN_STATE };
        assert_eq!(response.error_code, expected, "version {version}");
    });
    told_of_transactions(c, id(), producer_id, epoch.get());
}

const INVALID_TXN_STATE: i16 = 48;

fn told_of_transactions(c: &mut Connection, id: String, producer_id: i64, producer_epoch: i16) {
    let marker = |version: i16| WriteTxnMarkersRequest {
        markers: vec![write_txn_markers_request::WritableTxnMarker {
            producer_id,
            producer_epoch,
            transaction_result: false,
            topics: vec![write_txn_markers_request::WritableTxnMarkerTopic {
                name: "t7".to_owned(),
                partition_indexes: vec![0],
            }],
            transaction_version: if version < 2 { 0 } else { 2 },
            ..Default::default()
        }],
    };
    c.ask_all(marker, |version, response| {
        let error = response.markers[0].topics[0].partitions[0].error_code;
        assert_eq!(error, 0, "version {version}");
    });
    let list = |version: i16| ListTransactionsRequest {
        transactional_id_pattern: (version >= 2).then(|| "every .*".to_owned()),
        ..Default::default()
    };
    c.ask_all(list, |version, response| {
        assert_eq!(response.error_code, 0, "version {version}");
        let listed = &response.transaction_states[0];
        assert_eq!(
            (listed.producer_id, listed.transaction_state.as_str()),
            (producer_id, "CompleteCommit"),
            "version {version}"
        );
    });
    let describe = |_| DescribeTransactionsRequest {
        transactional_ids: vec![id.clone()],
    };
    c.ask_all(describe, |_, response| {
        let state = &response.transaction_states[0];
        assert_eq!(state.transaction_state, "CompleteCommit");
    });
    let producers = |_| DescribeProducersRequest {
        topics: vec![describe_producers_request::TopicRequest {
            name: "t7".to_owned(),
            partition_indexes: vec![0],
        }],
    };
    c.ask_all(producers, |_, response| {
        let partition = &response.topics[0].partitions[0];
        let known = partition.active_producers.iter();
        let ids: Vec<i64> = known.map(|producer| producer.producer_id).collect();
        assert_eq!((partition.error_code, ids), (0, vec![producer_id]));
    });
}
