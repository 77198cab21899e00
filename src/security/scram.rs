//! SCRAM (RFC 5802) with SHA-256 and SHA-512, the client's side.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use pbkdf2::pbkdf2_hmac;
use sha2::{Digest, Sha256, Sha512};
use thiserror::Error;

/// Fewer make stolen verifiers cheap to try passwords on: clients refuse them.
const ITERATIONS_MIN: u32 = 4_096;
/// More would keep a client busy for a minute at a server's word.
const ITERATIONS_MAX: u32 = 20_000_000;

/// The hash function of a mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScramHash {
    Sha256,
    Sha512,
}

#[derive(Debug, PartialEq, Eq, Error)]
pub enum ScramError {
    #[error("Invalid SCRAM message from the server")]
    Malformed,
    #[error("Invalid server nonce: does not start with client nonce")]
    Nonce,
    #[error("Requested iterations {0} is less than the minimum {ITERATIONS_MIN}")]
    TooFewIterations(u32),
    #[error("Requested iterations {0} is more than the maximum {ITERATIONS_MAX}")]
    TooManyIterations(u32),
    #[error("{0}")]
    Refused(String),
    #[error("Invalid server signature in server final message")]
    Signature,
}

impl ScramHash {
    fn hmac(self, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        // HMAC takes keys of any length: this cannot fail.
        match self {
            ScramHash::Sha256 => Hmac::<Sha256>::new_from_slice(key)
                .map(|mac| parts.iter().fold(mac, |mac, part| mac.chain_update(part)))
                .map(|mac| mac.finalize().into_bytes().to_vec())
                .unwrap_or_default(),
            ScramHash::Sha512 => Hmac::<Sha512>::new_from_slice(key)
                .map(|mac| parts.iter().fold(mac, |mac, part| mac.chain_update(part)))
                .map(|mac| mac.finalize().into_bytes().to_vec())
                .unwrap_or_default(),
        }
    }

    fn hash(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            ScramHash::Sha256 => Sha256::digest(bytes).to_vec(),
            ScramHash::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }

    fn salted(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        match self {
            ScramHash::Sha256 => {
                let mut key = vec![0; 32];
                pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut key);
                key
            }
            ScramHash::Sha512 => {
                let mut key = vec![0; 64];
                pbkdf2_hmac::<Sha512>(password, salt, iterations, &mut key);
                key
            }
        }
    }
}

/// An exchange on the way.
pub struct ScramClient {
    hash: ScramHash,
    password: String,
    nonce: String,
    first_bare: String,
    /// What the server has to prove that it knows, once the client has answered.
    server_signature: Option<Vec<u8>>,
}

impl ScramClient {
    /// `nonce` must not be used twice; a delegation token is announced as such.
    pub fn new(hash: ScramHash, user: &str, password: &str, token: bool, nonce: String) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let extension = if token { ",tokenauth=true" } else { "" };
        ScramClient {
            hash,
            password: password.to_owned(),
            first_bare: format!("n={user},r={nonce}{extension}"),
            nonce,
            server_signature: None,
        }
    }

    pub fn first(&self) -> Vec<u8> {
        format!("n,,{}", self.first_bare).into_bytes()
    }

    /// The answer to the server's first message.
    pub fn last(&mut self, server_first: &[u8]) -> Result<Vec<u8>, ScramError> {
        let text = std::str::from_utf8(server_first).map_err(|_| ScramError::Malformed)?;
        let nonce = field(text, "r").ok_or(ScramError::Malformed)?;
        let salt = field(text, "s").and_then(|salt| STANDARD.decode(salt).ok());
        let salt = salt.ok_or(ScramError::Malformed)?;
        let iterations = field(text, "i").and_then(|count| count.parse::<u32>().ok());
        let iterations = iterations.ok_or(ScramError::Malformed)?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(ScramError::Nonce);
        }
        if iterations < ITERATIONS_MIN {
            return Err(ScramError::TooFewIterations(iterations));
        }
        if iterations > ITERATIONS_MAX {
            return Err(ScramError::TooManyIterations(iterations));
        }
        let hash = self.hash;
        let without_proof = format!("c=biws,r={nonce}");
        let signed = format!("{},{text},{without_proof}", self.first_bare);
        let salted = hash.salted(self.password.as_bytes(), &salt, iterations);
        let client_key = hash.hmac(&salted, &[b"Client Key"]);
        let signature = hash.hmac(&hash.hash(&client_key), &[signed.as_bytes()]);
        let proof: Vec<u8> = client_key
            .iter()
            .zip(&signature)
            .map(|(a, b)| a ^ b)
            .collect();
        let server_key = hash.hmac(&salted, &[b"Server Key"]);
        self.server_signature = Some(hash.hmac(&server_key, &[signed.as_bytes()]));
        Ok(format!("{without_proof},p={}", STANDARD.encode(proof)).into_bytes())
    }

    /// Checks that the server knows the password's verifier too.
    pub fn verify(&self, server_final: &[u8]) -> Result<(), ScramError> {
        let text = std::str::from_utf8(server_final).map_err(|_| ScramError::Malformed)?;
        if let Some(error) = field(text, "e") {
            return Err(ScramError::Refused(error.to_owned()));
        }
        let signature = field(text, "v").and_then(|signature| STANDARD.decode(signature).ok());
        match (&self.server_signature, signature) {
            (Some(expected), Some(signature)) if *expected == signature => Ok(()),
            (_, None) => Err(ScramError::Malformed),
            _ => Err(ScramError::Signature),
        }
    }
}

/// The value of `key=value` in a list with commas.
fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut fields = text.split(',');
    fields.find_map(|field| field.strip_prefix(key)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677, section 3.
    #[test]
    fn the_example_of_the_rfc() {
        let nonce = "rOprNGfwEbeRWgbNEkqO".to_owned();
        let mut client = ScramClient::new(ScramHash::Sha256, "user", "pencil", false, nonce);
        assert_eq!(client.first(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let server_first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                            s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let answer = client.last(server_first.as_bytes()).unwrap();
        assert_eq!(
            String::from_utf8(answer).unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        let good = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        assert_eq!(client.verify(good), Ok(()));
        let forged = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=";
        assert!(client.verify(forged).is_err());
    }

    #[test]
    fn servers_that_cheat_are_refused() {
        let mut client = ScramClient::new(ScramHash::Sha512, "a=b,c", "p", true, "abc".into());
        assert_eq!(client.first(), b"n,,n=a=3Db=2Cc,r=abc,tokenauth=true");
        for (message, want) in [
            ("r=abc,s=QQ==,i=4096", ScramError::Nonce),
            ("r=xyz1,s=QQ==,i=4096", ScramError::Nonce),
            ("r=abc1,s=QQ==,i=100", ScramError::TooFewIterations(100)),
            (
                "r=abc1,s=QQ==,i=2000000000",
                ScramError::TooManyIterations(2_000_000_000),
            ),
            ("r=abc1,s=?,i=4096", ScramError::Malformed),
            ("", ScramError::Malformed),
        ] {
            assert_eq!(client.last(message.as_bytes()), Err(want), "{message}");
        }
        assert_eq!(
            client.verify(b"v=QQ=="),
            Err(ScramError::Signature),
            "nothing was proved"
        );
        let refused = ScramError::Refused("other-error".into());
        assert_eq!(client.verify(b"e=other-error"), Err(refused));
    }
}
