//! MB/s of the produce path's share in `record`: `cargo bench --bench record`.
//!
//! Each line is the best of several rounds over one batch; bytes are those of the uncompressed
//! records, header included.
use std::hint::black_box;
use std::time::{Duration, Instant};

use kafkars::record::{
    AppendRules, BatchBuilder, BatchMeta, BatchView, Compression, TimestampType,
    validate_for_append,
};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(200);

fn main() {
    let crc: Vec<u8> = (0..1 << 20)
        .map(|i: u32| i.wrapping_mul(2_654_435_761) as u8)
        .collect();
    report("crc32c of 1 MiB", crc.len(), || {
        black_box(crc32c::crc32c(black_box(&crc)));
    });
    for (value_len, batch_len) in [
        (100, 16 << 10),
        (100, 1 << 20),
        (1024, 16 << 10),
        (1024, 1 << 20),
    ] {
        let value = text(value_len);
        report(
            &format!("build, {value_len} B records, {batch_len} B batch"),
            batch_len,
            || {
                black_box(build(&value, batch_len, Compression::None));
            },
        );
        for compression in Compression::ALL {
            let batch = build(&value, batch_len, compression);
            let name =
                format!("validate {compression}, {value_len} B records, {batch_len} B batch");
            report(&name, batch_len, || validate(&batch));
        }
        let batch = build(&value, batch_len, Compression::None);
        report(
            &format!("iterate, {value_len} B records, {batch_len} B batch"),
            batch_len,
            || {
                let batch = BatchView::first(&batch)
                    .expect("a batch")
                    .expect("a whole batch");
                let records = batch.records().expect("records");
                black_box(
                    records
                        .iter()
                        .flatten()
                        .filter_map(|r| r.value)
                        .map(<[u8]>::len)
                        .sum::<usize>(),
                );
            },
        );
        for compression in Compression::ALL {
            let name =
                format!("compress {compression}, {value_len} B records, {batch_len} B batch");
            report(&name, batch_len, || {
                black_box(build(&value, batch_len, compression));
            });
        }
    }
}

/// Text that compresses to about a third, as JSON does.
fn text(len: usize) -> Vec<u8> {
    let mut state = 1u32;
    (0..len)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if i % 3 == 0 {
                b'a' + (state >> 24) as u8 % 26
            } else {
                b"\"key\": "[i % 7]
            }
        })
        .collect()
}

fn build(value: &[u8], batch_len: usize, compression: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::with_capacity(batch_len + value.len() + 100);
    let mut timestamp = 1_700_000_000_000;
    while builder.size() + value.len() < batch_len {
        timestamp += 1;
        builder
            .append(timestamp, None, Some(value), &[])
            .expect("a record that fits");
    }
    let meta = BatchMeta {
        compression,
        ..BatchMeta::default()
    };
    builder.finish(&meta).expect("a batch").into()
}

fn validate(batch: &[u8]) {
    let rules = AppendRules {
        from_client: true,
        compacted: false,
        timestamp_type: TimestampType::Create,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: 3_600_000,
        now_ms: 1_700_000_000_000,
    };
    let batch = BatchView::first(black_box(batch))
        .expect("a batch")
        .expect("a whole batch");
    black_box(validate_for_append(&batch, &rules).expect("a valid batch"));
}

fn report(name: &str, bytes: usize, mut run: impl FnMut()) {
    let mut best = 0f64;
    for _ in 0..ROUNDS {
        let (start, mut times) = (Instant::now(), 0);
        while start.elapsed() < ROUND {
            run();
            times += 1;
        }
        best = best.max((bytes * times) as f64 / start.elapsed().as_secs_f64() / 1e6);
    }
    println!("{best:>9.0} MB/s  {name}");
}
