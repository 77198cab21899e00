//! The commands of the shell, and what is wrong with one that cannot be run, in Kafka's words.
use std::io::{self, Write};

use super::columns::print_columns;
use super::glob::{self, Found};
use super::tree::{self, Node};
use crate::metadata::MetadataImage;

/// A command that can be given.
struct Kind {
    name: &'static str,
    about: &'static str,
    /// Makes sense between others alone.
    shell_only: bool,
    /// The name of its arguments, how many there are, and what they are.
    arguments: Option<(&'static str, Count, &'static str)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Count {
    One,
    AtMostOne,
    Any,
    OneOrMore,
}

#[rustfmt::skip]
static KINDS: [Kind; 10] = [
    Kind { name: "cat", about: "Show the contents of metadata files.", shell_only: false,
        arguments: Some(("targets", Count::OneOrMore, "The metadata files to display.")) },
    Kind { name: "cd", about: "Set the current working directory.", shell_only: true,
        arguments: Some(("target", Count::AtMostOne, "The directory to change to.")) },
    Kind { name: "exit", about: "Exit the metadata shell.", shell_only: true, arguments: None },
    Kind { name: "find", about: "Search for nodes in the directory hierarchy.", shell_only: false,
        arguments: Some(("paths", Count::Any, "The paths to start at.")) },
    Kind { name: "help", about: "Display this help message.", shell_only: true, arguments: None },
    Kind { name: "history", about: "Print command history.", shell_only: true,
        arguments: Some(("numEntriesToShow", Count::AtMostOne, "The number of entries to show.")) },
    Kind { name: "ls", about: "List metadata nodes.", shell_only: false,
        arguments: Some(("targets", Count::Any, "The metadata node paths to list.")) },
    Kind { name: "man", about: "Show the help text for a specific command.", shell_only: true,
        arguments: Some(("cmd", Count::One, "The command to get help text for.")) },
    Kind { name: "pwd", about: "Print the current working directory.", shell_only: true, arguments: None },
    Kind { name: "tree", about: "Show the contents of metadata nodes in a tree structure.", shell_only: false,
        arguments: Some(("targets", Count::OneOrMore, "The metadata nodes to display.")) },
];

/// What is said of `tree`, as argparse4j fits it into its column.
const STRETCHED: &str =
    "Show the contents  of  metadata  nodes  in  a tree\n                         structure.";

/// A shell's state.
pub struct Session<'i> {
    image: &'i MetadataImage,
    working_directory: String,
    /// The lines given so far; empty where one command is all there is.
    history: Vec<String>,
    interactive: bool,
    /// How wide names may stand beside each other; `None` for one a line.
    width: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    GoOn,
    Exit,
}

impl<'i> Session<'i> {
    pub fn new(image: &'i MetadataImage, interactive: bool, width: Option<usize>) -> Self {
        Self {
            image,
            working_directory: "/".to_owned(),
            history: Vec::new(),
            interactive,
            width,
        }
    }

    /// Runs a line of an interactive shell.
    pub fn line(&mut self, line: &str, out: &mut dyn Write) -> io::Result<Next> {
        let words = words(line);
        if !words.is_empty() {
            self.history.push(line.trim().to_owned());
        }
        self.run(&words, out)
    }

    /// Runs one command. What is wrong with it is printed.
    pub fn run(&mut self, words: &[String], out: &mut dyn Write) -> io::Result<Next> {
        let given = words.iter().rposition(|word| !word.is_empty());
        let words = words
            .get(..given.map_or(0, |last| last + 1))
            .unwrap_or_default();
        let Some((name, arguments)) = words.split_first() else {
            return Ok(Next::GoOn);
        };
        let kind = match self
            .kind(name)
            .and_then(|kind| check(kind, arguments).map(|()| kind))
        {
            Ok(kind) => kind,
            Err(why) => {
                writeln!(out, "{why}")?;
                return Ok(Next::GoOn);
            }
        };
        match kind.name {
            "cat" => self.cat(arguments, out)?,
            "cd" => self.cd(arguments.first().map_or("/", String::as_str), out)?,
            "exit" => return Ok(Next::Exit),
            "find" => self.find(arguments, out)?,
            "help" => help(out)?,
            "history" => self.show_history(arguments.first(), out)?,
            "ls" => self.ls(arguments, out)?,
            "man" => man(arguments.first().map_or("", String::as_str), out)?,
            "pwd" => writeln!(out, "{}", self.working_directory)?,
            _ => self.tree(arguments, out)?,
        }
        Ok(Next::GoOn)
    }

