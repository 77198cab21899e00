//! Where certificates and keys come from: PEM, PKCS #12 and JKS stores, or the system's.
use std::path::Path;

use p12_keystore::{KeyStore, KeyStoreEntry, Pkcs12ImportPolicy};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{Identity, TlsError, jks, pem};

/// A store as the settings describe it.
#[derive(Clone, Default)]
pub struct StoreSettings {
    /// `ssl.….type`
    pub kind: String,
    /// `ssl.….location`
    pub location: Option<String>,
    /// `ssl.….password`
    pub password: Option<String>,
    /// `ssl.truststore.certificates` or `ssl.keystore.certificate.chain`: PEM text
    pub certificates: Option<String>,
    /// `ssl.keystore.key`: PEM text
    pub key: Option<String>,
    /// `ssl.key.password`
    pub key_password: Option<String>,
}

/// What a store of PKCS #12 or JKS holds.
#[derive(Default)]
pub struct Entries {
    pub trusted: Vec<CertificateDer<'static>>,
    pub keys: Vec<(PrivateKeyDer<'static>, Vec<CertificateDer<'static>>)>,
}

impl StoreSettings {
    fn is_pem(&self) -> bool {
        self.kind.eq_ignore_ascii_case("PEM")
    }

    fn failed(&self, what: &'static str, why: impl ToString) -> TlsError {
        let path = self.location.clone().unwrap_or_default();
        TlsError::Store {
            what,
            path: format!("{path} of type {}", self.kind),
            why: why.to_string(),
        }
    }

    fn read(&self, what: &'static str, path: &str) -> Result<Vec<u8>, TlsError> {
        std::fs::read(Path::new(path)).map_err(|error| self.failed(what, error))
    }

    /// A store of PKCS #12 or JKS: which of them it is, Java finds out from its beginning too.
    fn entries(&self, what: &'static str, path: &str) -> Result<Entries, TlsError> {
        let bytes = self.read(what, path)?;
        if jks::is_jks(&bytes) {
            let (password, key) = (self.password.as_deref(), self.key_password.as_deref());
            return jks::read(&bytes, password, key).map_err(|error| self.failed(what, error));
        }
        let password = self.password.as_deref().unwrap_or_default();
        let store = KeyStore::from_pkcs12(&bytes, password, Pkcs12ImportPolicy::Strict)
            .map_err(|error| self.failed(what, error))?;
        let der = |cert: &p12_keystore::Certificate| CertificateDer::from(cert.as_der().to_vec());
        let mut entries = Entries::default();
        for (_, entry) in store.entries() {
            match entry {
                KeyStoreEntry::Certificate(cert) => entries.trusted.push(der(cert)),
                KeyStoreEntry::PrivateKeyChain(chain) => {
                    let key = PrivateKeyDer::try_from(chain.key().as_der().to_vec())
                        .map_err(|error| self.failed(what, error))?;
                    entries
                        .keys
                        .push((key, chain.certs().iter().map(der).collect()));
                }
                KeyStoreEntry::Secret(_) => {}
            }
        }
        Ok(entries)
    }
}

/// The certificates to trust; without a store those of the system.
pub fn trusted(store: &StoreSettings) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    const WHAT: &str = "truststore";
    if let Some(text) = &store.certificates {
        if !store.is_pem() {
            return Err(TlsError::setting(format!(
                "SSL trust store certs can be specified only for PEM, but trust store type is {}.",
                store.kind
            )));
        }
        if store.location.is_some() {
            return Err(TlsError::setting(
                "Both SSL trust store location and separate trust certificates are specified.",
            ));
        }
        return pem::certificates(text.as_bytes()).map_err(|error| store.failed(WHAT, error));
    }
    let Some(path) = &store.location else {
        let found = rustls_native_certs::load_native_certs();
        if found.certs.is_empty() {
            return Err(TlsError::setting(
                "The system has no certificates to trust: set ssl.truststore.location.",
            ));
        }
        return Ok(found.certs);
    };
    let mut trusted = if store.is_pem() {
        let text = store.read(WHAT, path)?;
        pem::certificates(&text).map_err(|error| store.failed(WHAT, error))?
    } else {
        let entries = store.entries(WHAT, path)?;
        let own = entries.keys.into_iter();
        let own = own.filter_map(|(_, chain)| chain.into_iter().next());
        entries.trusted.into_iter().chain(own).collect()
    };
    trusted.dedup();
    if trusted.is_empty() {
        return Err(store.failed(WHAT, "it holds no certificate to trust"));
    }
    Ok(trusted)
}

/// The client's own key and certificates, where it has any.
pub(super) fn identity(store: &StoreSettings) -> Result<Option<Identity>, TlsError> {
    const WHAT: &str = "keystore";
    if let Some(key) = &store.key {
        if !store.is_pem() {
            return Err(TlsError::setting(format!(
                "SSL private key can be specified only for PEM, but key store type is {}.",
                store.kind
            )));
        }
        let Some(chain) = &store.certificates else {
            return Err(TlsError::setting(
                "SSL private key is specified, but certificate chain is not specified.",
            ));
        };
        let key = pem::key(key.as_bytes(), store.key_password.as_deref());
        let key = key.map_err(|error| store.failed(WHAT, error))?;
        let chain = pem::certificates(chain.as_bytes());
        let chain = chain.map_err(|error| store.failed(WHAT, error))?;
        return Ok(Some(Identity { key, chain }));
    }
    if store.certificates.is_some() {
        return Err(TlsError::setting(
            "SSL certificate chain is specified, but private key is not specified",
        ));
    }
    let Some(path) = &store.location else {
        return Ok(None);
    };
    if store.is_pem() {
        let text = store.read(WHAT, path)?;
        let key = pem::key(&text, store.key_password.as_deref());
        let key = key.map_err(|error| store.failed(WHAT, error))?;
        let chain = pem::certificates(&text).map_err(|error| store.failed(WHAT, error))?;
        return Ok(Some(Identity { key, chain }));
    }
    let mut keys = store.entries(WHAT, path)?.keys.into_iter();
    // A store without a key is no identity: Java goes on without one.
    Ok(keys.next().map(|(key, chain)| Identity { key, chain }))
}
