//! `errors.tolerance`, `errors.log.enable`, `errors.log.include.messages`: what becomes of records
//! that cannot be converted or sent.
use std::fmt;

use super::errors::{ConnectError, Result};

/// What a task was doing with a record, in Kafka's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    KeyConverter,
    ValueConverter,
    KafkaProduce,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::KeyConverter => "KEY_CONVERTER",
            Stage::ValueConverter => "VALUE_CONVERTER",
            Stage::KafkaProduce => "KAFKA_PRODUCE",
        })
    }
}

/// How one task treats bad records.
#[derive(Debug, Clone)]
pub struct Tolerance {
    /// `NAME-0`
    pub task: String,
    /// `errors.tolerance=all`
    pub all: bool,
    /// `errors.log.enable`
    pub log: bool,
    /// `errors.log.include.messages`
    pub with_records: bool,
}

impl Tolerance {
    /// `Ok` if the task goes on without the record; `record` describes it for the log.
    pub fn judge(
        &self,
        stage: Stage,
        error: ConnectError,
        record: impl FnOnce() -> String,
    ) -> Result<()> {
        if self.log {
            let place = match self.with_records {
                true => format!(", where the record is {}", record()),
                false => String::new(),
            };
            tracing::error!(
                "Error encountered in task {}. Executing stage '{stage}'{place}: {error}",
                self.task
            );
        }
        match self.all {
            true => Ok(()),
            false => Err(ConnectError::task(format!(
                "Tolerance exceeded in error handler: {stage}: {error}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_all_goes_on() {
        let judge = |all| {
            let tolerance = Tolerance {
                task: "c-0".into(),
                all,
                log: true,
                with_records: true,
            };
            tolerance.judge(
                Stage::ValueConverter,
                ConnectError::data("bad"),
                String::new,
            )
        };
        assert!(judge(true).is_ok());
        assert_eq!(
            judge(false).unwrap_err().to_string(),
            "Tolerance exceeded in error handler: VALUE_CONVERTER: bad"
        );
    }
}
