//! `consumer-groups --describe --state`.
use serde_json::{Value, json};

use super::Command;
use crate::client::admin::ConsumerGroupDescription;
use crate::tools::group_tool::or_dash;
use crate::tools::listing::{self, Column, column, padded, width};
use crate::tools::output::Format;

const COLUMNS: [Column; 8] = [
    column("Group", "group"),
    column("State", "state"),
    column("Members", "members"),
    column("Strategy", "assignmentStrategy"),
    column("Coordinator", "coordinator"),
    column("Coordinator id", "coordinatorId"),
    column("Epoch", "groupEpoch"),
    column("Target epoch", "targetAssignmentEpoch"),
];

impl Command<'_> {
    pub(super) fn describe_states(
        &mut self,
        groups: &[ConsumerGroupDescription],
    ) -> anyhow::Result<()> {
        if self.format != Format::Kafka {
            let rows: Vec<Vec<Value>> = groups.iter().map(values).collect();
            let none = "No consumer groups.";
            return Ok(listing::show(
                &mut self.printer,
                self.format,
                &COLUMNS,
                &rows,
                none,
            )?);
        }
        let verbose = self.options.has("verbose");
        for group in groups {
            if !self.tell_state(group)? {
                continue;
            }
            let node = &group.coordinator;
            let coordinator = format!("{}:{}  ({})", node.host, node.port, node.id);
            let mut widths = vec![width(15, [&*group.group_id]), width(25, [&*coordinator])];
            widths.extend([20, 20]);
            let mut header = vec!["GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE"];
            let strategy = match &*group.assignor {
                "" => "-",
                assignor => assignor,
            };
            let mut row = vec![&*group.group_id, &*coordinator, strategy, &*group.state];
            let epochs = [group.epoch, group.target_assignment_epoch].map(or_dash);
            if verbose {
                widths.extend([15, 25]);
                header.extend(["GROUP-EPOCH", "TARGET-ASSIGNMENT-EPOCH"]);
                row.extend(epochs.iter().map(String::as_str));
            }
            widths.push(0);
            header.push("#MEMBERS");
            let members = group.members.len().to_string();
            row.push(&members);
            self.printer.line("")?;
            self.printer.line(padded(&header, &widths))?;
            self.printer.line(padded(&row, &widths))?;
        }
        Ok(())
    }
}

fn values(group: &ConsumerGroupDescription) -> Vec<Value> {
    vec![
        json!(group.group_id),
        json!(group.state),
        json!(group.members.len()),
        json!(group.assignor),
        json!(group.coordinator.to_string()),
        json!(group.coordinator.id),
        json!(group.epoch),
        json!(group.target_assignment_epoch),
    ]
}
