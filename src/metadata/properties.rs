//! `meta.properties`: whose storage directory this is.
//!
//! ```text
//! version=1            0 is the ZooKeeper era: refused
//! cluster.id=…         equal in all directories of a cluster
//! node.id=…            equal in all directories of a node
//! directory.id=…       different in each; base64url uuid; absent before 3.7
//! ```

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::files;
use crate::config::Properties;
use crate::protocol::Uuid;

pub const FILE_NAME: &str = "meta.properties";

/// The content of one `meta.properties` of version 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaProperties {
    pub cluster_id: String,
    pub node_id: i32,
    pub directory_id: Option<Uuid>,
}

/// Why a directory cannot be taken as storage of this node.
#[derive(Debug, thiserror::Error)]
pub enum PropertiesError {
    #[error("cannot read {path}: {source}")]
    Read { path: String, source: io::Error },
    #[error("cannot write {path}: {source}")]
    Write { path: String, source: io::Error },
    #[error("{path}: {problem}")]
    Malformed { path: String, problem: String },
    #[error(
        "{path} has version {version}: only directories of KRaft clusters (version=1) can be used; \
         migrate from ZooKeeper with Kafka 3.9 first"
    )]
    Version { path: String, version: String },
    #[error("Invalid cluster.id in: {path}. Expected {expected}, but read {found}")]
    OtherCluster {
        path: String,
        expected: String,
        found: String,
    },
    #[error(
        "Stored node id {found} doesn't match previous node id {expected} in {path}. If you moved \
         your data, make sure your configured node id matches. If you intend to create a new node, \
         you should remove all data in your data directories."
    )]
    OtherNode {
        path: String,
        expected: i32,
        found: i32,
    },
    #[error("Duplicate directory ID {id} found. It was the ID of {first}, but also of {second}")]
    DuplicateDirectory {
        id: Uuid,
        first: String,
        second: String,
    },
    #[error("Invalid reserved directory ID {id} found in {path}")]
    ReservedDirectory { id: Uuid, path: String },
}

impl MetaProperties {
    /// Reads the file of a storage directory; None if the directory was never formatted.
    pub fn read(directory: &Path) -> Result<Option<MetaProperties>, PropertiesError> {
        let path = directory.join(FILE_NAME);
        let shown = path.display().to_string();
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(PropertiesError::Read {
                    path: shown,
                    source,
                });
            }
        };
        Self::parse(&String::from_utf8_lossy(&bytes), &shown).map(Some)
    }

    fn parse(text: &str, path: &str) -> Result<MetaProperties, PropertiesError> {
        let malformed = |problem: String| PropertiesError::Malformed {
            path: path.to_owned(),
            problem,
        };
        let properties = Properties::parse(text).map_err(|error| malformed(error.to_string()))?;
        let required = |key: &str| {
            let value = properties.get(key);
            value.ok_or_else(|| malformed(format!("{key} is missing")))
        };
        let version = properties.get("version").unwrap_or("0");
        if version.trim() != "1" {
            let (path, version) = (path.to_owned(), version.to_owned());
            return Err(PropertiesError::Version { path, version });
        }
        let node_id = required("node.id")?;
        let directory_id = match properties.get("directory.id") {
            None => None,
            Some(text) => Some(
                text.trim()
                    .parse::<Uuid>()
                    .map_err(|_| malformed(format!("directory.id {text} is not a base64 uuid")))?,
            ),
        };
        Ok(MetaProperties {
            cluster_id: required("cluster.id")?.to_owned(),
            node_id: node_id
                .trim()
                .parse()
                .map_err(|_| malformed(format!("node.id {node_id} is not a number")))?,
            directory_id,
        })
    }

    /// Writes the file, replacing an older one whole.
    pub fn write(&self, directory: &Path) -> Result<(), PropertiesError> {
        let path = directory.join(FILE_NAME);
        let mut text = format!("#\nnode.id={}\n", self.node_id);
        if let Some(id) = self.directory_id {
            text.push_str(&format!("directory.id={id}\n"));
        }
        text.push_str(&format!("version=1\ncluster.id={}\n", self.cluster_id));
        files::replace(&path, ".tmp", 0o644, text.as_bytes()).map_err(|source| {
            PropertiesError::Write {
                path: path.display().to_string(),
                source,
            }
        })
    }
}

/// The storage directories of one node: which are formatted, and as what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetaPropertiesEnsemble {
    pub formatted: BTreeMap<PathBuf, MetaProperties>,
    /// Without the file, or not there at all.
    pub empty: Vec<PathBuf>,
}

