//! A scripted peer on the other end of a real socket.
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::protocol::messages::api_versions_response::ApiVersion;
use crate::protocol::messages::{
    ApiVersionsResponse, HeartbeatRequest, HeartbeatResponse, MetadataRequest,
};
use crate::protocol::{ApiKey, ErrorCode, frame};

const TIMEOUT: Duration = Duration::from_secs(10);

/// The broker's side of one connection.
struct Peer(TcpStream);

impl Peer {
    /// The next request's version, correlation id and whole frame.
    async fn request(&mut self) -> (i16, i32, Bytes) {
        let mut frame = vec![0; self.0.read_i32().await.unwrap() as usize];
        self.0.read_exact(&mut frame).await.unwrap();
        let mut reader = Reader::new(Bytes::from(frame.clone()));
        let header = frame::decode_request_header(&mut reader).unwrap();
        (
            header.request_api_version,
            header.correlation_id,
            frame.into(),
        )
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Answers ApiVersions: everything up to what the protocol room knows.
    async fn greet(&mut self) {
        let (version, correlation_id, _) = self.request().await;
        self.send(&versions(correlation_id, version, ErrorCode::None))
            .await;
    }

    async fn answer_heartbeat(&mut self) -> i32 {
        let (version, correlation_id, _) = self.request().await;
        self.send(&heartbeat(correlation_id, version, 0)).await;
        correlation_id
    }
}

fn versions(correlation_id: i32, version: i16, code: ErrorCode) -> Vec<u8> {
    let api = |key: &ApiKey| ApiVersion {
        api_key: key.code(),
        min_version: 0,
        max_version: if *key == ApiKey::ApiVersions { 3 } else { 99 },
    };
    let response = ApiVersionsResponse {
        error_code: code.code(),
        api_keys: ApiKey::ALL.iter().map(api).collect(),
        ..Default::default()
    };
    frame::encode_response(correlation_id, &response, version)
        .unwrap()
        .to_bytes()
        .unwrap()
        .into()
}

fn heartbeat(correlation_id: i32, version: i16, code: i16) -> Vec<u8> {
    let response = HeartbeatResponse {
        error_code: code,
        ..Default::default()
    };
    frame::encode_response(correlation_id, &response, version)
        .unwrap()
        .to_bytes()
        .unwrap()
        .into()
}

fn settings() -> ConnectionConfig {
    ConnectionConfig {
        client_id: "test".into(),
        setup_timeout: TIMEOUT,
        send_buffer_bytes: None,
        receive_buffer_bytes: None,
        max_idle: None,
        response_bytes_max: 1_000_000,
        security: Security::default(),
    }
}

/// Opens a connection to a peer that runs `script`.
async fn open<F, S>(config: ConnectionConfig, script: S) -> (Result<Connection>, JoinHandle<()>)
where
    S: FnOnce(Peer) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let endpoint = Endpoint {
        id: 1,
        host: "127.0.0.1".into(),
        port,
        rack: None,
    };
    let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
    let opening = tokio::spawn(async move {
        Connection::open(endpoint, &config, Arc::default(), &tasks, &cancel).await
    });
    let peer = Peer(listener.accept().await.unwrap().0);
    let script = tokio::spawn(script(peer));
    (opening.await.unwrap(), script)
}

async fn beat(connection: &Connection) -> Result<HeartbeatResponse> {
    let version = connection.version::<HeartbeatRequest>()?;
    connection
        .send(&HeartbeatRequest::default(), version, TIMEOUT)
        .await
}

#[tokio::test]
async fn fragmented_responses_are_put_together() {
    let (connection, script) = open(settings(), |mut peer| async move {
        let (version, correlation_id, _) = peer.request().await;
        for byte in versions(correlation_id, version, ErrorCode::None) {
            peer.send(&[byte]).await;
            peer.0.flush().await.unwrap();
        }
        let (version, correlation_id, _) = peer.request().await;
        for byte in heartbeat(correlation_id, version, 27) {
            peer.send(&[byte]).await;
            tokio::task::yield_now().await;
        }
    })
    .await;
    let answer = beat(&connection.unwrap()).await.unwrap();
    assert_eq!(answer.error_code, 27);
    script.await.unwrap();
}

