//! The tables of producers, consumers and admin clients.
mod admin;
pub(super) mod common;
mod consumer;
mod producer;

use super::definition::ConfigDef;
use std::sync::LazyLock;

static PRODUCER: LazyLock<ConfigDef> =
    LazyLock::new(|| ConfigDef::new(&[producer::KEYS, common::KEYS, common::SSL, common::SASL]));
static CONSUMER: LazyLock<ConfigDef> =
    LazyLock::new(|| ConfigDef::new(&[consumer::KEYS, common::KEYS, common::SSL, common::SASL]));
static ADMIN: LazyLock<ConfigDef> =
    LazyLock::new(|| ConfigDef::new(&[admin::KEYS, common::KEYS, common::SSL, common::SASL]));

pub fn producer() -> &'static ConfigDef {
    &PRODUCER
}

pub fn consumer() -> &'static ConfigDef {
    &CONSUMER
}

pub fn admin() -> &'static ConfigDef {
    &ADMIN
}
