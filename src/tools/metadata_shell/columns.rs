//! Names beside each other, down the columns first, as many columns as fit.
use std::io::{self, Write};

/// Between two columns.
const GAP: usize = 2;

pub fn print_columns(
    names: &[String],
    width: Option<usize>,
    out: &mut dyn Write,
) -> io::Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let columns = width.map_or(1, |width| columns(names, width));
    let lines = names.len().div_ceil(columns);
    let widths: Vec<usize> = names.chunks(lines).map(column_width).collect();
    for line in 0..lines {
        let mut text = String::new();
        let row = names.iter().skip(line).step_by(lines);
        for (name, width) in row.zip(&widths) {
            text.push_str(name);
            text.push_str(&" ".repeat(width.saturating_sub(name.chars().count())));
        }
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}

fn column_width(names: &[String]) -> usize {
    let widest = names.iter().map(|name| name.chars().count()).max();
    widest.unwrap_or_default() + GAP
}

/// The greatest number of columns that fit.
fn columns(names: &[String], width: usize) -> usize {
    let most = (width / 4).clamp(1, names.len());
    let fits = |columns: &usize| {
        let lines = names.len().div_ceil(*columns);
        let needed: usize = names.chunks(lines).map(column_width).sum();
        needed <= width
    };
    (2..=most).rev().find(fits).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(names: &[&str], width: Option<usize>) -> String {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut out = Vec::new();
        print_columns(&names, width, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_filled_downwards() {
        let names = ["acls", "cluster", "configs", "features", "scram"];
        assert_eq!(
            printed(&names, Some(40)),
            "acls     configs   scram\ncluster  features\n"
        );
        assert_eq!(printed(&names[..2], None), "acls\ncluster\n");
        assert_eq!(printed(&names[..2], Some(3)), "acls\ncluster\n");
        assert_eq!(printed(&[], Some(80)), "");
    }
}
