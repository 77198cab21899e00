//! The metadata log through losses of power: what was committed is there, batches are whole, and no
//! epoch is led in twice. Snapshots are on the real disk, which loses nothing.
//!
//! A tenth of `KAFKARS_POWER_CUTS` says how many histories; `KAFKARS_POWER_CUT=seed` replays one.
use std::collections::BTreeMap;

use super::*;
use crate::log::storage::power::{Dice, PowerDisk};
use crate::metadata::image::ConfigResource;

/// Histories where nothing else is said.
const HISTORIES: u64 = 200;
const LIVES: usize = 5;
const STEPS: usize = 20;
/// Changing operations within which the power goes; a life has about so many.
const CUT_WITHIN: usize = 90;

type Settings = BTreeMap<String, String>;

struct History {
    dice: Dice,
    disk: Arc<PowerDisk>,
    /// Names change in order on this disk.
    ordered: bool,
    config: VoterConfig,
    now_ms: i64,
    committed: Settings,
    /// What the settings are if the append that the power went in is there.
    under_way: Option<Settings>,
    /// The greatest epoch that something was committed in.
    epoch: i32,
    end_offset: i64,
}

impl History {
    fn new(directory: &Path, seed: u64) -> Self {
        format(directory, InitialQuorum::Static);
        let _ = std::fs::create_dir(directory.join(METADATA_LOG_DIRECTORY));
        let mut dice = Dice(seed);
        let disk = Arc::new(PowerDisk::new(directory, dice.roll()));
        let config = VoterConfig {
            segment_bytes: 1500,
            bytes_between_snapshots: 600,
            retention_bytes: 3000,
            disk: disk.clone(),
            ..config(directory)
        };
        Self {
            ordered: dice.one_in(2),
            dice,
            disk,
            config,
            now_ms: NOW,
            committed: Settings::new(),
            under_way: None,
            epoch: 0,
            end_offset: 0,
        }
    }

    fn run(mut self) {
        for _ in 0..LIVES {
            let within = if self.dice.one_in(3) { 20 } else { CUT_WITHIN };
            self.disk.cut_at(self.dice.below(within) as u64);
            if let Err(e) = self.live() {
                assert!(self.disk.struck(), "{e}");
            }
            self.disk.spare();
            if self.disk.struck() || self.dice.one_in(2) {
                self.disk.lose_power(self.ordered);
            }
        }
        self.open().unwrap();
    }

    fn open(&mut self) -> Result<SingleVoter, RaftError> {
        let (voter, image) = SingleVoter::open(self.config.clone(), self.now_ms)?;
        let found = settings(&image);
        if self
            .under_way
            .take()
            .is_some_and(|settings| settings == found)
        {
            self.committed = found;
        } else {
            assert_eq!(found, self.committed);
        }
        let (epoch, end) = (voter.leader_epoch(), voter.end_offset());
        assert!(epoch > self.epoch, "epoch {epoch} after {}", self.epoch);
        assert!(end > self.end_offset, "{end} after {}", self.end_offset);
        (self.epoch, self.end_offset) = (epoch, end);
        Ok(voter)
    }

    /// Does this and that until the power goes or it is enough.
    fn live(&mut self) -> Result<(), RaftError> {
        let mut voter = self.open()?;
        for _ in 0..STEPS {
            self.now_ms += 1000;
            match self.dice.below(10) {
                0..7 => self.append(&mut voter)?,
                7..9 => voter.maintain(self.now_ms)?,
                _ => drop(voter.snapshot(self.now_ms)?),
            }
        }
        if self.dice.one_in(2) {
            voter.close()?;
        }
        Ok(())
    }

    fn append(&mut self, voter: &mut SingleVoter) -> Result<(), RaftError> {
        let mut settings = self.committed.clone();
        let mut records = Vec::new();
        for _ in 0..=self.dice.below(4) {
            let name = format!("key.{}", self.dice.below(8));
            let value = format!("{:0200}", self.dice.below(1000));
            let value = (!self.dice.one_in(4)).then_some(value);
            match value.clone() {
                Some(value) => drop(settings.insert(name.clone(), value)),
                None => drop(settings.remove(&name)),
            }
            records.push(v0(ConfigRecord {
                resource_type: 4,
                resource_name: String::new(),
                name,
                value,
                ..Default::default()
            }));
        }
        self.under_way = Some(settings.clone());
        voter.append(&records, self.now_ms)?;
        self.under_way = None;
        self.committed = settings;
        self.end_offset = voter.end_offset();
        Ok(())
    }
}

/// In memory, where there is such a place: snapshots are forced to it.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

fn settings(image: &MetadataImage) -> Settings {
    image.configs.of(&ConfigResource::cluster()).clone()
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

#[test]
fn what_was_committed_outlives_a_loss_of_power() {
    let one = number("KAFKARS_POWER_CUT").map(|seed| seed..seed + 1);
    let histories = number("KAFKARS_POWER_CUTS").map_or(HISTORIES, |all| all.div_ceil(10));
    for seed in one.unwrap_or(0..histories) {
        let directory = directory();
        let history = History::new(directory.path(), seed);
        let run = std::panic::AssertUnwindSafe(|| history.run());
        if let Err(panic) = std::panic::catch_unwind(run) {
            eprintln!("history {seed} failed; KAFKARS_POWER_CUT={seed} replays it");
            std::panic::resume_unwind(panic);
        }
    }
}
