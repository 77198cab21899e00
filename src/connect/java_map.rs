//! The serialized form of a Java `HashMap<byte[], byte[]>`, as Kafka's worker writes its offset
//! file.
//!
//! ```text
//! ac ed 00 05                                         magic, version
//! 73 72 0011 "java.util.HashMap" 0507dac1c31660d1 03  object, class, serial version, flags
//!   0002 46 000a "loadFactor" 49 0009 "threshold"     two fields
//!   78 70  <f32 load factor> <i32 threshold>          no annotations, no superclass; their values
//! 77 08 <i32 buckets> <i32 entries>                   block data
//!   75 72 0002 "[B" acf317f8060854e0 02 0000 78 70 <i32 length> <bytes>   the first byte[]
//!   75 71 007e0002 <i32 length> <bytes>               each later one refers to its class
//!   70                                                null
//! 78                                                  end
//! ```
//! Numbers are big-endian; entries are key, value, key, value.

/// A map as the file holds it, in its order.
pub type Entries = Vec<(Option<Vec<u8>>, Option<Vec<u8>>)>;

/// Why bytes are not such a map.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JavaMapError {
    #[error("it ends after {0} bytes, in the middle of the map")]
    Truncated(usize),
    #[error("byte {at}: expected {expected}")]
    Unexpected { at: usize, expected: &'static str },
}

const HEAD: &[u8] = b"\xac\xed\x00\x05\x73\x72\x00\x11java.util.HashMap\
    \x05\x07\xda\xc1\xc3\x16\x60\xd1\x03\x00\x02F\x00\x0aloadFactorI\x00\x09threshold\x78\x70";
const LOAD_FACTOR: [u8; 4] = [0x3f, 0x40, 0, 0];
const BLOCK_OF_8: &[u8] = b"\x77\x08";
const BYTES_CLASS: &[u8] = b"\x72\x00\x02[B\xac\xf3\x17\xf8\x06\x08\x54\xe0\x02\x00\x00\x78\x70";
/// A reference to the third thing in the stream that has a handle: HashMap's class, the map, `[B`.
const BYTES_CLASS_AGAIN: &[u8] = b"\x71\x00\x7e\x00\x02";
const ARRAY: u8 = 0x75;
const NULL: u8 = 0x70;
const END: u8 = 0x78;

/// Writes what Java would, but for the order of the entries, which Java leaves to their hashes.
pub fn write<'a>(entries: impl ExactSizeIterator<Item = (&'a [u8], Option<&'a [u8]>)>) -> Vec<u8> {
    let count = entries.len() as u32;
    let mut buckets = 16_u32;
    while u64::from(count) * 4 > u64::from(buckets) * 3 && buckets < 1 << 30 {
        buckets *= 2;
    }
    let threshold = if count == 0 { 0 } else { buckets / 4 * 3 };
    let mut out = HEAD.to_vec();
    out.extend(LOAD_FACTOR);
    out.extend(threshold.to_be_bytes());
    out.extend(BLOCK_OF_8);
    out.extend(buckets.to_be_bytes());
    out.extend(count.to_be_bytes());
    let mut class_is_written = false;
    let mut put = |out: &mut Vec<u8>, bytes: Option<&[u8]>| {
        let Some(bytes) = bytes else {
            return out.push(NULL);
        };
        out.push(ARRAY);
        let again = std::mem::replace(&mut class_is_written, true);
        out.extend(if again {
            BYTES_CLASS_AGAIN
        } else {
            BYTES_CLASS
        });
        out.extend((bytes.len() as u32).to_be_bytes());
        out.extend(bytes);
    };
    for (key, value) in entries {
        put(&mut out, Some(key));
        put(&mut out, value);
    }
    out.push(END);
    out
}

/// Reads a map, whatever its number of buckets and its load factor.
pub fn read(bytes: &[u8]) -> Result<Entries, JavaMapError> {
    let mut reader = Reader { bytes, at: 0 };
    reader.expect(HEAD, "a serialized java.util.HashMap")?;
    reader.take(8)?;
    reader.expect(BLOCK_OF_8, "the sizes of the map")?;
    reader.take(4)?;
    let count = reader.number()?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let key = reader.byte_array()?;
        entries.push((key, reader.byte_array()?));
    }
    reader.expect(&[END], "the end of the map")?;
    Ok(entries)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], JavaMapError> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or(JavaMapError::Truncated(self.bytes.len()))?;
        self.at += count;
        Ok(taken)
    }

    fn number(&mut self) -> Result<usize, JavaMapError> {
        let mut number = [0; 4];
        number.copy_from_slice(self.take(4)?);
        usize::try_from(i32::from_be_bytes(number)).map_err(|_| JavaMapError::Unexpected {
            at: self.at,
            expected: "a length that is not negative",
        })
    }

    fn expect(&mut self, bytes: &[u8], expected: &'static str) -> Result<(), JavaMapError> {
        let at = self.at;
        let rest = self.bytes.get(at..).unwrap_or_default();
        let compared = rest.len().min(bytes.len());
        if rest.get(..compared) != bytes.get(..compared) {
            return Err(JavaMapError::Unexpected { at, expected });
        }
        self.take(bytes.len()).map(drop)
    }

    fn byte_array(&mut self) -> Result<Option<Vec<u8>>, JavaMapError> {
        let at = self.at;
        match self.take(1)? {
            [NULL] => return Ok(None),
            [ARRAY] => {}
            _ => {
                let expected = "a byte array or null";
                return Err(JavaMapError::Unexpected { at, expected });
            }
        }
        let again = self
            .bytes
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(BYTES_CLASS_AGAIN));
        let class = if again {
            BYTES_CLASS_AGAIN
        } else {
            BYTES_CLASS
        };
        self.expect(class, "the class of a byte array")?;
        let length = self.number()?;
        Ok(Some(self.take(length)?.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_can_be_read(
            map in prop::collection::vec((any::<Vec<u8>>(), any::<Option<Vec<u8>>>()), 0..40)
        ) {
            let borrowed = map.iter().map(|(key, value)| (key.as_slice(), value.as_deref()));
            let expected: Entries = map.iter().cloned().map(|(k, v)| (Some(k), v)).collect();
            prop_assert_eq!(read(&write(borrowed)), Ok(expected));
        }

        #[test]
        fn damaged_bytes_are_an_error_and_nothing_worse(
            cut in 0_usize..200, at in 0_usize..200, with: u8
        ) {
            let map = [(&b"key"[..], Some(&b"value"[..])), (b"other", None)];
            let mut bytes = write(map.into_iter());
            if let Some(byte) = bytes.get_mut(at) {
                *byte = with;
            }
            bytes.truncate(cut);
            let _ = read(&bytes);
        }
    }

    #[test]
    fn a_length_is_checked_before_memory_is_taken() {
        let mut bytes = write([(&b"k"[..], None)].into_iter());
        let at = bytes.len() - 6;
        bytes[at..at + 4].copy_from_slice(&i32::MAX.to_be_bytes());
        assert_eq!(read(&bytes), Err(JavaMapError::Truncated(bytes.len())));
    }

    #[test]
    fn sizes_grow_as_javas() {
        let sizes = |count: usize| {
            let bytes = write((0..count).map(|_| (&b"k"[..], None)));
            let at = HEAD.len() + 4;
            let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
            (number(at), number(at + 6), number(at + 10))
        };
        assert_eq!(sizes(0), (0, 16, 0));
        assert_eq!(sizes(12), (12, 16, 12));
        assert_eq!(sizes(13), (24, 32, 13));
        assert_eq!(sizes(200), (384, 512, 200));
    }
}
