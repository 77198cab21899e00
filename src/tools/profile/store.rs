//! Where profiles are: a client's `.properties` file each, with `bootstrap.servers`, and the name of the one in use.
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};

use crate::config::Properties;

const BOOTSTRAP_SERVERS: &str = "bootstrap.servers";

/// A named cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    pub name: String,
    pub file: PathBuf,
    pub bootstrap_servers: String,
}

/// The profiles of a user.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
}

impl Store {
    /// In `$XDG_CONFIG_HOME/kafkars`, or `~/.config/kafkars`; `None` for a user without a home.
    pub fn of_user() -> Option<Store> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let config = set("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute());
        let config = config.or_else(|| Some(Path::new(&set("HOME")?).join(".config")))?;
        Some(Store::at(config.join("kafkars")))
    }

    pub fn at(directory: PathBuf) -> Store {
        Store { directory }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory
            .join("profiles")
            .join(format!("{name}.properties"))
    }

    /// Holds the name of the profile in use.
    fn current_file(&self) -> PathBuf {
        self.directory.join("profile")
    }

    /// In order of name.
    pub fn list(&self) -> anyhow::Result<Vec<Profile>> {
        let directory = self.directory.join("profiles");
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| directory.display().to_string()),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let name = name.to_str().and_then(|n| n.strip_suffix(".properties"));
            names.extend(
                name.filter(|name| check_name(name).is_ok())
                    .map(str::to_owned),
            );
        }
        names.sort_unstable();
        names.iter().map(|name| self.get(name)).collect()
    }

    pub fn get(&self, name: &str) -> anyhow::Result<Profile> {
        check_name(name)?;
        let file = self.file(name);
        if !file.is_file() {
            bail!("There is no profile '{name}': kafkars profile list shows those there are.");
        }
        let properties = Properties::load(&file)?;
        let bootstrap_servers = properties.get(BOOTSTRAP_SERVERS).unwrap_or_default();
        Ok(Profile {
            name: name.to_owned(),
            bootstrap_servers: bootstrap_servers.trim().to_owned(),
            file,
        })
    }

    /// Makes or replaces a profile. Only its user can read the file: it may hold passwords.
    pub fn set(&self, name: &str, mut properties: Properties, servers: &str) -> anyhow::Result<()> {
        check_name(name)?;
        properties.set(BOOTSTRAP_SERVERS, servers);
        let file = self.file(name);
        self.replace(&file, &properties.to_text(&[]))
    }

    pub fn remove(&self, name: &str) -> anyhow::Result<()> {
        let profile = self.get(name)?;
        fs::remove_file(&profile.file).with_context(|| profile.file.display().to_string())?;
        if self.current()?.as_deref() == Some(name) {
            self.use_none()?;
        }
        Ok(())
    }

    /// The name of the profile in use.
    pub fn current(&self) -> anyhow::Result<Option<String>> {
        let file = self.current_file();
        match fs::read_to_string(&file) {
            Ok(name) => Ok(Some(name.trim().to_owned()).filter(|name| !name.is_empty())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| file.display().to_string()),
        }
    }

    pub fn use_profile(&self, name: &str) -> anyhow::Result<()> {
        self.get(name)?;
        self.replace(&self.current_file(), &format!("{name}\n"))
    }

    pub fn use_none(&self) -> anyhow::Result<()> {
        let file = self.current_file();
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(anyhow!("{}: {error}", file.display()))
            }
            _ => Ok(()),
        }
    }

    fn replace(&self, file: &Path, text: &str) -> anyhow::Result<()> {
        let write = || {
            fs::create_dir_all(file.parent().unwrap_or(&self.directory))?;
            let aside = file.with_extension("tmp");
            let mut options = fs::OpenOptions::new();
            let options = options.write(true).create(true).truncate(true).mode(0o600);
            options.open(&aside)?.write_all(text.as_bytes())?;
            fs::rename(&aside, file)
        };
        write().with_context(|| file.display().to_string())
    }
}

/// A name becomes that of a file.
fn check_name(name: &str) -> anyhow::Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        bail!("'{name}' cannot name a profile: use letters, digits, dots, dashes and underscores.");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_kept_used_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path().join("kafkars"));
        assert_eq!(store.list().unwrap(), []);
        assert_eq!(store.current().unwrap(), None);

        let mut properties = Properties::new();
        properties.set("client.id", "me");
        store.set("prod", properties, "a:1,b:2").unwrap();
        store
            .set("dev", Properties::new(), "localhost:9092")
            .unwrap();
        let names = |store: &Store| -> Vec<String> {
            let all = store.list().unwrap();
            all.into_iter().map(|profile| profile.name).collect()
        };
        assert_eq!(names(&store), ["dev", "prod"]);
        let prod = store.get("prod").unwrap();
        assert_eq!(prod.bootstrap_servers, "a:1,b:2");
        let text = fs::read_to_string(&prod.file).unwrap();
        assert!(text.contains("client.id=me"), "{text}");
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata(&prod.file).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);

        store.use_profile("prod").unwrap();
        assert_eq!(store.current().unwrap().as_deref(), Some("prod"));
        assert!(store.use_profile("none").is_err());
        store.remove("prod").unwrap();
        assert_eq!(store.current().unwrap(), None);
        assert_eq!(names(&store), ["dev"]);
    }

    #[test]
    fn names_stay_in_their_directory() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path().to_owned());
        for name in ["", "..", "../x", "a/b", ".hidden", "a b"] {
            assert!(store.set(name, Properties::new(), "x:1").is_err(), "{name}");
        }
    }
}
