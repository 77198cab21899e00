//! Calls that find their broker and try again: the common path of everything but produce, fetch
//! and the group's own requests.
use std::time::Duration;

use tokio::time::Instant;

use super::{Client, Role};
use crate::client::connection::{Connection, Endpoint};
use crate::client::errors::{ClientError, Result};
use crate::protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use crate::protocol::{ErrorCode, Request};

/// Whom a request goes to.
#[derive(Debug, Clone, Copy)]
pub enum Route<'a> {
    /// Any broker.
    Any,
    /// The broker that metadata names as controller; under KRaft it forwards.
    Controller,
    /// This broker.
    Broker(i32),
    /// The coordinator of a group or transactional id.
    Coordinator(Coordinator, &'a str),
}

/// What is coordinated: the `key_type` of FindCoordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coordinator {
    Group = 0,
    Transaction = 1,
}

/// How a call is made.
#[derive(Debug, Clone, Copy)]
pub struct CallOptions {
    /// Kafka's name for the call, for messages.
    pub name: &'static str,
    /// When to give up trying.
    pub deadline: Instant,
    /// The highest request version wanted.
    pub version_max: i16,
    /// How long a single attempt may take.
    pub request_timeout: Duration,
    /// Which of the connections to the broker carries it.
    pub role: Role,
}

impl Client {
    /// A call that may take `default.api.timeout.ms`.
    pub fn options(&self, name: &'static str) -> CallOptions {
        CallOptions {
            name,
            deadline: Instant::now() + self.config().api_timeout,
            version_max: i16::MAX,
            request_timeout: self.config().request_timeout,
            role: Role::General,
        }
    }

