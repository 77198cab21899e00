//! `topics --list`, and which topics an expression means.
use anyhow::Context as _;
use regex::Regex;
use serde_json::json;

use super::Command;
use crate::tools::output::{Format, message};

/// `--topic` as a filter: a regular expression that must match the whole name; commas mean "or",
/// blanks and quotes around it are dropped.
pub struct TopicFilter(Regex);

impl TopicFilter {
    pub fn new(text: &str) -> anyhow::Result<Self> {
        let pattern = text.trim().replace(',', "|").replace(' ', "");
        let pattern = pattern.trim_matches(['"', '\'']);
        let regex = Regex::new(&format!("^(?:{pattern})$"))
            .ok()
            .with_context(|| format!("{pattern} is an invalid regex."))?;
        Ok(TopicFilter(regex))
    }

    pub fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

impl Command<'_> {
    pub(super) async fn list(&mut self) -> anyhow::Result<()> {
        let names = self
            .matching_topics(self.options.has("exclude-internal"))
            .await?;
        match self.format {
            // Kafka prints the names joined: with none of them, an empty line.
            Format::Kafka => self.printer.line(names.join("\n"))?,
            Format::Table if names.is_empty() => message("No topics."),
            Format::Table => self.printer.line(names.join("\n"))?,
            Format::Json => self.printer.json(&json!(names))?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_whole_names() {
        for (filter, name, want) in [
            ("z.*|alpha", "alpha", true),
            ("z.*|alpha", "alphabet", false),
            ("exp1, exp2", "exp2", true),
            ("\"exp1,exp2\"", "exp1", true),
            ("exp1,\"exp2\"|exp3", "exp2", false),
            ("exp1,\"exp2\"|exp3", "exp3", true),
        ] {
            assert_eq!(
                TopicFilter::new(filter).unwrap().matches(name),
                want,
                "{filter} {name}"
            );
        }
        let error = TopicFilter::new("(").err().unwrap();
        assert_eq!(error.to_string(), "( is an invalid regex.");
    }
}
