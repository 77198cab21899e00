//! The newest offset of each key of the dirty part of a log: Kafka's `SkimpyOffsetMap`.
//!
//! A key is known by 128 bits of its hash, seeded anew for each map, so that nobody can make two
//! keys of the same hash up. 24 bytes per entry in one allocation that does not grow; what was not
//! touched costs no memory. Entries that meet on a slot stand in the order of their home slots
//! (Robin Hood), which keeps searches short up to a load of nine tenths.
use std::hint::black_box;

use twox_hash::XxHash3_128;

/// Bytes of an entry, as Kafka's.
pub const ENTRY_BYTES: usize = 24;
/// Slots are filled no further where memory allows.
const COMFORTABLE_LOAD: f64 = 0.66;

/// Hash, and offset + 1; all zero in a free slot.
type Slot = [u64; 3];

/// The hash of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyHash([u64; 2]);

/// Newest offsets by key.
#[derive(Debug)]
pub struct OffsetMap {
    slots: Vec<Slot>,
    seed: u64,
    len: usize,
    len_max: usize,
    latest_offset: i64,
}

impl OffsetMap {
    /// A map for up to `keys` keys, or as many as fit in `memory_max` bytes when no more than
    /// `load_factor` of the slots are used.
    pub fn new(keys: u64, memory_max: usize, load_factor: f64, seed: u64) -> Self {
        let load_factor = load_factor.clamp(0.01, 1.0);
        let wanted = (keys as f64 / load_factor.min(COMFORTABLE_LOAD)).ceil() as usize;
        // One slot is always free, or the search for an unknown key would not end.
        let slots = wanted.saturating_add(1).clamp(2, slots_in(memory_max));
        Self {
            slots: vec![[0; 3]; slots],
            seed,
            len: 0,
            len_max: ((slots as f64 * load_factor) as usize).clamp(1, slots - 1),
            latest_offset: -1,
        }
    }

    /// Used slots as a part of all.
    pub fn utilization(&self) -> f64 {
        self.len as f64 / self.slots.len() as f64
    }

    /// Bytes set aside.
    pub fn memory(&self) -> usize {
        self.slots.len() * ENTRY_BYTES
    }

    /// The map tells of all records up to here; −1: of none.
    pub fn latest_offset(&self) -> i64 {
        self.latest_offset
    }

    pub fn set_latest_offset(&mut self, offset: i64) {
        self.latest_offset = offset;
    }

    #[inline]
    pub fn hash(&self, key: &[u8]) -> KeyHash {
        let hash = XxHash3_128::oneshot_with_seed(self.seed, key);
        KeyHash([hash as u64, (hash >> 64) as u64])
    }

    /// Has the processor fetch what a search for each of these will look at, all at once: nearly
    /// every search would wait for memory otherwise.
    #[inline]
    pub fn prefetch(&self, hashes: impl Iterator<Item = KeyHash>) {
        let mut sum = 0;
        for hash in hashes {
            if let Some(slot) = self.slots.get(self.home(hash.0)) {
                sum ^= slot[0];
            }
        }
        black_box(sum);
    }

