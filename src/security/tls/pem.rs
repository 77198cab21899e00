//! Certificates and keys as PEM text.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pkcs8::EncryptedPrivateKeyInfoRef;
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

/// Every certificate in the text, in order.
pub fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
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
    let lossy = String::from_utf8_lossy(text);
    let Some((_, rest)) = lossy.split_once(ENCRYPTED) else {
        return match PrivateKeyDer::from_pem_slice(text) {
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
