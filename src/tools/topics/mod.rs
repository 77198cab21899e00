//! `kafka-topics`: creates, lists, describes, alters and deletes topics.
mod alter;
mod assignment;
mod create;
mod delete;
mod describe;
mod list;
pub mod options;

use anyhow::bail;
use tracing::error;

pub use self::list::TopicFilter;
use self::options::{Action, DEFINITION, check};
use super::cluster::{self, block_on};
use super::options::jopt::OptionSet;
use super::output::{Format, Invocation, Printer};
use super::registry::Exit;
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
    let options = match usage::parse(&DEFINITION, &invocation)? {
        Ok(options) => options,
        Err(exit) => return Ok(exit),
    };
    let checked = check(&options).and_then(|action| {
        let format = match options.value("output")? {
            Some(text) => Format::parse(text).map_err(UsageError)?,
            None => invocation.default_format(),
        };
        let config = options.value("command-config")?.map(str::to_owned);
        let bootstrap = options
            .value("bootstrap-server")?
            .unwrap_or_default()
            .to_owned();
        Ok((action, format, config, bootstrap))
    });
    let (action, format, config, bootstrap) = match checked {
        Ok(checked) => checked,
        Err(error) => return Ok(usage::refuse(&DEFINITION, &invocation, &error)),
    };
    let mut properties = cluster::load_properties(config.as_deref())?;
    properties.set("bootstrap.servers", bootstrap);
    let config = cluster::admin_config(&properties)?;
    block_on(async {
        let admin = Admin::new(config);
        let printer = Printer::default();
        let mut command = Command {
            admin: &admin,
            options: &options,
            format,
            printer,
        };
        let result = command.execute(action).await;
        let exit = command.report(result);
        admin.close().await;
        exit
    })
}

impl Command<'_> {
    async fn execute(&mut self, action: Action) -> anyhow::Result<()> {
        match action {
            Action::Create => self.create().await,
            Action::Alter => self.alter().await,
            Action::List => self.list().await,
            Action::Describe => self.describe().await,
            Action::Delete => self.delete().await,
        }
    }

    /// Kafka names a failure on stdout and logs it on stderr; a person needs it once.
    fn report(&mut self, result: anyhow::Result<()>) -> anyhow::Result<Exit> {
        let Err(failure) = result else {
            self.printer.flush()?;
            return Ok(Exit::SUCCESS);
        };
        if failure.is::<std::io::Error>() {
            return Err(failure);
        }
        if self.format == Format::Kafka {
            self.printer
                .line(format!("Error while executing topic command : {failure}"))?;
        }
        self.printer.flush()?;
        error!("{failure}");
        Ok(Exit::FAILURE)
    }

    /// The topics that `--topic` means, sorted by name: all of them without it.
    async fn matching_topics(&self, exclude_internal: bool) -> anyhow::Result<Vec<String>> {
        let pattern = self.options.value("topic")?;
        let filter = pattern.map(list::TopicFilter::new).transpose();
        let topics = self.admin.list_topics(!exclude_internal).await?;
        let filter = filter?;
        let names = topics
            .into_iter()
            .map(|topic| topic.name.to_string())
            .filter(|name| filter.as_ref().is_none_or(|filter| filter.matches(name)));
        Ok(names.collect())
    }

    /// An error when `--topic` was given, names nothing, and should.
    fn ensure_found(&self, found: &[String]) -> anyhow::Result<()> {
        let asked = self.options.value("topic")?.unwrap_or_default();
        if found.is_empty() && !asked.is_empty() && !self.options.has("if-exists") {
            bail!("Topic '{asked}' does not exist as expected");
        }
        Ok(())
    }
}
