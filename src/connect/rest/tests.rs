//! Answers over a real socket, as a user's script sees them.
use super::*;
use crate::config::Properties;
use crate::connect::worker_config::WorkerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A worker without a broker, with one connector that waits for its file.
struct Worker {
    port: u16,
    stop: CancellationToken,
    dir: tempfile::TempDir,
}

impl Worker {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let text = format!(
            "bootstrap.servers=127.0.0.1:1\nkey.converter=StringConverter\n\
             value.converter=StringConverter\noffset.storage.file.filename={}\n\
             listeners=http://127.0.0.1:0\ntask.shutdown.graceful.timeout.ms=1\n",
            path("offsets")
        );
        let config = WorkerConfig::standalone(&Properties::parse(&text).unwrap()).unwrap();
        let server = RestServer::bind(&config.listeners).await.unwrap();
        let port = server.port();
        let listener = crate::connect::connectivity::listener();
        let herder = StandaloneHerder::new(config, "127.0.0.1:8083".into(), listener).unwrap();
        let connector = format!(
            "name=c\nconnector.class=FileStreamSource\ntopic=t\nfile={}\n",
            path("test.txt")
        );
        herder
            .create(Properties::parse(&connector).unwrap())
            .unwrap();
        let state = RestState {
            herder: Arc::new(herder),
            cluster_id: tokio::sync::watch::channel(Some("id".to_owned())).1,
        };
        let stop = CancellationToken::new();
        tokio::spawn(server.serve(Arc::new(state), stop.clone()));
        Self { port, stop, dir }
    }

    #[track_caller]
    fn check(&self, request: &str, status: u16, body: &str) -> impl Future<Output = ()> {
        let head = format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let body = body.replace("DIR", &self.dir.path().display().to_string());
        let (port, request) = (self.port, request.to_owned());
        async move {
            let mut socket = tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .unwrap();
            socket.write_all(head.as_bytes()).await.unwrap();
            let mut answer = String::new();
            socket.read_to_string(&mut answer).await.unwrap();
            let (head, found) = answer.split_once("\r\n\r\n").unwrap();
            assert!(
                head.starts_with(&format!("HTTP/1.1 {status} ")),
                "{request}: {head}"
            );
            assert!(
                head.contains("content-type: application/json"),
                "{request}: {head}"
            );
            assert_eq!(found, body, "{request}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_kafkas() {
    let worker = Worker::start().await;
    let version = r#"{"version":"4.3.1","commit":"26b251a451ce941d","kafka_cluster_id":"id"}"#;
    worker.check("GET /", 200, version).await;
    worker.check("GET /connectors", 200, r#"["c"]"#).await;
    let info = concat!(
        r#"{"name":"c","config":{"connector.class":"FileStreamSource","file":"DIR/test.txt","#,
        r#""name":"c","topic":"t"},"tasks":[{"connector":"c","task":0}],"type":"source"}"#
    );
    worker.check("GET /connectors/c", 200, info).await;
    let status = concat!(
        concat!(
            r#"{"name":"c","connector":{"state":"RUNNING","worker_id":"127.0.0.1:8083","#,
            r#""version":"4.3.1"},"#,
        ),
        concat!(
            r#""tasks":[{"id":0,"state":"RUNNING","worker_id":"127.0.0.1:8083","#,
            r#""version":"4.3.1"}],"type":"source"}"#,
        )
    );
    worker.check("GET /connectors/c/status", 200, status).await;
    let expanded = format!(r#"{{"c":{{"status":{status},"info":{info}}}}}"#);
    worker
        .check("GET /connectors?expand=status&expand=info", 200, &expanded)
        .await;
    let task = r#"{"id":0,"state":"RUNNING","worker_id":"127.0.0.1:8083","version":"4.3.1"}"#;
    worker
        .check("GET /connectors/c/tasks/0/status", 200, task)
        .await;
    for (request, status, message) in [
        ("GET /connectors/x", 404, "Connector x not found"),
        (
            "GET /connectors/x/status",
            404,
            "No status found for connector x",
        ),
        (
            "GET /connectors/c/tasks/7/status",
            404,
            "No status found for task c-7",
        ),
        ("GET /nope", 404, "HTTP 404 Not Found"),
        ("DELETE /", 405, "HTTP 405 Method Not Allowed"),
        (
            "PUT /connectors/c/pause",
            501,
            "PUT /connectors/c/pause is not built into this worker yet",
        ),
    ] {
        let body = format!("{{\"error_code\":{status},\"message\":\"{message}\"}}");
        worker.check(request, status, &body).await;
    }
    worker.stop.cancel();
}
