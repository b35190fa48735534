//! A few lines for a person at a terminal.

use super::Report;
use std::fmt::Write as _;

pub fn write(report: &Report) -> String {
    let about = &report.about;
    let mut out = format!("{}: {} frames, {:.1} s, {}\n", about.video, about.frames, about.seconds, about.model);
    if !about.complete {
        out.push_str("The film breaks off; this is what there was until then.\n");
    }
    let mut row =
        |what: &str, text: String| writeln!(out, "  {what:<20} {text}").expect("writing to a string does not fail");
    if report.objects.is_empty() {
        row("nothing", "was seen long enough to be counted".into());
    }
    for (class, totals) in &report.objects {
        row(class.name(), format!("{} in all, at most {} at once", totals.unique, totals.max_at_once));
    }
    for (line, totals) in &report.lines {
        row(&format!("line {line}"), format!("{} in, {} out", totals.into, totals.out));
    }
    for (zone, stats) in &report.zones {
        let dwell = match (stats.dwell_p50_s, stats.dwell_p95_s) {
            (Some(p50), Some(p95)) => format!(", half of them up to {p50:.1} s, 95 % up to {p95:.1} s"),
            _ => String::new(),
        };
        row(&format!("zone {zone}"), format!("{} visits{dwell}", stats.visits));
    }
    if !report.events.is_empty() {
        row("events", format!("{}, `watchpost replay` tells them", report.events.len()));
    }
    out
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    #[test]
    fn a_person_can_read_it() {
        expect![[r#"
            shop, "front".mp4: 1800 frames, 120.0 s, nanodet-g-int8
              handbag              4 in all, at most 2 at once
              person               19 in all, at most 8 at once
              line door            14 in, 18 out
              zone shelf           9 visits, half of them up to 4.2 s, 95 % up to 21.0 s
              zone till            0 visits
              events               3, `watchpost replay` tells them
        "#]]
        .assert_eq(&super::write(&crate::report::tally::tests::example()));
    }
}
