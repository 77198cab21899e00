//! `consumer-groups --reset-offsets`.
use std::collections::BTreeMap;

use super::Command;
use crate::protocol::ErrorCode;
use crate::tools::cluster::thrown_again;
use crate::tools::output::{Format, message};
use crate::tools::reset_plan::{self, Layout, Plan};

impl Command<'_> {
    pub(super) async fn reset(&mut self) -> anyhow::Result<()> {
        let names = self.groups().await?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut plans: BTreeMap<String, Plan> = BTreeMap::new();
        for (group, described) in self.admin.describe_consumer_groups(&names).await? {
            match described {
                Ok(group) if !matches!(&*group.state, "Empty" | "Dead") => {
                    let text = format!(
                        "Assignments can only be reset if the group '{}' is inactive, but the \
                         current state is {}.",
                        group.group_id, group.state
                    );
                    match self.format {
                        Format::Kafka => self.error(&text)?,
                        _ => message(text),
                    }
                    plans.insert(group.group_id, Plan::new());
                    continue;
                }
                Ok(_) => {}
                // A group may be given offsets before its first member comes.
                Err(error) if error.code() == Some(ErrorCode::GroupIdNotFound) => {}
                Err(error) => return Err(thrown_again(error)),
            }
            let plan = self.plan(&group).await?;
            if self.options.has("execute") {
                self.commit(&group, &plan).await?;
            }
            plans.insert(group, plan);
        }
        let printer = &mut self.printer;
        if self.options.has("export") {
            let several = self.options.values("group").len() != 1;
            Ok(reset_plan::export(printer, several, &plans)?)
        } else {
            let layout = Layout::Fitting;
            Ok(reset_plan::print(printer, self.format, layout, &plans)?)
        }
    }

    async fn commit(&self, group: &str, plan: &Plan) -> anyhow::Result<()> {
        let offsets = reset_plan::offsets(plan);
        if offsets.is_empty() {
            return Ok(());
        }
        let outcomes = self
            .admin
            .alter_consumer_group_offsets(group, &offsets)
            .await?;
        for (_, outcome) in outcomes {
            outcome?;
        }
        Ok(())
    }
}
