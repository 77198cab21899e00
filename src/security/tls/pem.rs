//! Certificates and keys as PEM text.
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pkcs8::EncryptedPrivateKeyInfoRef;
use regex::Regex;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use thiserror::Error;

#[derive(Debug, Error)]
pub enum PemError {
    #[error("it is no PEM text: {0}")]
    Text(String),
    #[error("it holds no certificate")]
    NoCertificate,
    #[error("it holds no private key")]
    NoKey,
    #[error("its key is encrypted: set ssl.key.password")]
    NoPassword,
    #[error("its key cannot be decrypted with ssl.key.password")]
    WrongPassword,
}

static SECTION: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?s)-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END [A-Z0-9 ]+-----").ok()
});

/// The sections of the text, each in lines of its own: in a value of a `.properties` file all may stand in one line, with
/// blanks or without, as Java's clients take it.
fn in_lines(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let sections = SECTION
        .iter()
        .flat_map(|section| section.captures_iter(&text));
    sections
        .map(|section| {
            let (name, body) = (&section[1], &section[2]);
            let body: String = body.split_whitespace().collect();
            format!("-----BEGIN {name}-----\n{body}\n-----END {name}-----\n")
        })
        .collect()
}

/// Every certificate in the text, in order.
pub fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let text = in_lines(text);
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let found = found.map_err(|error| PemError::Text(error.to_string()))?;
    if found.is_empty() {
        return Err(PemError::NoCertificate);
    }
    Ok(found)
}

const ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const ENCRYPTED_END: &str = "-----END ENCRYPTED PRIVATE KEY-----";

/// The private key in the text, decrypted if need be.
pub fn key(text: &[u8], password: Option<&str>) -> Result<PrivateKeyDer<'static>, PemError> {
    let text = in_lines(text);
    let Some((_, rest)) = text.split_once(ENCRYPTED) else {
        return match PrivateKeyDer::from_pem_slice(text.as_bytes()) {
            Ok(key) => Ok(key),
            Err(rustls::pki_types::pem::Error::NoItemsFound) => Err(PemError::NoKey),
            Err(error) => Err(PemError::Text(error.to_string())),
        };
    };
    let (body, _) = rest.split_once(ENCRYPTED_END).ok_or(PemError::NoKey)?;
    let password = password.ok_or(PemError::NoPassword)?;
    let body: String = body.split_whitespace().collect();
    let der = STANDARD
        .decode(body)
        .map_err(|error| PemError::Text(error.to_string()))?;
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(der.as_slice());
    let encrypted = encrypted.map_err(|error| PemError::Text(error.to_string()))?;
    let decrypted = encrypted
        .decrypt(password)
        .map_err(|_| PemError::WrongPassword)?;
    Ok(PrivatePkcs8KeyDer::from(decrypted.as_bytes().to_vec()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_may_stand_in_one_line() {
        let body = "AAECAwQFBgcICQ==";
        for text in [
            format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"),
            format!("-----BEGIN CERTIFICATE----- {body} -----END CERTIFICATE-----"),
            "-----BEGIN CERTIFICATE-----AAECAwQF BgcICQ==-----END CERTIFICATE-----".to_owned(),
            format!(
                "subject=x\r\n-----BEGIN CERTIFICATE-----\r\n{body}\r\n-----END CERTIFICATE-----"
            ),
        ] {
            let found = certificates(text.as_bytes()).unwrap();
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!(found[0].as_ref(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], "{text}");
        }
        for text in ["", "nothing", "-----BEGIN CERTIFICATE-----"] {
            let none = certificates(text.as_bytes());
            assert!(matches!(none, Err(PemError::NoCertificate)), "{text}");
        }
    }
}
