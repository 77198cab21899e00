//! The screen: brokers above, topics and groups below, what to press at the foot.
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table};

use super::model::{GroupRow, Model, Order, TopicRow};

/// What the user chose to see, and what went wrong last.
#[derive(Debug, Default)]
pub struct State {
    pub order: Order,
    /// Rows of topics and groups that are scrolled away.
    pub offset: usize,
    pub error: Option<String>,
}

const HEADING: Style = Style::new().add_modifier(Modifier::BOLD);
const DIM: Style = Style::new().fg(Color::DarkGray);
const BAD: Style = Style::new().fg(Color::Red);
const GOOD: Style = Style::new().fg(Color::Green);

pub fn draw(frame: &mut Frame, model: &Model, state: &State) {
    let brokers = u16::try_from(model.brokers().len()).unwrap_or(u16::MAX);
    let [head, nodes, topics, groups, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(brokers.saturating_add(2).min(8)),
        Constraint::Fill(3),
        Constraint::Fill(2),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let rows = model.rows(state.order);
    frame.render_widget(headline(model, rows.records_per_second), head);
    draw_brokers(frame, model, nodes);
    draw_topics(
        frame,
        skipped(&rows.topics, state.offset),
        rows.topics.len(),
        topics,
    );
    draw_groups(
        frame,
        skipped(&rows.groups, state.offset),
        rows.groups.len(),
        groups,
    );
    let keys = Line::from(" q quit   s order   arrows scroll").style(DIM);
    let foot_text = match &state.error {
        Some(error) => Line::from(format!(" {error}")).style(BAD),
        None => keys,
    };
    frame.render_widget(Paragraph::new(foot_text), foot);
}

/// The last row stays in sight.
fn skipped<T>(rows: &[T], offset: usize) -> &[T] {
    let offset = offset.min(rows.len().saturating_sub(1));
    rows.get(offset..).unwrap_or_default()
}

fn headline(model: &Model, records_per_second: Option<f64>) -> Paragraph<'static> {
    let Some(sample) = model.sample() else {
        return Paragraph::new(" asking the cluster …");
    };
    let partitions: usize = sample.topics.values().map(|topic| topic.partitions).sum();
    let mut spans = vec![
        Span::styled(format!(" cluster {}", sample.cluster_id), HEADING),
        Span::raw(format!(
            "   {}   {} in {}   {}   {}",
            count(sample.brokers.len(), "broker"),
            count(partitions, "partition"),
            count(sample.topics.len(), "topic"),
            count(sample.groups.len(), "group"),
            records_per_second.map_or_else(String::new, |r| format!("{} records/s", short(r))),
        )),
    ];
    if !sample.moving.is_empty() {
        let moving = count(sample.moving.len(), "partition");
        spans.push(Span::styled(format!("   {moving} moving"), BAD));
    }
    Paragraph::new(Line::from(spans))
}

