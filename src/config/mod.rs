//! `.properties` files and the definition tables of everything that can be configured.
pub mod broker;
mod broker_config;
mod check;
pub mod client;
pub mod client_metrics;
pub mod connect;
pub mod cordoned;
pub mod definition;
pub mod describe;
pub mod dynamic_broker;
pub mod group;
pub mod key_checks;
pub mod layers;
pub mod listeners;
mod properties;
mod resource_keys;
#[cfg(test)]
mod tests;
pub mod topic;
mod validator;
pub mod value;

pub use broker_config::{
    BrokerConfig, FetchConfig, GroupConfig, LogManagerSettings, MetadataLogConfig, NetworkConfig,
    TopicDefaults,
};
pub use check::{Checked, OverrideError, Report, apply_overrides, check, check_with};
pub use definition::{ConfigDef, ConfigError, ConfigKey, Origin, Support, Values};
pub use key_checks::Voter;
pub use properties::{Properties, PropertiesError};
pub use value::Value;
