//! From what was read to the response.

use std::sync::Arc;

use bytes::Bytes;

use super::read::{Found, PartitionRead, Round};
use crate::broker::context::RequestContext;
use crate::broker::fetch_session::{Answered, SessionKind, Told, TopicKey};
use crate::log::LogSlice;
use crate::net::{FileRange, ReadFault};
use crate::protocol::messages::FetchResponse;
use crate::protocol::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint,
    PartitionData,
};
use crate::protocol::{ErrorCode, Records, Str};

const FIRST_WITH_LEADER_HINTS: i16 = 16;

/// A response whose `External` records are these file ranges, by index.
#[derive(Debug)]
pub struct Answer {
    pub response: FetchResponse,
    pub ranges: Vec<FileRange>,
}

/// Nothing, for a client that has to wait. A session that was to begin begins with its next request.
pub(super) fn throttled(cx: &RequestContext<'_>, kind: SessionKind) -> Answer {
    let session_id = match kind {
        SessionKind::New { id } => {
            cx.broker.fetch_sessions.lock().forget(id);
            0
        }
        SessionKind::None => 0,
        SessionKind::Incremental { id } => id,
    };
    let response = FetchResponse {
        session_id,
        ..Default::default()
    };
    Answer {
        response,
        ranges: Vec::new(),
    }
}

pub(super) fn answer(cx: &RequestContext<'_>, kind: SessionKind, round: Round) -> Answer {
    let response = FetchResponse {
        session_id: kind.id(),
        ..Default::default()
    };
    let mut answer = Answer {
        response,
        ranges: Vec::new(),
    };
    let mut sessions = (kind != SessionKind::None).then(|| cx.broker.fetch_sessions.lock());
    let mut leaders = Vec::new();
    for read in round.partitions {
        let key = read.key.clone();
        let data = partition_data(cx, read, &mut answer.ranges, &mut leaders);
        if let Some(sessions) = &mut sessions {
            let told = Told {
                high_watermark: data.high_watermark,
                log_start_offset: data.log_start_offset,
            };
            let has_data = data.records.as_ref().is_some_and(|r| !r.is_empty());
            let must_tell = data.error_code != 0 || data.diverging_epoch != Default::default();
            if !sessions.answer(
                kind,
                &key,
                Answered {
                    told,
                    has_data,
                    must_tell,
                },
            ) {
                continue;
            }
        }
        push(&mut answer.response, key.0, data);
    }
    if cx.api_version >= FIRST_WITH_LEADER_HINTS {
        add_endpoints(cx, &mut answer.response, &leaders);
    }
    answer
}

fn push(response: &mut FetchResponse, key: TopicKey, data: PartitionData) {
    let same = |topic: &FetchableTopicResponse| match &key {
        TopicKey::Id(id) => topic.topic_id == *id,
        TopicKey::Name(name) => topic.topic == *name,
    };
    if let Some(topic) = response.responses.last_mut().filter(|topic| same(topic)) {
        topic.partitions.push(data);
        return;
    }
    let mut topic = FetchableTopicResponse {
        partitions: vec![data],
        ..Default::default()
    };
    match key {
        TopicKey::Id(id) => topic.topic_id = id,
        TopicKey::Name(name) => topic.topic = name,
    }
    response.responses.push(topic);
}

fn partition_data(
    cx: &RequestContext<'_>,
    read: PartitionRead,
    ranges: &mut Vec<FileRange>,
    leaders: &mut Vec<i32>,
) -> PartitionData {
    let mut data = PartitionData {
        partition_index: read.key.1,
        high_watermark: -1,
        last_stable_offset: -1,
        log_start_offset: -1,
        records: Some(Records::Bytes(Bytes::new())),
        ..Default::default()
    };
    let found = match read.result {
        Ok(Found::Records(found)) => found,
        Ok(Found::Diverges { epoch, end_offset }) => {
            data.diverging_epoch = EpochEndOffset { epoch, end_offset };
            return data;
        }
        Err(error) => {
            data.error_code = error.code();
            if read.partition.is_some() {
                data.aborted_transactions = None;
            }
            if matches!(
                error,
                ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch
            ) {
                let partition = read.partition.as_ref();
                if let Some((leader_id, leader_epoch)) =
                    partition.and_then(|p| cx.broker.leader_of(&p.topic_id, p.index))
                {
                    data.current_leader = LeaderIdAndEpoch {
                        leader_id,
                        leader_epoch,
                    };
                    leaders.push(leader_id);
                }
            }
            return data;
        }
    };
    data.high_watermark = found.high_watermark;
    data.last_stable_offset = found.last_stable_offset;
    data.log_start_offset = found.log_start_offset;
    data.aborted_transactions = found.aborted.map(|aborted| {
        let entry = |t: crate::log::AbortedTransaction| AbortedTransaction {
            producer_id: t.producer_id,
            first_offset: t.first_offset,
        };
        aborted.into_iter().map(entry).collect()
    });
    if let Some(LogSlice::Local {
        file,
        position,
        len,
        health,
    }) = found.slice
    {
        data.records = Some(Records::External {
            id: ranges.len(),
            len,
        });
        ranges.push(FileRange {
            file,
            position,
            len,
            on_fault: health.map(|health| health as Arc<dyn ReadFault>),
        });
    }
    data
}

fn add_endpoints(cx: &RequestContext<'_>, response: &mut FetchResponse, leaders: &[i32]) {
    for node in cx.broker.endpoints_of(leaders, &cx.peer.listener) {
        response.node_endpoints.push(NodeEndpoint {
            node_id: node.id,
            host: node.host.into(),
            port: node.port,
            rack: node.rack.map(Str::from),
        });
    }
}
