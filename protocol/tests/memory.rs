//! A frame that announces much costs memory in proportion to its own size.

mod support;

use kafkars_protocol::wire::Reader;
use support::registry::{ALL, Entry};

const FRAME_BYTES: usize = 64 * 1024;

/// Every message reads frames that announce as many elements as there are bytes left, each element
/// as small as it can be: all nulls, or all empty (60 times its size in memory is what the worst of
/// them took). The number stands at each of the first places in turn, to be found by whichever
/// array comes first.
#[cfg(target_os = "linux")]
#[test]
fn memory_stays_in_proportion_to_the_frame() {
    // The code itself comes into memory as it is used for the first time.
    for entry in ALL {
        for byte in [0x00, 0x01] {
            read(entry, entry.versions.0, &[byte; 512]);
            read(entry, entry.versions.1, &[byte; 512]);
        }
    }
    let before = peak_bytes();
    let count = FRAME_BYTES as u32 - 100;
    let compact = [
        count as u8 | 0x80,
        (count >> 7) as u8 | 0x80,
        (count >> 14) as u8,
    ];
    for byte in [0x00, 0x01] {
        for at in 0..16 {
            for entry in ALL {
                let mut frame = vec![byte; FRAME_BYTES];
                frame[at..at + 4].copy_from_slice(&count.to_be_bytes());
                read(entry, entry.versions.0, &frame);
                frame[at..at + 3].copy_from_slice(&compact);
                frame[at + 3] = byte;
                read(entry, entry.versions.1, &frame);
            }
        }
    }
    let grown = peak_bytes() - before;
    println!("{} times the frame", grown / FRAME_BYTES);
    assert!(
        grown < 100 * FRAME_BYTES,
        "{grown} bytes for a frame of {FRAME_BYTES}"
    );
}

#[cfg(target_os = "linux")]
fn read(entry: &Entry, version: i16, frame: &[u8]) {
    drop((entry.recode)(&mut Reader::new(frame.to_vec()), version));
}

/// The most memory that this process has had so far.
#[cfg(target_os = "linux")]
fn peak_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
        * 1024
}
