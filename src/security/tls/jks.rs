//! Java's own key stores (JKS): certificates in the clear, keys under a password, all of it under a
//! digest of the password.
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha1::{Digest, Sha1};
use thiserror::Error;

use super::stores::Entries;

const MAGIC: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
const DIGEST_BYTES: usize = 20;
const KEY: u32 = 1;
const CERTIFICATE: u32 = 2;

#[derive(Debug, PartialEq, Eq, Error)]
pub enum JksError {
    #[error("it is damaged")]
    Damaged,
    #[error("its version {0} is not known")]
    Version(u32),
    #[error("it was tampered with, or its password is another one")]
    Password,
    #[error("a key in it needs a password: set ssl.keystore.password")]
    NoPassword,
    #[error("a key in it has another password: set ssl.key.password")]
    KeyPassword,
}

pub fn is_jks(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Reads a store. Without a password it is not checked, as in Java.
pub fn read(
    bytes: &[u8],
    password: Option<&str>,
    key_password: Option<&str>,
) -> Result<Entries, JksError> {
    let end = bytes
        .len()
        .checked_sub(DIGEST_BYTES)
        .ok_or(JksError::Damaged)?;
    let (content, digest) = bytes.split_at(end);
    if let Some(password) = password {
        let mut sha = Sha1::new();
        sha.update(utf16(password));
        sha.update(b"Mighty Aphrodite");
        sha.update(content);
        if sha.finalize()[..] != *digest {
            return Err(JksError::Password);
        }
    }
    let mut input = Input(content.get(MAGIC.len()..).ok_or(JksError::Damaged)?);
    let version = input.u32()?;
    if !(1..=2).contains(&version) {
        return Err(JksError::Version(version));
    }
    let mut entries = Entries::default();
    for _ in 0..input.u32()? {
        let tag = input.u32()?;
        let _alias = input.text()?;
        let _created = input.take(8)?;
        match tag {
            KEY => {
                let encrypted = input.long()?;
                let count = input.u32()?;
                let mut chain = Vec::new();
                for _ in 0..count {
                    chain.push(certificate(&mut input, version)?);
                }
                let password = key_password.or(password).ok_or(JksError::NoPassword)?;
                let key = PrivatePkcs8KeyDer::from(decrypt(encrypted, password)?);
                entries.keys.push((PrivateKeyDer::from(key), chain));
            }
            CERTIFICATE => entries.trusted.push(certificate(&mut input, version)?),
            _ => return Err(JksError::Damaged),
        }
    }
    Ok(entries)
}

fn certificate(input: &mut Input<'_>, version: u32) -> Result<CertificateDer<'static>, JksError> {
    if version == 2 {
        let _kind = input.text()?;
    }
    Ok(CertificateDer::from(input.long()?.to_vec()))
}

/// Sun's key protection: the key is mixed with digests of the password, each of the one before.
fn decrypt(info: &[u8], password: &str) -> Result<Vec<u8>, JksError> {
    let sequence = element(info, 0x30)?.0;
    let (_algorithm, rest) = element(sequence, 0x30)?;
    let data = element(rest, 0x04)?.0;
    let (salt, rest) = data
        .split_at_checked(DIGEST_BYTES)
        .ok_or(JksError::Damaged)?;
    let end = rest
        .len()
        .checked_sub(DIGEST_BYTES)
        .ok_or(JksError::Damaged)?;
    let (encrypted, check) = rest.split_at(end);
    let password = utf16(password);
    let mut key = Vec::with_capacity(encrypted.len());
    let mut digest = salt.to_vec();
    for chunk in encrypted.chunks(DIGEST_BYTES) {
        let mut sha = Sha1::new();
        sha.update(&password);
        sha.update(&digest);
        digest = sha.finalize().to_vec();
        key.extend(chunk.iter().zip(&digest).map(|(byte, mask)| byte ^ mask));
    }
    let mut sha = Sha1::new();
    sha.update(&password);
    sha.update(&key);
    if sha.finalize()[..] != *check {
        return Err(JksError::KeyPassword);
    }
    Ok(key)
}

/// The content of a DER element with this tag, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Result<(&[u8], &[u8]), JksError> {
    let mut input = Input(bytes);
    let found = input.take(2)?;
    let [found_tag, first] = found else {
        return Err(JksError::Damaged);
    };
    let length = match first {
        0..=0x7f => usize::from(*first),
        0x81..=0x84 => {
            let digits = input.take(usize::from(first & 0x7f))?;
            digits
                .iter()
                .fold(0, |length, digit| length << 8 | usize::from(*digit))
        }
        _ => return Err(JksError::Damaged),
    };
    if *found_tag != tag {
        return Err(JksError::Damaged);
    }
    let content = input.take(length)?;
    Ok((content, input.0))
}

/// Passwords count as Java's `char`s.
fn utf16(password: &str) -> Vec<u8> {
    password.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], JksError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(JksError::Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, JksError> {
        let bytes = self.take(4)?.try_into().map_err(|_| JksError::Damaged)?;
        Ok(u32::from_be_bytes(bytes))
    }

    /// Bytes after their number in four bytes.
    fn long(&mut self) -> Result<&'a [u8], JksError> {
        let count = usize::try_from(self.u32()?).map_err(|_| JksError::Damaged)?;
        self.take(count)
    }

    /// Bytes after their number in two bytes.
    fn text(&mut self) -> Result<&'a [u8], JksError> {
        let [high, low] = self.take(2)? else {
            return Err(JksError::Damaged);
        };
        self.take(usize::from(u16::from_be_bytes([*high, *low])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store with one certificate, put together by hand.
    fn store(password: &str) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for number in [2u32, 1, CERTIFICATE] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend([0, 1, b'a']);
        bytes.extend([0; 8]);
        bytes.extend([0, 5]);
        bytes.extend(b"X.509");
        bytes.extend([0, 0, 0, 3, 1, 2, 3]);
        let mut sha = Sha1::new();
        sha.update(utf16(password));
        sha.update(b"Mighty Aphrodite");
        sha.update(&bytes);
        bytes.extend(sha.finalize());
        bytes
    }

    #[test]
    fn certificates_are_read_and_the_password_is_checked() {
        let bytes = store("changeit");
        assert!(is_jks(&bytes));
        for password in [Some("changeit"), None] {
            let entries = read(&bytes, password, None).ok().unwrap();
            assert_eq!(entries.trusted, [CertificateDer::from(vec![1, 2, 3])]);
        }
        assert_eq!(
            read(&bytes, Some("other"), None).err(),
            Some(JksError::Password)
        );
    }

    #[test]
    fn damaged_stores_are_refused() {
        let bytes = store("p");
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut], None, None).is_err(), "{cut}");
        }
        let mut long = bytes.clone();
        long[8..12].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(read(&long, None, None).err(), Some(JksError::Damaged));
    }
}
