//! Against a real broker, genuine or ours: `KAFKARS_TEST_BOOTSTRAP=host:port` names it. Without
//! it these tests say that they did nothing.
mod admin;

use std::collections::BTreeMap;

use crate::config::Properties;

/// Settings for the broker under test, or `None` with a loud line.
fn broker(test: &str) -> Option<Properties> {
    let Ok(bootstrap) = std::env::var("KAFKARS_TEST_BOOTSTRAP") else {
        eprintln!("SKIPPED {test}: KAFKARS_TEST_BOOTSTRAP names no broker");
        return None;
    };
    let mut properties = Properties::new();
    properties.set("bootstrap.servers", bootstrap);
    Some(properties)
}

/// A name that no other run uses.
fn unique(name: &str) -> String {
    format!("{name}-{:016x}", fastrand::u64(..))
}

/// A topic of its own for a test.
async fn new_topic(properties: &Properties, name: &str, partitions: i32) -> String {
    use crate::client::admin::{Admin, CreateOptions, NewTopic};
    let admin = Admin::from_properties(properties).unwrap();
    let topic = unique(name);
    let wanted = NewTopic {
        name: topic.clone(),
        partitions: Some(partitions),
        configs: BTreeMap::new(),
        ..NewTopic::default()
    };
    let created = admin
        .create_topics(&[wanted], CreateOptions::default())
        .await
        .unwrap();
    assert!(created[0].1.is_ok(), "{created:?}");
    admin.close().await;
    topic
}
