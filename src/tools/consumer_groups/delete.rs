//! `consumer-groups --delete` and `--delete-offsets`.
use std::collections::BTreeMap;

use super::{Command, plan};
use crate::client::admin::PARTITIONS_PER_RESPONSE;
use crate::client::{ClientError, TopicPartition};
use crate::protocol::ErrorCode;
use crate::tools::cluster::{exception, thrown};
use crate::tools::listing::{padded, width};

impl Command<'_> {
    pub(super) async fn delete(&mut self) -> anyhow::Result<()> {
        let groups = self.groups().await?;
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        let (mut deleted, mut failed) = (Vec::new(), Vec::new());
        for (group, outcome) in self.admin.delete_groups(&groups).await? {
            match outcome {
                Ok(()) => deleted.push(format!("'{group}'")),
                Err(error) => failed.push((group, error)),
            }
        }
        let deleted = deleted.join(", ");
        if failed.is_empty() {
            let text = format!("Deletion of requested consumer groups ({deleted}) was successful.");
            return Ok(self.printer.line(text)?);
        }
        self.error("Deletion of some consumer groups failed:")?;
        for (group, error) in failed {
            self.printer.line(format!(
                "* Group '{group}' could not be deleted due to: {}: {error}",
                exception(&error)
            ))?;
        }
        if !deleted.is_empty() {
            self.printer.line(format!(
                "\nThese consumer groups were deleted successfully: {deleted}"
            ))?;
        }
        Ok(())
    }

    pub(super) async fn delete_offsets(&mut self) -> anyhow::Result<()> {
        let group = self.options.value("group")?.unwrap_or_default();
        let mut outcomes: BTreeMap<TopicPartition, Option<ClientError>> = BTreeMap::new();
        let partitions = self.partitions_to_forget(&mut outcomes).await?;
        let forgotten = self.admin.delete_consumer_group_offsets(group, &partitions);
        let mut worst = None;
        match forgotten.await {
            Ok(forgotten) => {
                for (partition, outcome) in forgotten {
                    let error = outcome.err();
                    worst = worst.or(error.clone());
                    outcomes.insert(partition, error);
                }
            }
            Err(error) => {
                worst = Some(error.clone());
                let failed = partitions.iter().cloned();
                outcomes.extend(failed.map(|partition| (partition, Some(error.clone()))));
            }
        }
        self.tell_outcome(group, worst.as_ref())?;
        let longest = width(15, outcomes.keys().map(|partition| &*partition.topic));
        let widths = [longest, 10, 15];
        self.printer.line("")?;
        self.printer
            .line(padded(&["TOPIC", "PARTITION", "STATUS"], &widths))?;
        for (partition, error) in outcomes {
            let index = match partition.partition {
                -1 => "-".to_owned(),
                index => index.to_string(),
            };
            let status = error.map_or("Successful".to_owned(), |error| {
                format!("Error: {}", thrown(error))
            });
            let row = [&*partition.topic, &index, &status];
            self.printer.line(padded(&row, &widths))?;
        }
        Ok(())
    }

    /// The partitions that `--topic` names; topics that are not there go to `outcomes` at once.
    async fn partitions_to_forget(
        &self,
        outcomes: &mut BTreeMap<TopicPartition, Option<ClientError>>,
    ) -> anyhow::Result<Vec<TopicPartition>> {
        let (mut partitions, topics) = plan::split_topics(self.options.values("topic"))?;
        let described = self
            .admin
            .describe_topics(&topics, PARTITIONS_PER_RESPONSE)
            .await?;
        for (name, topic) in described {
            match topic {
                Ok(topic) => {
                    let of_topic = topic.partitions.iter();
                    partitions.extend(of_topic.map(|p| TopicPartition::new(&*name, p.partition)));
                }
                Err(error) => {
                    outcomes.insert(TopicPartition::new(name, -1), Some(error));
                }
            }
        }
        partitions.sort();
        partitions.dedup();
        Ok(partitions)
    }

    fn tell_outcome(&mut self, group: &str, worst: Option<&ClientError>) -> std::io::Result<()> {
        let Some(error) = worst else {
            let text = format!("Request succeeded for deleting offsets from group {group}.");
            return self.printer.line(text);
        };
        match error.code() {
            Some(
                code @ (ErrorCode::InvalidGroupId
                | ErrorCode::GroupIdNotFound
                | ErrorCode::GroupAuthorizationFailed
                | ErrorCode::NonEmptyGroup),
            ) => self.error(code.message()),
            Some(
                ErrorCode::GroupSubscribedToTopic
                | ErrorCode::TopicAuthorizationFailed
                | ErrorCode::UnknownTopicOrPartition,
            ) => self.error("Encountered some partition-level error, see the follow-up details."),
            code => {
                let name = code.map_or("UNKNOWN_SERVER_ERROR", ErrorCode::name);
                self.error(&format!("Encountered some unknown error: {name}"))
            }
        }
    }
}
