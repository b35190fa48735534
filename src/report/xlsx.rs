//! The workbook of `count`, for people who read Excel: Summary with charts, Per minute, Lines and zones (where
//! there are any) and Events.
//!
//! Absent: formulas. The numbers are ours, and a cell that is recalculated elsewhere might say something else.

use super::sheet::{Formats, Sheet, clock, days};
use super::{Minute, Report};
use crate::detection::Class;
use crate::event::{Direction, Phase, Place, Severity};
use crate::time::{Span, WallTime};
use anyhow::{Context as _, Result};
use rust_xlsxwriter::{Chart, ChartType, DocProperties, Workbook, XlsxError};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;

/// Lines of a chart that a person can still tell apart.
const MOST_LINES: usize = 5;

const SUMMARY: &str = "Summary";
const PER_MINUTE: &str = "Per minute";

/// The bytes of the file.
pub fn write(report: &Report) -> Result<Vec<u8>> {
    workbook(report).and_then(|mut book| book.save_to_buffer()).context("cannot make the workbook")
}

fn workbook(report: &Report) -> Result<Workbook, XlsxError> {
    let formats = Formats::new();
    let mut book = Workbook::new();
    // The date of the recording and not of today: the same film gives the same file.
    let mut properties = DocProperties::new().set_title(format!("Counts of {}", report.about.video));
    if let Some(made) = clock(report.about.recorded.unwrap_or(WallTime::EPOCH), &jiff::tz::TimeZone::UTC) {
        properties = properties.set_creation_datetime(&made);
    }
    book.set_properties(&properties);
    book.push_worksheet(summary(report, &formats)?.sheet);
    book.push_worksheet(per_minute(report, &formats)?.sheet);
    if !report.lines.is_empty() || !report.zones.is_empty() {
        book.push_worksheet(places(report, &formats)?.sheet);
    }
    book.push_worksheet(events(report, &formats)?.sheet);
    Ok(book)
}

/// Those most seen first.
fn classes(report: &Report) -> Vec<Class> {
    let mut classes: Vec<_> = report.objects.iter().map(|(class, totals)| (Reverse(totals.unique), *class)).collect();
    // Something may be seen in a minute and yet, with no confirmed track of its own, not be among the objects.
    let seen = report.per_minute.iter().map(|m| m.class).filter(|class| !report.objects.contains_key(class));
    classes.extend(seen.map(|class| (Reverse(0), class)));
    classes.sort_unstable();
    classes.dedup();
    classes.into_iter().map(|(_, class)| class).collect()
}

/// A sheet has 1,048,576 rows, and a stamp may be broken.
fn minutes(report: &Report) -> u64 {
    let of_film = (report.about.seconds / 60.0).ceil() as u64;
    report.per_minute.last().map_or(0, |m| m.minute + 1).max(of_film).clamp(1, 1_000_000)
}

fn summary<'a>(report: &Report, f: &'a Formats) -> Result<Sheet<'a>, XlsxError> {
    let about = &report.about;
    let mut s = Sheet::named(SUMMARY, &[22.0, 21.0, 14.0, 8.0], f)?;
    s.title("What the camera counted")?;
    // Its folder says nothing to whoever gets the workbook by mail.
    let name = Path::new(&about.video).file_name().map_or(about.video.as_str().into(), |n| n.to_string_lossy());
    s.fact("Film", name.as_ref(), &f.left)?;
    match about.recorded.and_then(|at| clock(at, &about.time_zone)) {
        Some(at) => s.fact("Recorded", at, &f.clock.clone().set_align(rust_xlsxwriter::FormatAlign::Left))?,
        None => s.fact("Recorded", "not known", &f.left)?,
    }
    let zone = about.time_zone.iana_name().unwrap_or("UTC");
    s.fact("Time zone", zone, &f.left)?;
    let length = days(Span::from_secs_f64(about.seconds));
    s.fact("Length", length, &f.film_time.clone().set_align(rust_xlsxwriter::FormatAlign::Left))?;
    s.fact("Frames", about.frames, &f.whole.clone().set_align(rust_xlsxwriter::FormatAlign::Left))?;
    if about.every > 1 {
        s.fact("Looked at", format!("one frame in {}", about.every), &f.left)?;
    }
    s.fact("Model", about.model.as_str(), &f.left)?;
    if !about.complete {
        s.fact("Please note", "the film breaks off; this is what there was until then", &f.left)?;
    }
    s.row += 1;
    s.head(&["Class", "In all", "At once, most"])?;
    let first = s.row;
    let classes = classes(report);
    for class in &classes {
        let totals = report.objects.get(class).copied().unwrap_or_default();
        s.cell(0, class.name(), &f.wrapped)?;
        s.cell(1, totals.unique, &f.whole)?;
        s.cell(2, totals.max_at_once as u64, &f.whole)?;
        s.row += 1;
    }
    if classes.is_empty() {
        s.cell(0, "nothing was seen", &f.wrapped)?;
        s.row += 1;
        return Ok(s);
    }
    let last = first + classes.len().min(12) as u32 - 1;
    let mut chart = Chart::new(ChartType::Column);
    chart.title().set_name("How many of each class");
    for (column, name) in [(1, "In all"), (2, "At once, most")] {
        let series = chart.add_series();
        series.set_name(name).set_values((SUMMARY, first, column, last, column));
        series.set_categories((SUMMARY, first, 0, last, 0));
    }
    whole_numbers(&mut chart);
    s.sheet.insert_chart(2, 4, &chart)?;
    if minutes(report) > 1 {
        s.sheet.insert_chart(19, 4, &course(report, &classes))?;
    }
    Ok(s)
}

