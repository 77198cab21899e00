//! Where the credentials of SASL come from: fixed ones, or tokens that are fetched and renewed.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::client::connection::server_name;
use crate::client::errors::{ClientError, Result};
use crate::security::jaas::LoginModule;
use crate::security::oauth_bearer::{expiry_ms, extensions, unsecured_token};
use crate::security::sasl::Credentials;

/// A token is fetched anew once this much of its life is over.
const RENEW_AT: f64 = 0.8;
/// The largest answer that is taken from a token endpoint.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// A token that does not tell its end is kept so long.
const UNKNOWN_LIFE_MS: i64 = 60_000;

/// The credentials of a client.
pub enum Login {
    Fixed(Credentials),
    Bearer {
        source: Box<BearerSource>,
        token: Mutex<Option<Token>>,
    },
}

/// Where tokens of OAUTHBEARER come from.
pub enum BearerSource {
    /// Made here, without signature.
    Unsecured(LoginModule),
    /// The client credentials grant of OAuth 2.
    Endpoint {
        url: String,
        client_id: String,
        client_secret: String,
        scope: Option<String>,
        extensions: BTreeMap<String, String>,
        tls: Option<Arc<rustls::ClientConfig>>,
        connect_timeout: Duration,
        read_timeout: Duration,
    },
}

#[derive(Clone)]
pub struct Token {
    text: String,
    renew_at_ms: i64,
}

impl Login {
    pub fn bearer(source: BearerSource) -> Self {
        Login::Bearer {
            source: Box::new(source),
            token: Mutex::new(None),
        }
    }

    /// What to authenticate with now.
    pub async fn credentials(&self, now_ms: i64) -> Result<Credentials> {
        let (source, known) = match self {
            Login::Fixed(credentials) => return Ok(credentials.clone()),
            Login::Bearer { source, token } => (source, token),
        };
        let mut known = known.lock().await;
        let token = match known.as_ref().filter(|token| now_ms < token.renew_at_ms) {
            Some(token) => token.clone(),
            None => source.token(now_ms).await?,
        };
        *known = Some(token.clone());
        let extensions = match &**source {
            BearerSource::Unsecured(module) => extensions(module),
            BearerSource::Endpoint { extensions, .. } => extensions.clone(),
        };
        Ok(Credentials::Bearer {
            token: token.text,
            extensions,
        })
    }
}

impl BearerSource {
    async fn token(&self, now_ms: i64) -> Result<Token> {
        let (text, end_ms) = match self {
            BearerSource::Unsecured(module) => {
                let token = unsecured_token(module, now_ms);
                token.map_err(|error| ClientError::config(error.to_string()))?
            }
            BearerSource::Endpoint { .. } => {
                let text = self.fetch().await?;
                let end_ms = expiry_ms(&text).unwrap_or(now_ms + UNKNOWN_LIFE_MS);
                (text, end_ms)
            }
        };
        let life = (end_ms - now_ms).max(0) as f64;
        Ok(Token {
            text,
            renew_at_ms: now_ms + (life * RENEW_AT) as i64,
        })
    }

