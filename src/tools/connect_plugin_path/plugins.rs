//! The plugins of a location, as its manifests (`META-INF/services`) name them, and whether their
//! classes are there.
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::archive::Archive;

/// A kind of plugin: its name in the table, and the class that its plugins are made of.
struct Kind {
    name: &'static str,
    class: &'static str,
}

const KINDS: [Kind; 9] = [
    Kind {
        name: "source",
        class: "org.apache.kafka.connect.source.SourceConnector",
    },
    Kind {
        name: "sink",
        class: "org.apache.kafka.connect.sink.SinkConnector",
    },
    Kind {
        name: "converter",
        class: "org.apache.kafka.connect.storage.Converter",
    },
    Kind {
        name: "header_converter",
        class: "org.apache.kafka.connect.storage.HeaderConverter",
    },
    Kind {
        name: "transformation",
        class: "org.apache.kafka.connect.transforms.Transformation",
    },
    Kind {
        name: "predicate",
        class: "org.apache.kafka.connect.transforms.predicates.Predicate",
    },
    Kind {
        name: "configprovider",
        class: "org.apache.kafka.common.config.provider.ConfigProvider",
    },
    Kind {
        name: "rest_extension",
        class: "org.apache.kafka.connect.rest.ConnectRestExtension",
    },
    Kind {
        name: "connector_client_config_override_policy",
        class: "org.apache.kafka.connect.connector.policy.ConnectorClientConfigOverridePolicy",
    },
];

/// A plugin that a manifest names.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Plugin {
    pub class: String,
    pub kind: &'static str,
    /// Other names that a connector's configuration may use; none where the class is missing.
    pub aliases: Vec<String>,
    pub has_class: bool,
}

/// Where a location's classes are.
enum Source {
    Archives(Vec<Archive>),
    Directory(PathBuf),
}

/// Whether anything of Java is there at all, and the plugins among it, by name.
pub fn plugins(location: &Path) -> anyhow::Result<(bool, BTreeSet<Plugin>)> {
    let mut found = Found::default();
    if is_archive(location) {
        found.archives.insert(location.to_owned());
    } else {
        collect(location, &mut found, &mut BTreeSet::new())?;
    }
    let source = match found.archives.is_empty() && found.classes {
        true => Source::Directory(location.to_owned()),
        false => {
            let archives = found.archives.iter().map(|path| Archive::open(path));
            Source::Archives(archives.collect::<anyhow::Result<_>>()?)
        }
    };
    let mut plugins = BTreeSet::new();
    for kind in &KINDS {
        for manifest in source.texts(&format!("META-INF/services/{}", kind.class))? {
            for class in classes(&manifest) {
                plugins.insert(kind.plugin(class, source.contains(class)));
            }
        }
    }
    Ok((found.classes || !found.archives.is_empty(), plugins))
}

#[derive(Default)]
struct Found {
    archives: BTreeSet<PathBuf>,
    classes: bool,
}

fn collect(
    directory: &Path,
    found: &mut Found,
    visited: &mut BTreeSet<PathBuf>,
) -> anyhow::Result<()> {
    if !visited.insert(directory.canonicalize()?) {
        return Ok(());
    }
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, found, visited)?;
        } else if is_archive(&path) {
            found.archives.insert(path);
        } else if has_suffix(&path, "class") {
            found.classes = true;
        }
    }
    Ok(())
}

pub fn is_archive(path: &Path) -> bool {
    !path.is_dir() && (has_suffix(path, "jar") || has_suffix(path, "zip"))
}

/// What a plugin path lists: directories, archives and classes.
pub fn is_location(path: &Path) -> bool {
    path.is_dir() || is_archive(path) || has_suffix(path, "class")
}

fn has_suffix(path: &Path, suffix: &str) -> bool {
    path.extension()
        .is_some_and(|found| found.eq_ignore_ascii_case(suffix))
}

impl Source {
    fn texts(&self, name: &str) -> anyhow::Result<Vec<String>> {
        match self {
            Self::Archives(archives) => {
                let texts = archives.iter().map(|archive| archive.text(name));
                texts.filter_map(Result::transpose).collect()
            }
            Self::Directory(directory) => match std::fs::read_to_string(directory.join(name)) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
                text => Ok(vec![text?]),
            },
        }
    }

    fn contains(&self, class: &str) -> bool {
        let name = format!("{}.class", class.replace('.', "/"));
        match self {
            Self::Archives(archives) => archives.iter().any(|archive| archive.contains(&name)),
            Self::Directory(directory) => directory.join(name).is_file(),
        }
    }
}

/// The names in a manifest; what stands behind a `#` is a comment.
fn classes(manifest: &str) -> impl Iterator<Item = &str> {
    let lines = manifest.lines();
    let names = lines.map(|line| line.split('#').next().unwrap_or_default().trim());
    names.filter(|name| !name.is_empty() && !name.contains([' ', '\t', '/']))
}

impl Kind {
    fn plugin(&self, class: &str, has_class: bool) -> Plugin {
        let simple = class.rsplit(['.', '$']).next().unwrap_or_default();
        let suffix = match self.name {
            "source" | "sink" => "Connector",
            _ => self.class.rsplit('.').next().unwrap_or_default(),
        };
        let pruned = match simple.rfind(suffix) {
            Some(at) if at > 0 => simple.get(..at).unwrap_or_default(),
            _ => simple,
        };
        let mut aliases = vec![simple.to_owned(), pruned.to_owned()];
        aliases.dedup();
        if !has_class {
            aliases.clear();
        }
        Plugin {
            class: class.to_owned(),
            kind: self.name,
            aliases,
            has_class,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::archive::tests::jar;
    use super::*;

    #[test]
    fn manifests_name_plugins_and_classes_make_them_loadable() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = jar(&[
            (
                "META-INF/services/org.apache.kafka.connect.sink.SinkConnector",
                "# ours\nx.y.FancySinkConnector\nx.Gone # away\n",
            ),
            (
                "META-INF/services/org.apache.kafka.connect.transforms.Transformation",
                "x.Cast$Key",
            ),
            ("x/y/FancySinkConnector.class", ""),
            ("x/Cast$Key.class", ""),
        ]);
        std::fs::write(dir.path().join("a.jar"), bytes).unwrap();
        let (is_java, plugins) = plugins(dir.path()).unwrap();
        assert!(is_java);
        let shown: Vec<_> = plugins
            .iter()
            .map(|p| (p.class.as_str(), p.kind, p.aliases.join(" "), p.has_class))
            .collect();
        assert_eq!(
            shown,
            [
                ("x.Cast$Key", "transformation", "Key".to_owned(), true),
                ("x.Gone", "sink", String::new(), false),
                (
                    "x.y.FancySinkConnector",
                    "sink",
                    "FancySinkConnector FancySink".to_owned(),
                    true
                ),
            ]
        );
    }

    #[test]
    fn a_directory_without_java_has_none() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("readme.txt"), "x").unwrap();
        assert_eq!(plugins(dir.path()).unwrap(), (false, BTreeSet::new()));
    }
}
