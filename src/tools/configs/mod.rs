//! `kafka-configs`: shows and changes configurations.
mod changes;
mod credentials;
mod entities;
pub mod options;
mod quotas;
mod resources;

use self::changes::Changes;
use self::entities::{Entities, Kind};
use self::options::{DEFINITION, check};
use super::cluster::{block_on, plain, thrown};
use super::options::jopt::{OptionError, OptionSet};
use super::output::{Format, Invocation, Printer, message};
use super::registry::Exit;
use super::session;
use super::usage::UsageError;
use crate::client::ClientError;
use crate::client::admin::Admin;

/// What every action needs.
struct Command<'a> {
    admin: &'a Admin,
    options: &'a OptionSet,
    entities: &'a Entities,
    format: Format,
    printer: Printer,
}

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let request = match session::read(&DEFINITION, &invocation, check)? {
        Ok(request) => request,
        Err(exit) => return Ok(exit),
    };
    let config = session::admin_config(&request.options)?;
    block_on(async {
        let admin = Admin::new(config);
        let mut command = Command {
            admin: &admin,
            options: &request.options,
            entities: &request.checked,
            format: request.format,
            printer: Printer::default(),
        };
        let result = if command.options.has("alter") {
            command.alter().await
        } else {
            command.describe().await
        };
        command.printer.flush()?;
        admin.close().await;
        match result {
            Ok(()) => Ok(Exit::SUCCESS),
            Err(failure) if failure.is::<std::io::Error>() => Err(failure),
            Err(failure) => {
                report(&failure, &invocation, request.format);
                Ok(Exit::FAILURE)
            }
        }
    })
}

/// What the user got wrong is said in a line; what the cluster refused, after the command itself.
fn report(failure: &anyhow::Error, invocation: &Invocation, format: Format) {
    let unsupported = failure
        .downcast_ref::<super::cluster::Thrown>()
        .is_some_and(|thrown| matches!(thrown.error, ClientError::UnsupportedVersion(_)));
    if failure.is::<UsageError>() || failure.is::<OptionError>() || unsupported {
        message(plain(failure));
        return;
    }
    if format == Format::Kafka {
        message(format!(
            "Error while executing config command with args '{}'\n{failure}",
            invocation.args.join(" ")
        ));
    } else {
        message(plain(failure));
    }
}

impl Command<'_> {
    async fn describe(&mut self) -> anyhow::Result<()> {
        match self.entities.first() {
            Kind::User | Kind::Client => {
                self.describe_quotas().await?;
                self.describe_credentials().await
            }
            Kind::Ip => self.describe_quotas().await,
            kind => self.describe_resources(kind).await,
        }
    }

    async fn alter(&mut self) -> anyhow::Result<()> {
        let changes = Changes::read(self.options)?;
        let kind = self.entities.first();
        match kind {
            Kind::User | Kind::Client => self.alter_clients(&changes).await?,
            Kind::Ip => self.alter_addresses(&changes).await?,
            Kind::BrokerLogger => self.alter_loggers(&changes).await?,
            kind => self.alter_resource(kind, &changes).await?,
        }
        let name = self.entities.names.first().map_or("", String::as_str);
        let text = if name.is_empty() {
            format!(
                "Completed updating default config for {} in the cluster.",
                kind.plural()
            )
        } else {
            format!("Completed updating config for {} {name}.", kind.singular())
        };
        Ok(self.printer.line(text)?)
    }
}

/// The outcome of a single thing that was asked for.
fn only<T, K>(outcomes: Vec<(K, crate::client::Result<T>)>) -> anyhow::Result<Option<T>> {
    match outcomes.into_iter().next() {
        Some((_, outcome)) => Ok(Some(outcome.map_err(thrown)?)),
        None => Ok(None),
    }
}
