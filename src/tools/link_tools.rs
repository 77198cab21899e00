//! `kafkars link-tools`: Kafka's script names, as links to this binary.
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Parser;

use super::output::{Invocation, Printer};
use super::own;
use super::registry::{self, Exit};

/// Links Kafka's script names to kafkars, with and without .sh: scripts written for Apache Kafka then run on it
#[derive(Debug, Parser)]
#[command(name = "link-tools")]
pub struct Options {
    /// Where the links go; made if it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let options: Options = match own::read(&invocation)? {
        Ok(options) => options,
        Err(exit) => return Ok(exit),
    };
    let binary = std::env::current_exe()?;
    let directory = &options.directory;
    fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    let mut count = 0;
    for script in registry::scripts() {
        for name in [format!("{script}.sh"), script] {
            link(&binary, &directory.join(name))?;
            count += 1;
        }
    }
    link(&binary, &directory.join("kafkars"))?;
    let mut printer = Printer::default();
    let (binary, directory) = (binary.display(), directory.display());
    printer.line(format!("{count} links to {binary} in {directory}"))?;
    printer.flush()?;
    Ok(Exit::SUCCESS)
}

/// A link of ours gives way; a file that is there for itself does not.
fn link(binary: &Path, at: &Path) -> anyhow::Result<()> {
    let linked = match fs::symlink_metadata(at) {
        Ok(found) if found.is_symlink() => fs::remove_file(at).and_then(|()| symlink(binary, at)),
        Ok(_) => Err(io::Error::other(
            "is there and no link; choose another directory",
        )),
        Err(_) => symlink(binary, at),
    };
    linked.map_err(|error| anyhow::anyhow!("{}: {error}", at.display()))
}
