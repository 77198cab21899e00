//! Formatting storage directories, as `kafka-storage format` does: `meta.properties` and
//! `bootstrap.checkpoint` in each, and in the metadata directory of a dynamic quorum its first
//! snapshot.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::batch::ControlRecord;
use super::feature::{FEATURES, Feature, FeatureError, KRAFT_VERSION};
use super::image::feature_level;
use super::properties::{
    MetaProperties, MetaPropertiesEnsemble, PropertiesError, is_reserved, new_directory_id,
};
use super::record::{MetadataRecord, VersionedRecord, v0};
use super::scram_argument::{self, ScramArgumentError};
use super::snapshot::{Snapshot, SnapshotError, SnapshotId};
use super::version::{FEATURE_NAME, MetadataVersion, UnknownVersion};
use crate::protocol::Uuid;
use crate::protocol::records::raft::{KRaftVersionRecord, VotersRecord, voters_record};

/// The directory of the metadata log within its storage directory.
pub const METADATA_LOG_DIRECTORY: &str = "__cluster_metadata-0";

/// What is to be formatted, and as what.
#[derive(Debug, Clone)]
pub struct Formatter {
    pub node_id: i32,
    pub cluster_id: String,
    /// All of `log.dirs` and `metadata.log.dir`.
    pub directories: Vec<PathBuf>,
    pub metadata_directory: PathBuf,
    pub release_version: Option<MetadataVersion>,
    /// Levels asked for by name.
    pub feature_levels: BTreeMap<String, i16>,
    /// Arguments of `--add-scram`.
    pub scram: Vec<String>,
    pub quorum: InitialQuorum,
    /// Accept directories that are formatted already, and format the others.
    pub ignore_formatted: bool,
    /// Allow metadata versions that are not stable.
    pub unstable: bool,
}

/// How the node's controllers find each other at first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InitialQuorum {
    /// By `controller.quorum.voters`.
    Static,
    /// By a quorum that exists elsewhere (`--no-initial-controllers`).
    Joining,
    /// By a snapshot that names them (`--standalone`, `--initial-controllers`).
    Dynamic {
        listener: String,
        voters: Vec<DynamicVoter>,
    },
}

/// One of the first voters of a dynamic quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DynamicVoter {
    pub id: i32,
    pub directory_id: Uuid,
    pub host: String,
    pub port: u16,
}

/// What formatting did.
#[derive(Debug, Clone, PartialEq)]
pub struct Formatted {
    pub version: MetadataVersion,
    /// What `bootstrap.checkpoint` holds.
    pub records: Vec<VersionedRecord>,
    /// In order of their paths; empty if all had been formatted before.
    pub directories: Vec<(PathBuf, DirectoryKind)>,
}

/// What a formatted directory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryKind {
    Data,
    Metadata,
    DynamicMetadata,
    DynamicMetadataVoter,
}

impl DirectoryKind {
    /// As `kafka-storage` names it.
    pub fn description(self) -> &'static str {
        match self {
            DirectoryKind::Data => "data directory",
            DirectoryKind::Metadata => "metadata directory",
            DirectoryKind::DynamicMetadata => "dynamic metadata directory",
            DirectoryKind::DynamicMetadataVoter => "dynamic metadata voter directory",
        }
    }
}