    /// Sends `build(version)` along `route` until an answer comes that `verdict` does not find
    /// worth another try, or time is up. `verdict` gives the error code of the whole response.
    /// An answer with an error that cannot be retried is returned, for the caller to read.
    pub async fn call<R: Request>(
        &self,
        options: CallOptions,
        route: Route<'_>,
        build: impl Fn(i16) -> R,
        verdict: impl Fn(&R::Response) -> ErrorCode,
    ) -> Result<R::Response> {
        let mut failures = 0;
        loop {
            let attempt = self.attempt(&options, route, &build);
            let error = match tokio::time::timeout_at(options.deadline, attempt).await {
                Ok(Ok(response)) => match verdict(&response) {
                    code if code.is_retriable() => {
                        self.recover(route, code).await;
                        ClientError::broker(code, None)
                    }
                    _ => return Ok(response),
                },
                Ok(Err(error)) if error.is_retriable() => {
                    if let Route::Coordinator(kind, key) = route {
                        self.forget_coordinator(kind, key);
                    }
                    error
                }
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(self.timed_out(&options, failures, None)),
            };
            failures += 1;
            let wait = self.config().retry_backoff.after(failures);
            if failures > self.config().retries || Instant::now() + wait >= options.deadline {
                return Err(match error {
                    ClientError::Broker { .. } => error,
                    other => self.timed_out(&options, failures, Some(&other)),
                });
            }
            tracing::debug!("{} failed, trying again: {error}", options.name);
            tokio::select! {
                () = self.inner().cancel.cancelled() => return Err(ClientError::Closed),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn attempt<R: Request>(
        &self,
        options: &CallOptions,
        route: Route<'_>,
        build: &impl Fn(i16) -> R,
    ) -> Result<R::Response> {
        let connection = self.route(route, options.role).await?;
        let version = connection.version_up_to::<R>(options.version_max)?;
        let left = options.deadline.saturating_duration_since(Instant::now());
        let timeout = options.request_timeout.min(left);
        connection.send(&build(version), version, timeout).await
    }

    async fn route(&self, route: Route<'_>, role: Role) -> Result<Connection> {
        match route {
            Route::Any => self.any_connection().await,
            Route::Controller => {
                // Controllers do not forward: the active one must be known.
                if self.config().controllers && self.metadata().brokers.is_empty() {
                    let response = self.inner().fetch_metadata(Some(&[]), false).await?;
                    self.inner().store(&response);
                }
                let metadata = self.metadata();
                match metadata.brokers.get(&metadata.controller_id) {
                    Some(endpoint) => self.connection_to(endpoint, role).await,
                    // Under KRaft every broker forwards; others answer NOT_CONTROLLER.
                    None => self.any_connection().await,
                }
            }
            Route::Broker(node) => {
                if self.metadata().brokers.is_empty() {
                    let response = self.inner().fetch_metadata(Some(&[]), false).await?;
                    self.inner().store(&response);
                }
                self.connection(node, role).await
            }
            Route::Coordinator(kind, key) => {
                let endpoint = self.find_coordinator(kind, key).await?;
                self.connection_to(&endpoint, role).await
            }
        }
    }

    /// Makes the next try better informed.
    async fn recover(&self, route: Route<'_>, code: ErrorCode) {
        match (route, code) {
            (Route::Coordinator(kind, key), code) if moves_coordinator(code) => {
                self.forget_coordinator(kind, key);
            }
            (Route::Controller, ErrorCode::NotController) => {
                if let Ok(response) = self.inner().fetch_metadata(Some(&[]), false).await {
                    self.inner().store(&response);
                }
            }
            _ => {}
        }
    }

    fn timed_out(
        &self,
        options: &CallOptions,
        tries: u32,
        last: Option<&ClientError>,
    ) -> ClientError {
        if self.metadata().brokers.is_empty()
            && matches!(last, None | Some(ClientError::Disconnected(_)))
        {
            // Kafka's words, which tools print.
            return ClientError::timeout(format!(
                "Timed out waiting for a node assignment. Call: {}",
                options.name
            ));
        }
        let reason = last.map(|error| format!(": {error}")).unwrap_or_default();
        ClientError::timeout(format!(
            "{} timed out after {tries} attempt(s){reason}",
            options.name
        ))
    }

    /// The coordinator of a key: from memory, or from any broker.
    pub async fn find_coordinator(&self, kind: Coordinator, key: &str) -> Result<Endpoint> {
        let known = self
            .inner()
            .coordinators
            .lock()
            .get(&(kind as i8, key.to_owned()))
            .cloned();
        if let Some(endpoint) = known {
            return Ok(endpoint);
        }
        let connection = self.any_connection().await?;
        let version = connection.version::<FindCoordinatorRequest>()?;
        let mut request = FindCoordinatorRequest::default();
        if version >= 4 {
            request.coordinator_keys = vec![key.to_owned()];
        } else {
            request.key = key.to_owned();
        }
        if version >= 1 {
            request.key_type = kind as i8;
        }
        let response = connection
            .send(&request, version, self.config().request_timeout)
            .await?;
        let endpoint = coordinator(&response, version)?;
        let mut known = self.inner().coordinators.lock();
        known.insert((kind as i8, key.to_owned()), endpoint.clone());
        Ok(endpoint)
    }

    pub(crate) fn forget_coordinator(&self, kind: Coordinator, key: &str) {
        self.inner()
            .coordinators
            .lock()
            .remove(&(kind as i8, key.to_owned()));
    }
}

/// Codes after which the coordinator must be looked up again.
pub(crate) fn moves_coordinator(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable
    )
}

fn coordinator(response: &FindCoordinatorResponse, version: i16) -> Result<Endpoint> {
    let (code, message, id, host, port) = if version >= 4 {
        let found = response
            .coordinators
            .first()
            .ok_or_else(|| ClientError::protocol("FindCoordinator answered for no key"))?;
        (
            found.error_code,
            &found.error_message,
            found.node_id,
            &found.host,
            found.port,
        )
    } else {
        let r = response;
        (r.error_code, &r.error_message, r.node_id, &r.host, r.port)
    };
    ClientError::check(code, message.as_deref().filter(|text| !text.is_empty()))?;
    let port = u16::try_from(port)
        .map_err(|_| ClientError::protocol(format!("the coordinator has the port {port}")))?;
    Ok(Endpoint {
        id,
        host: host.as_str().into(),
        port,
        rack: None,
    })
}
