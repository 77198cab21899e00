//! `kafkars profile`: named clusters, so that `--bootstrap-server` may be left out.
//!
//! A tool called as `kafkars TOOL` takes its cluster from the first of: its own options, `BOOTSTRAP_SERVER`, the profile
//! that `KAFKARS_PROFILE` names, the profile in use. Called by Kafka's names, tools know nothing of this.
pub mod fill_in;
pub mod store;

use clap::{Parser, Subcommand};
use serde_json::json;

use super::listing::{self, column};
use super::output::{Format, Invocation, Printer};
use super::registry::Exit;
use super::{cluster, own};
use store::{Profile, Store};

/// Keeps named clusters, so that --bootstrap-server may be left out
#[derive(Debug, Parser)]
#[command(
    name = "profile",
    after_help = "A tool takes its cluster from the first of: its options, BOOTSTRAP_SERVER in the environment, the profile that\n\
        KAFKARS_PROFILE names there, the profile in use."
)]
pub struct Options {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show all profiles
    List {
        /// How to print: table or json
        #[arg(long, value_name = "FORMAT", default_value = "table", value_parser = ["table", "json"])]
        output: String,
    },
    /// Make a profile, or replace it
    Set {
        name: String,
        /// A broker of the cluster, or several
        #[arg(long, value_name = "HOST:PORT,...")]
        bootstrap_server: String,
        /// Settings of the client, such as security: a .properties file, which is copied
        #[arg(long, value_name = "FILE")]
        command_config: Option<String>,
    },
    /// Use a profile wherever nothing else is said
    Use {
        /// Which [default: none any more]
        name: Option<String>,
    },
    /// Print the file of a profile's settings
    File { name: String },
    /// Forget a profile
    Remove { name: String },
}

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let options: Options = match own::read(&invocation)? {
        Ok(options) => options,
        Err(exit) => return Ok(exit),
    };
    let store = Store::of_user();
    let store = store.ok_or_else(|| {
        anyhow::anyhow!("Neither HOME nor XDG_CONFIG_HOME says where profiles are: set one.")
    })?;
    let list = Action::List {
        output: "table".to_owned(),
    };
    match options.action.unwrap_or(list) {
        Action::List { output } => list_all(&store, &output)?,
        Action::Set {
            name,
            bootstrap_server,
            command_config,
        } => {
            let properties = cluster::load_properties(command_config.as_deref())?;
            store.set(&name, properties, &bootstrap_server)?;
        }
        Action::Use { name: Some(name) } => store.use_profile(&name)?,
        Action::Use { name: None } => store.use_none()?,
        Action::File { name } => {
            let mut printer = Printer::default();
            printer.line(store.get(&name)?.file.display().to_string())?;
            printer.flush()?;
        }
        Action::Remove { name } => store.remove(&name)?,
    }
    Ok(Exit::SUCCESS)
}

fn list_all(store: &Store, output: &str) -> anyhow::Result<()> {
    let format = if output == "json" {
        Format::Json
    } else {
        Format::Table
    };
    let current = store.current()?;
    let rows = store.list()?.into_iter().map(|profile: Profile| {
        let in_use = current.as_deref() == Some(&profile.name);
        vec![
            json!(profile.name),
            json!(profile.bootstrap_servers),
            json!(in_use),
        ]
    });
    let columns = [
        column("Profile", "name"),
        column("Bootstrap servers", "bootstrapServers"),
        column("In use", "inUse"),
    ];
    let mut printer = Printer::default();
    let none =
        "There are no profiles: kafkars profile set NAME --bootstrap-server HOST:PORT makes one.";
    listing::show(
        &mut printer,
        format,
        &columns,
        &rows.collect::<Vec<_>>(),
        none,
    )?;
    printer.flush()?;
    Ok(())
}