/// Why formatting was refused or failed. The texts are those of Kafka's tool.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    #[error("You must specify a valid non-negative node ID.")]
    NodeId,
    #[error("You must specify at least one directory to format")]
    NoDirectory,
    #[error(
        "The specified metadata log directory, {metadata} was not one of the given directories: \
         [{given}]"
    )]
    MetadataDirectory { metadata: String, given: String },
    #[error("Use --release-version instead of --feature metadata.version=X to avoid ambiguity.")]
    AmbiguousVersion,
    #[error("metadata.version {0} is not yet stable.")]
    Unstable(MetadataVersion),
    #[error("{0}")]
    Version(#[from] UnknownVersion),
    #[error("Unsupported feature: {name}. Supported features are: {supported}")]
    UnsupportedFeature { name: String, supported: String },
    #[error("{0}")]
    Feature(#[from] FeatureError),
    #[error(
        "Cannot set kraft.version to {0} unless controller.quorum.voters is empty and one of the \
         flags --standalone, --initial-controllers, or --no-initial-controllers is used. For \
         dynamic controllers support, try using one of --standalone, --initial-controllers, or \
         --no-initial-controllers and removing controller.quorum.voters."
    )]
    KRaftVersionOfStatic(i16),
    #[error(
        "Cannot set kraft.version to {0} if one of the flags --standalone, --initial-controllers, \
         or --no-initial-controllers is used. For dynamic controllers support, try removing the \
         --feature flag for kraft.version."
    )]
    KRaftVersionOfDynamic(i16),
    #[error("SCRAM is only supported in metadata.version 3.5-IV2 or later.")]
    ScramVersion,
    #[error("{0}")]
    Scram(#[from] ScramArgumentError),
    #[error(
        "Log directory {0} is already formatted. Use --ignore-formatted to ignore this directory \
         and format the others."
    )]
    AlreadyFormatted(String),
    #[error("{0}")]
    Properties(#[from] PropertiesError),
    #[error("Error while writing {path}: {source}")]
    Io {
        path: String,
        source: std::io::Error,
    },
    #[error("Error while writing {0}")]
    Snapshot(#[from] SnapshotError),
    #[error("{0}")]
    Voter(String),
}

impl Formatter {
    /// Formats what is not formatted. `random` gives ids and salts.
    pub fn run(
        &self,
        now_ms: i64,
        mut random: impl FnMut() -> u128,
    ) -> Result<Formatted, FormatError> {
        self.check()?;
        let version = self.version()?;
        let levels = self.levels(version)?;
        let mut records = bootstrap_records(&levels);
        if !self.scram.is_empty() && !version.supports_scram() {
            return Err(FormatError::ScramVersion);
        }
        for argument in &self.scram {
            records.push(v0(scram_argument::parse(argument, &mut random)?));
        }
        let ensemble = MetaPropertiesEnsemble::load(self.directories.iter().map(PathBuf::as_path))?;
        ensemble.verify(Some(&self.cluster_id), Some(self.node_id))?;
        if let Some((first, _)) = ensemble
            .formatted
            .first_key_value()
            .filter(|_| !self.ignore_formatted)
        {
            return Err(FormatError::AlreadyFormatted(first.display().to_string()));
        }
        let kraft_version = levels.get(KRAFT_VERSION).copied().unwrap_or(0);
        let mut directories = Vec::new();
        for directory in &ensemble.empty {
            let kind = self.kind(directory);
            self.format_directory(
                directory,
                kind,
                &records,
                kraft_version,
                now_ms,
                &mut random,
            )?;
            directories.push((directory.clone(), kind));
        }
        Ok(Formatted {
            version,
            records,
            directories,
        })
    }

    fn check(&self) -> Result<(), FormatError> {
        if self.node_id < 0 {
            return Err(FormatError::NodeId);
        }
        if self.directories.is_empty() {
            return Err(FormatError::NoDirectory);
        }
        if !self.directories.contains(&self.metadata_directory) {
            let shown = |path: &PathBuf| path.display().to_string();
            let given = self
                .directories
                .iter()
                .map(shown)
                .collect::<Vec<_>>()
                .join(", ");
            let metadata = shown(&self.metadata_directory);
            return Err(FormatError::MetadataDirectory { metadata, given });
        }
        Ok(())
    }

    fn version(&self) -> Result<MetadataVersion, FormatError> {
        let version = match (self.feature_levels.get(FEATURE_NAME), self.release_version) {
            (Some(_), Some(_)) => return Err(FormatError::AmbiguousVersion),
            (Some(level), None) => MetadataVersion::from_level(*level)?,
            (None, Some(version)) => version,
            (None, None) => MetadataVersion::LATEST_PRODUCTION,
        };
        if !self.unstable && !version.is_production() {
            return Err(FormatError::Unstable(version));
        }
        Ok(version)
    }

    /// Every feature's level: as asked for, or the release's default.
    fn levels(&self, version: MetadataVersion) -> Result<BTreeMap<String, i16>, FormatError> {
        let mut levels = BTreeMap::from([(FEATURE_NAME.to_owned(), version.level())]);
        for (name, level) in self
            .feature_levels
            .iter()
            .filter(|(name, _)| *name != FEATURE_NAME)
        {
            if Feature::by_name(name).is_none() {
                let mut supported: Vec<_> = FEATURES.iter().map(|feature| feature.name).collect();
                supported.sort_unstable();
                let supported = supported.join(", ");
                return Err(FormatError::UnsupportedFeature {
                    name: name.clone(),
                    supported,
                });
            }
            levels.insert(name.clone(), *level);
        }
        let kraft_version = self.kraft_version(levels.get(KRAFT_VERSION).copied())?;
        levels.insert(KRAFT_VERSION.to_owned(), kraft_version);
        for feature in FEATURES {
            let default = feature.default_level(version);
            levels.entry(feature.name.to_owned()).or_insert(default);
        }
        for feature in FEATURES {
            feature.check(levels.get(feature.name).copied().unwrap_or(0), &levels)?;
        }
        Ok(levels)
    }

    fn kraft_version(&self, asked: Option<i16>) -> Result<i16, FormatError> {
        let is_static = self.quorum == InitialQuorum::Static;
        match asked {
            Some(0) if !is_static => Err(FormatError::KRaftVersionOfDynamic(0)),
            Some(level) if level != 0 && is_static => Err(FormatError::KRaftVersionOfStatic(level)),
            Some(level) => Ok(level),
            None => Ok(i16::from(!is_static)),
        }
    }

    fn kind(&self, directory: &Path) -> DirectoryKind {
        if *directory != self.metadata_directory {
            return DirectoryKind::Data;
        }
        match self.own_voter() {
            Some(_) => DirectoryKind::DynamicMetadataVoter,
            None => match self.quorum {
                InitialQuorum::Dynamic { .. } => DirectoryKind::DynamicMetadata,
                InitialQuorum::Static | InitialQuorum::Joining => DirectoryKind::Metadata,
            },
        }
    }

    fn own_voter(&self) -> Option<&DynamicVoter> {
        match &self.quorum {
            InitialQuorum::Dynamic { voters, .. } => voters.iter().find(|v| v.id == self.node_id),
            _ => None,
        }
    }

    fn format_directory(
        &self,
        directory: &Path,
        kind: DirectoryKind,
        records: &[VersionedRecord],
        kraft_version: i16,
        now_ms: i64,
        random: &mut impl FnMut() -> u128,
    ) -> Result<(), FormatError> {
        let failed = |source| FormatError::Io {
            path: directory.display().to_string(),
            source,
        };
        std::fs::create_dir_all(directory).map_err(failed)?;
        let snapshot = Snapshot {
            records: records.to_vec(),
            ..Snapshot::default()
        };
        snapshot.write_bootstrap(directory, now_ms)?;
        if let (true, InitialQuorum::Dynamic { listener, voters }) =
            (*directory == self.metadata_directory, &self.quorum)
        {
            let log = directory.join(METADATA_LOG_DIRECTORY);
            std::fs::create_dir_all(&log).map_err(failed)?;
            let snapshot = Snapshot {
                last_contained_timestamp_ms: now_ms,
                quorum: quorum_records(kraft_version, listener, voters),
                records: Vec::new(),
            };
            snapshot.write(&log, SnapshotId::BOOTSTRAP, now_ms)?;
        }
        let directory_id = match (kind, self.own_voter()) {
            (DirectoryKind::DynamicMetadataVoter, Some(voter)) => voter.directory_id,
            _ => new_directory_id(random),
        };
        // Last: its presence says that the directory is formatted.
        let properties = MetaProperties {
            cluster_id: self.cluster_id.clone(),
            node_id: self.node_id,
            directory_id: Some(directory_id),
        };
        Ok(properties.write(directory)?)
    }
}

/// The records that a cluster with these levels starts from; a level of 0 needs no record, and
/// `kraft.version` is the quorum's own.
fn bootstrap_records(levels: &BTreeMap<String, i16>) -> Vec<VersionedRecord> {
    let metadata_version = levels.get(FEATURE_NAME).copied().unwrap_or(0);
    let others = levels
        .iter()
        .filter(|(name, level)| *name != FEATURE_NAME && *name != KRAFT_VERSION && **level > 0)
        .map(|(name, level)| feature_level(name, *level));
    std::iter::once(feature_level(FEATURE_NAME, metadata_version))
        .chain(others)
        .collect()
}

/// What a new cluster starts from if it was formatted without a `bootstrap.checkpoint`.
pub fn default_bootstrap_records() -> Vec<VersionedRecord> {
    let version = MetadataVersion::LATEST_PRODUCTION;
    let mut levels = BTreeMap::from([(FEATURE_NAME.to_owned(), version.level())]);
    for feature in FEATURES {
        levels.insert(feature.name.to_owned(), feature.default_level(version));
    }
    bootstrap_records(&levels)
}

fn quorum_records(
    kraft_version: i16,
    listener: &str,
    voters: &[DynamicVoter],
) -> Vec<ControlRecord> {
    let latest = Feature::by_name(KRAFT_VERSION).map_or(0, Feature::latest);
    let voters = voters
        .iter()
        .map(|voter| voters_record::Voter {
            voter_id: voter.id,
            voter_directory_id: voter.directory_id,
            endpoints: vec![voters_record::Endpoint {
                name: listener.to_owned(),
                host: voter.host.clone(),
                port: voter.port,
                ..Default::default()
            }],
            kraft_version_feature: voters_record::KRaftVersionFeature {
                min_supported_version: 0,
                max_supported_version: latest,
                ..Default::default()
            },
            ..Default::default()
        })
        .collect();
    vec![
        ControlRecord::KRaftVersion(KRaftVersionRecord {
            kraft_version,
            ..Default::default()
        }),
        ControlRecord::Voters(VotersRecord {
            voters,
            ..Default::default()
        }),
    ]
}

/// The voters of `--initial-controllers`: `ID@HOST:PORT:DIRECTORY-ID`, separated by commas.
pub fn parse_voters(text: &str) -> Result<Vec<DynamicVoter>, FormatError> {
    let mut voters: Vec<DynamicVoter> = Vec::new();
    for part in text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let voter = parse_voter(part).map_err(|problem| FormatError::Voter(problem.into()))?;
        if voters.iter().any(|other| other.id == voter.id) {
            return Err(FormatError::Voter(format!(
                "Duplicate voter id {}.",
                voter.id
            )));
        }
        voters.push(voter);
    }
    match voters.is_empty() {
        true => Err(FormatError::Voter("No voters given.".to_owned())),
        false => Ok(voters),
    }
}

