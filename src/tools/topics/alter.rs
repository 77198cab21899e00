//! `topics --alter`: adds partitions.
use super::{Command, assignment, create};
use crate::client::admin::{CreateOptions, NewPartitions, PARTITIONS_PER_RESPONSE};

impl Command<'_> {
    pub(super) async fn alter(&mut self) -> anyhow::Result<()> {
        let total = self
            .options
            .number::<i32>("partitions")?
            .unwrap_or_default();
        let assignments = match self.options.value("replica-assignment")? {
            None | Some("") => None,
            Some(text) => Some(assignment::parse(text)?),
        };
        create::configs(self.options.values("config"))?;
        let topics = self.matching_topics(false).await?;
        self.ensure_found(&topics)?;
        if topics.is_empty() {
            return Ok(());
        }
        let mut wanted = Vec::with_capacity(topics.len());
        for topic in topics {
            let assignments = match &assignments {
                // The list starts at partition 0: those that exist are skipped.
                Some(all) => Some(
                    all.iter()
                        .skip(self.partitions(&topic).await?)
                        .cloned()
                        .collect(),
                ),
                None => None,
            };
            wanted.push(NewPartitions {
                topic,
                total,
                assignments,
            });
        }
        let outcomes = self
            .admin
            .create_partitions(&wanted, CreateOptions::default())
            .await?;
        for (_, outcome) in outcomes {
            outcome?;
        }
        Ok(())
    }

    async fn partitions(&self, topic: &str) -> anyhow::Result<usize> {
        let described = self
            .admin
            .describe_topics(&[topic], PARTITIONS_PER_RESPONSE)
            .await?;
        let mut count = 0;
        for (_, topic) in described {
            count = topic?.partitions.len();
        }
        Ok(count)
    }
}
