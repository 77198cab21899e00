//! The command lines of all tools: their options are those that Apache Kafka's have, and what Apache Kafka refuses is
//! refused with its exit code and a line that says why. What Apache Kafka does was recorded by `record`, beside this.

#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Mutex;
use std::thread;

use kafkars::tools::registry::{SECTIONS, Tool};
use support::{Ran, root, tool};

/// Nothing is recorded of these, and why.
const NOT_RECORDED: [(&str, &str); 5] = [
    ("server-stop", "a shell script, which has no help"),
    ("connect-standalone", "takes files and no options"),
    ("jmx", "kafkars says what replaces it"),
    ("run-class", "kafkars says what replaces it"),
    ("trogdor", "kafkars says what replaces it"),
];
/// What kafkars' tools have beyond Kafka's: every tool, and those of `MORE`.
const MORE_OF_ALL: [&str; 3] = ["--help", "-h", "--output VALUE"];
const MORE: [(&str, &[&str]); 2] = [
    ("server-start", &["--daemon"]),
    // Of `storage verify`.
    ("storage", &["--config VALUE", "-c VALUE", "--json"]),
];

/// Names and what follows them, by subcommand; the tool's own under the empty name.
type Options = BTreeMap<String, BTreeSet<String>>;

/// The tools that are built and that Kafka has.
fn kafkas() -> impl Iterator<Item = &'static Tool> {
    let tools = SECTIONS.iter().flat_map(|section| section.tools);
    tools.filter(|tool| tool.kafkas && tool.run.is_some())
}

#[test]
fn options_are_those_of_apache_kafka() {
    let compared = kafkas().filter(|tool| NOT_RECORDED.iter().all(|(name, _)| *name != tool.name));
    let differences: Vec<String> = compared.flat_map(|tool| differences(tool.name)).collect();
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}

fn differences(name: &str) -> Vec<String> {
    let path = root().join(format!("tests/options/recorded/{name}.txt"));
    let Ok(recorded) = fs::read_to_string(path) else {
        return vec![format!("{name}: run tests/options/record help {name}")];
    };
    let (theirs, ours) = (recorded_options(&recorded), our_options(name));
    let more: Vec<&str> = MORE
        .iter()
        .filter(|(tool, _)| *tool == name)
        .flat_map(|(_, options)| *options)
        .chain(&MORE_OF_ALL)
        .copied()
        .collect();
    let mut differences = Vec::new();
    let none = BTreeSet::new();
    let commands: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    for command in commands {
        let theirs = theirs.get(command).unwrap_or(&none);
        let ours = ours.get(command).unwrap_or(&none);
        let lost = theirs.difference(ours);
        differences.extend(lost.map(|option| format!("{name} {command}: no {option}")));
        let gained = ours.difference(theirs);
        let gained = gained.filter(|option| !more.contains(&option.as_str()));
        differences.extend(gained.map(|option| format!("{name} {command}: Kafka has no {option}")));
    }
    differences
}

/// One line for each option, as `record` writes them.
fn recorded_options(text: &str) -> Options {
    let mut options = Options::from([(String::new(), BTreeSet::new())]);
    let mut command = String::new();
    for line in text.lines() {
        match line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            Some(name) => {
                name.clone_into(&mut command);
                options.insert(command.clone(), BTreeSet::new());
            }
            None => options
                .entry(command.clone())
                .or_default()
                .extend(each_name(line)),
        }
    }
    options
}

/// `--config, -c VALUE` are two.
fn each_name(line: &str) -> Vec<String> {
    let (names, value) = match line.rsplit_once(' ') {
        Some((names, value)) if !value.starts_with('-') => (names, format!(" {value}")),
        _ => (line, String::new()),
    };
    let names = names.split(", ");
    names.map(|name| format!("{name}{value}")).collect()
}

/// Those that the help of our tool tells, and the helps of its subcommands.
fn our_options(name: &str) -> Options {
    let help = help(&[name, "--help"]);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands: Vec<&str> = commands
        .map_while(|line| line.strip_prefix("  ")?.split(' ').next())
        .collect();
    let mut options = Options::from([(String::new(), in_help(&help))]);
    for command in commands {
        let help = self::help(&[name, command, "--help"]);
        options.insert(command.to_owned(), in_help(&help));
    }
    options
}

fn help(words: &[&str]) -> String {
    let ran = tool(words, b"");
    let help = ran.stdout + &ran.stderr;
    assert!(help.contains("Usage: "), "{words:?}: {help}");
    help
}