    /// Notes `offset` for a key, unless the map is full: then false. Offsets come in ascending
    /// order.
    #[inline]
    pub fn insert(&mut self, hash: KeyHash, offset: i64) -> bool {
        let mut at = self.home(hash.0);
        let mut distance = 0;
        loop {
            let Some(slot) = self.slots.get(at).copied() else {
                return false;
            };
            if [slot[0], slot[1]] == hash.0 && slot[2] != 0 {
                break;
            }
            if slot[2] == 0 || self.distance(at, &slot) < distance {
                if self.len == self.len_max {
                    return false;
                }
                self.len += 1;
                self.push_aside(at, slot);
                break;
            }
            at = self.next(at);
            distance += 1;
        }
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = [hash.0[0], hash.0[1], offset as u64 + 1];
        }
        self.latest_offset = offset;
        true
    }

    /// Moves `slot`, and who follows it, from `at` on to the next free slot.
    fn push_aside(&mut self, mut at: usize, mut slot: Slot) {
        while slot[2] != 0 {
            at = self.next(at);
            if let Some(place) = self.slots.get_mut(at) {
                std::mem::swap(place, &mut slot);
            }
        }
    }

    /// The newest offset of a key.
    #[inline]
    pub fn get(&self, hash: KeyHash) -> Option<i64> {
        let mut at = self.home(hash.0);
        let mut distance = 0;
        loop {
            let slot = self.slots.get(at)?;
            if slot[2] == 0 {
                return None;
            }
            if [slot[0], slot[1]] == hash.0 {
                return Some((slot[2] - 1) as i64);
            }
            if self.distance(at, slot) < distance {
                return None;
            }
            at = self.next(at);
            distance += 1;
        }
    }

    /// Where the search for a hash begins.
    #[inline]
    fn home(&self, hash: [u64; 2]) -> usize {
        ((u128::from(hash[1]) * self.slots.len() as u128) >> 64) as usize
    }

    #[inline]
    fn next(&self, at: usize) -> usize {
        if at + 1 == self.slots.len() {
            0
        } else {
            at + 1
        }
    }

    /// How far from its home an entry stands.
    #[inline]
    fn distance(&self, at: usize, slot: &Slot) -> usize {
        let home = self.home([slot[0], slot[1]]);
        if at >= home {
            at - home
        } else {
            at + self.slots.len() - home
        }
    }
}

fn slots_in(memory: usize) -> usize {
    (memory / ENTRY_BYTES).max(2)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn takes_what_is_needed_and_no_more_than_allowed() {
        let map = |keys| OffsetMap::new(keys, 24_000, 0.9, 1);
        assert!(map(0).memory() <= 2 * ENTRY_BYTES);
        assert!(map(100).memory() < 160 * ENTRY_BYTES);
        assert_eq!(map(1_000_000).memory(), 24_000);
        assert_eq!(map(1_000_000).len_max, 900);
        assert_eq!(map(u64::MAX).memory(), 24_000);
        for keys in 1..200 {
            assert!(map(keys).len_max as u64 >= keys, "{keys}");
        }
    }

    #[test]
    fn is_full_at_its_load_factor_for_new_keys_alone() {
        let mut map = OffsetMap::new(u64::MAX, 100 * ENTRY_BYTES, 0.9, 7);
        for n in 0..90_i64 {
            assert!(map.insert(map.hash(&n.to_be_bytes()), n));
        }
        assert_eq!((map.len, map.latest_offset()), (90, 89));
        assert!(!map.insert(map.hash(b"another"), 90));
        assert_eq!(map.latest_offset(), 89);
        assert!(map.insert(map.hash(&3_i64.to_be_bytes()), 90));
        assert_eq!(map.get(map.hash(&3_i64.to_be_bytes())), Some(90));
        assert_eq!(map.get(map.hash(b"another")), None);
        for n in (0..90_i64).filter(|n| *n != 3) {
            assert_eq!(map.get(map.hash(&n.to_be_bytes())), Some(n));
        }
    }

    proptest! {
        #[test]
        fn equals_a_map(keys in prop::collection::vec(0..300_u16, 0..600), slots in 2..400_usize) {
            let mut map = OffsetMap::new(u64::MAX, slots * ENTRY_BYTES, 1.0, 42);
            let mut model = HashMap::new();
            for (offset, key) in (0..).zip(keys) {
                let hash = map.hash(&key.to_be_bytes());
                if map.insert(hash, offset) {
                    model.insert(key, offset);
                } else {
                    prop_assert_eq!(model.len(), slots - 1);
                    prop_assert!(!model.contains_key(&key));
                }
            }
            prop_assert_eq!(map.len, model.len());
            for key in 0..310_u16 {
                let found = map.get(map.hash(&key.to_be_bytes()));
                prop_assert_eq!(found, model.get(&key).copied());
            }
        }
    }
}
