//! Which brokers are trusted: those that Java's clients trust with the same settings.
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::{TlsError, names};

/// Beside chains up to a trusted certificate it takes a certificate that is itself trusted, as
/// self-signed ones are, and it can leave the host's name out.
#[derive(Debug)]
pub struct KafkaVerifier {
    chains: Arc<WebPkiServerVerifier>,
    trusted: Vec<CertificateDer<'static>>,
    check_name: bool,
}

impl KafkaVerifier {
    pub fn new(
        trusted: Vec<CertificateDer<'static>>,
        check_name: bool,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        // What cannot stand at the end of a chain may still be a broker's own certificate.
        roots.add_parsable_certificates(trusted.iter().cloned());
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let chains = chains.map_err(|error| TlsError::setting(error.to_string()))?;
        Ok(KafkaVerifier {
            chains,
            trusted,
            check_name,
        })
    }

    /// Whether the certificate is that of the host.
    fn check_name(&self, leaf: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Error> {
        if !self.check_name {
            return Ok(());
        }
        let parsed = ParsedCertificate::try_from(leaf)?;
        match verify_server_name(&parsed, name) {
            Err(error) if is_other_name(&error) && names::common_name_matches(leaf, name) => Ok(()),
            checked => checked,
        }
    }
}

fn is_other_name(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        )
    )
}

impl ServerCertVerifier for KafkaVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.trusted.iter().any(|trusted| trusted == leaf) {
            self.check_name(leaf, name)?;
            return Ok(ServerCertVerified::assertion());
        }
        // The chain comes first there, the name last.
        let verified =
            self.chains
                .verify_server_cert(leaf, intermediates, name, ocsp_response, now);
        match verified {
            Err(error) if is_other_name(&error) => {
                self.check_name(leaf, name).map_err(|_| error)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}