impl MetaPropertiesEnsemble {
    /// Reads the files of all directories.
    pub fn load<'a>(
        directories: impl IntoIterator<Item = &'a Path>,
    ) -> Result<MetaPropertiesEnsemble, PropertiesError> {
        let mut ensemble = MetaPropertiesEnsemble::default();
        for directory in directories {
            match MetaProperties::read(directory)? {
                Some(properties) => {
                    ensemble.formatted.insert(directory.to_owned(), properties);
                }
                None => ensemble.empty.push(directory.to_owned()),
            }
        }
        ensemble.empty.sort();
        ensemble.empty.dedup();
        Ok(ensemble)
    }

    /// Refuses directories of another cluster or node, of two clusters at once, and directory ids
    /// that are reserved or used twice.
    pub fn verify(
        &self,
        cluster_id: Option<&str>,
        node_id: Option<i32>,
    ) -> Result<(), PropertiesError> {
        let mut cluster_id = cluster_id;
        let mut node_id = node_id;
        let mut seen: BTreeMap<Uuid, String> = BTreeMap::new();
        for (directory, properties) in &self.formatted {
            let path = directory.join(FILE_NAME).display().to_string();
            let expected = *cluster_id.get_or_insert(&properties.cluster_id);
            if expected != properties.cluster_id {
                let (expected, found) = (expected.to_owned(), properties.cluster_id.clone());
                return Err(PropertiesError::OtherCluster {
                    path,
                    expected,
                    found,
                });
            }
            let expected = *node_id.get_or_insert(properties.node_id);
            if expected != properties.node_id {
                let found = properties.node_id;
                return Err(PropertiesError::OtherNode {
                    path,
                    expected,
                    found,
                });
            }
            let Some(id) = properties.directory_id else {
                continue;
            };
            if is_reserved(id) {
                return Err(PropertiesError::ReservedDirectory { id, path });
            }
            let second = directory.display().to_string();
            if let Some(first) = seen.insert(id, second.clone()) {
                return Err(PropertiesError::DuplicateDirectory { id, first, second });
            }
        }
        Ok(())
    }

    /// The cluster that the formatted directories belong to.
    pub fn cluster_id(&self) -> Option<&str> {
        self.formatted
            .values()
            .next()
            .map(|properties| properties.cluster_id.as_str())
    }

    /// The node that the formatted directories belong to.
    pub fn node_id(&self) -> Option<i32> {
        self.formatted
            .values()
            .next()
            .map(|properties| properties.node_id)
    }

    /// Gives an id to every formatted directory that has none, as brokers since 3.7 do at start.
    pub fn assign_directory_ids(
        &mut self,
        mut random: impl FnMut() -> u128,
    ) -> Result<(), PropertiesError> {
        for (directory, properties) in &mut self.formatted {
            if properties.directory_id.is_none() {
                properties.directory_id = Some(new_directory_id(&mut random));
                properties.write(directory)?;
            }
        }
        Ok(())
    }
}

/// The first hundred ids have, or may get, a meaning of their own.
pub fn is_reserved(id: Uuid) -> bool {
    u128::from_be_bytes(*id.as_bytes()) < 100
}

/// A directory id that no other directory has.
pub fn new_directory_id(mut random: impl FnMut() -> u128) -> Uuid {
    Uuid::from_random(random())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENUINE: &str = "#\n#Fri Nov 20 21:34:05 UTC 2026\nnode.id=1\n\
        directory.id=o0klrL8yJRFItYJbrBMX1g\nversion=1\ncluster.id=4L6g3nShT-eMCtK--X86sw\n";

    fn genuine() -> MetaProperties {
        MetaProperties::parse(GENUINE, "meta.properties").unwrap()
    }

    #[test]
    fn kafkas_own_file_is_read_and_written_back() {
        let properties = genuine();
        assert_eq!(properties.node_id, 1);
        assert_eq!(
            properties.directory_id.unwrap().to_string(),
            "o0klrL8yJRFItYJbrBMX1g"
        );
        let directory = tempfile::tempdir().unwrap();
        properties.write(directory.path()).unwrap();
        assert_eq!(
            MetaProperties::read(directory.path()).unwrap(),
            Some(properties)
        );
    }

    #[test]
    fn files_of_the_zookeeper_era_are_refused() {
        for text in ["version=0\nbroker.id=1\n", "broker.id=1\n"] {
            let error = MetaProperties::parse(text, "meta.properties").unwrap_err();
            assert!(matches!(error, PropertiesError::Version { .. }), "{error}");
        }
    }

    #[test]
    fn directories_of_others_are_refused() {
        let ensemble = MetaPropertiesEnsemble {
            formatted: BTreeMap::from([(PathBuf::from("/d"), genuine())]),
            empty: Vec::new(),
        };
        assert!(ensemble.verify(None, Some(1)).is_ok());
        let error = ensemble
            .verify(Some("VVCqlWndQvC92f7oLk3SqQ"), None)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "Invalid cluster.id in: /d/meta.properties. Expected VVCqlWndQvC92f7oLk3SqQ, but read \
             4L6g3nShT-eMCtK--X86sw"
        );
        let error = ensemble.verify(None, Some(2)).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("Stored node id 1 doesn't match"),
            "{error}"
        );
    }

    #[test]
    fn a_directory_id_is_used_once() {
        let ensemble = MetaPropertiesEnsemble {
            formatted: BTreeMap::from([
                (PathBuf::from("/a"), genuine()),
                (PathBuf::from("/b"), genuine()),
            ]),
            empty: Vec::new(),
        };
        let error = ensemble.verify(None, None).unwrap_err();
        assert!(
            matches!(error, PropertiesError::DuplicateDirectory { .. }),
            "{error}"
        );
    }
}