fn whole_numbers(chart: &mut Chart) {
    chart.set_width(640).set_height(320);
    chart.y_axis().set_num_format("0").set_min(0);
    chart.legend().set_position(rust_xlsxwriter::ChartLegendPosition::Bottom);
}

/// How the numbers went on, minute by minute.
fn course(report: &Report, classes: &[Class]) -> Chart {
    let mut chart = Chart::new(ChartType::Line);
    chart.title().set_name("At once on average, minute by minute");
    let last = minutes(report) as u32;
    for (i, class) in classes.iter().take(MOST_LINES).enumerate() {
        let column = mean_column(i);
        let series = chart.add_series();
        series.set_name(class.name()).set_values((PER_MINUTE, 1, column, last, column));
        series.set_categories((PER_MINUTE, 1, 0, last, 0));
    }
    whole_numbers(&mut chart);
    chart.y_axis().set_num_format("0.0");
    chart.x_axis().set_name("minute");
    chart
}

/// Minute and start stand before; each class has its mean and its maximum.
fn mean_column(class: usize) -> u16 {
    2 + 2 * class as u16
}

fn per_minute<'a>(report: &Report, f: &'a Formats) -> Result<Sheet<'a>, XlsxError> {
    let classes = classes(report);
    let minutes = minutes(report);
    let mut s = Sheet::named(PER_MINUTE, &[9.0, 19.0], f)?;
    let names: Vec<String> = classes.iter().flat_map(|c| [format!("{c} mean"), format!("{c} max")]).collect();
    let mut head = vec!["Minute", "Start"];
    head.extend(names.iter().map(String::as_str));
    for column in 2..head.len() as u16 {
        s.sheet.set_column_width(column, 13)?;
    }
    s.frozen_head(&head, minutes as usize)?;
    let rows: BTreeMap<(u64, Class), &Minute> = report.per_minute.iter().map(|m| ((m.minute, m.class), m)).collect();
    for minute in 0..minutes {
        let start = report.about.recorded.map(|at| at + Span::from_millis(minute as i64 * 60_000));
        s.cell(0, minute, &f.whole)?;
        s.cell_if(1, start.and_then(|at| clock(at, &report.about.time_zone)), &f.clock)?;
        for (i, class) in classes.iter().enumerate() {
            let (mean, max) = rows.get(&(minute, *class)).map_or((0.0, 0), |m| (m.mean, m.max));
            s.cell(mean_column(i), mean, &f.hundredths)?;
            s.cell(mean_column(i) + 1, max as u64, &f.whole)?;
        }
        s.row += 1;
    }
    Ok(s)
}

