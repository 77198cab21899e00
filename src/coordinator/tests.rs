//! The group coordinator with its driver, over a log in memory.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use super::group::GroupConfig;
use super::runtime::{Appended, BatchKind, LoadError, PartitionLog, RuntimeConfig};
use super::{GroupCoordinator, RequestContext};
use crate::metadata::image::MetadataImage;
use crate::protocol::messages::join_group_request::JoinGroupRequestProtocol;
use crate::protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use crate::protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use crate::protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use crate::protocol::messages::*;
use crate::protocol::{ErrorCode, Uuid};
use crate::record::legacy::build::MessageFormat;
use crate::record::{self, Compression};

const PARTITIONS: i32 = 3;

#[derive(Default)]
struct MemoryPartition {
    bytes: Vec<u8>,
    end_offset: i64,
    high_watermark: i64,
}

/// What a test can do to the log.
#[derive(Clone, Default)]
struct MemoryLog(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    partitions: BTreeMap<i32, MemoryPartition>,
    failure: Option<ErrorCode>,
    /// The high watermark stays where it is.
    is_lagging: bool,
}

impl MemoryLog {
    fn batches(&self) -> usize {
        let state = self.0.lock();
        state
            .partitions
            .values()
            .map(|p| record::batches(&p.bytes).count())
            .sum()
    }

    fn corrupt(&self, partition: i32) {
        let mut state = self.0.lock();
        let bytes = &mut state.partitions.get_mut(&partition).unwrap().bytes;
        // The length of the key of the first record.
        bytes[record::HEADER_LEN + 4] = 0x7f;
    }

    /// Turns every batch into a message set of before Kafka 0.11.
    fn age(&self, format: &MessageFormat) {
        for partition in self.0.lock().partitions.values_mut() {
            let mut old = Vec::new();
            for batch in record::batches(&partition.bytes) {
                let records = batch.unwrap().records().unwrap();
                let messages = records.iter().map(|record| record.unwrap().into());
                format.write(messages, &mut old).unwrap();
            }
            partition.bytes = old;
        }
    }

    fn catch_up(&self) {
        for partition in self.0.lock().partitions.values_mut() {
            partition.high_watermark = partition.end_offset;
        }
    }
}

impl PartitionLog for MemoryLog {
    fn append(
        &self,
        partition: i32,
        batch: Bytes,
        _kind: BatchKind,
        _now_ms: i64,
    ) -> Result<Appended, ErrorCode> {
        let mut state = self.0.lock();
        if let Some(error) = state.failure {
            return Err(error);
        }
        let is_lagging = state.is_lagging;
        let log = state.partitions.entry(partition).or_default();
        let base_offset = log.end_offset;
        let mut batch = batch.to_vec();
        batch[..8].copy_from_slice(&base_offset.to_be_bytes());
        let last_offset = record::BatchView::first(&batch)
            .unwrap()
            .unwrap()
            .last_offset();
        log.bytes.extend_from_slice(&batch);
        log.end_offset = last_offset + 1;
        if !is_lagging {
            log.high_watermark = log.end_offset;
        }
        Ok(Appended {
            base_offset,
            last_offset,
        })
    }

    fn high_watermark(&self, partition: i32) -> i64 {
        self.0
            .lock()
            .partitions
            .get(&partition)
            .map_or(0, |log| log.high_watermark)
    }

    fn log_start_offset(&self, _partition: i32) -> i64 {
        0
    }

    fn read(&self, partition: i32, offset: i64) -> Result<Bytes, ErrorCode> {
        let state = self.0.lock();
        let Some(log) = state.partitions.get(&partition) else {
            return Ok(Bytes::new());
        };
        let batch = record::stored_batches(&log.bytes)
            .map(Result::unwrap)
            .find(|batch| batch.header().last_offset() >= offset);
        Ok(batch.map_or_else(Bytes::new, |batch| Bytes::copy_from_slice(batch.bytes())))
    }
}

type Groups = Arc<GroupCoordinator<MemoryLog>>;

