//! `kafkars top`: a cluster at work, looked at again and again. Works with any Kafka cluster: it asks for nothing but what
//! admin clients are told.
mod model;
mod sample;
mod view;

use std::io::{self, IsTerminal};
use std::time::Duration;

use anyhow::bail;
use clap::Parser;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::output::Invocation;
use super::own;
use super::profile::fill_in::{self, Default as Cluster};
use super::registry::Exit;
use crate::client::ClientConfig;
use crate::client::admin::Admin;
use crate::config::Properties;
use model::{Model, Order};
use view::State;

/// Watches a cluster: brokers, topics with their rates, groups with their lag and where it goes
#[derive(Debug, Parser)]
#[command(
    name = "top",
    after_help = "Keys: q quits, s orders by activity or by name, arrows scroll."
)]
pub struct Options {
    /// A broker of the cluster [default: what BOOTSTRAP_SERVER or a profile says]
    #[arg(long, value_name = "HOST:PORT,...")]
    bootstrap_server: Option<String>,
    /// Settings of the client: a .properties file
    #[arg(long, value_name = "FILE")]
    command_config: Option<String>,
    /// Seconds from one look to the next
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = interval)]
    interval: f64,
}

fn interval(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("from 0.1 to 3600".to_owned()),
    }
}

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let options: Options = match own::read(&invocation)? {
        Ok(options) => options,
        Err(exit) => return Ok(exit),
    };
    let config = client_config(&options)?;
    if !io::stdout().is_terminal() {
        bail!(
            "kafkars top draws on a terminal; for scripts there are topics, consumer-groups and log-dirs with --output json."
        );
    }
    let every = Duration::from_secs_f64(options.interval);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut terminal = ratatui::try_init()?;
    let watched = runtime.block_on(watch(&mut terminal, config, every));
    ratatui::restore();
    watched?;
    Ok(Exit::SUCCESS)
}

fn client_config(options: &Options) -> anyhow::Result<ClientConfig> {
    let mut properties = super::cluster::load_properties(options.command_config.as_deref())?;
    match &options.bootstrap_server {
        Some(servers) => properties.set("bootstrap.servers", servers),
        None => match fill_in::default()? {
            Some(Cluster::Address(address)) => properties.set("bootstrap.servers", address),
            Some(Cluster::Profile(profile)) => {
                let file = Properties::load(&profile.file)?;
                for (key, value) in file.iter() {
                    properties.set(key, value);
                }
            }
            None => bail!(
                "Which cluster? Use --bootstrap-server, BOOTSTRAP_SERVER in the environment, or a profile (kafkars profile)."
            ),
        },
    }
    super::cluster::admin_config(&properties)
}

/// What the user does.
enum Input {
    Quit,
    Order,
    Scroll(isize),
    Redraw,
}

async fn watch(
    terminal: &mut DefaultTerminal,
    config: ClientConfig,
    every: Duration,
) -> anyhow::Result<()> {
    let admin = Admin::new(config);
    let mut inputs = inputs();
    let (mut model, mut state) = (Model::default(), State::default());
    loop {
        terminal.draw(|frame| view::draw(frame, &model, &state))?;
        let look = sample::take(&admin);
        tokio::pin!(look);
        let next = tokio::time::Instant::now() + every;
        // The answers first, then the rest of the interval; the user is heard all the time.
        let mut waiting = true;
        loop {
            let input = tokio::select! {
                looked = &mut look, if waiting => {
                    waiting = false;
                    match looked {
                        Ok(sample) => {
                            model.take(sample);
                            state.error = None;
                        }
                        Err(error) => state.error = Some(error.to_string()),
                    }
                    Some(Input::Redraw)
                }
                () = tokio::time::sleep_until(next), if !waiting => break,
                input = inputs.recv() => input,
            };
            match input {
                None | Some(Input::Quit) => {
                    admin.close().await;
                    return Ok(());
                }
                Some(Input::Order) => {
                    state.order = match state.order {
                        Order::Activity => Order::Name,
                        Order::Name => Order::Activity,
                    };
                }
                Some(Input::Scroll(rows)) => {
                    state.offset = state.offset.saturating_add_signed(rows);
                    let sample = model.sample();
                    let rows = sample.map_or(0, |s| s.topics.len().max(s.groups.len()));
                    state.offset = state.offset.min(rows.saturating_sub(1));
                }
                Some(Input::Redraw) => {}
            }
            terminal.draw(|frame| view::draw(frame, &model, &state))?;
        }
    }
}

/// Keys are read on a thread of their own, which ends with the process.
fn inputs() -> UnboundedReceiver<Input> {
    let (sender, inputs) = unbounded_channel();
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if let Some(input) = meaning(&event)
                && sender.send(input).is_err()
            {
                return;
            }
        }
    });
    inputs
}

fn meaning(event: &Event) -> Option<Input> {
    let key = match event {
        Event::Resize(..) => return Some(Input::Redraw),
        Event::Key(key) if key.kind != KeyEventKind::Release => key,
        _ => return None,
    };
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Input::Quit),
        KeyCode::Char('q') | KeyCode::Esc => Some(Input::Quit),
        KeyCode::Char('s') | KeyCode::Tab => Some(Input::Order),
        KeyCode::Up | KeyCode::Char('k') => Some(Input::Scroll(-1)),
        KeyCode::Down | KeyCode::Char('j') => Some(Input::Scroll(1)),
        KeyCode::PageUp => Some(Input::Scroll(-10)),
        KeyCode::PageDown => Some(Input::Scroll(10)),
        _ => None,
    }
}
