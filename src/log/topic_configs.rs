//! The configurations of topics while logs are opened: each is worked out once, though every
//! partition asks for it.
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::config::LogConfig;

/// What a function says of topics, remembered.
pub(super) struct TopicConfigs<'a, F> {
    of: &'a F,
    known: Mutex<HashMap<Arc<str>, Arc<LogConfig>>>,
}

impl<'a, F: Fn(&str) -> LogConfig> TopicConfigs<'a, F> {
    pub fn new(of: &'a F) -> Self {
        let known = Mutex::default();
        Self { of, known }
    }

    pub fn get(&self, topic: &Arc<str>) -> Arc<LogConfig> {
        let mut known = self.known.lock();
        if let Some(config) = known.get(topic) {
            return config.clone();
        }
        let config = Arc::new((self.of)(topic));
        known.insert(topic.clone(), config.clone());
        config
    }
}
