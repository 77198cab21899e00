//! `/connectors` and what is below it.
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use super::RestState;
use super::answer::{error, found};
use crate::config::Properties;
use crate::connect::herder::ConnectorInfo;

#[derive(Serialize)]
struct TaskId {
    connector: String,
    task: usize,
}

#[derive(Serialize)]
struct ConnectorView {
    name: String,
    config: BTreeMap<String, String>,
    tasks: Vec<TaskId>,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
struct TaskView {
    id: TaskId,
    config: BTreeMap<String, String>,
}

fn map(properties: &Properties) -> BTreeMap<String, String> {
    let entries = properties.iter();
    entries
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// The names, or with `?expand=status` and `?expand=info` what there is to say of each.
pub async fn list(State(state): State<Arc<RestState>>, RawQuery(query): RawQuery) -> Response {
    let names = state.herder.connectors();
    let query = query.unwrap_or_default();
    let wanted: Vec<&str> = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("expand="))
        .collect();
    if wanted.is_empty() {
        return Json(names).into_response();
    }
    let mut all = serde_json::Map::new();
    for name in names {
        let mut one = serde_json::Map::new();
        for part in &wanted {
            let shown = match *part {
                "status" => state.herder.status(&name).map(|status| json!(status)),
                "info" => state.herder.info(&name).map(|info| json!(view(info))),
                // As Kafka does.
                _ => continue,
            };
            if let Ok(shown) = shown {
                one.insert((*part).to_owned(), shown);
            }
        }
        all.insert(name, one.into());
    }
    Json(all).into_response()
}

fn view(info: ConnectorInfo) -> ConnectorView {
    let task = |task| TaskId {
        connector: info.name.clone(),
        task,
    };
    ConnectorView {
        config: map(&info.config),
        tasks: (0..info.tasks).map(task).collect(),
        kind: info.plugin.kind(),
        name: info.name,
    }
}

pub async fn info(State(state): State<Arc<RestState>>, Path(name): Path<String>) -> Response {
    found(state.herder.info(&name).map(view))
}

pub async fn config(State(state): State<Arc<RestState>>, Path(name): Path<String>) -> Response {
    found(state.herder.info(&name).map(|info| map(&info.config)))
}

pub async fn status(State(state): State<Arc<RestState>>, Path(name): Path<String>) -> Response {
    match state.herder.status(&name) {
        Ok(status) => Json(status).into_response(),
        Err(_) => no_status("connector", &name),
    }
}

pub async fn tasks(State(state): State<Arc<RestState>>, Path(name): Path<String>) -> Response {
    found(state.herder.info(&name).map(|info| {
        let mut config = map(&info.config);
        config.insert("task.class".to_owned(), info.plugin.task_class().to_owned());
        let view = |task| TaskView {
            id: TaskId {
                connector: info.name.clone(),
                task,
            },
            config: config.clone(),
        };
        (0..info.tasks).map(view).collect::<Vec<_>>()
    }))
}

pub async fn task_status(
    State(state): State<Arc<RestState>>,
    Path((name, id)): Path<(String, String)>,
) -> Response {
    let status = state.herder.status(&name).ok();
    let index = id.parse::<usize>().ok();
    match status.and_then(|status| status.tasks.into_iter().nth(index?)) {
        Some(task) => Json(task).into_response(),
        None => no_status("task", &format!("{name}-{id}")),
    }
}

fn no_status(of: &str, name: &str) -> Response {
    error(
        StatusCode::NOT_FOUND,
        &format!("No status found for {of} {name}"),
    )
}
