//! `kafka-producer-perf-test`: produces at full or at a given speed, and says how fast it went.
mod load;
pub mod options;
mod payload;
mod stats;

use self::load::Load;
use self::options::{PROGRAM, Plan, TOOL};
use super::alone;
use super::cluster::block_on;
use super::output::Invocation;
use super::registry::Exit;
use crate::client::config::ProducerConfig;

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let parsed = match alone::read(PROGRAM, &TOOL, &invocation)? {
        Ok(parsed) => parsed,
        Err(exit) => return Ok(exit),
    };
    alone::end(PROGRAM, &TOOL, options::plan(&parsed).and_then(produce))
}

fn produce(plan: Plan) -> anyhow::Result<Exit> {
    let config = ProducerConfig::from_properties(&plan.properties)?;
    block_on(async { Load::start(plan, config).await?.run().await })
}
