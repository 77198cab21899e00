//! `kafka-streams-groups`: lists, describes, resets and deletes streams groups.
mod describe;
mod internal_topics;
mod offsets;
pub mod options;

pub(super) use self::internal_topics::has_internal_name;
use self::options::{Action, DEFINITION, check};
use super::group_tool::{self, Kind};
use super::output::Invocation;
use super::registry::Exit;
use super::session;

static KIND: Kind = Kind {
    name: "streams",
    title: "Streams",
    states: &[
        "Empty",
        "NotReady",
        "Stable",
        "Assigning",
        "Reconciling",
        "Dead",
    ],
    unlisted: "does not exist or is not a streams group",
    copies_failures: false,
    end_of_list: ".",
    failure: Exit::FAILURE,
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
        Action::Delete => internal_topics::delete_groups(tool).await,
        Action::ResetOffsets => offsets::reset(tool).await,
        Action::DeleteOffsets => offsets::delete(tool).await,
    })
}
