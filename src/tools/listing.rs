//! Rows of the same columns, as people and as programs read them. What Kafka prints in their place
//! is each tool's own.
use std::io;

use serde_json::{Map, Value};

use super::output::{Format, Printer, message};

/// A column: its title in a table and its key in JSON.
pub struct Column {
    pub title: &'static str,
    pub key: &'static str,
}

pub const fn column(title: &'static str, key: &'static str) -> Column {
    Column { title, key }
}

/// Prints rows as a table or as JSON; `none` is said where a table would be empty.
pub fn show(
    printer: &mut Printer,
    format: Format,
    columns: &[Column],
    rows: &[Vec<Value>],
    none: &str,
) -> io::Result<()> {
    if format == Format::Json {
        let object = |row: &Vec<Value>| -> Value {
            let pairs = columns.iter().zip(row);
            let pairs = pairs.map(|(column, value)| (column.key.to_owned(), value.clone()));
            Value::Object(pairs.collect::<Map<_, _>>())
        };
        return printer.json(&rows.iter().map(object).collect());
    }
    if rows.is_empty() {
        message(none);
        return Ok(());
    }
    let titles: Vec<&str> = columns.iter().map(|column| column.title).collect();
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(cell).collect())
        .collect();
    printer.table(&titles, &rows)
}

/// A value without JSON's quotes; what is not there is a dash.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Cells left-aligned in columns of these widths, one blank between them; width 0 leaves a cell as
/// it is. This is how most of Kafka's tables look.
pub fn padded(cells: &[&str], widths: &[usize]) -> String {
    let cells = cells.iter().zip(widths);
    let cells: Vec<String> = cells
        .map(|(cell, width)| format!("{cell:<width$}"))
        .collect();
    cells.join(" ")
}

/// Kafka's other kind of table: cells as wide as the widest of their column, each ended by a tab.
pub fn tabbed(printer: &mut Printer, header: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (most, cell) in widths.iter_mut().zip(row) {
            *most = (*most).max(cell.chars().count());
        }
    }
    let header: Vec<String> = header.iter().map(|cell| (*cell).to_owned()).collect();
    for row in [&header].into_iter().chain(rows) {
        let cells = row.iter().zip(&widths);
        let line: String = cells
            .map(|(cell, width)| format!("{cell:<width$}\t"))
            .collect();
        printer.line(line)?;
    }
    Ok(())
}

/// The width that all of the texts fit in, and at least `least`.
pub fn width<'a>(least: usize, texts: impl IntoIterator<Item = &'a str>) -> usize {
    let longest = texts.into_iter().map(|text| text.chars().count()).max();
    longest.unwrap_or(0).max(least)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_padded_but_for_those_of_no_width() {
        assert_eq!(padded(&["a", "é", "end"], &[3, 2, 0]), "a   é  end");
        assert_eq!(width(3, ["a", "four"]), 4);
        assert_eq!(width(3, []), 3);
    }

    #[test]
    fn cells_read_as_text() {
        assert_eq!(cell(&json!("a")), "a");
        assert_eq!(cell(&json!(7)), "7");
        assert_eq!(cell(&Value::Null), "-");
        assert_eq!(cell(&json!([1, 2])), "1, 2");
    }
}
