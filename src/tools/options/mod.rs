//! Command-line options as data: one definition of a tool's options yields the parser, the help
//! and, through `clap`, shell completions.
//!
//! Kafka's tools use two Java parsers whose habits scripts depend on, so both are followed exactly:
//! [`jopt`] (most tools) and [`argparse`] (storage and others with subcommands). `clap` renders the
//! help; it does not parse, because neither of those habits is its own.
pub mod argparse;
mod help;
pub mod jopt;

pub use help::{argument, command, command_with_files, render};

/// What may follow an option's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    Nothing,
    Value(&'static str),
    OptionalValue(&'static str),
    /// One or more values, the words up to the next option (argparse4j alone has these).
    Values(&'static str),
}

/// One option: everything that parser, help and completions need to know of it.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// The long name without dashes.
    pub name: &'static str,
    pub short: Option<char>,
    pub takes: Takes,
    /// The value when the option is absent.
    pub default: Option<&'static str>,
    pub required: bool,
    pub repeatable: bool,
    pub help: &'static str,
}

impl Opt {
    const fn new(name: &'static str, takes: Takes, help: &'static str) -> Self {
        Opt {
            name,
            short: None,
            takes,
            default: None,
            required: false,
            repeatable: false,
            help,
        }
    }

    pub const fn flag(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Takes::Nothing, help)
    }

    pub const fn value(name: &'static str, value: &'static str, help: &'static str) -> Self {
        Self::new(name, Takes::Value(value), help)
    }

    pub const fn optional_value(
        name: &'static str,
        value: &'static str,
        help: &'static str,
    ) -> Self {
        Self::new(name, Takes::OptionalValue(value), help)
    }

    pub const fn values(name: &'static str, value: &'static str, help: &'static str) -> Self {
        Self::new(name, Takes::Values(value), help)
    }

    pub const fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }

    pub const fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self
    }

    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub const fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }
}

/// Options that belong together in the help.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    pub heading: &'static str,
    pub options: &'static [Opt],
}

/// All options of one tool (or of one subcommand).
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// The tool's or subcommand's name, as typed after `kafkars`.
    pub name: &'static str,
    pub about: &'static str,
    pub groups: &'static [Group],
    /// Lines shown under the options: examples, mostly.
    pub after: &'static str,
}

/// A tool that takes files beside its options.
#[derive(Clone, Copy, Debug)]
pub struct WithFiles {
    pub definition: Definition,
    pub files: &'static [Files],
}

/// Words of a command line that name files.
#[derive(Clone, Copy, Debug)]
pub struct Files {
    pub name: &'static str,
    pub help: &'static str,
    /// Exactly one, else as many as there are.
    pub one: bool,
}

impl Definition {
    pub fn options(&self) -> impl Iterator<Item = &'static Opt> + use<> {
        self.groups.iter().flat_map(|group| group.options)
    }

    pub fn find(&self, name: &str) -> Option<&'static Opt> {
        self.options().find(|option| option.name == name)
    }

    /// The known option that `name` is most likely a slip of, if any is near.
    pub fn nearest(&self, name: &str) -> Option<&'static str> {
        nearest(name, self.options().map(|option| option.name))
    }
}

/// The known name that `name` is most likely a slip of, if any is near.
pub fn nearest(name: &str, known: impl IntoIterator<Item = &'static str>) -> Option<&'static str> {
    let limit = (name.len() / 3).max(1);
    let distances = known
        .into_iter()
        .map(|known| (distance(known.as_bytes(), name.as_bytes()), known));
    let near = distances.filter(|(distance, _)| *distance <= limit).min();
    near.map(|(_, name)| name)
}

/// Levenshtein distance: insertions, removals and replacements from `a` to `b`.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b) {
            let best = (diagonal + usize::from(x != y))
                .min(*cell + 1)
                .min(left + 1);
            diagonal = std::mem::replace(cell, best);
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_single_edits() {
        for (a, b, want) in [
            ("", "", 0),
            ("topic", "topic", 0),
            ("topc", "topic", 1),
            ("a", "xyz", 3),
        ] {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), want, "{a} {b}");
            assert_eq!(distance(b.as_bytes(), a.as_bytes()), want, "{b} {a}");
        }
    }
}
