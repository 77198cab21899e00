//! `metadata-quorum describe`.
use anyhow::{anyhow, bail};
use serde_json::{Value, json};

use crate::client::admin::QuorumInfo;
use crate::protocol::Uuid;
use crate::protocol::messages::describe_quorum_response::ReplicaState;
use crate::tools::cluster::now_ms;
use crate::tools::listing::{self, column, tabbed};
use crate::tools::output::{Format, Printer};

fn leader(quorum: &QuorumInfo) -> anyhow::Result<&ReplicaState> {
    let mut voters = quorum.voters.iter();
    voters
        .find(|voter| voter.replica_id == quorum.leader_id)
        .ok_or_else(|| anyhow!("No value present\nThe quorum has no leader at the moment."))
}

pub fn status(
    printer: &mut Printer,
    format: Format,
    quorum: &QuorumInfo,
    cluster_id: &str,
) -> anyhow::Result<()> {
    let leader = leader(quorum)?;
    let slowest = quorum
        .voters
        .iter()
        .min_by_key(|voter| voter.log_end_offset);
    let slowest = slowest.unwrap_or(leader);
    let lag = leader.log_end_offset - slowest.log_end_offset;
    let caught_up = |replica: &ReplicaState| {
        Some(replica.last_caught_up_timestamp).filter(|timestamp| *timestamp >= 0)
    };
    let lag_ms = if leader.replica_id == slowest.replica_id {
        0
    } else {
        let times = caught_up(leader).zip(caught_up(slowest));
        times.map_or(-1, |(leader, slowest)| leader - slowest)
    };
    if format == Format::Json {
        let nodes = |replicas: &[ReplicaState]| -> Vec<Value> {
            replicas
                .iter()
                .map(|replica| json!(replica.replica_id))
                .collect()
        };
        printer.json(&json!({
            "clusterId": cluster_id,
            "leaderId": quorum.leader_id,
            "leaderEpoch": quorum.leader_epoch,
            "highWatermark": quorum.high_watermark,
            "maxFollowerLag": lag,
            "maxFollowerLagTimeMs": lag_ms,
            "currentVoters": nodes(&quorum.voters),
            "currentObservers": nodes(&quorum.observers),
        }))?;
        return Ok(());
    }
    for (label, value) in [
        ("ClusterId:", cluster_id.to_owned()),
        ("LeaderId:", quorum.leader_id.to_string()),
        ("LeaderEpoch:", quorum.leader_epoch.to_string()),
        ("HighWatermark:", quorum.high_watermark.to_string()),
        ("MaxFollowerLag:", lag.to_string()),
        ("MaxFollowerLagTimeMs:", lag_ms.to_string()),
        ("CurrentVoters:", members(quorum, &quorum.voters)),
        ("CurrentObservers:", members(quorum, &quorum.observers)),
    ] {
        printer.line(format!("{label:<24}{value}"))?;
    }
    Ok(())
}

/// `[{"id": 1, "endpoints": ["CONTROLLER://host:9093"]}]`
fn members(quorum: &QuorumInfo, replicas: &[ReplicaState]) -> String {
    let member = |replica: &ReplicaState| {
        let mut text = format!("{{\"id\": {}", replica.replica_id);
        if replica.replica_directory_id != Uuid::ZERO {
            let id = replica.replica_directory_id;
            text.push_str(&format!(", \"directoryId\": \"{id}\""));
        }
        let mut nodes = quorum.nodes.iter();
        let node = nodes.find(|node| node.node_id == replica.replica_id);
        let endpoints: Vec<String> = node
            .iter()
            .flat_map(|node| &node.listeners)
            .map(|at| format!("\"{}://{}:{}\"", at.name, at.host, at.port))
            .collect();
        if !endpoints.is_empty() {
            text.push_str(&format!(", \"endpoints\": [{}]", endpoints.join(", ")));
        }
        text + "}"
    };
    let members: Vec<String> = replicas.iter().map(member).collect();
    format!("[{}]", members.join(", "))
}

pub fn replication(
    printer: &mut Printer,
    format: Format,
    quorum: &QuorumInfo,
    human: bool,
) -> anyhow::Result<()> {
    let leader = leader(quorum)?;
    let followers = quorum
        .voters
        .iter()
        .filter(|voter| voter.replica_id != leader.replica_id);
    let mut replicas = vec![(leader, "Leader")];
    replicas.extend(followers.map(|voter| (voter, "Follower")));
    replicas.extend(
        quorum
            .observers
            .iter()
            .map(|observer| (observer, "Observer")),
    );
    if format != Format::Kafka {
        let columns = [
            column("Node", "nodeId"),
            column("Directory", "directoryId"),
            column("Log end", "logEndOffset"),
            column("Lag", "lag"),
            column("Last fetch", "lastFetchTimestamp"),
            column("Caught up", "lastCaughtUpTimestamp"),
            column("Status", "status"),
        ];
        let row = |(replica, status): &(&ReplicaState, &str)| -> Vec<Value> {
            vec![
                json!(replica.replica_id),
                json!(replica.replica_directory_id.to_string()),
                json!(replica.log_end_offset),
                json!(leader.log_end_offset - replica.log_end_offset),
                json!(replica.last_fetch_timestamp),
                json!(replica.last_caught_up_timestamp),
                json!(status),
            ]
        };
        let rows: Vec<Vec<Value>> = replicas.iter().map(row).collect();
        return Ok(listing::show(
            printer,
            format,
            &columns,
            &rows,
            "No nodes.",
        )?);
    }
    let mut rows = Vec::new();
    for (replica, status) in replicas {
        let time = |timestamp: i64, what: &str| -> anyhow::Result<String> {
            match timestamp {
                -1 => Ok("-1".to_owned()),
                timestamp if human => Ok(format!("{} ms ago", ago(timestamp, now_ms(), what)?)),
                timestamp => Ok(timestamp.to_string()),
            }
        };
        rows.push(vec![
            replica.replica_id.to_string(),
            replica.replica_directory_id.to_string(),
            replica.log_end_offset.to_string(),
            (leader.log_end_offset - replica.log_end_offset).to_string(),
            time(replica.last_fetch_timestamp, "last fetch")?,
            time(replica.last_caught_up_timestamp, "last caught up")?,
            status.to_owned(),
        ]);
    }
    let header = [
        "NodeId",
        "DirectoryId",
        "LogEndOffset",
        "Lag",
        "LastFetchTimestamp",
        "LastCaughtUpTimestamp",
        "Status",
    ];
    Ok(tabbed(printer, &header, &rows)?)
}

fn ago(timestamp: i64, now: i64, what: &str) -> anyhow::Result<i64> {
    if timestamp <= 0 || timestamp > now {
        bail!(
            "Error while computing relative time, possible drift in system clock.\nCurrent \
             timestamp is {now}, {what} timestamp is {timestamp}"
        );
    }
    Ok(now - timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_lie_in_the_past() {
        assert_eq!(ago(900, 1_000, "last fetch").unwrap(), 100);
        assert!(ago(1_001, 1_000, "last fetch").is_err());
        assert!(ago(0, 1_000, "last fetch").is_err());
    }
}
