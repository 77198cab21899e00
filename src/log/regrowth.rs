//! Deleted segments that a loss of power would bring back: their files are renamed, and the directory that says
//! so is not on the device yet. As long as there are any, the log start offset has to be in its checkpoint.
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

/// Counts deletions, twice each: odd while one is under way.
#[derive(Debug)]
pub(super) struct Regrowth {
    deletions: AtomicU64,
    /// Those up to here are on the device.
    durable: AtomicU64,
}

/// What had been deleted when the directory began to be forced to the device.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen(u64);

impl Regrowth {
    /// `possible`: an earlier run may have left such segments.
    pub fn new(possible: bool) -> Self {
        Self {
            deletions: AtomicU64::new(if possible { 2 } else { 0 }),
            durable: AtomicU64::new(0),
        }
    }

    pub fn is_possible(&self) -> bool {
        self.deletions.load(Acquire) != self.durable.load(Acquire)
    }

    /// Before the first file is renamed; one at a time.
    pub fn begin(&self) {
        self.deletions.fetch_add(1, AcqRel);
    }

    /// After the last one, whether that worked or not.
    pub fn end(&self) {
        self.deletions.fetch_add(1, AcqRel);
    }

    pub fn seen(&self) -> Seen {
        Seen(self.deletions.load(Acquire))
    }

    /// The directory is on the device as it was then, or later.
    pub fn is_durable(&self, seen: Seen) {
        // Of a deletion under way some files may be renamed only now.
        if seen.0.is_multiple_of(2) {
            self.durable.fetch_max(seen.0, AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_possible_until_all_deletions_are_on_the_device() {
        let regrowth = Regrowth::new(true);
        regrowth.is_durable(regrowth.seen());
        assert!(!regrowth.is_possible());
        let before = regrowth.seen();
        regrowth.begin();
        let meanwhile = regrowth.seen();
        assert!(regrowth.is_possible());
        regrowth.end();
        regrowth.is_durable(before);
        regrowth.is_durable(meanwhile);
        assert!(regrowth.is_possible());
        regrowth.is_durable(regrowth.seen());
        assert!(!regrowth.is_possible());
    }
}
