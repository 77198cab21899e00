//! `reassign-partitions --execute`.
use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;

use super::throttles::{moves, plural};
use super::{Command, failures, plan};
use crate::client::{ClientError, TopicPartition};
use crate::protocol::ErrorCode;
use crate::tools::cluster::thrown;

impl Command<'_> {
    pub(super) async fn execute(&mut self) -> anyhow::Result<()> {
        let plan = self.plan()?;
        plan::check(&plan)?;
        let rate = self.options.number::<i64>("throttle")?.unwrap_or(-1);
        let directory_rate = self
            .options
            .number::<i64>("replica-alter-log-dirs-throttle")?;
        let directory_rate = directory_rate.unwrap_or(-1);
        let ongoing = self.admin.list_partition_reassignments(None).await;
        let ongoing = ongoing.map_err(thrown)?;
        if !self.options.has("additional") && !ongoing.is_empty() {
            bail!(
                "Cannot execute because there is an existing partition assignment.  Use \
                 --additional to override this and create a new partition assignment in addition \
                 to the existing one. The --additional flag can also be used to change the \
                 throttle by resubmitting the current reassignment."
            );
        }
        self.check_brokers(&plan).await?;
        let current = self.current(&plan).await?;
        let directories = self.current_directories(&current).await?;
        self.printer.line(format!(
            "Current partition replica assignment\n\n{}\n\nSave this to use as the \
             --reassignment-json-file option during rollback",
            plan::format(&current, &directories)
        ))?;
        if rate >= 0 || directory_rate >= 0 {
            self.printer.line(
                "Warning: You must run --verify periodically, until the reassignment completes, \
                 to ensure the throttle is removed.",
            )?;
        }
        if rate >= 0 {
            let moves = moves(&ongoing, &plan.partitions, &current);
            self.limit_brokers(&moves, rate).await?;
        }
        if directory_rate >= 0 {
            let brokers = plan.directories.keys().map(|replica| replica.broker);
            self.limit_log_dirs(brokers.collect(), directory_rate)
                .await?;
        }
        let wanted: BTreeMap<TopicPartition, Option<Vec<i32>>> = plan
            .partitions
            .iter()
            .map(|(partition, replicas)| (partition.clone(), Some(replicas.clone())))
            .collect();
        let allowed = !self.options.has("disallow-replication-factor-change");
        let outcomes = self
            .admin
            .alter_partition_reassignments(&wanted, allowed)
            .await;
        let what = |_| "Error reassigning partition(s):".to_owned();
        failures(outcomes.map_err(thrown)?, what)?;
        let names: Vec<String> = wanted.keys().map(ToString::to_string).collect();
        self.printer.line(format!(
            "Successfully started partition reassignment{} for {}",
            plural(names.len()),
            names.join(",")
        ))?;
        if plan.directories.is_empty() {
            return Ok(());
        }
        self.move_replicas(&plan.directories).await
    }

    async fn check_brokers(&self, plan: &plan::Plan) -> anyhow::Result<()> {
        let cluster = self.admin.describe_cluster().await.map_err(thrown)?;
        let there: BTreeSet<i32> = cluster.brokers.iter().map(|broker| broker.id).collect();
        let mut wanted = plan.partitions.iter().flat_map(|(_, replicas)| replicas);
        match wanted.find(|id| !there.contains(id)) {
            Some(id) => bail!("Unknown broker id {id}"),
            None => Ok(()),
        }
    }

    /// The present replicas of the plan's partitions, which must exist.
    async fn current(
        &self,
        plan: &plan::Plan,
    ) -> anyhow::Result<BTreeMap<TopicPartition, Vec<i32>>> {
        let topics: BTreeSet<&str> = plan.partitions.iter().map(|(p, _)| &*p.topic).collect();
        let mut current = self.assignments(&topics).await?;
        let wanted: BTreeSet<&TopicPartition> = plan.partitions.iter().map(|(p, _)| p).collect();
        let missing: Vec<String> = wanted
            .iter()
            .filter(|partition| !current.contains_key(**partition))
            .map(ToString::to_string)
            .collect();
        if !missing.is_empty() {
            let text = format!("Unable to find partition: {}", missing.join(", "));
            let code = ErrorCode::UnknownTopicOrPartition;
            return Err(thrown(ClientError::broker(code, Some(&text))));
        }
        current.retain(|partition, _| wanted.contains(partition));
        Ok(current)
    }
}
