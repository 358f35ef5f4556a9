//! Tables: aligned to the width of a terminal, or separated by tabs where a program reads.
//!
//! On a terminal the last column is cut first, then columns go from the right; columns that identify a row or say how
//! it stands are never cut.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::render::clean;
use super::screen::{Colour, Screen};

/// Blanks between two columns.
const GAP: usize = 2;
/// A column narrower than this says nothing and goes.
const NARROWEST: usize = 4;

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    head: &'static str,
    is_number: bool,
    is_kept: bool,
}

impl Column {
    /// A column of text, left-aligned.
    pub const fn text(head: &'static str) -> Self {
        Self { head, is_number: false, is_kept: false }
    }

    /// A column of numbers, right-aligned.
    pub const fn number(head: &'static str) -> Self {
        Self { head, is_number: true, is_kept: false }
    }

    /// Never cut, whatever the width.
    pub const fn kept(self) -> Self {
        Self { is_kept: true, ..self }
    }
}

/// A field of a row.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    colour: Option<Colour>,
}

impl Cell {
    /// A field in this colour.
    pub fn coloured(text: impl AsRef<str>, colour: Option<Colour>) -> Self {
        Self { text: clean(text.as_ref()), colour }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::coloured(text, None)
    }
}

/// Rows under a header.
#[derive(Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; one cell for each column.
    pub fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        let cells = cells.into();
        debug_assert_eq!(cells.len(), self.columns.len(), "a row has one cell for each column");
        self.rows.push(cells);
    }

    /// The lines, header first.
    pub fn lines(&self, screen: &Screen) -> Vec<String> {
        match screen.width() {
            Some(width) => self.aligned(screen, width),
            None => self.separated(),
        }
    }

    fn separated(&self) -> Vec<String> {
        let heads = self.columns.iter().map(|column| column.head).collect::<Vec<_>>().join("\t");
        let rows = self
            .rows
            .iter()
            .map(|row| row.iter().map(|cell| cell.text.as_str()).collect::<Vec<_>>().join("\t"));
        std::iter::once(heads).chain(rows).collect()
    }

    fn aligned(&self, screen: &Screen, width: usize) -> Vec<String> {
        let widths = self.fitted(width);
        let heads: Vec<Cell> = self.columns.iter().map(|column| Cell::from(column.head)).collect();
        std::iter::once(&heads).chain(&self.rows).map(|row| self.line(row, &widths, screen)).collect()
    }

    fn line(&self, row: &[Cell], widths: &[Option<usize>], screen: &Screen) -> String {
        let mut line = String::new();
        let mut owed = 0; // blanks before the next text, so that no line ends in blanks
        for ((cell, column), width) in row.iter().zip(&self.columns).zip(widths) {
            let Some(width) = *width else { continue };
            let text = cut(&cell.text, width);
            let blank = width - text.width().min(width);
            let (before, after) = if column.is_number { (blank, 0) } else { (0, blank) };
            if !text.is_empty() {
                line.push_str(&" ".repeat(owed + before));
                line.push_str(&screen.paint(cell.colour, &text));
                owed = 0;
            } else {
                owed += before;
            }
            owed += after + GAP;
        }
        line
    }

    /// The width of each column; `None` for one that had to go.
    fn fitted(&self, width: usize) -> Vec<Option<usize>> {
        let natural = |index: usize| {
            let texts = self.rows.iter().map(|row| row[index].text.width());
            texts.chain([self.columns[index].head.width()]).max().unwrap_or(0)
        };
        let mut widths: Vec<Option<usize>> =
            (0..self.columns.len()).map(|index| Some(natural(index))).collect();
        for index in (0..widths.len()).rev() {
            let too_much = total(&widths).saturating_sub(width);
            if too_much == 0 {
                break;
            }
            if self.columns[index].is_kept {
                continue;
            }
            let left = widths[index].unwrap_or(0).saturating_sub(too_much);
            widths[index] = (left >= NARROWEST).then_some(left);
        }
        widths
    }
}

fn total(widths: &[Option<usize>]) -> usize {
    let shown: Vec<usize> = widths.iter().flatten().copied().collect();
    shown.iter().sum::<usize>() + GAP * shown.len().saturating_sub(1)
}

/// `text` in at most `width` columns, with `…` where something is missing.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut used = 1; // the sign itself
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        shown.push(c);
    }
    shown.push('…');
    shown
}
