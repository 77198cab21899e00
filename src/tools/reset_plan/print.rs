//! How plans are shown: as Kafka's tables, as CSV, as tables for people and as JSON.
use std::collections::BTreeMap;
use std::io;

use serde_json::Value;

use super::Plan;
use crate::tools::listing::{self, column, padded, width};
use crate::tools::output::{Format, Printer};

/// The widths of Kafka's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As wide as the names are.
    Fitting,
    /// Always the same, as streams groups are shown.
    Fixed,
}

/// Prints the plans of groups.
pub fn print(
    printer: &mut Printer,
    format: Format,
    layout: Layout,
    plans: &BTreeMap<String, Plan>,
) -> io::Result<()> {
    if format != Format::Kafka {
        return show(printer, format, plans);
    }
    let topics = plans.values().flat_map(Plan::keys);
    let widths = match layout {
        Layout::Fitting => [
            width(15, plans.keys().map(String::as_str)),
            width(15, topics.map(|partition| &*partition.topic)),
            10,
            0,
        ],
        Layout::Fixed => [30, 30, 10, 15],
    };
    if !plans.is_empty() {
        let header = ["GROUP", "TOPIC", "PARTITION", "NEW-OFFSET"];
        printer.line("")?;
        printer.line(padded(&header, &widths))?;
    }
    for (group, plan) in plans {
        for (partition, offset) in plan {
            let (index, offset) = (partition.partition.to_string(), offset.to_string());
            let cells = [&**group, &*partition.topic, &*index, &*offset];
            printer.line(padded(&cells, &widths))?;
        }
    }
    if plans.is_empty() {
        printer.line("")?;
    }
    Ok(())
}

fn show(printer: &mut Printer, format: Format, plans: &BTreeMap<String, Plan>) -> io::Result<()> {
    let columns = [
        column("Group", "group"),
        column("Topic", "topic"),
        column("Partition", "partition"),
        column("New offset", "newOffset"),
    ];
    let rows: Vec<Vec<Value>> = plans
        .iter()
        .flat_map(|(group, plan)| {
            plan.iter().map(|(partition, offset)| {
                vec![
                    group.as_str().into(),
                    (&*partition.topic).into(),
                    partition.partition.into(),
                    (*offset).into(),
                ]
            })
        })
        .collect();
    let none = "No offsets to reset.";
    listing::show(printer, format, &columns, &rows, none)
}

/// As CSV, with the group in front when there may be several.
pub fn export(
    printer: &mut Printer,
    several: bool,
    plans: &BTreeMap<String, Plan>,
) -> io::Result<()> {
    for (group, plan) in plans {
        for (partition, offset) in plan {
            let group = match several {
                true => format!("{group},"),
                false => String::new(),
            };
            let (topic, index) = (&partition.topic, partition.partition);
            printer.line(format!("{group}{topic},{index},{offset}"))?;
        }
    }
    printer.line("")
}
