//! Tells once that a broker cannot be reached, and once that it is back.
use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

use super::connection::Endpoint;
use super::errors::ClientError;

/// A change in what can be reached.
#[derive(Debug, Clone)]
pub enum Connectivity {
    /// No connection to this broker could be made. Attempts go on; they are not reported again.
    Lost {
        endpoint: Endpoint,
        reason: ClientError,
    },
    /// A broker that was lost answers again.
    Restored { endpoint: Endpoint },
}

impl std::fmt::Display for Connectivity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Lost { endpoint, reason } => write!(
                f,
                "Connection to node {} ({endpoint}) could not be established. Node may not be \
                 available, trying again: {reason}",
                endpoint.id
            ),
            Self::Restored { endpoint } => {
                write!(
                    f,
                    "Connection to node {} ({endpoint}) is established again",
                    endpoint.id
                )
            }
        }
    }
}

/// Called in the client's tasks: it must be short.
pub type ConnectivityListener = Arc<dyn Fn(&Connectivity) + Send + Sync>;

/// Remembers what was reported.
pub(crate) struct Outages {
    listener: Option<ConnectivityListener>,
    state: Mutex<Lost>,
}

#[derive(Default)]
struct Lost {
    addresses: BTreeSet<String>,
    /// A round over all brokers found none.
    everywhere: bool,
}

impl Outages {
    pub fn new(listener: Option<ConnectivityListener>) -> Self {
        Self {
            listener,
            state: Mutex::default(),
        }
    }

    /// A connection that was needed could not be made.
    pub fn lost(&self, endpoint: &Endpoint, reason: &ClientError) {
        let first = {
            let mut state = self.state.lock();
            state.addresses.insert(endpoint.to_string()) && !state.everywhere
        };
        if first {
            self.report(&Connectivity::Lost {
                endpoint: endpoint.clone(),
                reason: reason.clone(),
            });
        }
    }

    /// No broker at all could be reached; `endpoint` was the last one tried.
    pub fn lost_all(&self, endpoint: &Endpoint, reason: &ClientError) {
        let first = {
            let mut state = self.state.lock();
            let told = std::mem::replace(&mut state.everywhere, true);
            !told && state.addresses.is_empty()
        };
        if first {
            self.report(&Connectivity::Lost {
                endpoint: endpoint.clone(),
                reason: reason.clone(),
            });
        }
    }

    pub fn connected(&self, endpoint: &Endpoint) {
        let was_lost = {
            let mut state = self.state.lock();
            let everywhere = std::mem::take(&mut state.everywhere);
            state.addresses.remove(&endpoint.to_string()) || everywhere
        };
        if was_lost {
            self.report(&Connectivity::Restored {
                endpoint: endpoint.clone(),
            });
        }
    }

    fn report(&self, change: &Connectivity) {
        match &self.listener {
            Some(listener) => listener(change),
            None => tracing::warn!("{change}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(port: u16) -> Endpoint {
        Endpoint {
            id: 1,
            host: "h".into(),
            port,
            rack: None,
        }
    }

    /// Runs a script of events and returns the lines that a user sees.
    fn lines(script: impl Fn(&Outages)) -> Vec<String> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = seen.clone();
        let outages = Outages::new(Some(Arc::new(move |change: &Connectivity| {
            sink.lock().push(match change {
                Connectivity::Lost { endpoint, .. } => format!("lost {}", endpoint.port),
                Connectivity::Restored { endpoint } => format!("restored {}", endpoint.port),
            });
        })));
        script(&outages);
        drop(outages);
        Arc::into_inner(seen)
            .map(Mutex::into_inner)
            .unwrap_or_default()
    }

    #[test]
    fn an_outage_is_two_lines_however_long_it_lasts() {
        let reason = ClientError::disconnected("refused");
        let seen = lines(|outages| {
            outages.connected(&endpoint(1));
            for _ in 0..100 {
                outages.lost_all(&endpoint(1), &reason);
                outages.lost(&endpoint(1), &reason);
            }
            outages.connected(&endpoint(1));
            outages.connected(&endpoint(1));
        });
        assert_eq!(seen, ["lost 1", "restored 1"]);
    }

    #[test]
    fn each_broker_of_a_partly_lost_cluster_is_named() {
        let reason = ClientError::disconnected("refused");
        let seen = lines(|outages| {
            outages.lost(&endpoint(1), &reason);
            outages.lost(&endpoint(2), &reason);
            outages.lost_all(&endpoint(2), &reason);
            outages.connected(&endpoint(2));
        });
        assert_eq!(seen, ["lost 1", "lost 2", "restored 2"]);
    }
}
