//! `cordoned.log.dirs` (KIP-1066): the log directories that get no new partitions.
use std::path::PathBuf;

use super::definition::{ConfigError, Values};

const KEY: &str = "cordoned.log.dirs";
const ALL: &str = "*";

/// `log.dirs`, or `log.dir`.
pub fn log_dirs(values: &Values) -> Vec<PathBuf> {
    let dirs = values.list_option("log.dirs");
    let dirs = dirs.unwrap_or_else(|| values.list("log.dir"));
    dirs.iter().map(PathBuf::from).collect()
}

/// Those of the log directories that are cordoned; `*` is all of them.
pub fn cordoned_log_dirs(values: &Values) -> Result<Vec<PathBuf>, ConfigError> {
    let named = values.list_option(KEY).unwrap_or_default();
    let known = log_dirs(values);
    if let [ALL] = named.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return Ok(known);
    }
    let named: Vec<PathBuf> = named.iter().map(PathBuf::from).collect();
    let missing: Vec<String> = named
        .iter()
        .filter(|dir| !known.contains(dir))
        .map(|dir| dir.display().to_string())
        .collect();
    match missing.is_empty() {
        true => Ok(named),
        false => Err(ConfigError::Other(format!(
            "All entries in {KEY} must be present in log.dirs or log.dir. Missing entries : {}",
            missing.join(", ")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Properties, broker};

    fn cordoned(value: &str) -> Result<Vec<PathBuf>, String> {
        let text = format!(
            "node.id=1\nprocess.roles=broker\ncontroller.listener.names=C\nlog.dirs=/a,/b\n{value}"
        );
        let values = broker::table().parse(&Properties::parse(&text).unwrap());
        cordoned_log_dirs(&values.unwrap()).map_err(|e| e.to_string())
    }

    #[test]
    fn are_some_of_the_log_directories() {
        assert_eq!(cordoned(""), Ok(Vec::new()));
        assert_eq!(cordoned("cordoned.log.dirs=/b"), Ok(vec!["/b".into()]));
        let all = Ok(vec!["/a".into(), "/b".into()]);
        assert_eq!(cordoned("cordoned.log.dirs=*"), all);
        assert_eq!(
            cordoned("cordoned.log.dirs=/c,/a,/d"),
            Err(
                "All entries in cordoned.log.dirs must be present in log.dirs or log.dir. \
                 Missing entries : /c, /d"
                    .to_owned()
            )
        );
    }
}
