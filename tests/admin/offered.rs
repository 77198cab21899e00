//! What ApiVersions offers on either listener, compared with genuine Kafka's answer.

use std::collections::BTreeSet;

use kafkars::protocol::ApiKey;
use kafkars::protocol::messages::ApiVersionsRequest;

use crate::support::wire::Connection;
use crate::transcript::Transcript;

/// What genuine Kafka offers and we do not: what nodes of a cluster say to each other. This cluster has one.
const LEFT_OUT: [&str; 13] = [
    "CONTROLLER Fetch",
    "CONTROLLER Vote",
    "CONTROLLER BeginQuorumEpoch",
    "CONTROLLER EndQuorumEpoch",
    "CONTROLLER FetchSnapshot",
    "CONTROLLER UpdateRaftVoter",
    "CONTROLLER AlterPartition",
    "CONTROLLER Envelope",
    "CONTROLLER BrokerRegistration",
    "CONTROLLER BrokerHeartbeat",
    "CONTROLLER ControllerRegistration",
    "CONTROLLER AllocateProducerIds",
    "CONTROLLER AssignReplicasToDirs",
];

/// One line for each API and feature.
fn lines(listener: &str, c: &mut Connection) -> BTreeSet<String> {
    let request = ApiVersionsRequest {
        client_software_name: "test".to_owned(),
        client_software_version: "1".to_owned(),
    };
    let mut lines = BTreeSet::new();
    for version in [3, 4] {
        let response = c.ask(&request, version);
        assert_eq!(response.error_code, 0);
        for api in response.api_keys {
            let name = ApiKey::from_i16(api.api_key).map_or("unknown", |key| key.name());
            let range = format!("{}-{}", api.min_version, api.max_version);
            lines.insert(format!("{listener} {name} {range}"));
        }
        for f in response.supported_features {
            let range = format!("{}-{}", f.min_version, f.max_version);
            lines.insert(format!(
                "{listener} in version {version}: supports {} {range}",
                f.name
            ));
        }
        for f in response.finalized_features {
            let range = format!("{}-{}", f.min_version_level, f.max_version_level);
            lines.insert(format!(
                "{listener} in version {version}: finalised {} {range}",
                f.name
            ));
        }
    }
    lines
}

pub fn note(t: &mut Transcript, c: &mut Connection, controller: &mut Connection) {
    for (listener, c) in [("BROKER", c), ("CONTROLLER", controller)] {
        for line in lines(listener, c) {
            t.note("ApiVersions", &line);
        }
    }
}

/// `(offered by us alone, offered by genuine Kafka alone and not left out)`
pub fn differences(
    recorded: &str,
    c: &mut Connection,
    controller: &mut Connection,
) -> (Vec<String>, Vec<String>) {
    let known = recorded.lines().filter(|line| line.starts_with(' '));
    let genuine: BTreeSet<String> = known.map(|line| line.trim().to_owned()).collect();
    let mut ours = lines("BROKER", c);
    ours.append(&mut lines("CONTROLLER", controller));
    let left_out = |line: &str| {
        LEFT_OUT.iter().any(|name| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(' '))
        })
    };
    let missing = genuine.difference(&ours).filter(|line| !left_out(line));
    let missing = missing.cloned().collect();
    (ours.difference(&genuine).cloned().collect(), missing)
}
