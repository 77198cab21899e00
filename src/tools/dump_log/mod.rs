//! `kafka-dump-log`: what is in log segments, snapshots and indexes, read as it lies on the disk.
pub(super) mod batches;
mod decoder;
mod findings;
mod index;
mod line;
pub mod options;
mod producers;
mod remote_log;
mod segment;
#[cfg(test)]
mod tests;

use std::path::Path;

use anyhow::anyhow;

use findings::Findings;
use index::Index;
use line::Lines;
use options::{DEFINITION, Wanted};
use segment::Dump;

use super::options::jopt::OptionSet;
use super::output::{Invocation, Printer, message};
use super::registry::Exit;
use super::usage;

const CHECKPOINT_SUFFIX: &str = ".checkpoint";

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let options = match usage::parse(&DEFINITION, &invocation)? {
        Ok(options) => options,
        Err(exit) => return Ok(exit),
    };
    let wanted = match options::check(&options) {
        Ok(wanted) => wanted,
        Err(error) => return Ok(usage::refuse(&DEFINITION, &invocation, &error)),
    };
    let mut printer = Printer::default();
    let mut lines = Lines::new(&mut printer, wanted.shape);
    let mut findings = Findings::default();
    for file in &wanted.files {
        let dumped = dump(file, &options, &wanted, &mut lines, &mut findings);
        if let Err(error) = dumped {
            lines.abandon()?;
            return Err(one_line(error));
        }
    }
    printer.flush()?;
    findings.tell();
    Ok(Exit::SUCCESS)
}

/// The causes of an error, as one: who reads it sees what and where.
fn one_line(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<std::io::Error>() {
        Some(_) => error,
        None => anyhow!("{error:#}"),
    }
}

fn dump(
    file: &str,
    options: &OptionSet,
    wanted: &Wanted,
    lines: &mut Lines<'_>,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let path = Path::new(file);
    lines.said(format_args!("Dumping {file}"), "file", file);
    lines.end()?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let suffix = name.rfind('.').and_then(|dot| name.get(dot..));
    match suffix.unwrap_or_default() {
        ".log" | CHECKPOINT_SUFFIX => Dump {
            path,
            name: &name,
            wanted,
            decoder: options::decoder(options)?,
            max_bytes: options.number("max-bytes")?.unwrap_or(i32::MAX),
            lines,
            findings,
        }
        .run(),
        suffix @ (".index" | ".timeindex") => {
            let index = Index {
                path,
                name: &name,
                wanted,
                max_message_size: options.number("max-message-size")?.unwrap_or(i32::MAX),
                lines,
                findings,
            };
            match suffix {
                ".index" => index.offsets(),
                _ => index.timestamps(),
            }
        }
        ".snapshot" => producers::snapshot(path, lines),
        ".txnindex" => producers::aborted_transactions(path, &name, lines),
        _ => {
            message(format!("Ignoring unknown file {file}"));
            Ok(())
        }
    }
}

/// The offset in the name of a file of a segment.
fn start_offset(name: &str) -> anyhow::Result<i64> {
    let digits = name.split('.').next().unwrap_or_default();
    digits
        .parse()
        .map_err(|_| anyhow!("For input string: \"{digits}\""))
}
