//! `connect-standalone`: a Connect worker that runs the connectors of its command line.
use std::path::Path;

use anyhow::Context as _;

use super::options::{Definition, Files, Group, Opt, WithFiles, command_with_files};
use super::output::Invocation;
use super::registry::Exit;
use super::usage;
use crate::config::Properties;
use crate::connect::StandaloneWorker;
use crate::connect::worker_config::WorkerConfig;

pub static TOOL: WithFiles = WithFiles {
    definition: Definition {
        name: "connect-standalone",
        about: "Runs connectors in one process; Ctrl-C or SIGTERM stops them.",
        groups: &[Group {
            heading: "Options",
            options: &[
                Opt::flag(
                    "daemon",
                    "Run in the background, logging to $LOG_DIR/connectStandalone.out",
                ),
                Opt::flag("help", "Show this help"),
            ],
        }],
        after: "",
    },
    files: &[
        Files {
            name: "worker.properties",
            help: "The settings of the worker",
            one: true,
        },
        Files {
            name: "connector.properties|.json",
            help: "The settings of each connector",
            one: false,
        },
    ],
};

/// The worker cannot start.
const CANNOT_START: Exit = Exit(2);
/// A connector cannot be created.
const BAD_CONNECTOR: Exit = Exit(3);

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let mut args = invocation.args.as_slice();
    let is_daemon = |word: &String| word == "-daemon" || word == "--daemon";
    let daemon = args.first().is_some_and(is_daemon);
    if daemon {
        args = args.get(1..).unwrap_or_default();
    }
    let (worker, connectors) = match args {
        [] => return help(&invocation),
        all if all.iter().any(|word| word == "--help" || word == "-h") => {
            return help(&invocation);
        }
        [worker, connectors @ ..] => (worker, connectors),
    };
    if daemon {
        let again = std::iter::once("connect-standalone".to_owned()).chain(args.iter().cloned());
        return super::daemon::start("connectStandalone", &again.collect::<Vec<_>>());
    }
    start(worker, connectors).or_else(|error| {
        tracing::error!("stopping: {error:#}");
        Ok(CANNOT_START)
    })
}

fn help(invocation: &Invocation) -> anyhow::Result<Exit> {
    usage::help(command_with_files(&TOOL, &invocation.program), invocation)?;
    Ok(Exit::FAILURE)
}

fn start(worker: &str, connectors: &[String]) -> anyhow::Result<Exit> {
    let config = WorkerConfig::standalone(&load_properties(worker)?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let exit = runtime.block_on(async {
        let worker = StandaloneWorker::start(config).await?;
        let mut exit = Exit::SUCCESS;
        for file in connectors {
            let created = load(Path::new(file)).and_then(|config| Ok(worker.create(config)?));
            if let Err(error) = created {
                tracing::error!("stopping, the connector of {file} cannot be created: {error:#}");
                exit = BAD_CONNECTOR;
                break;
            }
        }
        if exit == Exit::SUCCESS {
            asked_to_stop().await?;
        }
        tracing::info!("stopping");
        tokio::select! {
            () = worker.stop() => {}
            // A second signal: the user does not want to wait.
            again = asked_to_stop() => again?,
        }
        anyhow::Ok(exit)
    });
    // What waits for standard input would be waited for.
    runtime.shutdown_background();
    exit
}

/// The error's own text names its cause already.
fn load_properties(path: impl AsRef<Path>) -> anyhow::Result<Properties> {
    Properties::load(path).map_err(|error| anyhow::Error::msg(error.to_string()))
}

/// A connector's file: properties, or JSON of one of the three shapes that Kafka takes.
fn load(path: &Path) -> anyhow::Result<Properties> {
    if path.extension().is_none_or(|extension| extension != "json") {
        return load_properties(path);
    }
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    parse_json(&text).with_context(|| format!("{shown}"))
}

fn parse_json(text: &str) -> anyhow::Result<Properties> {
    let json: serde_json::Value = serde_json::from_str(text)?;
    let object = json.as_object().context("expected a JSON object")?;
    let mut properties = Properties::new();
    let mut flat = object;
    if let (Some(name), Some(config)) = (object.get("name"), object.get("config")) {
        for (key, value) in object {
            match key.as_str() {
                "name" | "config" => {}
                "initial_state" => {
                    let state = value.as_str().unwrap_or_default();
                    anyhow::ensure!(
                        value.is_null() || state.eq_ignore_ascii_case("running"),
                        "initial_state={value}: only RUNNING is built in yet"
                    );
                }
                key => anyhow::bail!("unknown field {key}, expected name, config, initial_state"),
            }
        }
        flat = config
            .as_object()
            .context("config: expected a JSON object")?;
        let name = name.as_str().context("name: expected a text")?;
        properties.set("name", name);
        if let Some(other) = flat
            .get("name")
            .filter(|other| other.as_str() != Some(name))
        {
            anyhow::bail!("the name {name} is another than that in config, {other}");
        }
    }
    for (key, value) in flat {
        match value {
            serde_json::Value::String(text) => properties.set(key, text.as_str()),
            serde_json::Value::Number(number) => properties.set(key, number.to_string()),
            serde_json::Value::Bool(yes) => properties.set(key, yes.to_string()),
            _ => anyhow::bail!("{key}: expected a text"),
        }
    }
    Ok(properties)
}

/// Waits for Ctrl-C or SIGTERM.
async fn asked_to_stop() -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        }
    }
    #[cfg(not(unix))]
    {
        Ok(tokio::signal::ctrl_c().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_shapes_of_a_connector_in_json() {
        for text in [
            r#"{"name":"c","connector.class":"X","tasks.max":2}"#,
            r#"{"name":"c","config":{"connector.class":"X","tasks.max":"2"}}"#,
            concat!(
                r#"{"name":"c","config":{"name":"c","connector.class":"X","tasks.max":"2"},"#,
                r#""initial_state":"RUNNING"}"#,
            ),
        ] {
            let properties = parse_json(text).unwrap();
            let values = ["name", "connector.class", "tasks.max"].map(|key| properties.get(key));
            assert_eq!(values, [Some("c"), Some("X"), Some("2")], "{text}");
        }
    }

    #[test]
    fn other_json_is_refused() {
        for (text, start) in [
            ("[]", "expected a JSON object"),
            ("{", "EOF"),
            (r#"{"name":"c","a":{}}"#, "a: expected a text"),
            (r#"{"name":"c","config":{},"x":1}"#, "unknown field x"),
            (
                r#"{"name":"c","config":{"name":"d"}}"#,
                "the name c is another",
            ),
            (
                r#"{"name":"c","config":{},"initial_state":"PAUSED"}"#,
                "initial_state=\"PAUSED\": only",
            ),
        ] {
            let error = parse_json(text).unwrap_err().to_string();
            assert!(error.starts_with(start), "{text}: {error}");
        }
    }
}