fn parse_voter(text: &str) -> Result<DynamicVoter, &'static str> {
    let (id, rest) = text
        .split_once('@')
        .ok_or("No @ found in dynamic voter string.")?;
    let id: i32 = id
        .parse()
        .map_err(|_| "Failed to parse node id in dynamic voter string.")?;
    if id < 0 {
        return Err("Invalid negative node id in dynamic voter string.");
    }
    let (host, rest) = match rest.strip_prefix('[') {
        Some(bracketed) => bracketed
            .split_once("]:")
            .ok_or("Hostname began with left bracket, but no right bracket was found.")?,
        None => rest
            .split_once(':')
            .ok_or("No colon following hostname could be found.")?,
    };
    let (port, directory) = rest
        .split_once(':')
        .ok_or("No colon following port could be found.")?;
    let port = port
        .parse()
        .map_err(|_| "Failed to parse port in dynamic voter string.")?;
    let directory_id: Uuid = directory
        .parse()
        .map_err(|_| "Failed to parse directory ID in dynamic voter string.")?;
    if is_reserved(directory_id) {
        return Err("The directory ID in the dynamic voter string is reserved.");
    }
    Ok(DynamicVoter {
        id,
        directory_id,
        host: host.to_owned(),
        port,
    })
}

/// The line with which `kafka-storage format` shows the bootstrap records.
pub fn describe_bootstrap(records: &[VersionedRecord]) -> String {
    let mut text = String::from("Bootstrap metadata: BootstrapMetadata(records=[");
    let mut level = 0;
    for (at, versioned) in records.iter().enumerate() {
        text.push_str(if at == 0 {
            "ApiMessageAndVersion("
        } else {
            ", ApiMessageAndVersion("
        });
        // Writing to a string does not fail.
        let _ = match &versioned.record {
            MetadataRecord::FeatureLevel(record) => {
                if record.name == FEATURE_NAME {
                    level = record.feature_level;
                }
                let (name, level) = (&record.name, record.feature_level);
                write!(
                    text,
                    "FeatureLevelRecord(name='{name}', featureLevel={level})"
                )
            }
            MetadataRecord::UserScramCredential(record) => write!(
                text,
                "UserScramCredentialRecord(name='{}', mechanism={}, salt={:?}, storedKey={:?}, \
                 serverKey={:?}, iterations={})",
                record.name,
                record.mechanism,
                signed(&record.salt),
                signed(&record.stored_key),
                signed(&record.server_key),
                record.iterations
            ),
            other => write!(text, "{}()", other.name()),
        };
        let _ = write!(text, " at version {})", versioned.version);
    }
    let _ = write!(
        text,
        "], metadataVersionLevel={level}, source=format command)"
    );
    text
}

/// Bytes as Java shows them.
fn signed(bytes: &[u8]) -> Vec<i8> {
    bytes.iter().map(|byte| *byte as i8).collect()
}

#[cfg(test)]
mod tests;
