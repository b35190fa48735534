//! The CSV of `count`: one table, the counts per minute, since a file with several tables is no CSV. Totals,
//! lines and zones are in the JSON and the workbook.
//!
//! Columns: `minute` of film time from 0; `start` of that minute on the clock (RFC 3339), empty where nobody
//! knows when the film was taken; `class`; `mean` and `max` at once. A class has a row for each minute in which
//! it was seen. Fields are separated by commas and quoted where they must be (RFC 4180).

use super::Report;
use super::json::rounded;
use crate::time::Span;
use std::borrow::Cow;
use std::fmt::Write as _;

pub fn write(report: &Report) -> Vec<u8> {
    let mut csv = String::from("minute,start,class,mean,max\r\n");
    for row in &report.per_minute {
        let start = report.about.recorded.map(|at| (at + Span::from_millis(row.minute as i64 * 60_000)).to_string());
        let (minute, class, mean, max) = (row.minute, quoted(row.class.name()), rounded(row.mean), row.max);
        let start = start.unwrap_or_default();
        write!(csv, "{minute},{start},{class},{mean},{max}\r\n").expect("writing to a string does not fail");
    }
    csv.into_bytes()
}

fn quoted(field: &str) -> Cow<'_, str> {
    if field.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\"")).into()
    } else {
        field.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_per_minute_and_class() {
        let csv = String::from_utf8(write(&crate::report::tally::tests::example())).unwrap();
        let lines: Vec<_> = csv.split_terminator("\r\n").collect();
        assert_eq!(
            lines,
            [
                "minute,start,class,mean,max",
                "0,2026-11-24T10:15:00.000Z,person,4.2,7",
                "1,2026-11-24T10:16:00.000Z,handbag,0.333,2",
                "1,2026-11-24T10:16:00.000Z,person,5,8",
            ]
        );
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