#[tokio::test]
async fn requests_are_pipelined_and_answered_in_order() {
    let (connection, script) = open(settings(), |mut peer| async move {
        peer.greet().await;
        let mut answers = Vec::new();
        for code in 0..3 {
            let (version, correlation_id, _) = peer.request().await;
            answers.extend(heartbeat(correlation_id, version, code));
        }
        peer.send(&answers).await;
    })
    .await;
    let connection = connection.unwrap();
    let (a, b, c) = tokio::join!(beat(&connection), beat(&connection), beat(&connection));
    let codes = [a, b, c].map(|answer| answer.unwrap().error_code);
    assert_eq!(codes, [0, 1, 2]);
    script.await.unwrap();
}

#[tokio::test]
async fn a_foreign_correlation_id_ends_the_connection() {
    let (connection, script) = open(settings(), |mut peer| async move {
        peer.greet().await;
        let (version, correlation_id, _) = peer.request().await;
        peer.send(&heartbeat(correlation_id + 1, version, 0)).await;
    })
    .await;
    let connection = connection.unwrap();
    assert!(matches!(
        beat(&connection).await,
        Err(ClientError::Protocol(_))
    ));
    connection.closed().await;
    assert!(!connection.is_open());
    script.await.unwrap();
}

#[tokio::test]
async fn garbage_lengths_end_the_connection() {
    for length in [-5_i32, 1_000_001, i32::MAX] {
        let (connection, script) = open(settings(), move |mut peer| async move {
            peer.greet().await;
            peer.request().await;
            peer.send(&length.to_be_bytes()).await;
        })
        .await;
        let failure = beat(&connection.unwrap()).await.unwrap_err();
        assert!(
            matches!(failure, ClientError::Protocol(_)),
            "{length}: {failure:?}"
        );
        script.await.unwrap();
    }
}

#[tokio::test]
async fn a_peer_that_is_no_broker_is_named() {
    let (connection, script) = open(settings(), |mut peer| async move {
        peer.request().await;
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    let text = connection.err().unwrap().to_string();
    assert!(
        text.contains("is this a Kafka broker's plain listener?"),
        "{text}"
    );
    script.await.unwrap();
}

#[tokio::test]
async fn a_disconnect_fails_every_request_in_flight() {
    let (connection, script) = open(settings(), |mut peer| async move {
        peer.greet().await;
        peer.answer_heartbeat().await;
        peer.request().await;
        // Half a response, then nothing.
        peer.send(&[0, 0, 0, 20, 1]).await;
    })
    .await;
    let connection = connection.unwrap();
    let (a, b, c) = tokio::join!(beat(&connection), beat(&connection), beat(&connection));
    assert!(a.is_ok());
    for lost in [b, c] {
        assert!(
            matches!(lost, Err(ClientError::Disconnected(_))),
            "{lost:?}"
        );
    }
    assert!(
        beat(&connection).await.is_err(),
        "a dead connection takes nothing"
    );
    script.await.unwrap();
}

#[tokio::test]
async fn a_late_response_closes_the_connection() {
    let (connection, script) = open(settings(), |mut peer| async move {
        peer.greet().await;
        peer.request().await;
        // The end of the connection, not an answer, is what comes next.
        assert_eq!(peer.0.read(&mut [0; 1]).await.unwrap(), 0);
    })
    .await;
    let connection = connection.unwrap();
    let version = connection.version::<HeartbeatRequest>().unwrap();
    let short = Duration::from_millis(20);
    let late = connection
        .send(&HeartbeatRequest::default(), version, short)
        .await;
    assert!(matches!(late, Err(ClientError::Timeout(_))), "{late:?}");
    script.await.unwrap();
}

#[tokio::test]
async fn an_old_broker_is_asked_again_in_its_version() {
    let (connection, script) = open(settings(), |mut peer| async move {
        let (version, correlation_id, _) = peer.request().await;
        assert_eq!(version, 4);
        peer.send(&versions(correlation_id, 0, ErrorCode::UnsupportedVersion))
            .await;
        let (version, correlation_id, _) = peer.request().await;
        assert_eq!(version, 3);
        peer.send(&versions(correlation_id, 3, ErrorCode::None))
            .await;
    })
    .await;
    let connection = connection.unwrap();
    assert_eq!(connection.version::<MetadataRequest>().unwrap(), 13);
    assert_eq!(connection.version_up_to::<MetadataRequest>(7).unwrap(), 7);
    script.await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let config = ConnectionConfig {
        max_idle: Some(Duration::from_millis(10)),
        ..settings()
    };
    let (connection, script) = open(config, |mut peer| async move {
        peer.greet().await;
        assert_eq!(peer.0.read(&mut [0; 1]).await.unwrap(), 0);
    })
    .await;
    connection.unwrap().closed().await;
    script.await.unwrap();
}
