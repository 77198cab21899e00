//! TLS as the `ssl.*` settings describe it, with rustls.
mod jks;
mod names;
mod pem;
mod stores;
mod verifier;

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

pub use stores::StoreSettings;

/// What is wrong with the settings of TLS, or with the files that they name. Passwords are never
/// told.
#[derive(Debug, Error)]
pub enum TlsError {
    #[error("Failed to load SSL {what} {path}: {why}")]
    Store {
        what: &'static str,
        path: String,
        why: String,
    },
    #[error("{0}")]
    Setting(String),
    #[error("{0}")]
    Tls(#[from] rustls::Error),
}

impl TlsError {
    fn setting(text: impl Into<String>) -> Self {
        TlsError::Setting(text.into())
    }
}

/// The `ssl.*` settings of a client.
#[derive(Clone, Default)]
pub struct TlsSettings {
    /// `ssl.truststore.…`
    pub trust: StoreSettings,
    /// `ssl.keystore.…`
    pub identity: StoreSettings,
    /// `ssl.endpoint.identification.algorithm`: whether the certificate must be of the host.
    pub check_name: bool,
    /// `ssl.enabled.protocols`
    pub protocols: Vec<String>,
    /// `ssl.cipher.suites`; all when empty.
    pub cipher_suites: Vec<String>,
}

/// A private key and the certificates that go with it, the own one first.
struct Identity {
    key: PrivateKeyDer<'static>,
    chain: Vec<CertificateDer<'static>>,
}

/// Reads the stores and makes what connections are opened with.
pub fn client_config(settings: &TlsSettings) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(provider(&settings.cipher_suites)?);
    let versions = versions(&settings.protocols)?;
    let trusted = stores::trusted(&settings.trust)?;
    let verifier = verifier::KafkaVerifier::new(trusted, settings.check_name, provider.clone())?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let config = match stores::identity(&settings.identity)? {
        Some(Identity { key, chain }) => builder.with_client_auth_cert(chain, key)?,
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

/// Java's names of protocols; old ones are left out, as Java's defaults do.
fn versions(names: &[String]) -> Result<Vec<&'static rustls::SupportedProtocolVersion>, TlsError> {
    let known = |name: &String| match name.as_str() {
        "TLSv1.3" => Some(&rustls::version::TLS13),
        "TLSv1.2" => Some(&rustls::version::TLS12),
        _ => None,
    };
    let versions: Vec<_> = names.iter().filter_map(known).collect();
    if versions.is_empty() {
        return Err(TlsError::setting(format!(
            "ssl.enabled.protocols has none of TLSv1.3 and TLSv1.2: {}",
            names.join(", ")
        )));
    }
    Ok(versions)
}

/// The cipher suites that are asked for, by their names in Java.
fn provider(names: &[String]) -> Result<CryptoProvider, TlsError> {
    let mut provider = ring::default_provider();
    if names.is_empty() {
        return Ok(provider);
    }
    provider.cipher_suites.retain(|suite| {
        let name = format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1);
        names.contains(&name)
    });
    if provider.cipher_suites.is_empty() {
        return Err(TlsError::setting(format!(
            "ssl.cipher.suites has none that is known here: {}",
            names.join(", ")
        )));
    }
    Ok(provider)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_and_cipher_suites_have_javas_names() {
        let of = |name: &str| [name.to_owned()];
        assert_eq!(versions(&of("TLSv1.3")).unwrap().len(), 1);
        assert!(versions(&of("TLSv1.1")).is_err());
        for name in [
            "TLS_AES_256_GCM_SHA384",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        ] {
            assert_eq!(
                provider(&of(name)).unwrap().cipher_suites.len(),
                1,
                "{name}"
            );
        }
        assert!(provider(&of("TLS_RSA_WITH_AES_128_CBC_SHA")).is_err());
    }
}
