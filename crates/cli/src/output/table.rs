//! Tables: columns with four spaces between, and the headings of a key-value engine's parts.

use crate::output::go_value;
use secretum_client::Object;

/// What stands between two columns.
const GAP: &str = "    ";

/// What stands for an empty cell.
const EMPTY: &str = "n/a";

/// A table with a heading line and a line of dashes below it.
pub(crate) fn headed(heading: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut all = vec![
        heading.iter().map(|cell| (*cell).to_owned()).collect(),
        heading
            .iter()
            .map(|cell| "-".repeat(cell.chars().count()))
            .collect(),
    ];
    all.extend(rows);
    plain(&all)
}

/// A table of names and values.
pub(crate) fn pairs(rows: Vec<(String, String)>) -> String {
    headed(
        &["Key", "Value"],
        rows.into_iter()
            .map(|(key, value)| vec![key, value])
            .collect(),
    )
}

/// A table of an object's members, sorted by name.
pub(crate) fn members(object: &Object) -> String {
    pairs(rows_of(object))
}

/// An object's members as rows, sorted by name.
pub(crate) fn rows_of(object: &Object) -> Vec<(String, String)> {
    let shown = |(key, value): (&str, _)| (key.to_owned(), go_value::member(key, value));
    object.sorted().into_iter().map(shown).collect()
}

/// A table without heading. Cells lose the blanks around them; the last of a row is not padded.
pub(crate) fn plain(rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let width = shown(cell).chars().count();
            match widths.get_mut(column) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
        }
    }
    let mut text = String::new();
    for row in rows {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let cell = shown(cell);
            text.push_str(cell);
            if column + 1 < row.len() {
                text.push_str(&" ".repeat(width.saturating_sub(cell.chars().count())));
                text.push_str(GAP);
            }
        }
        text.push('\n');
    }
    text
}

/// The heading of a part, with equals signs on both sides, about as wide as what stands below.
pub(crate) fn banner(heading: &str, width: usize) -> String {
    let missing = width.saturating_sub(heading.len() + 2);
    let signs = "=".repeat(if missing == 0 { 2 } else { missing.div_ceil(2) });
    format!("{signs} {heading} {signs}\n")
}

/// The heading above an object's members.
pub(crate) fn banner_over(heading: &str, object: &Object) -> String {
    let widest = object.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    banner(heading, widest + GAP.len() + "Value".len())
}

fn shown(cell: &str) -> &str {
    match cell.trim() {
        "" => EMPTY,
        cell => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secretum_client::Json;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = vec![
            ("token".to_owned(), "x".to_owned()),
            ("token_duration".to_owned(), "∞".to_owned()),
            ("nonce".to_owned(), String::new()),
        ];
        assert_eq!(
            pairs(rows),
            "Key               Value\n\
             ---               -----\n\
             token             x\n\
             token_duration    ∞\n\
             nonce             n/a\n"
        );
    }

    #[test]
    fn members_are_sorted() {
        let object = Json::parse(r#"{"b":[1],"a":" x\n"}"#).unwrap();
        let shown = members(object.as_object().unwrap());
        assert_eq!(shown, "Key    Value\n---    -----\na      x\nb      [1]\n");
    }

    #[test]
    fn banners_follow_the_width_below() {
        for (width, shown) in [
            (8, "== Secret Path ==\n"),
            (13, "== Secret Path ==\n"),
            (14, "= Secret Path =\n"),
            (16, "== Secret Path ==\n"),
            (18, "=== Secret Path ===\n"),
        ] {
            assert_eq!(banner("Secret Path", width), shown);
        }
    }
}
