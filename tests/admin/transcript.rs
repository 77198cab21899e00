//! Questions and answers as text, without what differs from run to run.

use std::fmt::{Debug, Write};
use std::path::Path;

use kafkars::protocol::Request;
use kafkars::protocol::messages::DescribeClusterRequest;

use crate::support::Broker;
use crate::support::wire::Connection;

/// What was asked and answered so far.
pub struct Transcript {
    text: String,
    varying: Vec<(String, &'static str)>,
}

impl Transcript {
    pub fn of(broker: &Broker) -> Transcript {
        let request = DescribeClusterRequest {
            endpoint_type: 1,
            ..Default::default()
        };
        let cluster_id = Connection::open(broker.port).ask(&request, 2).cluster_id;
        Transcript {
            text: String::new(),
            varying: vec![
                (cluster_id, "CLUSTER_ID"),
                (broker.data().display().to_string(), "DATA"),
                (broker.port.to_string(), "PORT"),
                (broker.controller_port.to_string(), "CONTROLLER_PORT"),
            ],
        }
    }

    pub fn text(self) -> String {
        self.text
    }

    /// Asks in the newest version that is offered, and notes the answer.
    pub fn ask<R>(&mut self, c: &mut Connection, what: &str, request: &R)
    where
        R: Request<Response: Debug>,
    {
        let listeners = [R::KEY.broker_versions(), R::KEY.controller_versions()];
        let newest = listeners.into_iter().flatten().map(|range| *range.end());
        self.ask_in(c, what, request, newest.max().unwrap());
    }

    pub fn ask_in<R>(&mut self, c: &mut Connection, what: &str, request: &R, version: i16)
    where
        R: Request<Response: Debug>,
    {
        let answered = c.try_ask(request, version);
        let answer = answered.map_or_else(|e| format!("{:?}", e.kind()), |r| format!("{r:?}"));
        if answer == "UnexpectedEof" || answer == "WouldBlock" {
            *c = Connection::open(c.0.peer_addr().unwrap().port());
        }
        self.note(&format!("{}: {what}", R::KEY.name()), &answer);
    }

    pub fn note(&mut self, what: &str, answer: &str) {
        let mut answer = answer.replace("throttle_time_ms: 0, ", "");
        for (varying, name) in &self.varying {
            answer = answer.replace(varying, name);
        }
        writeln!(self.text, "{what}\n    {answer}").unwrap();
    }
}

/// Compares line by line, so that a failure says which answer differs.
pub fn assert_same(path: &Path, recorded: &str, answered: &str) {
    let pairs = |text: &str| -> Vec<(String, String)> {
        let lines: Vec<&str> = text.lines().collect();
        let pair = |two: &[&str]| {
            (
                two[0].to_owned(),
                two.get(1).unwrap_or(&"").trim().to_owned(),
            )
        };
        lines.chunks(2).map(pair).collect()
    };
    let (recorded, answered) = (pairs(recorded), pairs(answered));
    let mut differences = String::new();
    for (at, (what, answer)) in answered.iter().enumerate() {
        match recorded.get(at) {
            Some((known, expected)) if known == what && expected == answer => {}
            other => {
                let expected = other
                    .map(|(_, answer)| answer.as_str())
                    .unwrap_or("nothing");
                writeln!(
                    differences,
                    "{what}\n  recorded {expected}\n  answered {answer}"
                )
                .unwrap();
            }
        }
    }
    assert!(differences.is_empty(), "{}:\n{differences}", path.display());
    assert_eq!(recorded.len(), answered.len(), "{}", path.display());
}
