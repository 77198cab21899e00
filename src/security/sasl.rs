//! The client's side of the SASL mechanisms, as exchanges of messages.
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::oauth_bearer;
use super::scram::{ScramClient, ScramError, ScramHash};

/// How a client proves who it is.
#[derive(Clone)]
pub enum Credentials {
    Plain {
        user: String,
        password: String,
    },
    Scram {
        hash: ScramHash,
        user: String,
        password: String,
        token: bool,
    },
    Bearer {
        token: String,
        extensions: BTreeMap<String, String>,
    },
}

/// An exchange: [`SaslClient::first`] is sent, and each answer is given to [`SaslClient::next`].
pub enum SaslClient {
    /// Everything was said in the first message.
    Plain(Vec<u8>),
    Scram {
        client: ScramClient,
        proved: bool,
    },
    Bearer(Vec<u8>),
}

impl SaslClient {
    pub fn start(credentials: &Credentials) -> Self {
        match credentials {
            Credentials::Plain { user, password } => {
                SaslClient::Plain(format!("\0{user}\0{password}").into_bytes())
            }
            Credentials::Scram {
                hash,
                user,
                password,
                token,
            } => {
                let random = fastrand::u128(..).to_be_bytes();
                let nonce = URL_SAFE_NO_PAD.encode(random);
                let client = ScramClient::new(*hash, user, password, *token, nonce);
                SaslClient::Scram {
                    client,
                    proved: false,
                }
            }
            Credentials::Bearer { token, extensions } => {
                SaslClient::Bearer(oauth_bearer::first_message(token, extensions))
            }
        }
    }

    pub fn first(&mut self) -> Vec<u8> {
        match self {
            SaslClient::Plain(message) | SaslClient::Bearer(message) => std::mem::take(message),
            SaslClient::Scram { client, .. } => client.first(),
        }
    }

    /// The next message, or `None` when the exchange has come to its good end.
    pub fn next(&mut self, answer: &[u8]) -> Result<Option<Vec<u8>>, ScramError> {
        match self {
            SaslClient::Plain(_) => Ok(None),
            // An answer that says anything is a refusal, which the broker ends after one more word.
            SaslClient::Bearer(_) if answer.is_empty() => Ok(None),
            SaslClient::Bearer(_) => Ok(Some(oauth_bearer::abort_message())),
            SaslClient::Scram { client, proved } if *proved => client.verify(answer).map(|()| None),
            SaslClient::Scram { client, proved } => {
                *proved = true;
                client.last(answer).map(Some)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_says_it_all_at_once() {
        let mut client = SaslClient::start(&Credentials::Plain {
            user: "alice".into(),
            password: "secret".into(),
        });
        assert_eq!(client.first(), b"\0alice\0secret");
        assert_eq!(client.next(b""), Ok(None));
    }

    #[test]
    fn a_refused_token_is_given_up_in_order() {
        let mut client = SaslClient::start(&Credentials::Bearer {
            token: "t".into(),
            extensions: BTreeMap::new(),
        });
        assert_eq!(client.first(), b"n,,\x01auth=Bearer t\x01\x01");
        assert_eq!(
            client.next(b"{\"status\":\"invalid_token\"}"),
            Ok(Some(vec![1]))
        );
    }

    #[test]
    fn scram_is_over_only_when_the_server_has_proved_itself() {
        let mut client = SaslClient::start(&Credentials::Scram {
            hash: ScramHash::Sha256,
            user: "u".into(),
            password: "p".into(),
            token: false,
        });
        let first = String::from_utf8(client.first()).unwrap();
        let nonce = first.rsplit("r=").next().unwrap();
        let answer = format!("r={nonce}more,s=QQ==,i=4096");
        assert!(matches!(client.next(answer.as_bytes()), Ok(Some(_))));
        assert_eq!(client.next(b"v=QQ=="), Err(ScramError::Signature));
    }
}