fn places<'a>(report: &Report, f: &'a Formats) -> Result<Sheet<'a>, XlsxError> {
    let mut s = Sheet::named("Lines and zones", &[24.0, 20.0, 18.0, 20.0], f)?;
    if !report.lines.is_empty() {
        s.head(&["Line", "Class", "In", "Out"])?;
        for (line, totals) in &report.lines {
            let all = ("all", totals.into, totals.out);
            let of_class = totals.by_class.iter().map(|(class, &(into, out))| (class.name(), into, out));
            for (class, into, out) in std::iter::once(all).chain(of_class) {
                s.cell(0, line.as_str(), &f.wrapped)?;
                s.cell(1, class, &f.wrapped)?;
                s.cell(2, into, &f.whole)?;
                s.cell(3, out, &f.whole)?;
                s.row += 1;
            }
        }
        s.row += 1;
    }
    if !report.zones.is_empty() {
        s.head(&["Zone", "Visits", "Median stay, s", "95 % stay up to, s"])?;
        for (zone, stats) in &report.zones {
            s.cell(0, zone.as_str(), &f.wrapped)?;
            s.cell(1, stats.visits, &f.whole)?;
            s.cell_if(2, stats.dwell_p50_s, &f.tenths)?;
            s.cell_if(3, stats.dwell_p95_s, &f.tenths)?;
            s.row += 1;
        }
    }
    Ok(s)
}

fn events<'a>(report: &Report, f: &'a Formats) -> Result<Sheet<'a>, XlsxError> {
    let about = &report.about;
    let widths = [12.0, 19.0, 16.0, 16.0, 9.0, 10.0, 19.0, 18.0, 22.0, 8.0, 70.0];
    let mut s = Sheet::named("Events", &widths, f)?;
    s.frozen_head(
        &["Film time", "Clock", "Kind", "Rule", "Phase", "Severity", "Ended", "Place", "Who", "Score", "In words"],
        report.events.len(),
    )?;
    let known = |at: WallTime| about.recorded.and_then(|_| clock(at, &about.time_zone));
    for event in &report.events {
        let film_time = event.at - about.recorded.unwrap_or(WallTime::EPOCH);
        let who: Vec<String> = event.tracks.iter().map(|t| format!("{} {}", t.class, t.id)).collect();
        s.cell(0, days(film_time), &f.film_time)?;
        s.cell_if(1, known(event.at), &f.clock)?;
        s.cell(2, event.kind, &f.wrapped)?;
        s.cell(3, event.rule.as_str(), &f.wrapped)?;
        s.cell(4, phase(event.phase), &f.wrapped)?;
        s.cell(5, severity(event.severity), &f.wrapped)?;
        s.cell_if(6, event.ended_at.and_then(known), &f.clock)?;
        s.cell(7, place(&event.place), &f.wrapped)?;
        s.cell(8, who.join(", "), &f.wrapped)?;
        s.cell(9, f64::from(event.score), &f.hundredths)?;
        s.cell(10, event.explain.as_str(), &f.words)?;
        s.row += 1;
    }
    Ok(s)
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Start => "start",
        Phase::End => "end",
        Phase::Instant => "instant",
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Alarm => "alarm",
    }
}

fn place(place: &Place) -> String {
    match place {
        Place::Frame => String::new(),
        Place::Zone(zone) => format!("zone {zone}"),
        Place::Line(line, Direction::In) => format!("line {line}, in"),
        Place::Line(line, Direction::Out) => format!("line {line}, out"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tally::tests::example;

    #[test]
    fn the_same_report_is_the_same_workbook() {
        let book = write(&example()).unwrap();
        assert!(book.starts_with(b"PK"));
        assert_eq!(book, write(&example()).unwrap());
    }

    #[test]
    fn a_film_without_anything_has_a_workbook() {
        let mut empty = example();
        empty.objects.clear();
        empty.lines.clear();
        empty.zones.clear();
        empty.per_minute.clear();
        empty.events.clear();
        empty.about.recorded = None;
        empty.about.seconds = 0.0;
        assert!(write(&empty).unwrap().starts_with(b"PK"));
    }

    #[test]
    fn classes_stand_by_how_often_they_were_seen() {
        let mut report = example();
        report.per_minute.push(Minute { minute: 3, class: Class::named("car"), mean: 0.1, max: 1 });
        let names: Vec<_> = classes(&report).iter().map(|c| c.name()).collect();
        assert_eq!(names, ["person", "handbag", "car"]);
        assert_eq!(minutes(&report), 4);
        report.about.seconds = 1e12;
        assert_eq!(minutes(&report), 1_000_000, "a broken stamp is no sheet of thousands of millions of rows");
    }
}
