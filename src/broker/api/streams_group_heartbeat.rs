//! StreamsGroupHeartbeat (key 88), version 0 (KIP-1071). The group coordinator answers; see
//! `coordinator/group/streams`. Internal topics that it finds missing are created here.

use std::time::Duration;

use crate::broker::context::RequestContext;
use crate::broker::internal_topics;
use crate::controller::{is_internal, validate_topic_name};
use crate::protocol::ErrorCode;
use crate::protocol::messages::streams_group_heartbeat_request::Topology;
use crate::protocol::messages::{StreamsGroupHeartbeatRequest, StreamsGroupHeartbeatResponse};

const MISSING_INTERNAL_TOPICS: i8 = 3;
const MAX_NAMED: usize = 3;

pub async fn handle(
    cx: &RequestContext<'_>,
    request: StreamsGroupHeartbeatRequest,
) -> StreamsGroupHeartbeatResponse {
    let groups = &cx.broker.groups;
    let topology = request.topology.as_ref();
    if groups.offers_streams_groups()
        && let Some(message) = topology.and_then(illegal_topics)
    {
        return StreamsGroupHeartbeatResponse {
            error_code: ErrorCode::StreamsInvalidTopology.code(),
            error_message: Some(message),
            ..Default::default()
        };
    }
    let (mut response, to_create) = groups.streams_group_heartbeat(&cx.group(), request).await;
    if !to_create.is_empty() {
        let interval_ms = u64::try_from(response.heartbeat_interval_ms).unwrap_or(0);
        let retry_after = Duration::from_millis(2 * interval_ms);
        let failed = internal_topics::create(cx, to_create, retry_after).await;
        tell(&mut response, &failed);
    }
    response
}

/// What is wrong with the names of the topics that a topology uses.
fn illegal_topics(topology: &Topology) -> Option<String> {
    let mut names: Vec<&str> = Vec::new();
    for subtopology in &topology.subtopologies {
        let repartition = subtopology.repartition_source_topics.iter();
        let changelogs = subtopology.state_changelog_topics.iter();
        let told = subtopology.source_topics.iter();
        let told = told.chain(&subtopology.repartition_sink_topics);
        names.extend(told.map(String::as_str));
        names.extend(
            repartition
                .chain(changelogs)
                .map(|topic| topic.name.as_str()),
        );
    }
    let list = |is_wrong: &dyn Fn(&str) -> bool| {
        let mut wrong: Vec<&str> = Vec::new();
        for name in names.iter().copied().filter(|name| is_wrong(name)) {
            if !wrong.contains(&name) {
                wrong.push(name);
            }
        }
        (!wrong.is_empty()).then(|| wrong.join(","))
    };
    if let Some(internal) = list(&is_internal) {
        return Some(format!(
            "Use of Kafka internal topics {internal} in a Kafka Streams topology is prohibited."
        ));
    }
    let illegal = list(&|name| validate_topic_name(name).is_err())?;
    Some(format!("Topic names {illegal} are not valid topic names."))
}

/// Adds to the status that topics are missing why they could not be created.
fn tell(response: &mut StreamsGroupHeartbeatResponse, failed: &[(String, String)]) {
    let status = response.status.iter_mut().flatten();
    let mut missing = status.filter(|status| status.status_code == MISSING_INTERNAL_TOPICS);
    let Some(missing) = missing.next().filter(|_| !failed.is_empty()) else {
        return;
    };
    let shown: Vec<String> = failed
        .iter()
        .take(MAX_NAMED)
        .map(|(topic, error)| format!("{topic} ({error})"))
        .collect();
    let mut text = shown.join(", ");
    if failed.len() > MAX_NAMED {
        text += &format!(" and {} more", failed.len() - MAX_NAMED);
    }
    missing.status_detail += &format!("; Creation failed: {text}.");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::messages::streams_group_heartbeat_request::{Subtopology, TopicInfo};
    use crate::protocol::messages::streams_group_heartbeat_response::Status;

    fn topology(source: &str, changelog: &str) -> Topology {
        Topology {
            subtopologies: vec![Subtopology {
                source_topics: vec![source.into()],
                state_changelog_topics: vec![TopicInfo {
                    name: changelog.into(),
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    #[test]
    fn names_are_looked_at() {
        assert_eq!(illegal_topics(&topology("in", "app-changelog")), None);
        let internal = illegal_topics(&topology("__consumer_offsets", "a/b")).unwrap();
        assert!(internal.contains("internal topics __consumer_offsets in"));
        let illegal = illegal_topics(&topology("a/b", "a/b")).unwrap();
        assert_eq!(illegal, "Topic names a/b are not valid topic names.");
    }

    #[test]
    fn who_cannot_create_is_told_why() {
        let mut response = StreamsGroupHeartbeatResponse {
            status: Some(vec![Status {
                status_code: MISSING_INTERNAL_TOPICS,
                status_detail: "missing".into(),
            }]),
            ..Default::default()
        };
        let failed: Vec<_> = ["a", "b", "c", "d"]
            .map(|name| (name.to_owned(), "no".to_owned()))
            .to_vec();
        tell(&mut response, &failed);
        let status = response.status.unwrap();
        let expected = "missing; Creation failed: a (no), b (no), c (no) and 1 more.";
        assert_eq!(status[0].status_detail, expected);
    }
}
