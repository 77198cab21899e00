//! `quorum-state`: the epoch, whom this node voted for and who leads, so that it never votes twice.
//!
//! ```text
//! {"clusterId":"","leaderId":1,"leaderEpoch":1,"votedId":-1,"appliedOffset":0,
//!  "currentVoters":[{"voterId":1}],"data_version":0}                      kraft.version 0
//! {"leaderId":1,"leaderEpoch":1,"votedId":-1,"votedDirectoryId":"AA…","data_version":1}
//! ```
//! Written aside, synced and renamed. Another `data_version` is refused.

use std::path::Path;

use serde_json::{Value, json};

use super::RaftError;
use crate::log::storage::{Disk, read_file, replace_file};
use crate::protocol::Uuid;

pub const FILE_NAME: &str = "quorum-state";
const SIZE_MAX: u64 = 1024 * 1024;

/// The content of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumState {
    /// 1 where the quorum's voters are in the log, 0 where they are in the configuration.
    pub data_version: i16,
    pub leader_id: i32,
    pub leader_epoch: i32,
    pub voted_id: i32,
    pub voted_directory_id: Uuid,
    /// Of version 0 only.
    pub current_voters: Vec<i32>,
}

impl QuorumState {
    /// The state of a leader who is the only voter.
    pub fn leader(data_version: i16, id: i32, epoch: i32) -> QuorumState {
        QuorumState {
            data_version,
            leader_id: id,
            leader_epoch: epoch,
            voted_id: -1,
            voted_directory_id: Uuid::ZERO,
            current_voters: if data_version == 0 {
                vec![id]
            } else {
                Vec::new()
            },
        }
    }

    /// Reads the file in the directory of the metadata log; None before the first election.
    pub fn read(disk: &dyn Disk, log: &Path) -> Result<Option<QuorumState>, RaftError> {
        let path = log.join(FILE_NAME);
        let bytes =
            read_file(disk, &path, SIZE_MAX).map_err(|error| RaftError::io(&path, error))?;
        let Some(bytes) = bytes else { return Ok(None) };
        let failed = |problem: String| RaftError::QuorumState {
            path: path.display().to_string(),
            problem,
        };
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
        Self::from_json(&value).map(Some).map_err(failed)
    }

    fn from_json(value: &Value) -> Result<QuorumState, String> {
        let int = |value: &Value, name: &str| {
            let number = value.get(name).and_then(Value::as_i64);
            let number = number.and_then(|number| i32::try_from(number).ok());
            number.ok_or_else(|| format!("{name} is not a number"))
        };
        let data_version = int(value, "data_version")?;
        if !(0..=1).contains(&data_version) {
            return Err(format!(
                "data_version is {data_version}, this version reads 0 and 1"
            ));
        }
        let voted_directory_id = match value.get("votedDirectoryId").and_then(Value::as_str) {
            None => Uuid::ZERO,
            Some(id) => id
                .parse()
                .map_err(|_| "votedDirectoryId is not an id".to_owned())?,
        };
        let voters = value.get("currentVoters").and_then(Value::as_array);
        Ok(QuorumState {
            data_version: data_version as i16,
            leader_id: int(value, "leaderId")?,
            leader_epoch: int(value, "leaderEpoch")?,
            voted_id: int(value, "votedId")?,
            voted_directory_id,
            current_voters: voters
                .map(|voters| voters.iter().map(|voter| int(voter, "voterId")).collect())
                .transpose()?
                .unwrap_or_default(),
        })
    }

    /// Replaces the file.
    pub fn write(&self, disk: &dyn Disk, log: &Path) -> Result<(), RaftError> {
        let path = log.join(FILE_NAME);
        let bytes = self.to_json().to_string();
        replace_file(disk, &path, bytes.as_bytes()).map_err(|error| RaftError::io(&path, error))
    }

    fn to_json(&self) -> Value {
        match self.data_version {
            0 => json!({
                "clusterId": "",
                "leaderId": self.leader_id,
                "leaderEpoch": self.leader_epoch,
                "votedId": self.voted_id,
                "appliedOffset": 0,
                "currentVoters": self
                    .current_voters
                    .iter()
                    .map(|id| json!({ "voterId": id }))
                    .collect::<Vec<_>>(),
                "data_version": 0,
            }),
            _ => json!({
                "leaderId": self.leader_id,
                "leaderEpoch": self.leader_epoch,
                "votedId": self.voted_id,
                "votedDirectoryId": self.voted_directory_id.to_string(),
                "data_version": 1,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATIC: &str = concat!(
        r#"{"clusterId":"","leaderId":1,"leaderEpoch":1,"votedId":-1,"appliedOffset":0,"#,
        r#""currentVoters":[{"voterId":1}],"data_version":0}"#
    );
    const DYNAMIC: &str = concat!(
        r#"{"leaderId":1,"leaderEpoch":1,"votedId":-1,"#,
        r#""votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}"#
    );

    #[test]
    fn kafkas_files_are_read_and_written_alike() {
        for (version, text) in [(0, STATIC), (1, DYNAMIC)] {
            let state = QuorumState::from_json(&serde_json::from_str(text).unwrap()).unwrap();
            assert_eq!(state, QuorumState::leader(version, 1, 1));
            assert_eq!(state.to_json().to_string(), text);
        }
    }

    #[test]
    fn other_content_is_refused() {
        for text in [
            "{}",
            r#"{"data_version":2}"#,
            r#"{"data_version":0,"leaderId":"x"}"#,
        ] {
            assert!(QuorumState::from_json(&serde_json::from_str(text).unwrap()).is_err());
        }
    }
}