    async fn fetch(&self) -> Result<String> {
        let BearerSource::Endpoint {
            url,
            tls,
            connect_timeout,
            read_timeout,
            ..
        } = self
        else {
            return Err(ClientError::config("these tokens are not fetched"));
        };
        let failed = |why: String| {
            ClientError::authentication(format!("No token could be had from {url}: {why}"))
        };
        let uri: Uri = url.parse().map_err(|error| failed(format!("{error}")))?;
        let host = uri
            .host()
            .ok_or_else(|| failed("it names no host".to_owned()))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = uri
            .port_u16()
            .unwrap_or(if tls.is_some() { 443 } else { 80 });
        let connected = tokio::time::timeout(*connect_timeout, TcpStream::connect((host, port)));
        let stream = match connected.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(_) => return Err(failed("connection timed out".to_owned())),
        };
        let answered = async {
            let Some(tls) = tls else {
                return self.exchange(&uri, stream).await;
            };
            let connector = tokio_rustls::TlsConnector::from(tls.clone());
            let name = server_name(host).map_err(|error| error.to_string())?;
            let stream = connector.connect(name, stream).await;
            self.exchange(&uri, stream.map_err(|error| error.to_string())?)
                .await
        };
        match tokio::time::timeout(*read_timeout, answered).await {
            Ok(answer) => answer.map_err(failed),
            Err(_) => Err(failed("it did not answer in time".to_owned())),
        }
    }

    /// Asks over a connection, and reads the token out of the answer.
    async fn exchange<S>(&self, uri: &Uri, stream: S) -> Result<String, String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let request = self.request(uri)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        // Owns the sender: once it has its answer, the connection may end.
        let answered = async move {
            let response = sender.send_request(request).await;
            let response = response.map_err(|error| error.to_string())?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
            let body = body.collect().await;
            let body = body.map_err(|error| error.to_string())?.to_bytes();
            Ok::<_, String>((status, body))
        };
        let (answered, _ended) = tokio::join!(answered, connection);
        let (status, body) = answered?;
        read_answer(status, &body)
    }

    fn request(&self, uri: &Uri) -> Result<Request<Full<Bytes>>, String> {
        let BearerSource::Endpoint {
            client_id,
            client_secret,
            scope,
            ..
        } = self
        else {
            return Err("these tokens are not fetched".to_owned());
        };
        let mut form = "grant_type=client_credentials".to_owned();
        if let Some(scope) = scope
            .as_deref()
            .map(str::trim)
            .filter(|scope| !scope.is_empty())
        {
            form.push_str("&scope=");
            form.push_str(&form_encoded(scope));
        }
        let basic = STANDARD.encode(format!("{client_id}:{client_secret}"));
        let host = uri.authority().map_or("", |authority| authority.as_str());
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Request::post(path)
            .header(HOST, host)
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, format!("Basic {basic}"))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(form)))
            .map_err(|error| error.to_string())
    }
}

fn read_answer(status: StatusCode, body: &[u8]) -> Result<String, String> {
    let answer: Option<Value> = serde_json::from_slice(body).ok();
    let text = |key: &str| answer.as_ref()?.get(key)?.as_str().map(str::to_owned);
    if !status.is_success() {
        let told = text("error_description").or_else(|| text("error"));
        let told = told.map(|told| format!(": {told}")).unwrap_or_default();
        return Err(format!("it answered {status}{told}"));
    }
    text("access_token").ok_or_else(|| "its answer holds no access_token".to_owned())
}

/// As HTML forms are sent.
fn form_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => {
                encoded.push(char::from(byte));
            }
            b' ' => encoded.push('+'),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_refusals_are_told() {
        let token = read_answer(StatusCode::OK, br#"{"access_token":"a.b.c"}"#);
        assert_eq!(token.as_deref(), Ok("a.b.c"));
        assert_eq!(
            read_answer(StatusCode::UNAUTHORIZED, br#"{"error":"invalid_client"}"#).unwrap_err(),
            "it answered 401 Unauthorized: invalid_client"
        );
        assert!(read_answer(StatusCode::OK, b"<html>").is_err());
    }

    #[test]
    fn forms_are_encoded() {
        assert_eq!(form_encoded("a b&c=é"), "a+b%26c%3D%C3%A9");
    }

    #[tokio::test]
    async fn a_token_is_kept_for_most_of_its_life() {
        let module = LoginModule::parse(
            "a.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"alice\" \
             unsecuredLoginLifetimeSeconds=\"100\";",
        );
        let login = Login::bearer(BearerSource::Unsecured(module.unwrap()));
        let token = async |now_ms| match login.credentials(now_ms).await.unwrap() {
            Credentials::Bearer { token, .. } => token,
            _ => String::new(),
        };
        let first = token(0).await;
        assert_eq!(token(79_999).await, first);
        assert_ne!(token(80_000).await, first);
    }

    #[tokio::test]
    async fn tokens_come_from_the_endpoint() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = String::new();
            while !request.ends_with("scope=a+b") {
                let mut bytes = [0; 1024];
                let count = stream.read(&mut bytes).await.unwrap();
                request.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
            }
            let body = r#"{"access_token":"opaque"}"#;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all((head + body).as_bytes()).await.unwrap();
            request
        });
        let login = Login::bearer(BearerSource::Endpoint {
            url: format!("http://{address}/token"),
            client_id: "me".into(),
            client_secret: "secret".into(),
            scope: Some("a b".into()),
            extensions: BTreeMap::new(),
            tls: None,
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(10),
        });
        let credentials = login.credentials(0).await.unwrap();
        assert!(matches!(credentials, Credentials::Bearer { token, .. } if token == "opaque"));
        let request = served.await.unwrap().to_lowercase();
        assert!(request.starts_with("post /token http/1.1\r\n"), "{request}");
        assert!(
            request.contains("authorization: basic bwu6c2vjcmv0"),
            "{request}"
        );
    }
}
