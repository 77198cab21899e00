//! What tools that talk to a cluster share: their settings, their runtime, the words for failures.
use std::future::Future;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::signal::unix::{SignalKind, signal};

use super::registry::Exit;
use crate::client::{ClientConfig, ClientError};
use crate::config::{Properties, PropertiesError};

/// The settings file of `--command-config`, empty without one. A file that is not there is named
/// as Kafka names it: by its path alone.
pub fn load_properties(path: Option<&str>) -> anyhow::Result<Properties> {
    let Some(path) = path else {
        return Ok(Properties::new());
    };
    match Properties::load(path) {
        Err(PropertiesError::Read { source, .. })
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            anyhow::bail!("{path}\nThere is no such file.")
        }
        loaded => Ok(loaded?),
    }
}

/// The admin client's settings; a bad one is reported as Kafka's tools do.
pub fn admin_config(properties: &Properties) -> anyhow::Result<ClientConfig> {
    ClientConfig::from_properties(properties)
        .map_err(|error| anyhow::anyhow!("Failed to create new KafkaAdminClient\n{error}"))
}

/// Runs a tool's work on one thread.
pub fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

/// `TimeoutException`, with its package: how Kafka's log lines name a failure.
pub fn exception(error: &ClientError) -> String {
    let package = match error {
        ClientError::Config(_) => "org.apache.kafka.common.config",
        ClientError::IllegalState(_) | ClientError::Closed => "java.lang",
        _ => "org.apache.kafka.common.errors",
    };
    format!("{package}.{}", error.exception())
}

/// The time, in milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

/// Ctrl-C and `kill`: the first one ends a tool's work in order, the second one at once.
pub struct Interrupt {
    first: tokio::sync::watch::Receiver<Option<Exit>>,
}

impl Interrupt {
    /// How a shell expects a process to exit that `kill` ended.
    pub const TERMINATED: Exit = Exit(143);

    /// From here on signals no longer end the process on their own.
    pub fn listen() -> anyhow::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (sender, first) = tokio::sync::watch::channel(None);
        tokio::spawn(async move {
            let mut signalled = false;
            loop {
                let exit = tokio::select! {
                    _ = interrupt.recv() => Exit(130),
                    _ = terminate.recv() => Self::TERMINATED,
                };
                if signalled {
                    std::process::exit(i32::from(exit.0));
                }
                signalled = true;
                let _ = sender.send(Some(exit));
            }
        });
        Ok(Interrupt { first })
    }

    /// Waits for the first signal; how a shell expects the process to exit after it.
    pub async fn first(&self) -> Exit {
        let mut first = self.first.clone();
        match first.wait_for(Option::is_some).await {
            Ok(exit) => exit.unwrap_or(Exit::FAILURE),
            // Only when the runtime ends.
            Err(_) => std::future::pending().await,
        }
    }
}

/// A failure that Kafka's tools show as Java prints exceptions: with its class in front.
#[derive(Debug, thiserror::Error)]
#[error("{around}{}: {error}", exception(error))]
pub struct Thrown {
    around: &'static str,
    pub error: ClientError,
}

/// A failure that Kafka's tools tell in words that only Java knows.
#[derive(Debug, thiserror::Error)]
#[error("{kafka}")]
pub struct Worded {
    pub kafka: String,
    /// What people should read.
    pub plain: String,
}

/// `org.apache.kafka.common.errors.X: message`.
pub fn thrown(error: ClientError) -> anyhow::Error {
    anyhow::Error::new(Thrown { around: "", error })
}

/// The same, where Kafka's tool wraps it once more.
pub fn thrown_again(error: ClientError) -> anyhow::Error {
    let around = "java.util.concurrent.ExecutionException: ";
    anyhow::Error::new(Thrown { around, error })
}

/// The failure without Java's classes, for people.
pub fn plain(failure: &anyhow::Error) -> String {
    if let Some(thrown) = failure.downcast_ref::<Thrown>() {
        return thrown.error.to_string();
    }
    match failure.downcast_ref::<Worded>() {
        Some(worded) => worded.plain.clone(),
        None => failure.to_string(),
    }
}
