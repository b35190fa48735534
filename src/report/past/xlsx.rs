//! The workbook of `report`: Summary, Frequent (where anything was), Days, Alerts.

use super::{PastReport, date};
use crate::event::Severity;
use crate::report::sheet::{Formats, Sheet, clock};
use anyhow::{Context as _, Result};
use rust_xlsxwriter::{Chart, ChartType, DocProperties, Workbook, XlsxError};

/// A sheet has 1,048,576 rows.
const MOST: usize = 100_000;

/// The bytes of the file.
pub fn write(report: &PastReport) -> Result<Vec<u8>> {
    workbook(report).and_then(|mut book| book.save_to_buffer()).context("cannot make the workbook")
}

fn workbook(report: &PastReport) -> Result<Workbook, XlsxError> {
    let f = Formats::new();
    let mut book = Workbook::new();
    let mut properties = DocProperties::new().set_title("What the cameras told");
    // The end of the time that is looked at and not today: the same past gives the same file.
    if let Some(made) = clock(report.until, &jiff::tz::TimeZone::UTC) {
        properties = properties.set_creation_datetime(&made);
    }
    book.set_properties(&properties);
    book.push_worksheet(summary(report, &f)?.sheet);
    if !report.frequent.is_empty() {
        book.push_worksheet(frequent(report, &f)?.sheet);
    }
    book.push_worksheet(days(report, &f)?.sheet);
    book.push_worksheet(alerts(report, &f)?.sheet);
    Ok(book)
}

fn summary<'a>(report: &PastReport, f: &'a Formats) -> Result<Sheet<'a>, XlsxError> {
    let mut s = Sheet::named("Summary", &[22.0, 24.0, 12.0, 12.0], f)?;
    s.title("What the cameras told")?;
    let left = f.clock.clone().set_align(rust_xlsxwriter::FormatAlign::Left);
    for (key, at) in [("From", report.from), ("Until", report.until)] {
        if let Some(at) = clock(at, &report.time_zone) {
            s.fact(key, at, &left)?;
        }
    }
    s.fact("Time zone", report.time_zone.iana_name().unwrap_or("UTC"), &f.left)?;
    s.row += 1;
    s.head(&["Camera", "What", "Events", "Alerts"])?;
    for ((camera, kind), told) in &report.kinds {
        s.cell(0, camera.as_str(), &f.wrapped)?;
        s.cell(1, kind.as_str(), &f.wrapped)?;
        s.cell(2, told.events, &f.whole)?;
        s.cell(3, told.alerts, &f.whole)?;
        s.row += 1;
    }
    if !report.seen.is_empty() {
        s.row += 1;
        s.head(&["Camera", "Class", "Minutes seen", "Most at once"])?;
    }
    for ((camera, class), (minutes, most)) in &report.seen {
        s.cell(0, camera.as_str(), &f.wrapped)?;
        s.cell(1, class.as_str(), &f.wrapped)?;
        s.cell(2, *minutes, &f.whole)?;
        s.cell(3, u64::from(*most), &f.whole)?;
        s.row += 1;
    }
    s.row += 1;
    s.head(&["Camera", "Blind, minutes"])?;
    for (camera, blind) in &report.blind {
        s.cell(0, camera.as_str(), &f.wrapped)?;
        s.cell(1, blind.secs_f64() / 60.0, &f.tenths)?;
        s.row += 1;
    }
    Ok(s)
}

fn frequent<'a>(report: &PastReport, f: &'a Formats) -> Result<Sheet<'a>, XlsxError> {
    let mut s = Sheet::named("Frequent", &[16.0, 16.0, 18.0, 12.0, 8.0, 8.0, 10.0, 10.0, 12.0, 12.0, 8.0], f)?;
    let head =
        ["Camera", "Place", "What", "Day", "From, h", "Hours", "Incidents", "Expected", "p", "p, corrected", "Weeks"];
    s.frozen_head(&head, report.frequent.len())?;
    let small = f.hundredths.clone().set_num_format("0.0000");
    for one in &report.frequent {
        s.cell(0, one.camera.as_str(), &f.wrapped)?;
        s.cell(1, one.place.as_str(), &f.wrapped)?;
        s.cell(2, one.kind.as_str(), &f.wrapped)?;
        s.cell(3, one.hour.day_name(), &f.wrapped)?;
        s.cell(4, one.hour.of_day() as u64, &f.whole)?;
        s.cell(5, u64::from(one.hours), &f.whole)?;
        s.cell(6, one.count, &f.whole)?;
        s.cell(7, one.expected, &f.tenths)?;
        s.cell(8, one.p, &small)?;
        s.cell(9, one.adjusted, &small)?;
        s.cell(10, u64::from(one.weeks), &f.whole)?;
        s.row += 1;
    }
    Ok(s)
}

fn days<'a>(report: &PastReport, f: &'a Formats) -> Result<Sheet<'a>, XlsxError> {
    let mut s = Sheet::named("Days", &[14.0, 16.0, 12.0, 12.0], f)?;
    s.frozen_head(&["Day", "Camera", "Events", "Alerts"], report.days.len())?;
    let mut rows: Vec<_> = report.days.iter().map(|((camera, day), told)| (*day, camera, told)).collect();
    rows.sort_by_key(|(day, camera, _)| (*day, *camera));
    for (day, camera, told) in &rows {
        s.cell(0, date(*day, &report.time_zone), &f.wrapped)?;
        s.cell(1, camera.as_str(), &f.wrapped)?;
        s.cell(2, told.events, &f.whole)?;
        s.cell(3, told.alerts, &f.whole)?;
        s.row += 1;
    }
    if !rows.is_empty() {
        let last = rows.len() as u32;
        let mut chart = Chart::new(ChartType::Column);
        chart.title().set_name("Alerts by day");
        let series = chart.add_series();
        series.set_name("Alerts").set_values(("Days", 1, 3, last, 3)).set_categories(("Days", 1, 0, last, 0));
        chart.set_width(640).set_height(320);
        chart.y_axis().set_num_format("0").set_min(0);
        s.sheet.insert_chart(1, 5, &chart)?;
    }
    Ok(s)
}

fn alerts<'a>(report: &PastReport, f: &'a Formats) -> Result<Sheet<'a>, XlsxError> {
    let mut s = Sheet::named("Alerts", &[19.0, 16.0, 16.0, 16.0, 10.0, 16.0, 90.0], f)?;
    s.frozen_head(
        &["Clock", "Camera", "What", "Rule", "Severity", "Place", "In words"],
        report.alerts.len().min(MOST),
    )?;
    for event in report.alerts.iter().rev().take(MOST) {
        s.cell_if(0, clock(event.at, &report.time_zone), &f.clock)?;
        s.cell(1, event.camera.as_str(), &f.wrapped)?;
        s.cell(2, event.kind.as_str(), &f.wrapped)?;
        s.cell(3, event.rule.as_str(), &f.wrapped)?;
        s.cell(4, if event.severity == Severity::Alarm { "alarm" } else { "warning" }, &f.wrapped)?;
        s.cell(5, event.place.as_str(), &f.wrapped)?;
        s.cell(6, event.explain.as_str(), &f.words)?;
        s.row += 1;
    }
    Ok(s)
}
