//! How a tool of the jopt-simple kind that asks a cluster begins: its common options, what they
//! mean, and its admin client.
use super::cluster;
use super::options::jopt::OptionSet;
use super::options::{Definition, Group, Opt};
use super::output::{Format, Invocation};
use super::registry::Exit;
use super::usage::{self, UsageError};
use crate::client::ClientConfig;

/// Which cluster, and how to talk to it.
pub const WHERE: Group = Group {
    heading: "Where",
    options: &[BOOTSTRAP_SERVER, COMMAND_CONFIG],
};

pub const BOOTSTRAP_SERVER: Opt = Opt::value(
    "bootstrap-server",
    "HOST:PORT,...",
    "A broker of the cluster (required)",
);

pub const COMMAND_CONFIG: Opt = Opt::value(
    "command-config",
    "FILE",
    "Settings of the client: a .properties file",
);

pub const OTHER: Group = Group {
    heading: "Other",
    options: &[
        Opt::flag("help", "Show this help"),
        Opt::flag("version", "Show the version"),
    ],
};

/// A command line that makes sense.
pub struct Request<T> {
    pub options: OptionSet,
    pub format: Format,
    /// What the tool's own check found out.
    pub checked: T,
}

/// Reads the command line; prints help, version or what is wrong, and says how to exit then.
pub fn read<T>(
    definition: &'static Definition,
    invocation: &Invocation,
    check: impl FnOnce(&OptionSet) -> Result<T, UsageError>,
) -> anyhow::Result<Result<Request<T>, Exit>> {
    let options = match usage::parse(definition, invocation)? {
        Ok(options) => options,
        Err(exit) => return Ok(Err(exit)),
    };
    let checked = check(&options).and_then(|checked| Ok((checked, format(&options, invocation)?)));
    match checked {
        Ok((checked, format)) => Ok(Ok(Request {
            options,
            format,
            checked,
        })),
        Err(error) => Ok(Err(usage::refuse(definition, invocation, &error))),
    }
}

/// The shape of the output; tools without the option have none but Kafka's.
fn format(options: &OptionSet, invocation: &Invocation) -> Result<Format, UsageError> {
    if options.definition().find("output").is_none() {
        return Ok(Format::Kafka);
    }
    match options.value("output")? {
        Some(text) => Format::parse(text).map_err(UsageError),
        None => Ok(invocation.default_format()),
    }
}

/// The admin client's settings: those of the file, and where the cluster is. Some tools can begin
/// with controllers instead of brokers.
pub fn admin_config(options: &OptionSet) -> anyhow::Result<ClientConfig> {
    let mut properties = cluster::load_properties(options.value("command-config")?)?;
    let controllers = "bootstrap-controller";
    let takes_controllers = options.definition().find(controllers).is_some();
    let (key, addresses) = if takes_controllers && options.has(controllers) {
        ("bootstrap.controllers", options.value(controllers)?)
    } else {
        ("bootstrap.servers", options.value("bootstrap-server")?)
    };
    properties.set(key, addresses.unwrap_or_default());
    cluster::admin_config(&properties)
}
