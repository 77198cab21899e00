//! `kafka-server-start`: a broker from a `server.properties` file.
//!
//! The first SIGINT or SIGTERM stops it in order, a second one at once.
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use super::options::jopt::OptionError;
use super::options::{Definition, Files, Group, Opt, WithFiles, command_with_files};
use super::output::{Invocation, Printer, message};
use super::registry::Exit;
use super::usage::{self, UsageError};
use super::{KAFKA_VERSION, logging};
use crate::broker::{Node, loggers};
use crate::config::{self, Properties};

pub static TOOL: WithFiles = WithFiles {
    definition: Definition {
        name: "server-start",
        about: "Starts a broker; Ctrl-C or SIGTERM stops it.",
        groups: &[Group {
            heading: "Options",
            options: &[
                Opt::flag(
                    "daemon",
                    "Run in the background, logging to $LOG_DIR/kafkaServer.out",
                ),
                Opt::value("override", "K=V", "A property that wins over the file").repeatable(),
                Opt::flag("help", "Show this help"),
                Opt::flag("version", "Show the version"),
            ],
        }],
        after: "",
    },
    files: &[Files {
        name: "server.properties",
        help: "The settings of the broker",
        one: true,
    }],
};

/// What a shell reports of a process that a signal ended: 128 and SIGINT.
const INTERRUPTED: i32 = 130;
/// The same signal again within this time is the first one's echo: `timeout`, among others, signals a process and then its
/// group.
const ECHO: Duration = Duration::from_millis(250);

/// The command line, read.
struct Arguments {
    daemon: bool,
    file: String,
    overrides: Vec<String>,
}

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let args = &invocation.args;
    if args.iter().any(|arg| arg == "--version") {
        let mut printer = Printer::default();
        printer.line(KAFKA_VERSION)?;
        printer.flush()?;
        return Ok(Exit::SUCCESS);
    }
    if args.is_empty() || args.iter().any(|arg| arg == "--help" || arg == "-h") {
        let command = command_with_files(&TOOL, &invocation.program);
        usage::help(command, &invocation)?;
        return Ok(Exit::FAILURE);
    }
    let arguments = match parse(args) {
        Ok(arguments) => arguments,
        Err(error) => return Ok(usage::refuse(&TOOL.definition, &invocation, &error)),
    };
    if arguments.daemon {
        return in_background(&arguments);
    }
    serve(&arguments)
}

fn parse(args: &[String]) -> Result<Arguments, UsageError> {
    let mut args = args.iter();
    let mut arguments = Arguments {
        daemon: false,
        file: String::new(),
        overrides: Vec::new(),
    };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "-daemon" | "--daemon" => arguments.daemon = true,
            "--override" => {
                let missing = OptionError::MissingArgument("override");
                arguments
                    .overrides
                    .push(args.next().ok_or(missing)?.clone());
            }
            text => match (text.strip_prefix("--override="), text.strip_prefix("--")) {
                (Some(pair), _) => arguments.overrides.push(pair.to_owned()),
                (None, Some(name)) => {
                    return Err(OptionError::Unrecognized(name.to_owned()).into());
                }
                (None, None) if arguments.file.is_empty() => text.clone_into(&mut arguments.file),
                (None, None) => {
                    let more = format!("Found non argument parameters: {text}");
                    return Err(UsageError(more));
                }
            },
        }
    }
    if arguments.file.is_empty() {
        return Err(UsageError("A server.properties file is needed".to_owned()));
    }
    Ok(arguments)
}

fn in_background(arguments: &Arguments) -> anyhow::Result<Exit> {
    let mut again = vec!["server-start".to_owned(), arguments.file.clone()];
    for pair in &arguments.overrides {
        again.extend(["--override".to_owned(), pair.clone()]);
    }
    super::daemon::start("kafkaServer", &again)
}

fn serve(arguments: &Arguments) -> anyhow::Result<Exit> {
    let mut file = Properties::load(&arguments.file)?;
    config::apply_overrides(&mut file, &arguments.overrides)?;
    let report = config::check(&file);
    for warning in &report.warnings {
        warn!("{}: {warning}", arguments.file);
    }
    let Some(settings) = report.config else {
        for error in report.errors {
            message(format!("{}: {error}", arguments.file));
        }
        return Ok(Exit::FAILURE);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    // Before the node starts, so that a signal during a long recovery is not lost.
    let signals = Signals::install(&runtime)?;
    let shown: Vec<String> = settings
        .listeners
        .advertised
        .iter()
        .map(ToString::to_string)
        .collect();
    let (node_id, dirs) = (settings.node_id, settings.log_dirs.clone());
    loggers::on_change(Box::new(logging::change));
    let node = Node::start(settings, runtime.handle())?;
    let dirs: Vec<_> = dirs.iter().map(|dir| dir.display().to_string()).collect();
    info!(
        "node {node_id} serves {} from {}",
        shown.join(", "),
        dirs.join(", ")
    );
    runtime.block_on(until_stopped(node, signals));
    // What is still parked on the blocking pool waits for nothing that matters any more.
    runtime.shutdown_background();
    Ok(Exit::SUCCESS)
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn install(runtime: &Runtime) -> anyhow::Result<Signals> {
        let _entered = runtime.enter();
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> SignalKind {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
        }
    }

    /// A second signal that is meant as one.
    async fn again(&mut self, first: SignalKind) {
        let echo_ends = Instant::now() + ECHO;
        while self.next().await == first && Instant::now() < echo_ends {}
    }
}

async fn until_stopped(node: Node, mut signals: Signals) {
    let first = signals.next().await;
    tokio::select! {
        () = node.stop() => {}
        () = signals.again(first) => {
            warn!("stopped at once: the next start recovers the logs");
            std::process::exit(INTERRUPTED);
        }
    }
}