    fn kind(&self, name: &str) -> Result<&'static Kind, String> {
        let known: Vec<&Kind> = KINDS
            .iter()
            .filter(|kind| self.interactive || !kind.shell_only)
            .collect();
        if let Some(kind) = known.iter().find(|kind| kind.name == name) {
            return Ok(kind);
        }
        let begun: Vec<&str> = known
            .iter()
            .map(|kind| kind.name)
            .filter(|known| known.starts_with(name))
            .collect();
        Err(match begun.as_slice() {
            [] => {
                let names: Vec<String> = known
                    .iter()
                    .map(|kind| format!("'{}'", kind.name))
                    .collect();
                format!(
                    "invalid choice: '{name}' (choose from {})",
                    names.join(", ")
                )
            }
            [only] => format!("invalid choice: '{name}': did you mean '{only}'?"),
            several => format!(
                "ambiguous command: {name} could match {}",
                several.join(", ")
            ),
        })
    }

    fn found(&self, path: &str) -> Vec<Found<'i>> {
        glob::find(tree::root(self.image), &self.working_directory, path)
    }

    fn cat(&self, targets: &[String], out: &mut dyn Write) -> io::Result<()> {
        for target in targets {
            let found = self.found(target);
            if found.is_empty() {
                writeln!(out, "cat: {target}: No such file or directory.")?;
            }
            for Found { node, .. } in found {
                match node {
                    Node::Directory(_) => writeln!(out, "cat: {target}: Is a directory")?,
                    Node::File(text) => writeln!(out, "{text}")?,
                }
            }
        }
        Ok(())
    }

    fn cd(&mut self, target: &str, out: &mut dyn Write) -> io::Result<()> {
        let found = self.found(target);
        if found.is_empty() {
            writeln!(out, "cd: {target}: no such directory.")?;
        }
        for found in found {
            if found.node.is_directory() {
                self.working_directory = found.absolute_path();
            } else {
                writeln!(out, "cd: {target}: not a directory.")?;
            }
        }
        Ok(())
    }

    fn find(&self, paths: &[String], out: &mut dyn Write) -> io::Result<()> {
        for path in effective(paths) {
            let found = self.found(path);
            if found.is_empty() {
                writeln!(out, "find: {path}: no such file or directory.")?;
            }
            for found in found {
                find_below(path, &found.node, out)?;
            }
        }
        Ok(())
    }

    fn ls(&self, targets: &[String], out: &mut dyn Write) -> io::Result<()> {
        let mut files = Vec::new();
        let mut directories = Vec::new();
        for target in effective(targets) {
            let found = self.found(target);
            if found.is_empty() {
                writeln!(out, "ls: {target}: no such file or directory.")?;
            }
            for found in found {
                let name = found.last_component().to_owned();
                match found.node.is_directory() {
                    true => directories.push((name, found.node.names())),
                    false => files.push(name),
                }
            }
        }
        print_columns(&files, self.width, out)?;
        let named = !files.is_empty() || directories.len() > 1;
        let mut follows = !files.is_empty();
        for (name, children) in directories {
            // Kafka tells nothing of an empty directory, but parts what follows from it.
            if named && !children.is_empty() {
                let gap = if follows { "\n" } else { "" };
                writeln!(out, "{gap}{name}:")?;
            }
            follows = true;
            print_columns(&children, self.width, out)?;
        }
        Ok(())
    }

    fn tree(&self, targets: &[String], out: &mut dyn Write) -> io::Result<()> {
        for target in targets {
            let found = self.found(target);
            if found.is_empty() {
                writeln!(out, "tree: {target}: No such file or directory.")?;
            }
            for found in found {
                tree_below(&found.node, 0, out)?;
            }
        }
        Ok(())
    }

    fn show_history(&self, entries: Option<&String>, out: &mut dyn Write) -> io::Result<()> {
        let entries = entries.and_then(|entries| entries.parse::<i32>().ok());
        let shown = entries.map_or(usize::MAX, |entries| usize::try_from(entries).unwrap_or(0));
        let skipped = self.history.len().saturating_sub(shown);
        for (at, line) in self.history.iter().enumerate().skip(skipped) {
            writeln!(out, "{at:>5}  {line}")?;
        }
        Ok(())
    }
}

/// Without a path, where one is.
fn effective(paths: &[String]) -> Vec<&str> {
    let paths = paths.iter().map(String::as_str);
    let given: Vec<&str> = paths.filter(|path| !path.is_empty()).collect();
    if given.is_empty() { vec!["."] } else { given }
}

fn find_below(path: &str, node: &Node<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{path}")?;
    for (name, child) in node.children() {
        let below = match path {
            "/" => format!("/{name}"),
            _ => format!("{path}/{name}"),
        };
        find_below(&below, &child, out)?;
    }
    Ok(())
}

fn tree_below(node: &Node<'_>, depth: usize, out: &mut dyn Write) -> io::Result<()> {
    let indent = "  ".repeat(depth);
    if let Node::File(text) = node {
        return writeln!(out, "{indent}{text}");
    }
    for (name, child) in node.children() {
        writeln!(out, "{indent}{name}:")?;
        tree_below(&child, depth + 1, out)?;
    }
    Ok(())
}

