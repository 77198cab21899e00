//! What a verification found, for people, for scripts and for programs.
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use serde_json::{Value, json};

use super::directory::Directory;
use crate::log::verify::{Counts, Fault, OnStart, Verifier};
use crate::tools::output::Printer;

pub struct Report<'a> {
    counts: Counts,
    faults: Vec<&'a Fault>,
    notes: &'a [(PathBuf, String)],
    directories: &'a [Directory],
}

impl<'a> Report<'a> {
    pub fn new(verifier: &'a Verifier<'_>, directories: &'a [Directory]) -> Self {
        Self {
            counts: verifier.counts,
            faults: verifier.faults().collect(),
            notes: verifier.notes(),
            directories,
        }
    }

    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }

    /// What was looked at: name and number, in the order of printing.
    fn counted(&self) -> Vec<(&'static str, u64)> {
        let c = &self.counts;
        vec![
            ("directories", c.directories),
            ("partitions", c.partitions),
            ("segments", c.segments),
            ("batches", c.batches),
            ("batches in formats v0 and v1", c.old_batches),
            ("records", c.records),
            ("index entries", c.index_entries),
            ("producer snapshots", c.producer_snapshots),
            ("checkpoints", c.checkpoints),
            ("metadata records", c.metadata_records),
            ("bytes", c.bytes),
        ]
    }

    pub fn print(&self, printer: &mut Printer) -> io::Result<()> {
        for directory in self.directories {
            let stop = match directory.clean {
                true => "stopped in order",
                false => "not stopped in order: the next start recovers its logs",
            };
            printer.line(format!("{}: {stop}", directory.path.display()))?;
        }
        printer.line("")?;
        if io::stdout().is_terminal() {
            let row = |(name, count): (&str, u64)| vec![name.to_owned(), count.to_string()];
            let rows: Vec<_> = self.counted().into_iter().map(row).collect();
            printer.table(&["checked", "number"], &rows)?;
        } else {
            for (name, count) in self.counted() {
                printer.line(format!("checked {name}: {count}"))?;
            }
        }
        for fault in &self.faults {
            printer.line("")?;
            print_fault(printer, fault)?;
        }
        if !self.notes.is_empty() {
            printer.line("")?;
        }
        for (path, what) in self.notes {
            printer.line(format!("note {}: {what}", path.display()))?;
        }
        printer.line("")?;
        printer.line(match self.faults.len() {
            0 => "no faults".to_owned(),
            1 => "1 file with faults".to_owned(),
            many => format!("{many} files with faults"),
        })?;
        printer.line(self.start("kafkars", |fault| fault.outcome.kafkars))?;
        printer.line(self.start("Apache Kafka", |fault| fault.outcome.kafka))
    }

    /// Whether an implementation can start, in one line.
    fn start(&self, name: &str, of: impl Fn(&Fault) -> OnStart) -> String {
        let count = |what| self.faults.iter().filter(|fault| of(fault) == what).count();
        if count(OnStart::Refuses) > 0 {
            return format!("{name} cannot start on it");
        }
        let parts: Vec<String> = [
            (OnStart::DirectoryFails, "keep a directory offline"),
            (
                OnStart::PartitionFails,
                "keep a partition from being served",
            ),
            (OnStart::Cuts, "cut off"),
            (OnStart::Repairs, "repaired"),
            (OnStart::Overlooks, "not noticed"),
            (OnStart::Ignores, "done without"),
        ]
        .into_iter()
        .filter(|(what, _)| count(*what) > 0)
        .map(|(what, text)| format!("{} {text}", count(what)))
        .collect();
        if parts.is_empty() {
            return format!("{name} can start on it");
        }
        let can = match count(OnStart::DirectoryFails) {
            0 => "can start on it",
            _ => "can start on it if it has other log.dirs",
        };
        format!("{name} {can}; of the faults: {}", parts.join(", "))
    }

    fn can_start(&self, of: impl Fn(&Fault) -> OnStart) -> bool {
        let refuses = [OnStart::Refuses, OnStart::DirectoryFails];
        !self.faults.iter().any(|fault| refuses.contains(&of(fault)))
    }

    pub fn json(&self) -> Value {
        let directories = self.directories.iter().map(|directory| {
            json!({
                "path": directory.path.display().to_string(),
                "cleanlyStopped": directory.clean,
            })
        });
        let counts = self.counted().into_iter().map(|(name, count)| {
            let name = match name {
                "batches in formats v0 and v1" => "oldFormatBatches".to_owned(),
                name => camel_case(name),
            };
            (name, Value::from(count))
        });
        let faults = self.faults.iter().map(|fault| {
            json!({
                "path": fault.path.display().to_string(),
                "position": fault.position,
                "fault": fault.what,
                "more": fault.more,
                "kafkars": fault.outcome.kafkars.word(),
                "kafka": fault.outcome.kafka.word(),
                "remedy": fault.remedy,
            })
        });
        let notes = self
            .notes
            .iter()
            .map(|(path, what)| json!({"path": path.display().to_string(), "note": what}));
        json!({
            "directories": directories.collect::<Vec<_>>(),
            "counts": counts.collect::<serde_json::Map<_, _>>(),
            "faults": faults.collect::<Vec<_>>(),
            "notes": notes.collect::<Vec<_>>(),
            "kafkarsCanStart": self.can_start(|fault| fault.outcome.kafkars),
            "kafkaCanStart": self.can_start(|fault| fault.outcome.kafka),
        })
    }
}

fn camel_case(name: &str) -> String {
    let mut words = name.split(' ');
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (head, tail) = word.split_at(1);
        out.push_str(&head.to_uppercase());
        out.push_str(tail);
    }
    out
}

fn print_fault(printer: &mut Printer, fault: &Fault) -> io::Result<()> {
    let place = match fault.position {
        Some(position) => format!("{} at {position}", fault.path.display()),
        None => fault.path.display().to_string(),
    };
    let more = match fault.more {
        0 => String::new(),
        more => format!(" (and {more} more in this file)"),
    };
    printer.line(format!("fault {place}: {}{more}", fault.what))?;
    let outcome = fault.outcome;
    let on_start = if outcome.kafkars == outcome.kafka {
        format!("kafkars and Apache Kafka: each {}", outcome.kafkars.text())
    } else {
        let (kafkars, kafka) = (outcome.kafkars.text(), outcome.kafka.text());
        format!("kafkars {kafkars}; Apache Kafka {kafka}")
    };
    printer.line(format!("  {on_start}"))?;
    printer.line(format!("  what to do: {}", fault.remedy))
}
