//! A page for a person at a terminal, or to be mailed.

use super::{PastReport, date, local, words};

/// Alerts that are listed; more are counted.
const MOST: usize = 50;

pub fn write(report: &PastReport) -> String {
    let zone = &report.time_zone;
    let moment = |at| local(at, zone).strftime("%Y-%m-%d %H:%M").to_string();
    let name = zone.iana_name().unwrap_or("UTC");
    let mut out = format!("{} to {} ({name})\n", moment(report.from), moment(report.until));
    let mut line = |text: String| {
        out.push_str(text.trim_end());
        out.push('\n');
    };
    line(format!("\n  {:<16} {:<20} {:>8} {:>8}", "camera", "what", "events", "alerts"));
    for ((camera, kind), told) in &report.kinds {
        line(format!("  {:<16} {kind:<20} {:>8} {:>8}", camera.as_str(), told.events, told.alerts));
    }
    if report.kinds.is_empty() {
        line("  nothing was told".into());
    }
    for ((camera, class), (minutes, most)) in &report.seen {
        line(format!("  {:<16} {class:<20} seen in {minutes} minutes, at most {most} at once", camera.as_str()));
    }
    line("\nfrequent".into());
    for one in &report.frequent {
        line(format!("  {}", words(one)));
    }
    match (report.frequent.is_empty(), report.weeks_before) {
        (true, 0..3) => line(format!(
            "  nothing can be said yet: there are {} weeks to compare with, 3 are needed",
            report.weeks_before
        )),
        (true, weeks) => line(format!("  nothing, compared with {weeks} weeks before")),
        _ => {}
    }
    line("\nalerts by day".into());
    for ((camera, day), told) in report.days.iter().filter(|(_, told)| told.alerts > 0) {
        line(format!("  {} {:<16} {:>4}", date(*day, zone), camera.as_str(), told.alerts));
    }
    line("\nalerts".into());
    for alert in report.alerts.iter().rev().take(MOST) {
        line(format!("  {} {:<16} {}", moment(alert.at), alert.camera.as_str(), alert.explain));
    }
    match report.alerts.len() {
        0 => line("  none".into()),
        n if n > MOST => line(format!("  and {} earlier ones", n - MOST)),
        _ => {}
    }
    line("\nblind (covered, moved, frozen)".into());
    for (camera, blind) in &report.blind {
        line(format!("  {:<16} {:.0} min", camera.as_str(), blind.secs_f64() / 60.0));
    }
    if report.blind.is_empty() {
        line("  never".into());
    }
    out
}
