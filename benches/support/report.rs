//! Medians, ratios and the table.

use std::cmp::Ordering::Less;

/// The middle value; the mean of the two in the middle if their number is even.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or(Less));
    match (sorted.len(), sorted.len() / 2) {
        (0, _) => f64::NAN,
        (n, middle) if n % 2 == 1 => sorted[middle],
        (_, middle) => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}

/// What a figure must keep.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    None,
    /// kafkars itself, in the row's unit.
    AtMost(f64),
    /// kafkars divided by genuine Kafka.
    RatioAtMost(f64),
    RatioAtLeast(f64),
}

/// One row: the same measure of both systems, taken in pairs.
#[derive(Debug)]
pub struct Row {
    name: String,
    unit: &'static str,
    target: Target,
    ours: Vec<f64>,
    genuine: Vec<f64>,
}

/// The rows in the order in which they were first measured.
#[derive(Debug, Default)]
pub struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// Adds one measurement of a pair, or kafkars' alone.
    pub fn add(
        &mut self,
        name: &str,
        unit: &'static str,
        target: Target,
        ours: f64,
        genuine: Option<f64>,
    ) {
        let same = |row: &Row| row.name == name && row.unit == unit;
        let at = self.rows.iter().position(same).unwrap_or_else(|| {
            self.rows.push(Row {
                name: name.to_owned(),
                unit,
                target,
                ours: Vec::new(),
                genuine: Vec::new(),
            });
            self.rows.len() - 1
        });
        let row = &mut self.rows[at];
        row.ours.push(ours);
        row.genuine.extend(genuine);
        let beside = genuine.map_or_else(String::new, |g| format!(", Kafka {}", figure(g)));
        eprintln!("  {name}: {}{beside} {unit}", figure(ours));
    }

    /// Prints the table; the number of targets that were missed.
    pub fn print(&self) -> usize {
        println!("| what | unit | kafkars | Kafka | ratio | target | |");
        println!("| --- | --- | ---: | ---: | ---: | ---: | --- |");
        self.rows.iter().filter(|row| row.print()).count()
    }
}

impl Row {
    /// The median of the ratios of neighbours in time, which noise disturbs less than that of the medians.
    fn ratio(&self) -> Option<f64> {
        let pairs = self.ours.iter().zip(&self.genuine);
        let ratios: Vec<f64> = pairs.map(|(ours, genuine)| ours / genuine).collect();
        (!ratios.is_empty()).then(|| median(&ratios))
    }

    fn met(&self) -> Option<bool> {
        match self.target {
            Target::None => None,
            Target::AtMost(most) => Some(median(&self.ours) <= most),
            Target::RatioAtMost(most) => self.ratio().map(|ratio| ratio <= most),
            Target::RatioAtLeast(least) => self.ratio().map(|ratio| ratio >= least),
        }
    }

    fn print(&self) -> bool {
        let target = match self.target {
            Target::None => String::new(),
            Target::AtMost(most) => format!("≤ {}", figure(most)),
            Target::RatioAtMost(most) => format!("ratio ≤ {}", figure(most)),
            Target::RatioAtLeast(least) => format!("ratio ≥ {}", figure(least)),
        };
        let ratio = self.ratio().map(figure).unwrap_or_default();
        let met = match self.met() {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        println!(
            "| {} | {} | {} | {} | {ratio} | {target} | {met} |",
            self.name,
            self.unit,
            cell(&self.ours),
            cell(&self.genuine)
        );
        self.met() == Some(false)
    }
}

/// The median, with the range if there is one.
fn cell(values: &[f64]) -> String {
    let (least, most) = values
        .iter()
        .fold((f64::MAX, f64::MIN), |(l, m), v| (l.min(*v), m.max(*v)));
    match values.len() {
        0 => String::new(),
        1 => figure(values[0]),
        _ => format!(
            "{} ({}–{})",
            figure(median(values)),
            figure(least),
            figure(most)
        ),
    }
}

/// Three digits that matter.
fn figure(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
