//! `kafkars man`: a manual page of each tool.
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Parser;

use super::output::{Invocation, Printer};
use super::registry::{self, Exit, SECTIONS, Tool};
use super::{catalog, examples, own};

/// Prints a tool's manual page, or writes those of all tools
#[derive(Debug, Parser)]
#[command(name = "man")]
pub struct Options {
    /// Whose page to print [default: of kafkars itself]
    #[arg(value_name = "TOOL")]
    tool: Option<String>,
    /// Write all pages here, as kafkars-TOOL.1
    #[arg(long, value_name = "DIR", conflicts_with = "tool")]
    dir: Option<PathBuf>,
}

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let options: Options = match own::read(&invocation)? {
        Ok(options) => options,
        Err(exit) => return Ok(exit),
    };
    if let Some(directory) = options.dir {
        fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        let write = |name: String, text: String| {
            let path = directory.join(name);
            fs::write(&path, text).with_context(|| path.display().to_string())
        };
        write("kafkars.1".to_owned(), page(overview())?)?;
        for tool in built() {
            write(format!("kafkars-{}.1", tool.name), of(tool)?)?;
        }
        return Ok(Exit::SUCCESS);
    }
    let page = match options.tool.as_deref() {
        None => page(overview())?,
        Some(name) => match registry::find(name).filter(|tool| tool.run.is_some()) {
            Some(tool) => of(tool)?,
            None => bail!("{}", registry::unknown(name)),
        },
    };
    let mut printer = Printer::default();
    printer.text(&page)?;
    printer.flush()?;
    Ok(Exit::SUCCESS)
}

fn built() -> impl Iterator<Item = &'static Tool> {
    let tools = SECTIONS.iter().flat_map(|section| section.tools);
    tools.filter(|tool| tool.run.is_some())
}

fn of(tool: &Tool) -> anyhow::Result<String> {
    let command = catalog::command(tool).display_name(format!("kafkars-{}", tool.name));
    let mut page = page(command)?;
    page.push_str(".SH EXAMPLES\n.nf\n");
    for example in examples::of(tool.name) {
        let line = examples::broken(example, "\n    ");
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        // No line begins with a dot, which would be a request.
        page.push_str(&format!("{line}\n"));
    }
    page.push_str(".fi\n");
    Ok(page)
}

/// The binary itself: its tools are its subcommands, whose pages stand beside this one.
fn overview() -> clap::Command {
    let tools = built().map(|tool| clap::Command::new(tool.name).about(tool.summary));
    clap::Command::new("kafkars")
        .about("Apache Kafka without the JVM: broker, tools and Connect in one binary")
        .disable_help_subcommand(true)
        .subcommands(tools)
}

fn page(command: clap::Command) -> anyhow::Result<String> {
    let mut roff = Vec::new();
    clap_mangen::Man::new(command).render(&mut roff)?;
    Ok(String::from_utf8(roff)?)
}
