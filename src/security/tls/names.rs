//! Whether a certificate is that of a host, where rustls does not look: in the common name, which
//! Java takes when the certificate names no host in the extension made for that.
use rustls::pki_types::{CertificateDer, ServerName};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Whether the common name is that of the host, in a certificate without alternative names.
pub fn common_name_matches(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    let ServerName::DnsName(host) = name else {
        return false;
    };
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return false;
    };
    let has_names = parsed
        .subject_alternative_name()
        .ok()
        .flatten()
        .is_some_and(|names| {
            let mut names = names.value.general_names.iter();
            names.any(|name| matches!(name, GeneralName::DNSName(_)))
        });
    if has_names {
        return false;
    }
    let last = parsed.subject().iter_common_name().last();
    let last = last.and_then(|name| name.as_str().ok());
    last.is_some_and(|pattern| matches(pattern, host.as_ref()))
}

/// `*.example.com` stands for one more label.
fn matches(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(domain) => host
            .split_once('.')
            .is_some_and(|(_, parent)| parent.eq_ignore_ascii_case(domain)),
        None => pattern.eq_ignore_ascii_case(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        assert!(matches("Broker.example.com", "broker.example.com"));
        assert!(matches("*.example.com", "b.example.com"));
        assert!(!matches("*.example.com", "a.b.example.com"));
        assert!(!matches("*.example.com", "example.com"));
    }
}
