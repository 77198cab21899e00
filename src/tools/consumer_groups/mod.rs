//! `kafka-consumer-groups`: lists, describes, resets and deletes consumer groups.
mod delete;
mod describe;
mod list;
mod members;
pub mod options;
mod plan;
mod reset;
mod state;

use std::time::Duration;

use self::options::{Action, DEFINITION, check};
use super::cluster::{block_on, plain};
use super::options::jopt::OptionSet;
use super::output::{Format, Invocation, Printer, message};
use super::registry::Exit;
use super::session;
use super::usage::{self, UsageError};
use crate::client::admin::Admin;

/// What every action needs.
struct Command<'a> {
    admin: &'a Admin,
    options: &'a OptionSet,
    format: Format,
    printer: Printer,
}

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let request = match session::read(&DEFINITION, &invocation, check)? {
        Ok(request) => request,
        Err(exit) => return Ok(exit),
    };
    let options = &request.options;
    if request.checked == Action::ValidateRegex {
        let mut printer = Printer::default();
        let regex = options.value("validate-regex")?.unwrap_or_default();
        printer.line(list::validate_regex(regex))?;
        printer.flush()?;
        return Ok(Exit::SUCCESS);
    }
    let mut config = session::admin_config(options)?;
    let timeout = options.number::<i64>("timeout");
    if let Ok(Some(ms)) = timeout {
        config.api_timeout = Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    }
    block_on(async {
        let admin = Admin::new(config);
        let mut command = Command {
            admin: &admin,
            options,
            format: request.format,
            printer: Printer::default(),
        };
        let result = match timeout {
            Ok(_) => command.execute(request.checked).await,
            Err(error) => Err(error.into()),
        };
        let exit = command.report(result, &invocation);
        admin.close().await;
        exit
    })
}

impl Command<'_> {
    async fn execute(&mut self, action: Action) -> anyhow::Result<()> {
        match action {
            Action::List => self.list().await,
            Action::Describe => self.describe().await,
            Action::Delete => self.delete().await,
            Action::ResetOffsets => self.reset().await,
            Action::DeleteOffsets => self.delete_offsets().await,
            Action::ValidateRegex => Ok(()),
        }
    }

    /// Arguments that turn out to be wrong are an error of the command line; of everything else
    /// Kafka tells on stdout and exits with 0.
    fn report(
        &mut self,
        result: anyhow::Result<()>,
        invocation: &Invocation,
    ) -> anyhow::Result<Exit> {
        let Err(failure) = result else {
            self.printer.flush()?;
            return Ok(Exit::SUCCESS);
        };
        if failure.is::<std::io::Error>() {
            return Err(failure);
        }
        if let Some(usage) = failure.downcast_ref::<UsageError>() {
            self.printer.flush()?;
            return Ok(usage::refuse(&DEFINITION, invocation, usage));
        }
        if self.format == Format::Kafka {
            self.error(&format!(
                "Executing consumer group command failed due to {failure}"
            ))?;
        }
        self.printer.flush()?;
        match self.format {
            Format::Kafka => message(failure.to_string()),
            _ => message(plain(&failure)),
        }
        Ok(Exit::SUCCESS)
    }

    /// Kafka's way of telling what went wrong: an empty line, then the text, on stdout.
    fn error(&mut self, text: &str) -> std::io::Result<()> {
        self.printer.line(format!("\nError: {text}"))
    }

    /// The groups that `--group` names, or all.
    async fn groups(&self) -> anyhow::Result<Vec<String>> {
        if self.options.has("all-groups") {
            return self.all_groups().await;
        }
        let mut groups = self.options.values("group").to_vec();
        groups.sort();
        groups.dedup();
        Ok(groups)
    }
}
