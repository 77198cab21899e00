//! `/`, `/health`, `/connector-plugins`: the worker itself.
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::RestState;
use crate::connect::connector::{Plugin, VERSION};

/// The commit that Apache Kafka 4.3.1 was built from.
const COMMIT: &str = "26b251a451ce941d";

#[derive(Serialize)]
struct ServerInfo {
    version: &'static str,
    commit: &'static str,
    kafka_cluster_id: Option<String>,
}

pub async fn info(State(state): State<Arc<RestState>>) -> Response {
    let info = ServerInfo {
        version: VERSION,
        commit: COMMIT,
        kafka_cluster_id: state.cluster_id.borrow().clone(),
    };
    Json(info).into_response()
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
    message: &'static str,
}

pub async fn health() -> Response {
    Json(Health {
        status: "healthy",
        message: "Worker has completed startup and is ready to handle requests.",
    })
    .into_response()
}

#[derive(Serialize)]
struct PluginInfo {
    class: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    version: &'static str,
}

pub async fn plugins() -> Response {
    let plugins = Plugin::ALL.map(|plugin| PluginInfo {
        class: plugin.class(),
        kind: plugin.kind(),
        version: VERSION,
    });
    Json(plugins).into_response()
}
