//! `storage version-mapping` and `storage feature-dependencies`.
use anyhow::{anyhow, bail};

use crate::metadata::MetadataVersion;
use crate::metadata::feature::{FEATURES, Feature};
use crate::metadata::version::FEATURE_NAME;
use crate::tools::options::argparse::Parsed;
use crate::tools::output::Printer;
use crate::tools::registry::Exit;

pub fn version_mapping(parsed: &Parsed, printer: &mut Printer) -> anyhow::Result<Exit> {
    let latest = MetadataVersion::LATEST_PRODUCTION.to_string();
    let name = parsed.value("release-version").unwrap_or(&latest);
    let version = MetadataVersion::parse(name, true)?;
    printer.line(format!("{FEATURE_NAME}={} ({name})", version.level()))?;
    for feature in FEATURES {
        printer.line(format!(
            "{}={}",
            feature.name,
            feature.default_level(version)
        ))?;
    }
    Ok(Exit::SUCCESS)
}

pub fn dependencies(parsed: &Parsed, printer: &mut Printer) -> anyhow::Result<Exit> {
    for pair in parsed.values("feature") {
        for line in describe(pair)? {
            printer.line(line)?;
        }
    }
    Ok(Exit::SUCCESS)
}

/// The lines for one `NAME=LEVEL`.
fn describe(pair: &str) -> anyhow::Result<Vec<String>> {
    let malformed = || {
        anyhow!(
            "Invalid feature format: {pair}. Expected format: 'feature=version' (e.g. \
             'group.version=1')"
        )
    };
    let (name, level) = pair.split_once('=').ok_or_else(malformed)?;
    if level.is_empty() || level.contains('=') {
        return Err(malformed());
    }
    let Ok(level) = level.parse::<i16>() else {
        bail!("Invalid version format: {level} for feature {name}")
    };
    if name == FEATURE_NAME {
        let Ok(version) = MetadataVersion::from_level(level) else {
            bail!("Unknown metadata.version {level}")
        };
        return Ok(vec![format!(
            "{name}={level} ({version}) has no dependencies."
        )]);
    }
    let Some(feature) = Feature::by_name(name) else {
        bail!("Unknown feature: {name}")
    };
    if !(0..=feature.latest()).contains(&level) {
        bail!("Feature level {level} is not supported for feature {name}");
    }
    let needed = feature.dependencies(level);
    if needed.is_empty() {
        return Ok(vec![format!("{name}={level} has no dependencies.")]);
    }
    let mut lines = vec![format!("{name}={level} requires:")];
    for (needs, level) in needed {
        lines.push(match MetadataVersion::from_level(level) {
            Ok(version) if needs == FEATURE_NAME => format!("    {needs}={level} ({version})"),
            _ => format!("    {needs}={level}"),
        });
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pair: &str) -> String {
        describe(pair).map_or_else(|error| error.to_string(), |lines| lines.join("\n"))
    }

    #[test]
    fn dependencies_and_their_absence() {
        assert_eq!(
            lines("group.version=1"),
            "group.version=1 has no dependencies."
        );
        assert_eq!(
            lines("metadata.version=30"),
            "metadata.version=30 (4.3-IV0) has no dependencies."
        );
        assert_eq!(
            lines("eligible.leader.replicas.version=1"),
            "eligible.leader.replicas.version=1 requires:\n    metadata.version=23 (4.0-IV1)"
        );
    }

    #[test]
    fn errors_are_kafkas() {
        assert_eq!(lines("nope=1"), "Unknown feature: nope");
        assert_eq!(
            lines("group.version=9"),
            "Feature level 9 is not supported for feature group.version"
        );
        assert_eq!(lines("metadata.version=99"), "Unknown metadata.version 99");
        assert_eq!(
            lines("group.version=x"),
            "Invalid version format: x for feature group.version"
        );
        assert!(lines("group.version").starts_with("Invalid feature format: group.version."));
    }
}
