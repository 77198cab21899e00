//! Random histories of a compacted partition: plain, idempotent and transactional producers,
//! tombstones, rolls.
use super::*;

const KEYS: u32 = 8;
const COMPRESSIONS: [Compression; 5] = Compression::ALL;

/// A producer as it goes on.
#[derive(Debug, Clone, Copy)]
struct Producer {
    id: i64,
    epoch: i16,
    sequence: i32,
    in_transaction: bool,
}

/// A partition, and who writes to it.
pub struct History {
    pub random: fastrand::Rng,
    pub now_ms: i64,
    producers: Vec<Producer>,
    values: u32,
}

impl History {
    pub fn new(seed: u64) -> Self {
        let producers = (1..=5).map(|id| Producer {
            id,
            epoch: 0,
            sequence: 0,
            in_transaction: false,
        });
        Self {
            random: fastrand::Rng::with_seed(seed),
            now_ms: NOW_MS,
            producers: producers.collect(),
            values: 0,
        }
    }

    /// One of all that can happen.
    pub fn step(&mut self, log: &Log) {
        self.now_ms += self.random.i64(0..200);
        match self.random.u32(0..10) {
            0..=3 => self.write(log, None),
            4..=7 => {
                let at = self.random.usize(..self.producers.len());
                self.write(log, Some(at));
            }
            8 => {
                let at = self.random.usize(..self.producers.len());
                self.end_transaction(log, at);
            }
            _ => log.roll(self.now_ms).unwrap(),
        }
    }

    /// Ends what is open, so that all can be cleaned.
    pub fn end_all(&mut self, log: &Log) {
        (0..self.producers.len()).for_each(|at| self.end_transaction(log, at));
    }

    fn write(&mut self, log: &Log, by: Option<usize>) {
        let count = self.random.i32(1..6);
        let mut builder = BatchBuilder::new();
        for _ in 0..count {
            let key = format!("key {}", self.random.u32(..KEYS));
            self.values += 1;
            let value = format!("value {}", self.values);
            let value = Some(value.as_bytes()).filter(|_| self.random.u32(..4) > 0);
            let timestamp = self.now_ms - self.random.i64(0..50);
            let header: &[(&[u8], Option<&[u8]>)] = &[(b"h", None)];
            let headers = &header[..self.random.usize(..2)];
            builder
                .append(timestamp, Some(key.as_bytes()), value, headers)
                .unwrap();
        }
        let mut meta = BatchMeta {
            compression: COMPRESSIONS[self.random.usize(..COMPRESSIONS.len())],
            ..BatchMeta::default()
        };
        if let Some(producer) = by.and_then(|at| self.producers.get_mut(at)) {
            meta.producer_id = producer.id;
            meta.producer_epoch = producer.epoch;
            meta.base_sequence = producer.sequence;
            producer.sequence += count;
            // The first two are idempotent alone.
            meta.transactional = producer.id > 2;
            producer.in_transaction = meta.transactional;
        }
        append(log, builder.finish(&meta).unwrap());
    }

    fn end_transaction(&mut self, log: &Log, at: usize) {
        let producer = &mut self.producers[at];
        if !producer.in_transaction {
            return;
        }
        producer.in_transaction = false;
        if self.random.bool() {
            // Transactions of version 2 raise the epoch with the marker.
            producer.epoch += 1;
            producer.sequence = 0;
        }
        let commit = self.random.bool();
        append(
            log,
            marker(producer.id, producer.epoch, commit, self.now_ms),
        );
    }
}
