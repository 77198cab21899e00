//! `kafka-share-groups`: lists, describes, resets and deletes share groups.
mod describe;
mod offsets;
pub mod options;

use self::options::{Action, DEFINITION, check};
use super::group_tool::{self, Kind};
use super::output::Invocation;
use super::registry::Exit;
use super::session;

pub static KIND: Kind = Kind {
    name: "share",
    title: "Share",
    states: &["Empty", "Stable", "Dead"],
    unlisted: "is not a share group",
    copies_failures: true,
    end_of_list: "",
    failure: Exit::SUCCESS,
    definition: &DEFINITION,
};

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let request = match session::read(&DEFINITION, &invocation, check)? {
        Ok(request) => request,
        Err(exit) => return Ok(exit),
    };
    let action = request.checked;
    group_tool::run(&KIND, &request, &invocation, async |tool| match action {
        Action::List => tool.list().await,
        Action::Describe => describe::describe(tool).await,
        Action::Delete => tool.delete().await,
        Action::ResetOffsets => offsets::reset(tool).await,
        Action::DeleteOffsets => offsets::delete(tool).await,
    })
}
