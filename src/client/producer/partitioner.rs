//! Which partition a record goes to, exactly as Java's producer chooses.
use std::sync::atomic::{AtomicU64, Ordering};

/// Java's `Utils.murmur2`: the same keys must meet in the same partitions, whoever produces.
pub fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut hash = SEED ^ (data.len() as u32);
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let word = word
            .iter()
            .rev()
            .fold(0_u32, |word, byte| (word << 8) | u32::from(*byte));
        let mut k = word.wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let tail = words.remainder();
    if !tail.is_empty() {
        hash ^= tail
            .iter()
            .rev()
            .fold(0_u32, |word, byte| (word << 8) | u32::from(*byte));
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The partition of a key among `partitions`, which must not be 0.
pub fn partition_for_key(key: &[u8], partitions: usize) -> usize {
    (murmur2(key) & 0x7fff_ffff) as usize % partitions
}

/// The sticky partition of records without a key (KIP-794): one partition takes a batch's worth,
/// then another one is drawn.
#[derive(Debug)]
pub struct Sticky {
    /// The partition in the upper half, the bytes it took in the lower.
    state: AtomicU64,
}

const UNCHOSEN: u32 = u32::MAX;

impl Default for Sticky {
    fn default() -> Self {
        Self {
            state: AtomicU64::new(pack(UNCHOSEN, 0)),
        }
    }
}

impl Sticky {
    /// The present partition, if one was chosen and still exists.
    pub fn current(&self, partitions: usize) -> Option<usize> {
        let partition = (self.state.load(Ordering::Relaxed) >> 32) as usize;
        (partition < partitions).then_some(partition)
    }

    /// Counts a record; true when the partition has had its share.
    pub fn took(&self, bytes: usize, share: usize) -> bool {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX / 2);
        let state = self.state.load(Ordering::Relaxed);
        let taken = (state as u32).saturating_add(bytes);
        // Threads may overwrite each other's count: the share is a rule of thumb.
        self.state
            .store((state >> 32 << 32) | u64::from(taken), Ordering::Relaxed);
        taken as usize >= share
    }

    pub fn taken(&self) -> usize {
        self.state.load(Ordering::Relaxed) as u32 as usize
    }

    pub fn switch_to(&self, partition: usize) {
        let partition = u32::try_from(partition).unwrap_or(UNCHOSEN);
        self.state.store(pack(partition, 0), Ordering::Relaxed);
    }
}

fn pack(partition: u32, bytes: u32) -> u64 {
    (u64::from(partition) << 32) | u64::from(bytes)
}

/// Draws among `available`, less often where more batches wait: `queued` tells how many do. As
/// Java's adaptive partitioning, a partition's weight is the longest queue + 1 − its own.
pub fn draw(available: &[usize], queued: Option<&dyn Fn(usize) -> usize>) -> Option<usize> {
    let Some(queued) = queued else {
        return fastrand::choice(available).copied();
    };
    let lengths: Vec<usize> = available
        .iter()
        .map(|partition| queued(*partition))
        .collect();
    let longest = lengths.iter().copied().max()? + 1;
    let total: usize = lengths.iter().map(|length| longest - length).sum();
    let mut ticket = fastrand::usize(..total);
    for (partition, length) in available.iter().zip(lengths) {
        let weight = longest - length;
        if ticket < weight {
            return Some(*partition);
        }
        ticket -= weight;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `org.apache.kafka.common.utils.Utils.murmur2` of Kafka 4.3.1.
    #[test]
    fn murmur2_agrees_with_java() {
        for (key, expected) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, expected, "{key}");
        }
    }

    #[test]
    fn a_draw_prefers_short_queues_and_never_leaves_the_available() {
        let queues = [0, 9, 0, 5];
        let mut drawn = [0; 4];
        for _ in 0..4000 {
            drawn[draw(&[0, 1, 3], Some(&|partition| queues[partition])).unwrap()] += 1;
        }
        assert_eq!(drawn[2], 0);
        assert!(
            drawn[0] > drawn[3] && drawn[3] > drawn[1] && drawn[1] > 0,
            "{drawn:?}"
        );
        assert_eq!(draw(&[], None), None);
        assert_eq!(draw(&[], Some(&|_| 0)), None);
    }

    #[test]
    fn sticky_counts_until_its_share() {
        let sticky = Sticky::default();
        assert_eq!(sticky.current(3), None);
        sticky.switch_to(2);
        assert!(!sticky.took(60, 100));
        assert!(sticky.took(60, 100));
        assert_eq!((sticky.current(3), sticky.current(2)), (Some(2), None));
        sticky.switch_to(0);
        assert_eq!((sticky.current(3), sticky.taken()), (Some(0), 0));
    }
}
