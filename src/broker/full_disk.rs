//! Full disks. Appends and new topics are refused while a log directory has no room; everything else goes on, with the
//! help of the directory's reserve (`log/reserve.rs`). What may go, goes at once; the log says what else would help.
//! Once there is room for the reserve again, appends are taken again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::dispatch::now_ms;
use super::node::Broker;
use crate::controller::ApiError;
use crate::log::health::{Condition, DirHealth};
use crate::log::reserve;
use crate::protocol::ErrorCode;

const LOOK: Duration = Duration::from_secs(1);
/// How many looks apart retention is applied to a full directory, and a reserve tried that could not be made.
const LOOKS_BETWEEN_TRIES: u32 = 30;
/// How many partitions are named as the largest.
const NAMED: usize = 5;

/// What was found at the last look.
#[derive(Debug, Default)]
struct Seen {
    full: bool,
    reserved: bool,
    looks_until_try: u32,
}

/// Looks after the reserves until the broker stops.
pub async fn watch(broker: Arc<Broker>) {
    let mut seen: BTreeMap<PathBuf, Seen> = BTreeMap::new();
    loop {
        let looked = {
            let broker = broker.clone();
            tokio::task::spawn_blocking(move || {
                for dir in broker.directories.health.dirs() {
                    look(&broker, dir, seen.entry(dir.path().to_owned()).or_default());
                }
                seen
            })
        };
        match looked.await {
            Ok(after) => seen = after,
            Err(e) => {
                warn!("full disks are not looked after any more: {e}");
                return;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = broker.stopping.cancelled() => return,
        }
    }
}

fn look(broker: &Broker, dir: &DirHealth, seen: &mut Seen) {
    let is_full = match dir.state() {
        Condition::Offline => return,
        Condition::Full => true,
        Condition::Online => false,
    };
    seen.looks_until_try = seen.looks_until_try.saturating_sub(1);
    if is_full && !seen.full {
        *seen = Seen {
            full: true,
            ..Seen::default()
        };
        announce(broker, dir.path());
    }
    if is_full {
        let with_retention = seen.looks_until_try == 0;
        if with_retention {
            seen.looks_until_try = LOOKS_BETWEEN_TRIES;
        }
        free(broker, dir.path(), with_retention);
    }
    let due = is_full || (!seen.reserved && seen.looks_until_try == 0);
    if due && dir.make_reserve().is_ok() {
        if is_full {
            info!("log directory {} has room again", dir.path().display());
        }
        *seen = Seen {
            reserved: true,
            ..Seen::default()
        };
    } else if !is_full && seen.looks_until_try == 0 {
        seen.looks_until_try = LOOKS_BETWEEN_TRIES;
    }
}

/// Removes what would go anyway: files that wait for their deletion, and what retention gives up.
fn free(broker: &Broker, dir: &Path, with_retention: bool) {
    let room = || reserve::room(dir).map_or(0, |room| room.0);
    let before = room();
    if with_retention && let Err(e) = broker.logs.apply_retention(now_ms()) {
        warn!("cannot apply retention: {e}");
    }
    if let Err(e) = broker.logs.remove_deleted_in(dir) {
        warn!("cannot remove deleted logs: {e}");
    }
    let freed = room().saturating_sub(before);
    if freed > 0 {
        info!(
            "{}: {} freed by retention and by deletions that were due",
            dir.display(),
            bytes(freed)
        );
    }
}

fn announce(broker: &Broker, dir: &Path) {
    let mut sizes = broker.logs.sizes_in(dir);
    sizes.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let total: u64 = sizes.iter().map(|(_, size)| size).sum();
    let largest: Vec<String> = sizes
        .iter()
        .take(NAMED)
        .map(|(tp, size)| format!("{tp} {}", bytes(*size)))
        .collect();
    let (free, of) = reserve::room(dir).unwrap_or_default();
    warn!(
        "log directory {} is full ({} of {} free): appends and new topics are refused until {} are free. Its {} \
         partitions hold {}; deleting, or a lower retention.ms or retention.bytes, would free most in {}",
        dir.display(),
        bytes(free),
        bytes(of),
        bytes(reserve::WANTED_BYTES),
        sizes.len(),
        bytes(total),
        if largest.is_empty() {
            "none of them: other files take the room".to_owned()
        } else {
            largest.join(", ")
        }
    );
}

fn bytes(count: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.iter().find(|(_, unit)| count >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", count as f64 / *unit as f64),
        None => format!("{count} bytes"),
    }
}

/// Refuses new topics and partitions while there is nowhere to put them.
pub fn check_room(broker: &Broker) -> Result<(), ApiError> {
    let health = &broker.directories.health;
    let state = |path: &PathBuf| health.of(path).map(|dir| dir.state());
    let settings = &broker.settings;
    let is_online = |path: &PathBuf| state(path) == Some(Condition::Online);
    if state(&settings.metadata_log_dir) != Some(Condition::Full)
        && settings.log_dirs.iter().any(is_online)
    {
        return Ok(());
    }
    let full = settings.log_dirs.iter().chain([&settings.metadata_log_dir]);
    let full = full.filter(|path| state(path) == Some(Condition::Full));
    let named = full.map(|path| path.display().to_string()).next();
    Err(ApiError {
        code: ErrorCode::KafkaStorageError,
        message: Some(format!(
            "The log directory {} is full.",
            named.unwrap_or_default()
        )),
    })
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_are_shown_in_the_largest_unit_that_fits() {
        assert_eq!(bytes(1023), "1023 bytes");
        assert_eq!(bytes(1 << 20), "1.0 MiB");
        assert_eq!(bytes(3 << 29), "1.5 GiB");
    }
}
