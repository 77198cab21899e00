//! Zig-zag variable-length integers, as records use them.

/// The bytes that the longest varint takes.
pub(super) const VARINT_MAX: usize = 5;
/// The bytes that the longest varlong takes.
pub(super) const VARLONG_MAX: usize = 10;

/// Takes a varint off the front; `None` when it is cut short or longer than five bytes.
#[inline]
pub(super) fn take_varint(rest: &mut &[u8]) -> Option<i32> {
    // Most fields of a record fit in one byte.
    let (&first, tail) = rest.split_first()?;
    if first < 0x80 {
        *rest = tail;
        return Some(unzigzag32(u32::from(first)));
    }
    let raw = take_raw::<VARINT_MAX>(rest)?;
    // As Java does: bits past the 32nd are lost.
    Some(unzigzag32(raw as u32))
}

/// Takes a varlong off the front; `None` when it is cut short or longer than ten bytes.
#[inline]
pub(super) fn take_varlong(rest: &mut &[u8]) -> Option<i64> {
    let (&first, tail) = rest.split_first()?;
    if first < 0x80 {
        *rest = tail;
        return Some(unzigzag64(u64::from(first)));
    }
    Some(unzigzag64(take_raw::<VARLONG_MAX>(rest)?))
}

#[inline]
fn take_raw<const MAX: usize>(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for (i, &byte) in rest.iter().take(MAX).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            *rest = rest.get(i + 1..)?;
            return Some(value);
        }
    }
    None
}

/// Writes a varint at `at` and returns the position after it.
#[inline]
pub(super) fn put_varint<const N: usize>(out: &mut [u8; N], at: usize, value: i32) -> usize {
    put_raw(out, at, u64::from(zigzag32(value)))
}

#[inline]
pub(super) fn put_varlong<const N: usize>(out: &mut [u8; N], at: usize, value: i64) -> usize {
    put_raw(out, at, zigzag64(value))
}

#[inline]
fn put_raw<const N: usize>(out: &mut [u8; N], mut at: usize, mut raw: u64) -> usize {
    while raw >= 0x80 {
        out[at] = raw as u8 | 0x80;
        raw >>= 7;
        at += 1;
    }
    out[at] = raw as u8;
    at + 1
}

#[inline]
pub(super) const fn varint_len(value: i32) -> usize {
    raw_len(zigzag32(value) as u64)
}

#[inline]
pub(super) const fn varlong_len(value: i64) -> usize {
    raw_len(zigzag64(value))
}

#[inline]
const fn raw_len(raw: u64) -> usize {
    // ceil(significant bits / 7), at least 1
    (70 - (raw | 1).leading_zeros() as usize) / 7
}

const fn zigzag32(v: i32) -> u32 {
    ((v << 1) ^ (v >> 31)) as u32
}

const fn zigzag64(v: i64) -> u64 {
    ((v << 1) ^ (v >> 63)) as u64
}

const fn unzigzag32(raw: u32) -> i32 {
    (raw >> 1) as i32 ^ -((raw & 1) as i32)
}

const fn unzigzag64(raw: u64) -> i64 {
    (raw >> 1) as i64 ^ -((raw & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_come_back(value: i32, long: i64, shift in 0u32..64) {
            let long = long >> shift;
            let value = value >> (shift / 2);
            let mut out = [0; 15];
            let end = put_varint(&mut out, 0, value);
            prop_assert_eq!(end, varint_len(value));
            let all = put_varlong(&mut out, end, long);
            prop_assert_eq!(all - end, varlong_len(long));
            let mut rest = &out[..all];
            prop_assert_eq!(take_varint(&mut rest), Some(value));
            prop_assert_eq!(take_varlong(&mut rest), Some(long));
            prop_assert!(rest.is_empty());
            prop_assert_eq!(take_varlong(&mut &out[end..all - 1]), None);
        }
    }

    #[test]
    fn a_varint_of_six_bytes_is_refused() {
        assert_eq!(
            take_varint(&mut &[0x80, 0x80, 0x80, 0x80, 0x80, 0][..]),
            None
        );
        assert_eq!(take_varlong(&mut &[0x80; 11][..]), None);
        assert_eq!(
            take_varint(&mut &[0xff, 0xff, 0xff, 0xff, 0x0f][..]),
            Some(i32::MIN)
        );
    }
}
