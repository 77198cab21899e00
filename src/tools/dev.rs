//! `kafkars dev`: a broker for a test, gone when the test is.
//!
//! Its address is the one line on stdout. With `--exec` a command runs beside it and is told where it is.
use std::io::{self, IsTerminal};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;

use clap::Parser;
use tokio::process::Command;

use super::cluster::Interrupt;
use super::output::{Invocation, Printer, message};
use super::own;
use super::registry::Exit;
use crate::dev::DevBroker;

/// What the command of `--exec` finds the broker's address under: kafkars' own name, and the one that Spring, Quarkus and
/// others read.
const ADDRESS: [&str; 2] = ["BOOTSTRAP_SERVER", "KAFKA_BOOTSTRAP_SERVERS"];
/// What a shell adds to the number of the signal that ended a process.
const BY_SIGNAL: i32 = 128;
/// What a shell reports of a command that is not there.
const NOT_FOUND: Exit = Exit(127);

/// Starts a broker in a temporary directory; its data go when it ends
#[derive(Debug, Parser)]
#[command(name = "dev")]
pub struct Options {
    /// The port for clients [default: a free one]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Begin on a copy of these log directories of one node, which must not be in use. They are not written to, and of
    /// old segments only names are copied
    #[arg(long, value_name = "DIR", value_delimiter = ',')]
    fork: Vec<PathBuf>,
    /// A property as in server.properties
    #[arg(long = "override", value_name = "K=V", value_parser = property)]
    properties: Vec<(String, String)>,
    /// Leave the data where they are, and say where
    #[arg(long)]
    keep: bool,
    /// Run a command, end with it and as it does; it finds the address in BOOTSTRAP_SERVER and KAFKA_BOOTSTRAP_SERVERS.
    /// All that follows is the command
    #[arg(long, value_name = "CMD", num_args = 1.., allow_hyphen_values = true)]
    exec: Vec<String>,
}

fn property(pair: &str) -> Result<(String, String), String> {
    let (key, value) = pair.split_once('=').ok_or("it has no '='")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

pub fn run(mut invocation: Invocation) -> anyhow::Result<Exit> {
    // To `clap` a command could end where one of its words looks like an option.
    let at = invocation.args.iter().position(|arg| arg == "--exec");
    let command = at.map_or_else(Vec::new, |at| invocation.args.split_off(at + 1));
    invocation.args.extend(command.first().cloned());
    match own::read::<Options>(&invocation)? {
        Ok(options) => serve(Options {
            exec: command,
            ..options
        }),
        Err(exit) => Ok(exit),
    }
}

fn serve(options: Options) -> anyhow::Result<Exit> {
    // Before the broker starts, so that a signal that comes early is not lost.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let interrupt = runtime.block_on(async { Interrupt::listen() })?;
    let mut builder = DevBroker::builder().port(options.port);
    for directory in options.fork {
        builder = builder.fork(directory);
    }
    for (key, value) in options.properties {
        builder = builder.set(key, value);
    }
    let broker = builder.start()?;
    if let Some(forked) = broker.forked() {
        message(format!(
            "forked: {} files with {} bytes shared, {} with {} bytes copied",
            forked.shared_files, forked.shared_bytes, forked.copied_files, forked.copied_bytes
        ));
    }
    let exit = match options.exec.split_first() {
        None => {
            announce(&broker)?;
            runtime.block_on(interrupt.first());
            Ok(Exit::SUCCESS)
        }
        Some((program, args)) => {
            let mut command = Command::new(program);
            command.args(args);
            for name in ADDRESS {
                command.env(name, broker.bootstrap_servers());
            }
            runtime.block_on(beside(command, program, &interrupt))
        }
    };
    if options.keep {
        message(format!("kept: {}", broker.keep().display()));
    }
    exit
}

fn announce(broker: &DevBroker) -> io::Result<()> {
    let mut printer = Printer::default();
    printer.line(broker.bootstrap_servers())?;
    printer.flush()?;
    if io::stdout().is_terminal() {
        message(format!(
            "is the broker's address; its data are in {}. Ctrl-C ends it and removes them.",
            broker.directory().display()
        ));
    }
    Ok(())
}

/// Runs the command to its end. A signal to this process is one to it: a terminal sends Ctrl-C to both, so that only
/// what `kill` sends is passed on.
async fn beside(
    mut command: Command,
    program: &str,
    interrupt: &Interrupt,
) -> anyhow::Result<Exit> {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            message(format!("cannot run {program}: {error}"));
            return Ok(NOT_FOUND);
        }
    };
    let status = tokio::select! {
        status = child.wait() => status?,
        signal = interrupt.first() => {
            if signal == Interrupt::TERMINATED
                && let Some(id) = child.id().and_then(|id| i32::try_from(id).ok())
                && let Some(pid) = rustix::process::Pid::from_raw(id)
            {
                rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
            }
            child.wait().await?
        }
    };
    Ok(as_ended(status))
}

fn as_ended(status: ExitStatus) -> Exit {
    let by_signal = || status.signal().map(|signal| BY_SIGNAL + signal);
    let code = status.code().or_else(by_signal);
    code.and_then(|code| u8::try_from(code).ok())
        .map_or(Exit::FAILURE, Exit)
}
