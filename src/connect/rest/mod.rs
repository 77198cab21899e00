//! The REST interface: the connectors of a worker and their states, as Kafka answers.
//!
//! What Kafka can do beyond that and kafkars not yet answers 501 with a message that says so.
mod answer;
mod connectors;
mod root;

use std::io::ErrorKind;
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use axum::routing::{any, get, post, put};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::errors::{ConnectError, Result};
use super::herder::StandaloneHerder;
use super::worker_config::Listener;
use answer::{error, not_yet};

/// What all requests share.
pub struct RestState {
    pub herder: Arc<StandaloneHerder>,
    /// Unknown until a broker has answered.
    pub cluster_id: tokio::sync::watch::Receiver<Option<String>>,
}

/// The sockets of the REST interface, listening but not answering yet.
pub struct RestServer {
    sockets: Vec<TcpListener>,
}

impl RestServer {
    /// Takes the ports; one that is taken already is an error.
    pub async fn bind(listeners: &[Listener]) -> Result<Self> {
        let mut sockets = Vec::new();
        for Listener { host, port } in listeners {
            let socket = match TcpListener::bind((any_or(host, "::"), *port)).await {
                // A machine without IPv6.
                Err(error) if host.is_empty() && error.kind() != ErrorKind::AddrInUse => {
                    TcpListener::bind((any_or(host, "0.0.0.0"), *port)).await
                }
                bound => bound,
            };
            let socket = socket.map_err(|error| {
                ConnectError::worker(format!("listeners=http://{host}:{port}: {error}"))
            })?;
            sockets.push(socket);
        }
        Ok(Self { sockets })
    }

    /// The port of the first listener.
    pub fn port(&self) -> u16 {
        let first = self
            .sockets
            .first()
            .and_then(|socket| socket.local_addr().ok());
        first.map_or(0, |address| address.port())
    }

    /// Answers until `stop`.
    pub async fn serve(self, state: Arc<RestState>, stop: CancellationToken) {
        let router = router(state);
        let mut servers = tokio::task::JoinSet::new();
        for socket in self.sockets {
            let stopped = stop.clone().cancelled_owned();
            let server = axum::serve(socket, router.clone()).with_graceful_shutdown(stopped);
            servers.spawn(async move {
                if let Err(error) = server.await {
                    tracing::error!("the REST interface ended: {error}");
                }
            });
        }
        while servers.join_next().await.is_some() {}
    }
}

/// The host, or `any` address of the machine.
fn any_or<'a>(host: &'a str, any: &'a str) -> &'a str {
    if host.is_empty() { any } else { host }
}

fn router(state: Arc<RestState>) -> Router {
    Router::new()
        .route("/", get(root::info))
        .route("/health", get(root::health))
        .route("/connector-plugins", get(root::plugins))
        .route("/connectors", get(connectors::list).post(not_yet))
        .route("/connectors/{name}", get(connectors::info).delete(not_yet))
        .route(
            "/connectors/{name}/config",
            get(connectors::config).put(not_yet).patch(not_yet),
        )
        .route("/connectors/{name}/status", get(connectors::status))
        .route("/connectors/{name}/tasks", get(connectors::tasks))
        .route(
            "/connectors/{name}/tasks/{id}/status",
            get(connectors::task_status),
        )
        .route("/connectors/{name}/tasks/{id}/restart", post(not_yet))
        .route("/connectors/{name}/restart", post(not_yet))
        .route("/connectors/{name}/pause", put(not_yet))
        .route("/connectors/{name}/resume", put(not_yet))
        .route("/connectors/{name}/stop", put(not_yet))
        .route("/connectors/{name}/topics", get(not_yet))
        .route("/connectors/{name}/topics/reset", put(not_yet))
        .route(
            "/connectors/{name}/offsets",
            get(not_yet).patch(not_yet).delete(not_yet),
        )
        .route("/connector-plugins/{class}/config", get(not_yet))
        .route("/connector-plugins/{class}/config/validate", put(not_yet))
        .route("/admin/loggers", any(not_yet))
        .route("/admin/loggers/{logger}", any(not_yet))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(unknown)
        .with_state(state)
}

async fn unknown(_: Uri) -> Response {
    error(StatusCode::NOT_FOUND, "HTTP 404 Not Found")
}

async fn method_not_allowed() -> Response {
    error(
        StatusCode::METHOD_NOT_ALLOWED,
        "HTTP 405 Method Not Allowed",
    )
}

#[cfg(test)]
mod tests;
