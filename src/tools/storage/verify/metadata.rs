//! The metadata log: its records, its snapshots and `quorum-state`.
use std::path::Path;

use serde_json::Value;

use crate::log::names::{LOG_SUFFIX, file_name};
use crate::log::verify::{OnStart, Outcome, PartitionFacts, Verifier};
use crate::metadata::batch::{self, Content, ControlRecord};
use crate::metadata::snapshot::{self, SnapshotId};
use crate::record::StoredBatch;

const QUORUM_STATE: &str = "quorum-state";
const QUORUM_STATE_BYTES_MAX: u64 = 1 << 20;

/// Checks the directory of `__cluster_metadata-0`.
pub fn check(verifier: &mut Verifier<'_>, dir: &Path, facts: PartitionFacts) {
    let snapshots = snapshot::list(dir).unwrap_or_default();
    let newest = snapshots.last().copied();
    let from_the_start = dir.join(file_name(0, LOG_SUFFIX)).exists();
    let mut decoded = 0;
    let mut inspect = |batch: &StoredBatch<'_>| {
        decoded += count(&decode(batch)?);
        Ok(())
    };
    let mut knows = |verifier: &mut Verifier<'_>, name: &str| {
        if name == QUORUM_STATE {
            quorum_state(verifier, &dir.join(name));
            return true;
        }
        let Ok(id) = name.parse::<SnapshotId>() else {
            let left_over = name.contains(".checkpoint");
            if left_over {
                verifier.note(&dir.join(name), "left over: deleted at the next start");
            }
            return left_over;
        };
        // From a damaged snapshot kafkars goes back to an older one, or to the start of the log;
        // Kafka reads the newest alone.
        let outcome = Outcome {
            kafkars: match snapshots.len() > 1 || from_the_start {
                true => OnStart::Ignores,
                false => OnStart::Refuses,
            },
            kafka: match Some(id) == newest {
                true => OnStart::Refuses,
                false => OnStart::Ignores,
            },
        };
        snapshot_file(verifier, &dir.join(name), outcome);
        true
    };
    // A metadata log is recovered whatever the stop was.
    let facts = PartitionFacts {
        clean: false,
        ..facts
    };
    verifier.partition(dir, facts, &mut inspect, &mut knows);
    verifier.counts.metadata_records += decoded;
}

/// Checks `bootstrap.checkpoint`, which has the records that a new cluster starts from.
pub fn bootstrap(verifier: &mut Verifier<'_>, path: &Path) {
    snapshot_file(verifier, path, Outcome::both(OnStart::Refuses));
}

fn snapshot_file(verifier: &mut Verifier<'_>, path: &Path, outcome: Outcome) {
    verifier.counts.checkpoints += 1;
    let (mut header, mut footer, mut decoded) = (false, false, 0);
    let mut inspect = |batch: &StoredBatch<'_>| {
        if footer {
            return Err("there is more after the footer".to_owned());
        }
        let content = decode(batch)?;
        if let Content::Control(controls) = &content {
            let is_header = |c: &ControlRecord| matches!(c, ControlRecord::SnapshotHeader(_));
            let is_footer = |c: &ControlRecord| matches!(c, ControlRecord::SnapshotFooter(_));
            header |= controls.iter().any(is_header);
            footer |= controls.iter().any(is_footer);
        }
        decoded += count(&content);
        match header {
            true => Ok(()),
            false => Err("it does not begin with a header".to_owned()),
        }
    };
    let remedy = "restore it from a backup or another controller";
    let whole = verifier.batch_file(path, outcome, remedy, &mut inspect);
    if whole && !footer {
        let what = "its footer is missing: it is incomplete";
        verifier.fault(path, None, what, outcome, remedy);
    }
    verifier.counts.metadata_records += decoded;
}

fn decode(batch: &StoredBatch<'_>) -> Result<Content, String> {
    let batch = batch
        .v2()
        .ok_or("a message set of before Kafka 0.11 in the metadata")?;
    match batch::decode(batch) {
        Ok(decoded) => Ok(decoded.content),
        Err(e) => Err(e.to_string()),
    }
}

fn count(content: &Content) -> u64 {
    match content {
        Content::Control(_) => 0,
        Content::Records(records) => records.len() as u64,
    }
}

fn quorum_state(verifier: &mut Verifier<'_>, path: &Path) {
    let Some(bytes) = verifier.small_file(path, QUORUM_STATE_BYTES_MAX) else {
        return;
    };
    if let Err(what) = check_quorum_state(&bytes) {
        let remedy = "delete it, if this node is the only controller; otherwise its vote must not \
                      be forgotten: restore it, or add the controller anew";
        let refuses = Outcome::both(OnStart::Refuses);
        verifier.fault(path, None, what, refuses, remedy);
    }
}

fn check_quorum_state(bytes: &[u8]) -> Result<(), String> {
    let state: Value = serde_json::from_slice(bytes).map_err(|e| format!("is no JSON: {e}"))?;
    let number = |name: &str| {
        let value = state.get(name).and_then(Value::as_i64);
        value.ok_or_else(|| format!("{name} is no number"))
    };
    let version = number("data_version")?;
    if !(0..=1).contains(&version) {
        return Err(format!("data_version is {version}; 0 and 1 are known"));
    }
    for name in ["leaderId", "leaderEpoch"] {
        number(name)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quorum_state_is_told_from_other_text() {
        let good = r#"{"leaderId":1,"leaderEpoch":2,"votedId":-1,"data_version":1}"#;
        assert_eq!(check_quorum_state(good.as_bytes()), Ok(()));
        for bad in [
            "",
            "{}",
            r#"{"leaderId":1,"leaderEpoch":2,"data_version":7}"#,
            r#"{"leaderId":"x","leaderEpoch":2,"data_version":0}"#,
        ] {
            assert!(check_quorum_state(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
