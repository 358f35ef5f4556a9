//! `ifbus matrix`: which verb works on which kind of server. From the code of this program; asks nobody.

use ifbus::serve::matrix::{self, MatrixBody};
use ifbus_call::Kind;

use super::errors::Failure;
use super::grammar::MatrixArgs;
use super::render::clean;
use super::screen::{Colour, Screen};
use super::table::{Cell, Column, Table};

/// Prints it.
pub fn run(screen: &Screen, args: &MatrixArgs) -> Result<(), Failure> {
    let kinds = match args.kind.as_deref() {
        None => Kind::ALL.to_vec(),
        Some(words) => words.split(',').map(kind).collect::<Result<_, _>>()?,
    };
    let matrix = matrix::body(&kinds);
    if screen.json {
        let body = serde_json::to_string(&matrix).expect("a table can be written as JSON");
        return screen.line(&body);
    }
    for (nth, table) in tables(&matrix, screen.width().unwrap_or(usize::MAX)).iter().enumerate() {
        if nth > 0 {
            screen.line("")?;
        }
        screen.lines(table.lines(screen))?;
    }
    if !screen.is_terminal() {
        return Ok(());
    }
    screen.line("")?;
    for (word, meaning) in &matrix.legend {
        screen.line(&format!("{word}: {meaning}"))?;
    }
    screen.line(&matrix::proven(&matrix))
}

fn kind(word: &str) -> Result<Kind, Failure> {
    word.parse().map_err(|_| {
        let near = ifbus_config::nearest(word, Kind::ALL.map(Kind::as_str));
        let near = near.map(|near| format!("did you mean {near}?   ")).unwrap_or_default();
        Failure::usage(format!("this ifbus has no kind `{}`", clean(word)))
            .with(format!("{near}known: {}", Kind::names()))
    })
}

/// What the widest verb takes, and what a kind does.
const WIDTHS: (usize, usize) = (20, 12);

/// As many tables as it takes to show every kind in this width.
pub fn tables(matrix: &MatrixBody, width: usize) -> Vec<Table> {
    let fit = width.saturating_sub(WIDTHS.0) / WIDTHS.1;
    matrix.kinds.chunks(fit.max(1)).map(|kinds| table(matrix, kinds)).collect()
}

/// A row for each verb, a column for each of these kinds.
fn table(matrix: &MatrixBody, kinds: &[String]) -> Table {
    let heads: Vec<Column> = kinds.iter().filter_map(|kind| column(kind)).collect();
    let columns: Vec<Column> =
        [Column::text("VERB").kept()].into_iter().chain(heads).chain([Column::text("NEEDS")]).collect();
    let mut table = Table::new(&columns);
    for verb in &matrix.verbs {
        let hows = kinds.iter().filter_map(|kind| verb.cells.get(kind)).map(|cell| {
            let colour = match cell.how {
                matrix::How::Native => Colour::Green,
                matrix::How::Setup | matrix::How::Agent | matrix::How::Anchor | matrix::How::NotYet => {
                    Colour::Yellow
                }
            };
            Cell::coloured(cell.how.as_str(), Some(colour))
        });
        let needs = matrix::needs(verb, kinds);
        let row: Vec<Cell> =
            [Cell::from(&verb.verb)].into_iter().chain(hows).chain([Cell::from(needs.join("; "))]).collect();
        table.row(row);
    }
    table
}

fn column(kind: &str) -> Option<Column> {
    let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind)?;
    Some(Column::text(kind.as_str()).kept())
}
