//! `-daemon`: the tool goes on in the background, its output in a file, as Kafka's scripts have it.
use std::fs::OpenOptions;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Context as _;

use super::output::message;
use super::registry::Exit;

/// Starts this program again with `arguments`, writing to `$LOG_DIR/NAME.out` (or `logs/NAME.out`).
pub fn start(name: &str, arguments: &[String]) -> anyhow::Result<Exit> {
    let logs = std::env::var_os("LOG_DIR").map_or_else(|| PathBuf::from("logs"), PathBuf::from);
    std::fs::create_dir_all(&logs).with_context(|| format!("cannot create {}", logs.display()))?;
    let path = logs.join(format!("{name}.out"));
    let log = OpenOptions::new().create(true).append(true).open(&path);
    let log = log.with_context(|| format!("cannot write {}", path.display()))?;
    let mut command = Command::new(std::env::current_exe()?);
    // A process group of its own: Ctrl-C in this terminal is not meant for it.
    command
        .args(arguments)
        .process_group(0)
        .stdin(Stdio::null());
    let child = command.stdout(log.try_clone()?).stderr(log).spawn()?;
    message(format!(
        "started as process {}, logging to {}",
        child.id(),
        path.display()
    ));
    Ok(Exit::SUCCESS)
}
