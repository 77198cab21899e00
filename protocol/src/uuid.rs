//! Kafka's ids of topics, directories, clusters and processes.

use std::fmt;
use std::str::FromStr;

/// 16 bytes, shown as 22 letters of base64url without padding.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid([u8; 16]);

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The text is not 16 bytes in base64url.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an id: expected 22 letters of base64url")]
pub struct ParseUuidError(String);

impl Uuid {
    /// No id: an unknown topic, an unassigned directory.
    pub const ZERO: Uuid = Uuid([0; 16]);
    /// `__cluster_metadata`'s topic id; Kafka calls it ONE as well.
    pub const METADATA_TOPIC_ID: Uuid = Uuid(1u128.to_be_bytes());

    pub const fn from_bytes(bytes: [u8; 16]) -> Uuid {
        Uuid(bytes)
    }

    pub const fn from_u128(value: u128) -> Uuid {
        Uuid(value.to_be_bytes())
    }

    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    pub const fn as_u128(&self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    /// An id of version 4 from random bits. Its text never starts with `-`, so that it can be an
    /// argument of a tool; the version bits keep it apart from the reserved ids.
    pub fn from_random(bits: u128) -> Uuid {
        let mut bytes = bits.to_be_bytes();
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        if bytes[0] >> 2 == 62 {
            // The first letter would be '-': flip one of its bits.
            bytes[0] ^= 0x80;
        }
        Uuid(bytes)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let value = self.as_u128();
        let mut text = [0u8; 22];
        for (index, letter) in text.iter_mut().enumerate() {
            // 22 letters hold 132 bits: the last letter has four zero bits behind its two.
            let six = if index == 21 {
                value << 4
            } else {
                value >> (122 - 6 * index)
            };
            *letter = LETTERS[(six & 0x3f) as usize];
        }
        f.pad(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uuid {
    type Err = ParseUuidError;

    /// Takes padding too, as Java's decoder does.
    fn from_str(text: &str) -> Result<Uuid, ParseUuidError> {
        let fail = || ParseUuidError(text.to_owned());
        let letters = text.strip_suffix("==").unwrap_or(text);
        if letters.len() != 22 {
            return Err(fail());
        }
        let mut value = 0u128;
        for (index, letter) in letters.bytes().enumerate() {
            let six = LETTERS
                .iter()
                .position(|&known| known == letter)
                .ok_or_else(fail)? as u128;
            value = if index == 21 {
                value << 2 | six >> 4
            } else {
                value << 6 | six
            };
        }
        Ok(Uuid::from_u128(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_kafkas() {
        for (text, value) in [
            ("AAAAAAAAAAAAAAAAAAAAAA", 0),
            ("AAAAAAAAAAAAAAAAAAAAAQ", 1),
            ("_____________________w", u128::MAX),
            (
                "JmzaUlrHSByKP2p1r7yZmQ",
                0x266c_da52_5ac7_481c_8a3f_6a75_afbc_9999,
            ),
        ] {
            assert_eq!(Uuid::from_u128(value).to_string(), text);
            assert_eq!(text.parse(), Ok(Uuid::from_u128(value)));
        }
        assert_eq!(
            Uuid::METADATA_TOPIC_ID.to_string(),
            "AAAAAAAAAAAAAAAAAAAAAQ"
        );
        assert_eq!(
            "AAAAAAAAAAAAAAAAAAAAAQ==".parse(),
            Ok(Uuid::METADATA_TOPIC_ID)
        );
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            "AAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAQA",
            "AAAAAAAAAAAAAAAAAAAA+A",
        ] {
            assert!(text.parse::<Uuid>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn random_ids_are_usable() {
        for bits in [0, 1, u128::MAX, 62 << 122, 0xf8 << 120] {
            let uuid = Uuid::from_random(bits);
            assert!(
                uuid > Uuid::METADATA_TOPIC_ID && !uuid.to_string().starts_with('-'),
                "{uuid}"
            );
            assert_eq!(uuid.as_bytes()[6] >> 4, 4);
            assert_eq!(uuid.as_bytes()[8] >> 6, 2);
        }
    }
}
