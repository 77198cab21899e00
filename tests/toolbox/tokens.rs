//! The life of a delegation token of Apache Kafka's broker: created, logged in with, renewed, shown and expired.
use serde_json::Value;

use super::plays::Stage;
use crate::support::genuine::Genuine;
use crate::support::{Ran, tool, until};

const HOUR_MS: i64 = 3_600_000;

pub fn live(stage: &Stage, genuine: &Genuine) {
    let ours = |words: &str| ask(stage, words);
    let json = |words: &str| -> Value {
        serde_json::from_str(&ours(&format!("{words} --output json")).ok()).unwrap()
    };
    let described = || json("--describe").as_array().cloned().unwrap();

    let created = json(&format!(
        "--create --max-life-time-period {} --renewer-principal User:bob",
        2 * HOUR_MS
    ));
    let token = created[0].clone();
    let (id, hmac) = (text(&token, "tokenId"), text(&token, "hmac"));
    assert_eq!(text(&token, "owner"), "User:admin");
    let (issued, until_ms) = (
        number(&token, "issueTimestamp"),
        number(&token, "maxTimestamp"),
    );
    assert_eq!(until_ms - issued, 2 * HOUR_MS);
    let find = || {
        described()
            .into_iter()
            .find(|token| text(token, "tokenId") == id)
    };
    // Brokers learn of it through the metadata log.
    assert_eq!(until("the token is described", find), token);

    until("the token lets its bearer in", || {
        logs_in(stage, &id, &hmac).contains("played").then_some(())
    });

    let renewed = json(&format!(
        "--renew --hmac {hmac} --renew-time-period {HOUR_MS}"
    ));
    let expires = number(&renewed, "expiryTimestamp");
    assert!(
        (issued + HOUR_MS..=until_ms).contains(&expires),
        "{renewed}"
    );
    until("the renewal is described", || {
        find().filter(|token| number(token, "expiryTimestamp") == expires)
    });

    // The text, too, is Kafka's, whoever asks.
    let line = "delegation-tokens --describe --owner-principal User:admin --bootstrap-server {S} \
                --command-config {W}/client.properties";
    let words = stage.words(line);
    let theirs = genuine.tool(&words[0], &words[1..], b"").ok();
    let text = ours("--describe --owner-principal User:admin").ok();
    assert_eq!(lines(&text), lines(&theirs));

    ours(&format!("--expire --hmac {hmac} --expiry-time-period -1")).ok();
    until("the token is gone", || find().is_none().then_some(()));
    let refused = ours(&format!(
        "--renew --hmac {hmac} --renew-time-period {HOUR_MS}"
    ));
    assert_eq!(refused.code, Some(1), "{refused:?}");
}

fn ask(stage: &Stage, words: &str) -> Ran {
    let line = format!(
        "delegation-tokens --bootstrap-server {{S}} --command-config {{W}}/client.properties {words}"
    );
    tool(&stage.words(&line), b"")
}

/// What its bearer, who has nothing else, sees of the topics.
fn logs_in(stage: &Stage, id: &str, hmac: &str) -> String {
    stage.write(
        "bearer.properties",
        &format!(
            "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-256\n\
             sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \
             username=\"{id}\" password=\"{hmac}\" tokenauth=\"true\";\n"
        ),
    );
    let line = "topics --list --bootstrap-server {S} --command-config {W}/bearer.properties";
    tool(&stage.words(line), b"").stdout
}

fn text(token: &Value, key: &str) -> String {
    token[key]
        .as_str()
        .unwrap_or_else(|| panic!("no {key} in {token}"))
        .to_owned()
}

fn number(token: &Value, key: &str) -> i64 {
    token[key]
        .as_i64()
        .unwrap_or_else(|| panic!("no {key} in {token}"))
}

/// In any order: Kafka's is that of a hash.
fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}