/// What is wrong with a command's arguments.
fn check(kind: &Kind, arguments: &[String]) -> Result<(), String> {
    let unknown = |words: &[String]| Err(format!("unrecognized arguments: '{}'", words.join(" ")));
    if let Some(option) = arguments.iter().find(|a| a.len() > 1 && a.starts_with('-')) {
        return unknown(std::slice::from_ref(option));
    }
    let (least, most) = match kind.arguments {
        None => (0, 0),
        Some((_, Count::One, _)) => (1, 1),
        Some((_, Count::AtMostOne, _)) => (0, 1),
        Some((_, Count::Any, _)) => (0, usize::MAX),
        Some((_, Count::OneOrMore, _)) => (1, usize::MAX),
    };
    if arguments.len() < least {
        return Err("too few arguments".to_owned());
    }
    if let Some(more) = arguments.get(most..).filter(|more| !more.is_empty()) {
        return unknown(more);
    }
    match (kind.name, arguments.first()) {
        ("history", Some(number)) if number.parse::<i32>().is_err() => Err(format!(
            "argument numEntriesToShow: could not convert '{number}' to Integer (For input \
             string: \"{number}\")"
        )),
        _ => Ok(()),
    }
}

fn help(out: &mut dyn Write) -> io::Result<()> {
    let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    let names = names.join(",");
    writeln!(out, "Welcome to the Apache Kafka metadata shell.\n")?;
    writeln!(
        out,
        "usage:  {{{names}}} ...\n\npositional arguments:\n  {{{names}}}"
    )?;
    for kind in &KINDS {
        let about = match kind.name {
            "tree" => STRETCHED,
            _ => kind.about,
        };
        writeln!(out, "    {:<21}{about}", kind.name)?;
    }
    Ok(())
}

fn man(name: &str, out: &mut dyn Write) -> io::Result<()> {
    let Some(kind) = KINDS.iter().find(|kind| kind.name == name) else {
        return writeln!(
            out,
            "man: unknown command {name}. Type help to get a list of commands."
        );
    };
    writeln!(out, "{name}: {}\n", kind.about)?;
    let Some((argument, count, about)) = kind.arguments else {
        return writeln!(out, "usage: {name}");
    };
    let syntax = match count {
        Count::One => argument.to_owned(),
        Count::AtMostOne => format!("[{argument}]"),
        Count::Any => format!("[{argument} [{argument} ...]]"),
        Count::OneOrMore => format!("{argument} [{argument} ...]"),
    };
    writeln!(out, "usage: {name} {syntax}\n\npositional arguments:")?;
    writeln!(out, "  {argument:<23}{about}")
}

/// The words of a line: quotes keep blanks, a backslash keeps what follows it.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => word.get_or_insert_default().extend(letters.next()),
            _ if quote == Some(letter) => quote = None,
            '"' | '\'' if quote.is_none() => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            _ if letter.is_whitespace() && quote.is_none() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(lines: &[&str]) -> String {
        let image = MetadataImage::default();
        let mut session = Session::new(&image, true, None);
        let mut out = Vec::new();
        for line in lines {
            session.line(line, &mut out).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn words_are_split_as_in_a_shell() {
        assert_eq!(
            words(r#" a  "b c" d\ e 'f"g' "" "#),
            ["a", "b c", "d e", "f\"g", ""]
        );
        assert!(words("   ").is_empty());
    }

    /// What Kafka's shell answered to the same.
    #[test]
    fn errors_are_kafkas() {
        for (line, answer) in [
            ("c", "ambiguous command: c could match cat, cd\n"),
            ("l", "invalid choice: 'l': did you mean 'ls'?\n"),
            ("ls -x", "unrecognized arguments: '-x'\n"),
            ("exit 1 2", "unrecognized arguments: '1 2'\n"),
            ("man", "too few arguments\n"),
            ("cat", "too few arguments\n"),
            ("cd nope", "cd: nope: no such directory.\n"),
            (
                "cd /image/provenance",
                "cd: /image/provenance: not a directory.\n",
            ),
            ("cat /nope", "cat: /nope: No such file or directory.\n"),
            ("cat /image", "cat: /image: Is a directory\n"),
            (
                "history abc",
                "argument numEntriesToShow: could not convert 'abc' to Integer (For input \
                 string: \"abc\")\n",
            ),
        ] {
            assert_eq!(session(&[line]), answer, "{line}");
        }
    }

    #[test]
    fn one_walks_around_and_looks_back() {
        assert_eq!(
            session(&[
                "cd /image/topics",
                "pwd",
                "ls",
                "cd ..",
                "pwd",
                "cd",
                "ls",
                "history 2"
            ]),
            "/image/topics\nbyId\nbyName\n/image\nimage\nlocal\n    6  ls\n    7  history 2\n"
        );
        assert_eq!(
            session(&["ls /local /image/cluster /image/provenance"]),
            "provenance\n\nlocal:\ncommitId\nversion\n\ncluster:\nbrokers\ncontrollers\n"
        );
        assert_eq!(
            session(&["find /image/cluster"]),
            "/image/cluster\n/image/cluster/brokers\n/image/cluster/controllers\n"
        );
    }
}
