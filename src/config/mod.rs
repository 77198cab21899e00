//! `.properties` files and the definition tables of everything that can be configured.
pub mod broker;
pub mod checks;
pub mod client;
pub mod connect;
pub mod definition;
pub mod group;
mod properties;
mod resource_keys;
#[cfg(test)]
mod tests;
pub mod topic;
mod validator;
pub mod value;

pub use definition::{ConfigDef, ConfigError, ConfigKey, Origin, Support, Values};
pub use properties::{Properties, PropertiesError};
pub use value::Value;
