//! All tools at work: the examples of their helps, and each of them against a genuine broker.

mod examples;
mod plays;
#[path = "../support/mod.rs"]
mod support;
mod tokens;

use kafkars::tools::registry::{SECTIONS, Tool};

/// The tools that are built.
fn built() -> impl Iterator<Item = &'static Tool> {
    let tools = SECTIONS.iter().flat_map(|section| section.tools);
    tools.filter(|tool| tool.run.is_some())
}