fn count(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn heading(names: &[&'static str], right_from: usize) -> Row<'static> {
    let cells = names.iter().enumerate().map(|(column, name)| {
        if column >= right_from {
            right(*name)
        } else {
            Cell::from(*name)
        }
    });
    Row::new(cells.collect::<Vec<_>>()).style(DIM)
}

fn right(text: impl Into<String>) -> Cell<'static> {
    Cell::from(Line::from(text.into()).alignment(Alignment::Right))
}

fn framed(title: String) -> Block<'static> {
    Block::new()
        .borders(Borders::TOP)
        .title(Span::styled(title, HEADING))
}

fn draw_brokers(frame: &mut Frame, model: &Model, area: Rect) {
    let rows = model.brokers().iter().map(|broker| {
        Row::new([
            Cell::from(broker.id.to_string()),
            Cell::from(broker.address.clone()),
            right(broker.leads.to_string()),
            right(broker.replicas.to_string()),
            right(bytes(broker.bytes)),
        ])
    });
    let widths = [
        Constraint::Length(6),
        Constraint::Fill(1),
        Constraint::Length(8),
        Constraint::Length(9),
        Constraint::Length(10),
    ];
    let table = Table::new(rows, widths)
        .header(heading(
            &["Broker", "Address", "Leads", "Replicas", "Size"],
            2,
        ))
        .block(framed(" Brokers ".to_owned()));
    frame.render_widget(table, area);
}

fn draw_topics(frame: &mut Frame, topics: &[TopicRow], total: usize, area: Rect) {
    let rows = topics.iter().map(|topic| {
        Row::new([
            Cell::from(topic.name.clone()),
            right(topic.partitions.to_string()),
            right(topic.records_per_second.map_or("-".to_owned(), short)),
            right(bytes(topic.bytes)),
            Cell::from(topic.trouble.clone()).style(BAD),
        ])
    });
    let widths = [
        Constraint::Fill(2),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Fill(1),
    ];
    let names = ["Topic", "Partitions", "Records/s", "Size", "Trouble"];
    let mut head = heading(&names[..4], 1);
    if topics.iter().any(|topic| !topic.trouble.is_empty()) {
        head = heading(&names, 1);
    }
    let table = Table::new(rows, widths)
        .header(head)
        .block(framed(format!(" Topics ({total}) ")));
    frame.render_widget(table, area);
}

fn draw_groups(frame: &mut Frame, groups: &[GroupRow], total: usize, area: Rect) {
    let rows = groups.iter().map(|group| {
        let (trend, style) = trend(group.growth_per_second);
        Row::new([
            Cell::from(group.id.clone()),
            Cell::from(group.kind.clone()),
            Cell::from(group.state.clone()),
            right(group.lag.map_or("-".to_owned(), |lag| lag.to_string())),
            right(trend).style(style),
            right(group.read_per_second.map_or("-".to_owned(), short)),
        ])
    });
    let widths = [
        Constraint::Fill(2),
        Constraint::Length(9),
        Constraint::Length(20),
        Constraint::Length(12),
        Constraint::Length(12),
        Constraint::Length(10),
    ];
    let names = ["Group", "Type", "State", "Lag", "Lag/s", "Read/s"];
    let table = Table::new(rows, widths)
        .header(heading(&names, 3))
        .block(framed(format!(" Groups ({total}) ")));
    frame.render_widget(table, area);
}

/// A lag that grows is bad, one that shrinks good.
fn trend(growth: Option<f64>) -> (String, Style) {
    match growth {
        None => ("-".to_owned(), Style::new()),
        Some(growth) if growth > 0.0 => (format!("▲ {}", short(growth)), BAD),
        Some(growth) if growth < 0.0 => (format!("▼ {}", short(-growth)), GOOD),
        Some(_) => ("=".to_owned(), Style::new()),
    }
}

/// `1234567.8` as `1.2M`.
fn short(number: f64) -> String {
    for (unit, size) in [("G", 1e9), ("M", 1e6), ("k", 1e4)] {
        if number >= size {
            let size = if unit == "k" { 1e3 } else { size };
            return format!("{:.1}{unit}", number / size);
        }
    }
    if number > 0.0 && number < 10.0 {
        return format!("{number:.1}");
    }
    format!("{number:.0}")
}

fn bytes(bytes: Option<i64>) -> String {
    let Some(bytes) = bytes.and_then(|bytes| u64::try_from(bytes).ok()) else {
        return "-".to_owned();
    };
    indicatif::HumanBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::tools::top::model::tests::model;

    fn screen(width: u16, height: u16, state: &State) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let model = model();
        terminal.draw(|frame| draw(frame, &model, state)).unwrap();
        let buffer = terminal.backend().buffer();
        let rows = buffer.content().chunks(usize::from(width));
        let rows = rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>());
        rows.map(|row| row.trim_end().to_owned() + "\n").collect()
    }

    #[test]
    fn brokers_topics_and_groups_are_shown() {
        let shown = screen(100, 20, &State::default());
        for words in [
            "cluster abc   1 broker   5 partitions in 2 topics   2 groups   100 records/s",
            "localhost:9092",
            "Topics (2)",
            "11.72 KiB",
            "▲ 80",
            "q quit",
        ] {
            assert!(shown.contains(words), "{words:?} is not in\n{shown}");
        }
        let at = |words: &str| shown.find(words).unwrap();
        assert!(at("busy") < at("a-quiet-one"), "{shown}");
    }

    #[test]
    fn a_small_screen_and_a_far_scroll_do_no_harm() {
        for (width, height) in [(1, 1), (10, 3), (40, 8)] {
            screen(width, height, &State::default());
        }
        let far = State {
            offset: 1000,
            error: Some("the cluster is gone".to_owned()),
            ..State::default()
        };
        let shown = screen(80, 20, &far);
        assert!(shown.contains("the cluster is gone"), "{shown}");
        assert!(shown.contains("a-quiet-one"), "{shown}");
    }

    #[test]
    fn numbers_are_short() {
        for (number, want) in [
            (0.0, "0"),
            (0.25, "0.2"),
            (10.4, "10"),
            (9999.0, "9999"),
            (12_345.0, "12.3k"),
            (2_500_000.0, "2.5M"),
            (3e9, "3.0G"),
        ] {
            assert_eq!(short(number), want);
        }
    }
}
