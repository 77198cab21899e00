//! `kafka-streams-application-reset`: sets an application's offsets back and deletes its internal
//! topics, so that it can start over.
mod offsets;
pub mod options;

use std::time::Duration;

use anyhow::anyhow;

use self::options::{DEFINITION, check, names};
use super::cluster::{self, block_on, exception, thrown_again};
use super::java_order::hash_order;
use super::options::jopt::OptionSet;
use super::output::{Invocation, Printer, message};
use super::registry::Exit;
use super::session;
use super::streams_groups::has_internal_name;
use crate::client::admin::Admin;
use crate::client::{ClientConfig, ClientError};
use crate::config::Properties;
use crate::protocol::ErrorCode;

/// What every step needs.
struct Resetting<'a> {
    admin: &'a Admin,
    options: &'a OptionSet,
    properties: &'a Properties,
    application: &'a str,
    dry_run: bool,
    input: Vec<String>,
    intermediate: Vec<String>,
    /// The cluster's topics, in Java's order.
    topics: Vec<String>,
    printer: Printer,
}

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let request = match session::read(&DEFINITION, &invocation, check)? {
        Ok(request) => request,
        Err(exit) => return Ok(exit),
    };
    let options = &request.options;
    let mut printer = Printer::default();
    let file = match options.value("config-file")? {
        Some(file) => {
            printer.line(
                "Option --config-file has been deprecated and will be removed in a future \
                 version. Use --command-config instead.",
            )?;
            printer.flush()?;
            Some(file)
        }
        None => options.value("command-config")?,
    };
    let mut properties = cluster::load_properties(file)?;
    let servers = options.value("bootstrap-server")?.unwrap_or_default();
    properties.set("bootstrap.servers", servers);
    let config: ClientConfig = cluster::admin_config(&properties)?;
    block_on(async {
        let admin = Admin::new(config);
        let mut resetting = Resetting {
            admin: &admin,
            options,
            properties: &properties,
            application: options.value("application-id")?.unwrap_or_default(),
            dry_run: options.has("dry-run"),
            input: names(options, "input-topics"),
            intermediate: names(options, "intermediate-topics"),
            topics: Vec::new(),
            printer,
        };
        let ended = resetting.run().await;
        resetting.printer.flush()?;
        admin.close().await;
        ended.or_else(|failure| {
            if failure.is::<std::io::Error>() {
                return Err(failure);
            }
            message(format!("ERROR: {failure}"));
            Ok(Exit::FAILURE)
        })
    })
}

/// `[a, b]`.
fn list(names: &[String]) -> String {
    format!("[{}]", names.join(", "))
}

impl Resetting<'_> {
    async fn run(&mut self) -> anyhow::Result<Exit> {
        self.remove_members().await?;
        let topics = self.admin.list_topics(false).await.map_err(thrown_again)?;
        self.topics = topics.iter().map(|topic| topic.name.to_string()).collect();
        hash_order(&mut self.topics, 16, |topic| topic);
        if self.dry_run {
            self.printer.line(
                "----Dry run displays the actions which will be performed when running Streams \
                 Reset Tool----",
            )?;
        }
        let all_found = self.reset_offsets().await?;
        self.delete_internal_topics().await?;
        Ok(match all_found {
            true => Exit::SUCCESS,
            false => Exit::FAILURE,
        })
    }

    /// A group that is at work cannot be reset; with `--force` its members are removed.
    async fn remove_members(&mut self) -> anyhow::Result<()> {
        let group = self.application;
        let groups = [group];
        let described = self.admin.describe_consumer_groups(&groups);
        let described = tokio::time::timeout(Duration::from_secs(10), described)
            .await
            .map_err(|_| anyhow!("the group {group} could not be described within 10 s"))?;
        let described = described.map_err(thrown_again)?.into_iter().next();
        let members = match described {
            Some((_, Ok(group))) => group.members,
            Some((_, Err(error))) if error.code() == Some(ErrorCode::GroupIdNotFound) => {
                return Ok(());
            }
            Some((_, Err(error))) => return Err(thrown_again(error)),
            None => return Ok(()),
        };
        if members.is_empty() {
            return Ok(());
        }
        if !self.options.has("force") {
            let ids: Vec<String> = members.into_iter().map(|m| m.member_id).collect();
            return Err(anyhow!(
                "java.lang.IllegalStateException: Consumer group '{group}' is still active and \
                 has following members: {}. Make sure to stop all running application instances \
                 before running the reset tool. You can use option '--force' to remove active \
                 members from the group.",
                list(&ids)
            ));
        }
        self.printer.line(format!(
            "Force deleting all active members in the group: {group}"
        ))?;
        let removed = self.admin.remove_group_members(group, &members).await;
        removed.map_err(thrown_again)
    }

    async fn delete_internal_topics(&mut self) -> anyhow::Result<()> {
        let prefix = format!("{}-", self.application);
        let named =
            |topic: &String| self.input.contains(topic) || self.intermediate.contains(topic);
        let inferred: Vec<String> = self
            .topics
            .iter()
            .filter(|topic| !named(topic) && topic.starts_with(&prefix) && has_internal_name(topic))
            .cloned()
            .collect();
        let specified = names(self.options, "internal-topics");
        let topics = if specified.is_empty() {
            let text = format!("Deleting inferred internal topics {}", list(&inferred));
            self.printer.line(text)?;
            inferred
        } else {
            if !specified.iter().all(|topic| inferred.contains(topic)) {
                return Err(anyhow!(
                    "java.lang.IllegalArgumentException: Invalid topic specified in the \
                     --internal-topics option. Ensure that the topics specified are all internal \
                     topics. Do a dry run without the --internal-topics option to see the list of \
                     all internal topics that can be deleted."
                ));
            }
            let text = format!("Deleting specified internal topics {}", list(&specified));
            self.printer.line(text)?;
            specified
        };
        if !self.dry_run && !topics.is_empty() {
            self.delete(&topics).await?;
        }
        Ok(self.printer.line("Done.")?)
    }

    async fn delete(&self, topics: &[String]) -> anyhow::Result<()> {
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        let outcomes = self.admin.delete_topics(&names).await;
        let mut failed = false;
        for (topic, outcome) in outcomes.map_err(thrown_again)? {
            if let Err(error) = outcome {
                failed = true;
                message(format!("ERROR: deleting topic {topic}"));
                message(class_and_text(&error));
            }
        }
        match failed {
            true => Err(anyhow!(
                "java.lang.RuntimeException: Encountered an error deleting one or more topics"
            )),
            false => Ok(()),
        }
    }
}

fn class_and_text(error: &ClientError) -> String {
    format!("{}: {error}", exception(error))
}
