//! OAUTHBEARER (RFC 7628, KIP-255): the client's messages, and tokens that nobody signed, which
//! Kafka has for development.
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use thiserror::Error;

use super::jaas::LoginModule;

/// Between the parts of a message.
const SEPARATOR: char = '\u{1}';

#[derive(Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    #[error("OAuth Login Module option {0} must be a number")]
    NotANumber(String),
    #[error("Principal name claim '{0}' is missing: set unsecuredLoginStringClaim_{0}")]
    NoPrincipal(String),
}

/// What a client says first. Extensions are told to the broker with the token.
pub fn first_message(token: &str, extensions: &BTreeMap<String, String>) -> Vec<u8> {
    let mut message = format!("n,,{SEPARATOR}auth=Bearer {token}");
    for (key, value) in extensions {
        message.push(SEPARATOR);
        message.push_str(&format!("{key}={value}"));
    }
    message.push(SEPARATOR);
    message.push(SEPARATOR);
    message.into_bytes()
}

/// What a client answers to a refusal, so that the broker can end the exchange.
pub fn abort_message() -> Vec<u8> {
    vec![1]
}

/// A token without signature, from the options of the login module; with its end in ms.
pub fn unsecured_token(module: &LoginModule, now_ms: i64) -> Result<(String, i64), TokenError> {
    let number = |key: &str, text: &str| -> Result<f64, TokenError> {
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        number.ok_or_else(|| TokenError::NotANumber(key.to_owned()))
    };
    let mut claims = Map::new();
    for (key, text) in &module.options {
        if let Some(name) = key.strip_prefix("unsecuredLoginStringClaim_") {
            claims.insert(name.to_owned(), text.as_str().into());
        } else if let Some(name) = key.strip_prefix("unsecuredLoginNumberClaim_") {
            claims.insert(name.to_owned(), json!(number(key, text)?));
        } else if let Some(name) = key.strip_prefix("unsecuredLoginListClaim_") {
            // The first letter says what separates the rest.
            let mut letters = text.chars();
            let items: Vec<&str> = match letters.next() {
                Some(separator) => letters.as_str().split(separator).collect(),
                None => Vec::new(),
            };
            claims.insert(name.to_owned(), json!(items));
        }
    }
    let principal = module
        .option("unsecuredLoginPrincipalClaimName")
        .unwrap_or("sub");
    if !claims.get(principal).is_some_and(Value::is_string) {
        return Err(TokenError::NoPrincipal(principal.to_owned()));
    }
    let key = "unsecuredLoginLifetimeSeconds";
    let lifetime = module
        .option(key)
        .map_or(Ok(3600.0), |text| number(key, text))?;
    let issued = now_ms as f64 / 1000.0;
    claims.entry("iat").or_insert(json!(issued));
    let end = claims
        .entry("exp")
        .or_insert(json!(issued + lifetime))
        .as_f64();
    let end_ms = (end.unwrap_or(issued) * 1000.0) as i64;
    let encoded = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = encoded(json!({"alg": "none"}));
    Ok((
        format!("{header}.{}.", encoded(Value::Object(claims))),
        end_ms,
    ))
}

/// The extensions of a login module of unsecured tokens.
pub fn extensions(module: &LoginModule) -> BTreeMap<String, String> {
    let named = |(key, value): (&String, &String)| {
        let name = ["unsecuredLoginExtension_", "extension_"]
            .iter()
            .find_map(|prefix| key.strip_prefix(prefix))?;
        Some((name.to_owned(), value.clone()))
    };
    module.options.iter().filter_map(named).collect()
}

/// When a token ends, in milliseconds, if it is one that tells.
pub fn expiry_ms(token: &str) -> Option<i64> {
    let claims = token.split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    Some((claims.get("exp")?.as_f64()? * 1000.0) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(options: &str) -> LoginModule {
        LoginModule::parse(&format!("a.OAuthBearerLoginModule required {options};")).unwrap()
    }

    #[test]
    fn tokens_without_signature_carry_the_claims() {
        let module = module(
            "unsecuredLoginStringClaim_sub=\"alice\" unsecuredLoginNumberClaim_n=\"2\" \
             unsecuredLoginListClaim_scope=\"|a|b\" unsecuredLoginExtension_x=\"y\"",
        );
        let (token, end_ms) = unsecured_token(&module, 1_000_000).unwrap();
        assert_eq!(end_ms, 4_600_000);
        assert_eq!(expiry_ms(&token), Some(end_ms));
        let mut parts = token.split('.');
        assert_eq!(parts.next(), Some("eyJhbGciOiJub25lIn0"));
        let claims = URL_SAFE_NO_PAD.decode(parts.next().unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["sub"], "alice");
        assert_eq!(claims["scope"], json!(["a", "b"]));
        assert_eq!(claims["n"].as_f64(), Some(2.0));
        assert_eq!(parts.next(), Some(""));
        assert_eq!(
            first_message("t", &extensions(&module)),
            b"n,,\x01auth=Bearer t\x01x=y\x01\x01"
        );
    }

    #[test]
    fn a_token_needs_a_name() {
        let error = unsecured_token(&module(""), 0).unwrap_err();
        assert_eq!(error, TokenError::NoPrincipal("sub".into()));
        let error = unsecured_token(&module("unsecuredLoginNumberClaim_n=x"), 0).unwrap_err();
        assert_eq!(
            error,
            TokenError::NotANumber("unsecuredLoginNumberClaim_n".into())
        );
        assert_eq!(expiry_ms("opaque"), None);
    }
}
