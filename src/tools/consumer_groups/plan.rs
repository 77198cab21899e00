//! Which offsets a reset of a consumer group sets.
use crate::client::TopicPartition;
use crate::tools::cluster::thrown_again;
use crate::tools::reset_plan::{Committed, LogOffsets, Place, Plan, Warnings};
use crate::tools::usage::UsageError;

use super::Command;

impl Command<'_> {
    pub(super) fn logs(&self) -> LogOffsets<'_> {
        LogOffsets { admin: self.admin }
    }

    pub(super) async fn plan(&mut self, group: &str) -> anyhow::Result<Plan> {
        let logs = LogOffsets { admin: self.admin };
        let partitions = self.partitions_to_reset(group).await?;
        logs.ensure_there(&partitions).await?;
        let place = Place::of(self.options)?;
        if let Place::File(path) = &place {
            let planned = logs.planned_in(group, self.options.values("group"), path);
            return match planned.await? {
                Some(plan) => Ok(plan),
                None => {
                    self.error(&format!("No reset plan for group {group} found"))?;
                    Ok(Plan::new())
                }
            };
        }
        let committed = match place.is_relative() {
            true => self.committed(group).await?,
            false => Committed::new(),
        };
        let mut warnings = Warnings {
            printer: &mut self.printer,
            format: self.format,
        };
        logs.plan(&place, partitions, &committed, &mut warnings)
            .await
    }

    async fn partitions_to_reset(&self, group: &str) -> anyhow::Result<Vec<TopicPartition>> {
        if self.options.has("all-topics") {
            return Ok(self.committed(group).await?.into_keys().collect());
        }
        if !self.options.has("topic") {
            if self.options.has("from-file") {
                return Ok(Vec::new());
            }
            return Err(UsageError(
                "One of the reset scopes should be defined: --all-topics, --topic.".to_owned(),
            )
            .into());
        }
        self.logs().named(self.options.values("topic")).await
    }

    async fn committed(&self, group: &str) -> anyhow::Result<Committed> {
        let offsets = self.admin.list_consumer_group_offsets(group, None).await;
        offsets.map_err(thrown_again)
    }
}
