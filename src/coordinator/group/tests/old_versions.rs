//! What the oldest versions of the APIs expect.
use super::context::*;
use crate::coordinator::group::fetch::{fetch_error, from_old_request, to_old_response};
use crate::coordinator::group::join::for_version;
use crate::coordinator::group::rebalance::join_error;
use crate::protocol::ErrorCode;
use crate::protocol::messages::OffsetFetchRequest;
use crate::protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;

#[test]
fn join_group_0_has_one_timeout_for_both() {
    let mut context = Context::new();
    let token = context.send_join(Join {
        api_version: 0,
        rebalance_ms: -1,
        ..Join::old("a")
    });
    context.sleep(INITIAL_DELAY_MS);
    let joined = context.joined(token);
    context.sync_all(&[joined]);
    assert_eq!(
        context.shard.live[GROUP].rebalance_timeout_ms(),
        i64::from(SESSION_MS)
    );
}

#[test]
fn join_group_before_7_has_no_null() {
    let refused = || join_error("", ErrorCode::UnknownMemberId);
    assert_eq!(for_version(refused(), 6).protocol_name.as_deref(), Some(""));
}

fn old_fetch(topics: Option<Vec<OffsetFetchRequestTopic>>) -> OffsetFetchRequest {
    OffsetFetchRequest {
        group_id: GROUP.into(),
        topics,
        ..OffsetFetchRequest::default()
    }
}

#[test]
fn offset_fetch_1_says_errors_per_partition() {
    let topic = OffsetFetchRequestTopic {
        name: "t".into(),
        partition_indexes: vec![0, 1],
    };
    let asked = from_old_request(&old_fetch(Some(vec![topic])));
    let error = ErrorCode::NotCoordinator;
    let response = to_old_response(1, &asked, fetch_error(GROUP, error));
    assert_eq!(response.error_code, 0);
    let codes: Vec<_> = response.topics[0]
        .partitions
        .iter()
        .map(|p| p.error_code)
        .collect();
    assert_eq!(codes, [error.code(), error.code()]);
    let response = to_old_response(2, &asked, fetch_error(GROUP, error));
    assert_eq!(
        (response.error_code, response.topics.len()),
        (error.code(), 0)
    );
}

#[test]
fn offset_fetch_2_to_7_ask_for_one_group() {
    assert_eq!(from_old_request(&old_fetch(None)).topics, None);
    assert_eq!(
        from_old_request(&old_fetch(Some(Vec::new()))).topics,
        Some(Vec::new())
    );
}
