//! `topics --create`.
use std::collections::BTreeMap;

use anyhow::bail;

use super::{Command, assignment};
use crate::client::admin::{CreateOptions, NewTopic};
use crate::config::topic;
use crate::protocol::ErrorCode;

impl Command<'_> {
    pub(super) async fn create(&mut self) -> anyhow::Result<()> {
        let topic = self.new_topic()?;
        if topic.name.contains(['.', '_']) {
            self.printer.line(
                "WARNING: Due to limitations in metric names, topics with a period ('.') or \
                 underscore ('_') could collide. To avoid issues it is best to use either, but \
                 not both.",
            )?;
        }
        let factor = self.options.number::<i32>("replication-factor")?;
        if factor.is_some_and(|factor| !(1..=i32::from(i16::MAX)).contains(&factor)) {
            bail!(
                "The replication factor must be between 1 and {} inclusive",
                i16::MAX
            );
        }
        if topic.partitions.is_some_and(|partitions| partitions < 1) {
            bail!("The partitions must be greater than 0");
        }
        if topic.name.is_empty() {
            bail!("The given topic name '' cannot be represented in a request.");
        }
        let name = topic.name.clone();
        let outcomes = self
            .admin
            .create_topics(&[topic], CreateOptions::default())
            .await?;
        for (_, outcome) in outcomes {
            match outcome {
                Ok(_) => self.printer.line(format!("Created topic {name}."))?,
                Err(error)
                    if error.code() == Some(ErrorCode::TopicAlreadyExists)
                        && self.options.has("if-not-exists") => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn new_topic(&self) -> anyhow::Result<NewTopic> {
        let name = self.options.value("topic")?.unwrap_or_default().to_owned();
        let partitions = self.options.number::<i32>("partitions")?;
        let factor = self.options.number::<i32>("replication-factor")?;
        let assignments = match self.options.value("replica-assignment")? {
            None | Some("") => Vec::new(),
            Some(text) => assignment::parse(text)?,
        };
        Ok(NewTopic {
            name,
            partitions,
            // Checked by the caller; Kafka's order of checks is kept.
            replication_factor: factor.and_then(|factor| i16::try_from(factor).ok()),
            assignments: (0..).zip(assignments).collect(),
            configs: configs(self.options.values("config"))?,
        })
    }
}

/// The `--config` pairs, checked against the table of topic keys before a broker is asked.
pub(super) fn configs(pairs: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut configs = BTreeMap::new();
    for pair in pairs {
        // As Java's split: the part after the last sign must not be empty, the first one may be.
        match pair.split('=').collect::<Vec<_>>().as_slice() {
            [key, value] if !value.trim().is_empty() => {
                configs.insert(key.trim().to_owned(), value.trim().to_owned());
            }
            _ => bail!(
                "requirement failed: Invalid topic config: all configs to be added must be in \
                 the format \"key=val\"."
            ),
        }
    }
    for name in configs.keys() {
        if topic::table().key(name).is_none() {
            bail!("Unknown topic config name: {name}");
        }
    }
    for (name, value) in &configs {
        if let Some(key) = topic::table().key(name) {
            key.parse(value)?;
        }
    }
    Ok(configs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_error(pairs: &[&str], want: &str) {
        let pairs: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
        assert_eq!(configs(&pairs).unwrap_err().to_string(), want, "{pairs:?}");
    }

    #[test]
    fn configs_are_checked_as_kafka_checks_them() {
        let malformed = "requirement failed: Invalid topic config: all configs to be added must \
                         be in the format \"key=val\".";
        for pair in ["retention.ms", "retention.ms=", "retention.ms=1=2"] {
            check_error(&[pair], malformed);
        }
        check_error(
            &["no.such.config=1"],
            "Unknown topic config name: no.such.config",
        );
        check_error(
            &["retention.ms=abc"],
            "Invalid value abc for configuration retention.ms: Not a number of type LONG",
        );
        check_error(
            &["cleanup.policy=foo"],
            "Invalid value foo for configuration cleanup.policy: String must be one of: compact, \
             delete",
        );
        check_error(
            &["min.insync.replicas=0"],
            "Invalid value 0 for configuration min.insync.replicas: Value must be at least 1",
        );
    }

    #[test]
    fn the_last_of_repeated_configs_wins() {
        let pairs = ["retention.ms = 1".to_owned(), "retention.ms=2".to_owned()];
        assert_eq!(configs(&pairs).unwrap()["retention.ms"], "2");
    }
}
