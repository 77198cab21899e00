//! Dynamic configurations.

use std::collections::BTreeMap;

use crate::protocol::records::metadata::ConfigRecord;

/// Kinds of resources that have dynamic configurations, by their code in the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResourceType(pub i8);

impl ConfigResourceType {
    pub const TOPIC: ConfigResourceType = ConfigResourceType(2);
    pub const BROKER: ConfigResourceType = ConfigResourceType(4);
    pub const BROKER_LOGGER: ConfigResourceType = ConfigResourceType(8);
    pub const CLIENT_METRICS: ConfigResourceType = ConfigResourceType(16);
    pub const GROUP: ConfigResourceType = ConfigResourceType(32);
}

/// What a configuration belongs to. A broker named `""` is the default of all brokers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResource {
    pub kind: ConfigResourceType,
    pub name: String,
}

impl ConfigResource {
    pub fn topic(name: impl Into<String>) -> Self {
        ConfigResource {
            kind: ConfigResourceType::TOPIC,
            name: name.into(),
        }
    }

    pub fn broker(id: i32) -> Self {
        ConfigResource {
            kind: ConfigResourceType::BROKER,
            name: id.to_string(),
        }
    }

    /// The defaults of all brokers.
    pub fn cluster() -> Self {
        ConfigResource {
            kind: ConfigResourceType::BROKER,
            name: String::new(),
        }
    }
}

/// Dynamic configurations of every resource that has any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigsImage {
    by_resource: BTreeMap<ConfigResource, BTreeMap<String, String>>,
}

static NONE: BTreeMap<String, String> = BTreeMap::new();

impl ConfigsImage {
    /// The configurations set on this very resource.
    pub fn of(&self, resource: &ConfigResource) -> &BTreeMap<String, String> {
        self.by_resource.get(resource).unwrap_or(&NONE)
    }

    /// One configuration set on this very resource.
    pub fn get(&self, resource: &ConfigResource, key: &str) -> Option<&str> {
        self.of(resource).get(key).map(String::as_str)
    }

    /// Every resource with its configurations, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&ConfigResource, &BTreeMap<String, String>)> {
        self.by_resource.iter()
    }

    pub(super) fn replay(&mut self, resource: &ConfigResource, record: &ConfigRecord) {
        match &record.value {
            Some(value) => {
                let configs = self.by_resource.entry(resource.clone()).or_default();
                configs.insert(record.name.clone(), value.clone());
            }
            None => {
                if let Some(configs) = self.by_resource.get_mut(resource) {
                    configs.remove(&record.name);
                    if configs.is_empty() {
                        self.by_resource.remove(resource);
                    }
                }
            }
        }
    }

    /// Forgets everything of a resource; tells whether there was anything.
    pub(super) fn remove(&mut self, resource: &ConfigResource) -> bool {
        self.by_resource.remove(resource).is_some()
    }
}
