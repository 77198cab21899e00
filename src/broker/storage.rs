//! The node's directories: locked, formatted if they are new, and checked to be this node's.

use std::path::{Path, PathBuf};

use tracing::info;

use super::dispatch::now_ms;
use super::start::StartError;
use crate::config::BrokerConfig;
use crate::log::directory::{DirectoryLock, create_log_dir};
use crate::metadata::format::{Formatter, InitialQuorum};
use crate::metadata::properties::MetaPropertiesEnsemble;
use crate::protocol::Uuid;

/// The directories of a running node, locked as long as this lives.
#[derive(Debug)]
pub struct Storage {
    pub cluster_id: String,
    /// `directory.id` of each of `log.dirs`, in their order.
    pub log_dir_ids: Vec<Uuid>,
    pub metadata_dir_id: Uuid,
    _locks: Vec<DirectoryLock>,
}

/// Makes the directories of `config` ready for use.
pub fn open(config: &BrokerConfig) -> Result<Storage, StartError> {
    let mut dirs = config.log_dirs.clone();
    if !dirs.contains(&config.metadata_log_dir) {
        dirs.push(config.metadata_log_dir.clone());
    }
    let mut locks = Vec::with_capacity(dirs.len());
    for dir in &dirs {
        create_log_dir(dir)?;
        locks.push(DirectoryLock::acquire(dir)?);
    }
    let mut ensemble = load(&dirs)?;
    if !ensemble.empty.is_empty() {
        format(config, &dirs, &ensemble)?;
        ensemble = load(&dirs)?;
    }
    ensemble.verify(None, Some(config.node_id))?;
    ensemble.assign_directory_ids(|| fastrand::u128(..))?;
    let id_of = |dir: &Path| {
        let properties = ensemble.formatted.get(dir);
        properties
            .and_then(|p| p.directory_id)
            .unwrap_or(Uuid::ZERO)
    };
    Ok(Storage {
        cluster_id: ensemble.cluster_id().unwrap_or_default().to_owned(),
        log_dir_ids: config.log_dirs.iter().map(|dir| id_of(dir)).collect(),
        metadata_dir_id: id_of(&config.metadata_log_dir),
        _locks: locks,
    })
}

fn load(dirs: &[PathBuf]) -> Result<MetaPropertiesEnsemble, StartError> {
    Ok(MetaPropertiesEnsemble::load(
        dirs.iter().map(PathBuf::as_path),
    )?)
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