/// Lines such as `  -c, --config <FILE>  What it is`.
fn in_help(help: &str) -> BTreeSet<String> {
    let (options, _examples) = help.split_once("\nExamples:").unwrap_or((help, ""));
    let lines = options.lines().filter_map(|line| line.strip_prefix("  "));
    let lines = lines.filter(|line| line.starts_with('-'));
    lines
        .flat_map(|line| {
            let left = line.split("  ").next().unwrap_or(line);
            let at = left.find(['<', '[']).or_else(|| {
                // The help of a tool with subcommands has values without brackets.
                let last = left.rfind(' ')?;
                (!left[last + 1..].starts_with('-')).then_some(last + 1)
            });
            let Some(at) = at else {
                return each_name(left);
            };
            let value = if left[at..].starts_with('[') {
                "[VALUE]"
            } else {
                "VALUE"
            };
            each_name(&format!("{} {value}", left[..at].trim_end()))
        })
        .collect()
}

/// One line of refused.txt.
struct Refusal {
    code: i32,
    kind: String,
    words: Vec<String>,
}

fn refusals() -> Vec<Refusal> {
    let text = fs::read_to_string(root().join("tests/options/refused.txt")).unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut words = line.split_whitespace().map(str::to_owned);
            Refusal {
                code: words.next().unwrap().parse().unwrap(),
                kind: words.next().unwrap(),
                words: words.collect(),
            }
        })
        .collect()
}

#[test]
fn what_apache_kafka_refuses_is_refused() {
    let refusals = refusals();
    let built: BTreeSet<&str> = kafkas().map(|tool| tool.name).collect();
    for tool in &built {
        let has = |kind: &str| {
            refusals
                .iter()
                .any(|refusal| refusal.words[0] == **tool && refusal.kind == kind)
        };
        let complete = has("unknown") && has("nothing");
        let recorded = NOT_RECORDED.iter().all(|(name, _)| name != tool);
        assert!(
            complete || !recorded,
            "refused.txt has too little of {tool}"
        );
    }
    let mut rest = refusals
        .iter()
        .filter(|r| built.contains(r.words[0].as_str()));
    let (rest, wrong) = (Mutex::new(&mut rest), Mutex::new(Vec::new()));
    // Nearly all of the time goes into starting processes.
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(refusal) = rest.lock().unwrap().next() else {
                        return;
                    };
                    let ran = tool(&refusal.words, b"");
                    if let Some(what) = wrong_in(refusal, &ran) {
                        let words = refusal.words.join(" ");
                        wrong
                            .lock()
                            .unwrap()
                            .push(format!("{words}\n    {what}\n    {ran:?}"));
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What is wrong with how it ended, if anything is.
fn wrong_in(refusal: &Refusal, ran: &Ran) -> Option<String> {
    if ran.code != Some(refusal.code) {
        return Some(format!("not {}, but {:?}", refusal.code, ran.code));
    }
    if refusal.kind == "nothing" {
        let all = ran.stdout.clone() + &ran.stderr;
        // Kafka's features tool is the one that shows no usage.
        let says = all.contains("sage: ") || all.ends_with("Type --help for help.");
        return (!says).then(|| "no usage".to_owned());
    }
    let said = errors(ran);
    (said != 1).then(|| format!("{said} lines of errors"))
}

/// How many lines tell of an error: argparse4j's usage, headers, warnings, counts and hints on how to mend it are none; a line
/// that argparse4j broke at its 75 columns is one.
fn errors(ran: &Ran) -> usize {
    // Some tools tell of errors where others show data.
    let text = match ran.stderr.as_str() {
        "" => &ran.stdout,
        text => text,
    };
    let aside = |line: &&str| {
        line.starts_with("WARN")
            || line.starts_with("start.time, ")
            || line.starts_with("Processed a total of ")
            || line.starts_with("Did you mean ")
            || line.ends_with(" --help lists the options.")
    };
    let mut lines: Vec<&str> = text.lines().filter(|line| !aside(line)).collect();
    if lines
        .first()
        .is_some_and(|line| line.starts_with("usage: "))
    {
        let is_error = |line: &&str| line.split_whitespace().nth(1) == Some("error:");
        lines.drain(..lines.iter().position(is_error).unwrap_or(0));
        let broken = lines.iter().take_while(|line| line.len() >= 60).count();
        lines.drain(..broken.min(lines.len().saturating_sub(1)));
    }
    lines.len()
}
