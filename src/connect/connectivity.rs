//! Tells once for the whole worker that a broker does not answer, and once that it does again: the
//! clients of all tasks lose it together.
use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::client::outage::{Connectivity, ConnectivityListener};

/// A listener to share among clients.
pub fn listener() -> ConnectivityListener {
    let lost = Mutex::new(BTreeSet::new());
    Arc::new(move |change| {
        if let Some(line) = line(&lost, change) {
            tracing::warn!("{line}");
        }
    })
}

/// The line to show, if this is news.
fn line(lost: &Mutex<BTreeSet<String>>, change: &Connectivity) -> Option<String> {
    match change {
        Connectivity::Lost { endpoint, reason } => {
            let news = lost.lock().insert(endpoint.to_string());
            news.then(|| format!("broker {endpoint} does not answer, trying again: {reason}"))
        }
        Connectivity::Restored { endpoint } => {
            let news = lost.lock().remove(&endpoint.to_string());
            news.then(|| format!("broker {endpoint} answers again"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::ClientError;
    use crate::client::connection::Endpoint;

    #[test]
    fn several_clients_make_two_lines() {
        let endpoint = Endpoint {
            id: -1,
            host: "h".into(),
            port: 9092,
            rack: None,
        };
        let gone = Connectivity::Lost {
            endpoint: endpoint.clone(),
            reason: ClientError::Closed,
        };
        let back = Connectivity::Restored { endpoint };
        let state = Mutex::default();
        let lines: Vec<_> = [&gone, &gone, &back, &back, &gone]
            .into_iter()
            .filter_map(|change| line(&state, change))
            .collect();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert_eq!(lines[1], "broker h:9092 answers again");
    }
}
