//! Answers in JSON, errors in Kafka's shape: `{"error_code":N,"message":"…"}`.
use axum::Json;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::connect::errors::ConnectError;

#[derive(Serialize)]
struct Failure<'a> {
    error_code: u16,
    message: &'a str,
}

pub fn error(status: StatusCode, message: &str) -> Response {
    let failure = Failure {
        error_code: status.as_u16(),
        message,
    };
    (status, Json(failure)).into_response()
}

/// 200 with what was found, or the error.
pub fn found<T: Serialize>(found: Result<T, ConnectError>) -> Response {
    match found {
        Ok(found) => Json(found).into_response(),
        Err(missing @ ConnectError::NotFound(_)) => {
            error(StatusCode::NOT_FOUND, &missing.to_string())
        }
        Err(other) => error(StatusCode::INTERNAL_SERVER_ERROR, &other.to_string()),
    }
}

/// Something that Kafka's worker does and this one not yet.
pub async fn not_yet(method: Method, uri: Uri) -> Response {
    let text = format!("{method} {} is not built into this worker yet", uri.path());
    error(StatusCode::NOT_IMPLEMENTED, &text)
}