async fn start(log: &MemoryLog, compression: Compression) -> Groups {
    let config = GroupConfig {
        initial_rebalance_delay_ms: 5,
        session_timeout_min_ms: 1,
        ..GroupConfig::default()
    };
    let runtime = RuntimeConfig {
        compression,
        commit_timeout_ms: 50,
    };
    let groups = Arc::new(GroupCoordinator::new(
        log.clone(),
        config,
        runtime,
        PARTITIONS,
        Arc::new(MetadataImage::default()),
    ));
    for partition in 0..PARTITIONS {
        groups.load(partition).await.unwrap().unwrap();
    }
    tokio::spawn(groups.run_timers());
    groups
}

fn context(api_version: i16) -> RequestContext {
    RequestContext {
        api_version,
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
    }
}

fn join_request(group: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: Bytes::new(),
        }],
        ..JoinGroupRequest::default()
    }
}

fn commit_request(group: &str, offset: i64) -> OffsetCommitRequest {
    OffsetCommitRequest {
        group_id: group.into(),
        topics: vec![OffsetCommitRequestTopic {
            name: "t".into(),
            partitions: vec![OffsetCommitRequestPartition {
                committed_offset: offset,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

async fn commit(groups: &Groups, group: &str, offset: i64) -> ErrorCode {
    let response = groups
        .offset_commit(&context(9), commit_request(group, offset))
        .await;
    ErrorCode::from_code(response.topics[0].partitions[0].error_code)
}

async fn offset(groups: &Groups, group: &str) -> Result<i64, ErrorCode> {
    let request = OffsetFetchRequest {
        group_id: group.into(),
        topics: Some(vec![OffsetFetchRequestTopic {
            name: "t".into(),
            partition_indexes: vec![0],
        }]),
        ..Default::default()
    };
    let response = groups.offset_fetch(&context(7), request).await;
    match ErrorCode::from_code(response.error_code) {
        ErrorCode::None => Ok(response.topics[0].partitions[0].committed_offset),
        error => Err(error),
    }
}

/// Fails the test if it takes too long.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .expect("in time")
}

#[tokio::test]
async fn a_consumer_joins_commits_and_leaves() {
    let log = MemoryLog::default();
    let groups = start(&log, Compression::None).await;
    let joined = soon(groups.join_group(&context(3), join_request("g"))).await;
    assert_eq!((joined.error_code, joined.generation_id), (0, 1));
    assert!(joined.member_id.starts_with("c-") && joined.member_id.len() == 2 + 36);
    let sync = SyncGroupRequest {
        group_id: "g".into(),
        generation_id: 1,
        member_id: joined.member_id.clone(),
        assignments: vec![SyncGroupRequestAssignment {
            member_id: joined.member_id.clone(),
            assignment: Bytes::from_static(b"mine"),
        }],
        ..Default::default()
    };
    let synced = soon(groups.sync_group(sync)).await;
    assert_eq!(&synced.assignment[..], b"mine");
    let mut request = commit_request("g", 7);
    request.generation_id_or_member_epoch = 1;
    request.member_id = joined.member_id.clone();
    let committed = groups.offset_commit(&context(8), request).await;
    assert_eq!(committed.topics[0].partitions[0].error_code, 0);
    let described = DescribeGroupsRequest {
        groups: vec!["g".into()],
        ..Default::default()
    };
    let described = groups.describe_groups(&context(5), described).await;
    assert_eq!(described.groups[0].group_state, "Stable");
    assert_eq!(described.groups[0].members[0].client_host, "/127.0.0.1");
    // LeaveGroup 0-2 names the member at the top, and gets its error there.
    for expected in [ErrorCode::None, ErrorCode::UnknownMemberId] {
        let leave = LeaveGroupRequest {
            group_id: "g".into(),
            member_id: joined.member_id.clone(),
            ..Default::default()
        };
        let left = groups.leave_group(&context(2), leave).await;
        assert_eq!(ErrorCode::from_code(left.error_code), expected);
        assert!(left.members.is_empty());
    }
    let listed = groups.list_groups(ListGroupsRequest::default()).await;
    assert_eq!(
        (listed.groups.len(), listed.groups[0].group_state.as_str()),
        (1, "Empty")
    );
}

#[tokio::test]
async fn a_session_that_ends_is_noticed_without_a_request() {
    let log = MemoryLog::default();
    let groups = start(&log, Compression::None).await;
    let mut request = join_request("g");
    request.session_timeout_ms = 20;
    let joined = soon(groups.join_group(&context(3), request)).await;
    assert_eq!(joined.error_code, 0);
    let state = || async {
        let request = DescribeGroupsRequest {
            groups: vec!["g".into()],
            ..Default::default()
        };
        let described = groups.describe_groups(&context(5), request).await;
        described.groups[0].group_state.clone()
    };
    soon(async {
        while state().await != "Empty" {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let log = MemoryLog::default();
    let groups = start(&log, Compression::Lz4).await;
    for (group, offset) in [("a", 1), ("b", 2), ("c", 3), ("a", 4)] {
        assert_eq!(commit(&groups, group, offset).await, ErrorCode::None);
    }
    groups.close();
    assert_eq!(
        commit(&groups, "a", 9).await,
        ErrorCode::CoordinatorNotAvailable
    );
    let groups = start(&log, Compression::None).await;
    for (group, expected) in [("a", 4), ("b", 2), ("c", 3)] {
        assert_eq!(offset(&groups, group).await, Ok(expected));
    }
    let delete = DeleteGroupsRequest {
        groups_names: vec!["a".into(), "x".into(), "a".into()],
    };
    let deleted = groups.delete_groups(delete).await;
    let codes: Vec<_> = deleted
        .results
        .iter()
        .map(|result| result.error_code)
        .collect();
    assert_eq!(codes, [0, ErrorCode::GroupIdNotFound.code()]);
    groups
        .on_topics_deleted(vec![("t".into(), Uuid::ZERO)])
        .await;
    let groups = start(&log, Compression::None).await;
    for group in ["a", "b", "c"] {
        assert_eq!(offset(&groups, group).await, Ok(-1));
    }
}

#[tokio::test]
async fn offsets_written_by_an_old_kafka_are_loaded() {
    for (magic, compression) in [(0, Compression::None), (1, Compression::Gzip)] {
        let log = MemoryLog::default();
        let groups = start(&log, Compression::None).await;
        for (group, offset) in [("a", 1), ("b", 2), ("a", 4)] {
            assert_eq!(commit(&groups, group, offset).await, ErrorCode::None);
        }
        groups.close();
        log.age(&MessageFormat {
            magic,
            compression,
            timestamp_type: record::TimestampType::Create,
            append_time: -1,
        });
        let groups = start(&log, Compression::None).await;
        for (group, expected) in [("a", 4), ("b", 2)] {
            assert_eq!(offset(&groups, group).await, Ok(expected), "magic {magic}");
        }
    }
}

#[tokio::test]
async fn a_partition_is_served_only_while_it_is_ours() {
    let log = MemoryLog::default();
    let groups = start(&log, Compression::None).await;
    commit(&groups, "a", 1).await;
    let partition = groups.partition_for("a");
    let parked = {
        let groups = groups.clone();
        let mut request = join_request("a");
        request.rebalance_timeout_ms = 60_000;
        let (first, second) = (request.clone(), request);
        // The first member holds the second up: it never rejoins.
        let joined = soon(groups.join_group(&context(3), first)).await;
        assert_eq!(joined.error_code, 0);
        tokio::spawn(async move { groups.join_group(&context(3), second).await })
    };
    let request = || DescribeGroupsRequest {
        groups: vec!["a".into()],
        ..Default::default()
    };
    soon(async {
        loop {
            let described = groups.describe_groups(&context(5), request()).await;
            if described.groups[0].group_state == "PreparingRebalance" {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    groups.unload(partition);
    let refused = soon(parked).await.unwrap();
    assert_eq!(
        ErrorCode::from_code(refused.error_code),
        ErrorCode::NotCoordinator
    );
    assert_eq!(commit(&groups, "a", 2).await, ErrorCode::NotCoordinator);
    assert_eq!(offset(&groups, "a").await, Err(ErrorCode::NotCoordinator));
    groups.load(partition).await.unwrap().unwrap();
    assert_eq!(offset(&groups, "a").await, Ok(1));
}

#[tokio::test]
async fn a_log_that_cannot_be_read_is_not_served() {
    let log = MemoryLog::default();
    let groups = start(&log, Compression::None).await;
    commit(&groups, "a", 1).await;
    let partition = groups.partition_for("a");
    groups.unload(partition);
    log.corrupt(partition);
    let failed = groups.load(partition).await.unwrap();
    assert!(
        matches!(failed, Err(LoadError::Corrupt { offset: 0, .. })),
        "{failed:?}"
    );
    assert_eq!(commit(&groups, "a", 2).await, ErrorCode::NotCoordinator);
}

#[tokio::test]
async fn an_answer_waits_for_the_high_watermark() {
    let log = MemoryLog::default();
    let groups = start(&log, Compression::None).await;
    log.0.lock().is_lagging = true;
    // Nobody moves it: the commit times out, as Kafka maps it.
    assert_eq!(
        soon(commit(&groups, "a", 1)).await,
        ErrorCode::CoordinatorNotAvailable
    );

    let waiting = tokio::spawn({
        let groups = groups.clone();
        async move { commit(&groups, "b", 2).await }
    });
    soon(async {
        while log.batches() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!waiting.is_finished());
    log.catch_up();
    groups.high_watermark_advanced(groups.partition_for("b"));
    assert_eq!(soon(waiting).await.unwrap(), ErrorCode::None);
}

#[tokio::test]
async fn a_full_disk_is_told_and_survived() {
    let log = MemoryLog::default();
    let groups = start(&log, Compression::None).await;
    log.0.lock().failure = Some(ErrorCode::KafkaStorageError);
    assert_eq!(commit(&groups, "a", 1).await, ErrorCode::NotCoordinator);
    let joined = soon(groups.join_group(&context(3), join_request("a"))).await;
    assert_eq!(
        ErrorCode::from_code(joined.error_code),
        ErrorCode::NotCoordinator
    );
    log.0.lock().failure = None;
    assert_eq!(offset(&groups, "a").await, Ok(-1));
    assert_eq!(commit(&groups, "a", 2).await, ErrorCode::None);
    assert_eq!(offset(&groups, "a").await, Ok(2));
}

#[tokio::test]
async fn many_offsets_are_removed_in_batches_that_fit() {
    let log = MemoryLog::default();
    let groups = start(&log, Compression::None).await;
    let mut request = commit_request("a", 1);
    let partition = request.topics[0].partitions[0].clone();
    request.topics[0].name = "t".repeat(200);
    request.topics[0].partitions = (0..4_000)
        .map(|index| OffsetCommitRequestPartition {
            partition_index: index,
            ..partition.clone()
        })
        .collect();
    let committed = groups.offset_commit(&context(9), request).await;
    assert_eq!(committed.topics[0].partitions.len(), 4_000);
    assert_eq!(log.batches(), 1, "a commit is one batch");
    groups
        .on_topics_deleted(vec![("t".repeat(200), Uuid::ZERO)])
        .await;
    assert!(log.batches() > 2, "{}", log.batches());
    let groups = start(&log, Compression::None).await;
    let listed = groups.list_groups(ListGroupsRequest::default()).await;
    assert_eq!(listed.groups.len(), 1);
    let request = OffsetFetchRequest {
        group_id: "a".into(),
        topics: None,
        ..Default::default()
    };
    assert!(
        groups
            .offset_fetch(&context(7), request)
            .await
            .topics
            .is_empty()
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_before_the_shard() {
    let groups = start(&MemoryLog::default(), Compression::None).await;
    let error = |code| ErrorCode::from_code(code);
    let nameless = groups.join_group(&context(9), join_request("")).await;
    assert_eq!(error(nameless.error_code), ErrorCode::InvalidGroupId);
    for session_timeout_ms in [0, 1_800_001] {
        let request = JoinGroupRequest {
            session_timeout_ms,
            ..join_request("g")
        };
        let refused = groups.join_group(&context(5), request).await;
        assert_eq!(error(refused.error_code), ErrorCode::InvalidSessionTimeout);
        assert_eq!(refused.protocol_name.as_deref(), Some(""));
    }
    let sync = groups.sync_group(SyncGroupRequest::default()).await;
    assert_eq!(error(sync.error_code), ErrorCode::InvalidGroupId);
    let heartbeat = groups.heartbeat(HeartbeatRequest::default()).await;
    assert_eq!(error(heartbeat.error_code), ErrorCode::InvalidGroupId);
    let left = groups
        .leave_group(&context(5), LeaveGroupRequest::default())
        .await;
    assert_eq!(error(left.error_code), ErrorCode::InvalidGroupId);
}
