//! The result for a person at a terminal.

use super::compare::{Comparison, Row, hours};
use super::firing::Firing;
use super::period::local;
use std::fmt::Write as _;

/// So many of what would be new, and of what would be gone; all of it is in the JSON.
const LISTED: usize = 40;

pub fn write(all: &Comparison) -> String {
    let mut out = String::new();
    let several = all.rules.keys().map(|(camera, _)| camera).collect::<std::collections::BTreeSet<_>>().len() > 1;
    let name = |(camera, rule): &(String, String)| if several { format!("{camera}/{rule}") } else { rule.clone() };
    let width = all.rules.keys().map(|key| name(key).len()).max().unwrap_or(0).max(4);
    let days = all.days.len();
    for note in &all.notes {
        line(&mut out, note);
    }
    line(&mut out, "");
    line(&mut out, &format!("{:<width$}  kind               would fire  a day    told     new    gone", "rule"));
    for (key, row) in &all.rules {
        let (would_fire, told) = (row.would_fire.values().sum::<usize>(), row.told.values().sum::<usize>());
        let a_day = if days > 0 { format!("{:.1}", would_fire as f64 / days as f64) } else { "-".into() };
        let fires = if row.is_in_config { would_fire.to_string() } else { "no rule".into() };
        let (new, gone) = (row.new, row.gone);
        let text =
            format!("{:<width$}  {:<17}  {fires:>10}  {a_day:>5}  {told:>6}  {new:>6}  {gone:>6}", name(key), row.kind);
        line(&mut out, &text);
    }
    per_day(&mut out, all, &name);
    list(&mut out, "Would be new", &all.new, all, several);
    list(&mut out, "Would be gone", &all.gone, all, several);
    out
}

/// Would fire, and behind a stroke what was told where that is another number.
fn per_day(out: &mut String, all: &Comparison, name: &dyn Fn(&(String, String)) -> String) {
    if all.days.is_empty() || all.rules.is_empty() {
        return;
    }
    let mut head = "day         hours".to_string();
    let columns: Vec<(usize, &Row)> = all.rules.iter().map(|(key, row)| (name(key).len().max(7), row)).collect();
    for ((key, _), (width, _)) in all.rules.iter().zip(&columns) {
        _ = write!(head, "  {:>width$}", name(key));
    }
    line(out, &format!("\nper day, and behind a / what was told, where that is another number\n{head}"));
    for (day, span) in &all.days {
        let mut text = format!("{day}  {:>5.1}", hours(*span));
        for (width, row) in &columns {
            let count = |of: &std::collections::BTreeMap<_, usize>| of.get(day).copied().unwrap_or(0);
            let (would, told) = (count(&row.would_fire), count(&row.told));
            let cell = if would == told { would.to_string() } else { format!("{would}/{told}") };
            _ = write!(text, "  {cell:>width$}");
        }
        line(out, &text);
    }
}

fn list(out: &mut String, title: &str, firings: &[Firing], all: &Comparison, several: bool) {
    if firings.is_empty() {
        return;
    }
    line(out, &format!("\n{title}: {}", firings.len()));
    for firing in firings.iter().take(LISTED) {
        let (day, time) = local(firing.at, &all.zone);
        let camera = if several { format!("{}/", firing.camera) } else { String::new() };
        line(out, &format!("  {day} {time}  {camera}{}: {}", firing.rule, firing.explain));
    }
    if firings.len() > LISTED {
        line(out, &format!("  and {} more; --json has all of them", firings.len() - LISTED));
    }
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}
