//! The levels of this process's log, which may change while it runs: of all of it (`root`), or of one room.
//!
//! The names are those of rooms, `kafkars.broker` say, as Kafka's are those of its packages. Levels are not kept: a
//! node starts with those of its command line.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use parking_lot::Mutex;
use tracing::level_filters::LevelFilter;

use crate::controller::ApiError;
use crate::protocol::ErrorCode;
use crate::protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};

/// The logger of all that has no level of its own.
pub const ROOT: &str = "root";
const ROOMS: [&str; 12] = [
    "kafkars.broker",
    "kafkars.client",
    "kafkars.config",
    "kafkars.connect",
    "kafkars.controller",
    "kafkars.coordinator",
    "kafkars.log",
    "kafkars.metadata",
    "kafkars.net",
    "kafkars.raft",
    "kafkars.record",
    "kafkars.tools",
];
const LEVELS: [(&str, LevelFilter); 6] = [
    ("DEBUG", LevelFilter::DEBUG),
    ("ERROR", LevelFilter::ERROR),
    ("FATAL", LevelFilter::ERROR),
    ("INFO", LevelFilter::INFO),
    ("TRACE", LevelFilter::TRACE),
    ("WARN", LevelFilter::WARN),
];

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

/// Takes the level of everything else, and of targets (`kafkars::broker`) that have their own.
type Apply = Box<dyn Fn(LevelFilter, &[(String, LevelFilter)]) + Send + Sync>;

static APPLY: OnceLock<Apply> = OnceLock::new();

/// Whoever writes the log says how its levels are changed. Later calls change nothing.
pub fn on_change(apply: Apply) {
    let _ = APPLY.set(apply);
}

/// Level by logger; rooms that are not in it have the root's.
#[derive(Debug)]
pub struct Loggers {
    levels: Mutex<BTreeMap<&'static str, &'static str>>,
}

impl Default for Loggers {
    fn default() -> Loggers {
        Loggers {
            levels: Mutex::new(BTreeMap::from([(ROOT, "INFO")])),
        }
    }
}

impl Loggers {
    /// All loggers with their levels, the root first.
    pub fn levels(&self) -> Vec<(&'static str, &'static str)> {
        let levels = self.levels.lock();
        let root = levels.get(ROOT).copied().unwrap_or("INFO");
        let rooms = ROOMS
            .iter()
            .map(|room| (*room, *levels.get(room).unwrap_or(&root)));
        std::iter::once((ROOT, root)).chain(rooms).collect()
    }

    /// Alters levels, all that are asked for or none.
    pub fn alter(
        &self,
        node_id: i32,
        resource: &AlterConfigsResource,
        validate_only: bool,
    ) -> Result<(), ApiError> {
        check_values(&resource.configs)?;
        let name = &resource.resource_name;
        match name.parse::<i32>() {
            Ok(id) if id == node_id => {}
            Ok(id) => {
                return Err(invalid(format!(
                    "Unexpected node id. Expected {node_id}, but received {id}"
                )));
            }
            Err(_) => {
                return Err(invalid(format!(
                    "Node id must be an integer, but it is: {name}"
                )));
            }
        }
        let changes: Vec<_> = resource
            .configs
            .iter()
            .map(change)
            .collect::<Result<_, _>>()?;
        if validate_only {
            return Ok(());
        }
        let mut levels = self.levels.lock();
        for (logger, level) in changes {
            match level {
                Some(level) => levels.insert(logger, level),
                None => levels.remove(logger),
            };
        }
        apply(&levels);
        Ok(())
    }
}

fn apply(levels: &BTreeMap<&'static str, &'static str>) {
    let filter = |level: &str| {
        let known = LEVELS.iter().find(|(name, _)| *name == level);
        known.map_or(LevelFilter::INFO, |(_, filter)| *filter)
    };
    let root = levels
        .get(ROOT)
        .map_or(LevelFilter::INFO, |level| filter(level));
    let rooms = levels.iter().filter(|(logger, _)| **logger != ROOT);
    let targets: Vec<(String, LevelFilter)> = rooms
        .map(|(logger, level)| (logger.replace('.', "::"), filter(level)))
        .collect();
    if let Some(apply) = APPLY.get() {
        apply(root, &targets);
    }
}

fn check_values(changes: &[AlterableConfig]) -> Result<(), ApiError> {
    let nulls: Vec<&str> = changes
        .iter()
        .filter(|change| change.config_operation != DELETE && change.value.is_none())
        .map(|change| change.name.as_str())
        .collect();
    match nulls.is_empty() {
        true => Ok(()),
        false => Err(invalid(format!(
            "Null value not supported for : {}",
            nulls.join(", ")
        ))),
    }
}

/// The logger, and its new level; none to have the root's.
fn change(change: &AlterableConfig) -> Result<(&'static str, Option<&'static str>), ApiError> {
    let name = change.name.as_str();
    let known = std::iter::once(&ROOT)
        .chain(&ROOMS)
        .find(|logger| **logger == name);
    let refused = |message: String| ApiError {
        code: ErrorCode::InvalidConfig,
        message: Some(message),
    };
    let logger = || {
        known
            .copied()
            .ok_or_else(|| refused(format!("Logger {name} does not exist!")))
    };
    match change.config_operation {
        SET => {
            let logger = logger()?;
            let wanted = change.value.as_deref().unwrap_or_default();
            let level = LEVELS.iter().find(|(level, _)| *level == wanted);
            let level = level.ok_or_else(|| {
                let valid: Vec<&str> = LEVELS.iter().map(|(level, _)| *level).collect();
                refused(format!(
                    "Cannot set the log level of {name} to {wanted} as it is not a supported log \
                     level. Valid log levels are {}",
                    valid.join(", ")
                ))
            })?;
            Ok((logger, Some(level.0)))
        }
        DELETE => match logger()? {
            ROOT => Err(invalid(
                "Removing the log level of the root logger is not allowed".to_owned(),
            )),
            room => Ok((room, None)),
        },
        APPEND => Err(not_allowed("APPEND")),
        SUBTRACT => Err(not_allowed("SUBTRACT")),
        _ => Err(ErrorCode::UnknownServerError.into()),
    }
}

fn not_allowed(operation: &str) -> ApiError {
    invalid(format!(
        "{operation} operation is not allowed for the BROKER_LOGGER resource"
    ))
}

fn invalid(message: String) -> ApiError {
    ApiError {
        code: ErrorCode::InvalidRequest,
        message: Some(message),
    }
}
