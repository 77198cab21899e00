//! The node's directories: locked, formatted if they are new, and checked to be this node's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::info;

use super::dispatch::now_ms;
use super::start::StartError;
use crate::config::BrokerConfig;
use crate::log::directory::{DirectoryLock, create_log_dir};
use crate::log::error::At;
use crate::log::health::Health;
use crate::log::{LogError, reserve};
use crate::metadata::format::{Formatter, InitialQuorum};
use crate::metadata::properties::{MetaProperties, MetaPropertiesEnsemble, PropertiesError};
use crate::protocol::Uuid;

/// The directories of a running node, locked as long as this lives.
#[derive(Debug)]
pub struct Storage {
    pub cluster_id: String,
    /// `directory.id` of each of `log.dirs` that is online.
    pub log_dir_ids: BTreeMap<PathBuf, Uuid>,
    pub metadata_dir_id: Uuid,
    pub health: Arc<Health>,
    _locks: Vec<DirectoryLock>,
}

/// Makes the directories of `config` ready for use. One that cannot be used is offline, and the others go on without
/// it, unless it is the metadata log's or the last.
pub fn open(config: &BrokerConfig) -> Result<Storage, StartError> {
    let mut dirs = config.log_dirs.clone();
    if !dirs.contains(&config.metadata_log_dir) {
        dirs.push(config.metadata_log_dir.clone());
    }
    let health = Arc::new(Health::new(&dirs));
    let mut locks = Vec::with_capacity(dirs.len());
    for dir in &dirs {
        match prepare(dir) {
            Ok(lock) => {
                locks.push(lock);
                use_reserve_if_full(&health, dir);
            }
            Err(e) => set_aside(config, &health, dir, e)?,
        }
    }
    let mut ensemble = load(config, &health)?;
    if !ensemble.empty.is_empty() {
        format(config, &online(&health), &ensemble)?;
        ensemble = load(config, &health)?;
    }
    ensemble.verify(None, Some(config.node_id))?;
    ensemble.assign_directory_ids(|| fastrand::u128(..))?;
    if !config
        .log_dirs
        .iter()
        .any(|dir| ensemble.formatted.contains_key(dir))
    {
        return Err(StartError::NoLogDirectory);
    }
    let id_of = |dir: &Path| {
        let properties = ensemble.formatted.get(dir);
        properties.map(|p| p.directory_id.unwrap_or(Uuid::ZERO))
    };
    Ok(Storage {
        cluster_id: ensemble.cluster_id().unwrap_or_default().to_owned(),
        log_dir_ids: config
            .log_dirs
            .iter()
            .filter_map(|dir| Some((dir.clone(), id_of(dir)?)))
            .collect(),
        metadata_dir_id: id_of(&config.metadata_log_dir).unwrap_or(Uuid::ZERO),
        health,
        _locks: locks,
    })
}

fn prepare(dir: &Path) -> Result<DirectoryLock, StartError> {
    create_log_dir(dir)?;
    // A directory that cannot be listed is of no use, however well it can be locked.
    std::fs::read_dir(dir).at(dir)?;
    Ok(DirectoryLock::acquire(dir)?)
}

/// A node that finds no room starts on what was held in reserve.
fn use_reserve_if_full(health: &Health, dir: &Path) {
    let is_full = reserve::room(dir).is_ok_and(|(free, _)| free < reserve::START_BYTES);
    if let Some(dir) = health.of(dir).filter(|_| is_full) {
        dir.note_full();
    }
}

/// Takes a directory that cannot be used offline; an error where the node cannot do without it, or somebody else uses
/// it.
fn set_aside(
    config: &BrokerConfig,
    health: &Health,
    dir: &Path,
    error: StartError,
) -> Result<(), StartError> {
    let is_fault = matches!(
        error,
        StartError::Log(LogError::Io { .. })
            | StartError::Properties(
                PropertiesError::Read { .. } | PropertiesError::Malformed { .. }
            )
    );
    if !is_fault || dir == config.metadata_log_dir {
        return Err(error);
    }
    if let Some(dir) = health.of(dir) {
        dir.fail(error.to_string());
    }
    Ok(())
}

fn online(health: &Health) -> Vec<PathBuf> {
    let online = health.dirs().iter().filter(|dir| !dir.is_offline());
    online.map(|dir| dir.path().to_owned()).collect()
}

fn load(config: &BrokerConfig, health: &Health) -> Result<MetaPropertiesEnsemble, StartError> {
    let mut ensemble = MetaPropertiesEnsemble::default();
    for dir in online(health) {
        match MetaProperties::read(&dir) {
            Ok(Some(properties)) => drop(ensemble.formatted.insert(dir, properties)),
            Ok(None) => ensemble.empty.push(dir),
            Err(e) => set_aside(config, health, &dir, e.into())?,
        }
    }
    Ok(ensemble)
}

/// Formats what is empty: all of it as a new cluster, or a directory that was added to an old one.
fn format(
    config: &BrokerConfig,
    dirs: &[PathBuf],
    ensemble: &MetaPropertiesEnsemble,
) -> Result<(), StartError> {
    let known = ensemble.cluster_id().map(str::to_owned);
    let is_new = known.is_none();
    let cluster_id = known.unwrap_or_else(|| Uuid::from_random(fastrand::u128(..)).to_string());
    let quorum = match (&config.quorum_voter, is_new) {
        (None, true) => dynamic_quorum(config)?,
        _ => InitialQuorum::Static,
    };
    let formatter = Formatter {
        node_id: config.node_id,
        cluster_id: cluster_id.clone(),
        directories: dirs.to_vec(),
        metadata_directory: config.metadata_log_dir.clone(),
        release_version: None,
        feature_levels: Default::default(),
        scram: Vec::new(),
        quorum,
        ignore_formatted: true,
        unstable: false,
    };
    formatter.run(now_ms(), || fastrand::u128(..))?;
    for dir in &ensemble.empty {
        info!(
            "formatted {} for cluster {cluster_id}: it was empty",
            dir.display()
        );
    }
    Ok(())
}

/// Without `controller.quorum.voters` the first voter stands in a snapshot: this node, as `storage format --standalone`
/// would have it.
fn dynamic_quorum(config: &BrokerConfig) -> Result<InitialQuorum, StartError> {
    use crate::metadata::format::DynamicVoter;
    let endpoint = config.listeners.advertised_controller.first();
    let endpoint = endpoint.ok_or(StartError::NoControllerListener)?;
    let voter = DynamicVoter {
        id: config.node_id,
        directory_id: Uuid::from_random(fastrand::u128(..)),
        host: endpoint.advertised_host(),
        port: endpoint.port,
    };
    Ok(InitialQuorum::Dynamic {
        listener: endpoint.name.clone(),
        voters: vec![voter],
    })
}
