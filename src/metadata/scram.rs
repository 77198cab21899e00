//! The keys of SCRAM credentials (RFC 5802), of which the metadata keeps what cannot be used to log in.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};

pub const ITERATIONS_MIN: i32 = 4096;
pub const ITERATIONS_MAX: i32 = 16384;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    Sha256,
    Sha512,
}

/// What a salted password comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    pub stored: Vec<u8>,
    pub server: Vec<u8>,
}

impl Mechanism {
    pub fn code(self) -> i8 {
        match self {
            Mechanism::Sha256 => 1,
            Mechanism::Sha512 => 2,
        }
    }

    pub fn from_code(code: i8) -> Option<Mechanism> {
        match code {
            1 => Some(Mechanism::Sha256),
            2 => Some(Mechanism::Sha512),
            _ => None,
        }
    }

    pub fn salted_password(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        match self {
            Mechanism::Sha256 => {
                pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, iterations).to_vec()
            }
            Mechanism::Sha512 => {
                pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password, salt, iterations).to_vec()
            }
        }
    }

    /// None for an empty password, which is no key.
    pub fn keys(self, salted_password: &[u8]) -> Option<Keys> {
        if salted_password.is_empty() {
            return None;
        }
        let client = self.hmac(salted_password, b"Client Key")?;
        Some(Keys {
            stored: self.hash(&client),
            server: self.hmac(salted_password, b"Server Key")?,
        })
    }

    fn hmac(self, key: &[u8], text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Mechanism::Sha256 => Hmac::<Sha256>::new_from_slice(key)
                .map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec()),
            Mechanism::Sha512 => Hmac::<Sha512>::new_from_slice(key)
                .map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec()),
        }
        .ok()
    }

    fn hash(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Mechanism::Sha256 => Sha256::digest(bytes).to_vec(),
            Mechanism::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }
}
