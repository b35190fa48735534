//! English for the explanations.

use crate::detection::Class;
use crate::event::Party;
use crate::time::Span;
use std::collections::BTreeMap;

/// `A person`, `An airplane`: the beginning of a sentence.
pub(super) fn a(class: Class) -> String {
    let article = if class.name().starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']) { "An" } else { "A" };
    format!("{article} {class}")
}

/// `3 people and 1 car`; `nobody` where there is none.
pub(super) fn how_many(parties: &[Party]) -> String {
    let mut counts: BTreeMap<Class, usize> = BTreeMap::new();
    for party in parties {
        *counts.entry(party.class).or_default() += 1;
    }
    // People first, then by name.
    let people = counts.remove(&Class::PERSON).map(|n| count(n, Class::PERSON));
    let words: Vec<String> = people.into_iter().chain(counts.into_iter().map(|(class, n)| count(n, class))).collect();
    match &words[..] {
        [] => "nobody".into(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn count(n: usize, class: Class) -> String {
    let name = class.name();
    match (n, name) {
        (1, _) => format!("1 {name}"),
        (_, "person") => format!("{n} people"),
        (_, "sheep" | "skis" | "scissors") => format!("{n} {name}"),
        (_, "knife") => format!("{n} knives"),
        (_, "mouse") => format!("{n} mice"),
        _ if name.ends_with(['s', 'x']) || name.ends_with("ch") => format!("{n} {name}es"),
        _ => format!("{n} {name}s"),
    }
}

/// Whole seconds from ten on, tenths below, where they matter.
pub(super) fn seconds(span: Span) -> String {
    let tenths = (span.micros() + 50_000).div_euclid(100_000);
    if tenths >= 100 || tenths % 10 == 0 {
        format!("{} s", (span.micros() + 500_000).div_euclid(1_000_000))
    } else {
        format!("{}.{} s", tenths / 10, tenths % 10)
    }
}

/// `34 s`, `4 min 12 s`, `12 min`: for times that may be long.
pub(super) fn lasting(span: Span) -> String {
    let whole = (span.micros() + 500_000).div_euclid(1_000_000);
    match (whole / 60, whole % 60) {
        (0..=1, _) => seconds(span),
        (minutes @ 2..=9, s) if s > 0 => format!("{minutes} min {s} s"),
        _ => match (whole + 30) / 60 {
            minutes @ ..120 => format!("{minutes} min"),
            minutes => format!("{} h {} min", minutes / 60, minutes % 60),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::BBox;
    use crate::ids::TrackId;

    #[test]
    fn numbers_read_like_english() {
        let told = |classes: &[&str]| {
            let party = |(i, class): (usize, &&str)| Party {
                id: TrackId(i as u64),
                class: Class::named(class),
                score: 0.9,
                bbox: BBox::new(0.0, 0.0, 1.0, 1.0),
            };
            how_many(&classes.iter().enumerate().map(party).collect::<Vec<_>>())
        };
        assert_eq!(told(&[]), "nobody");
        assert_eq!(told(&["person"]), "1 person");
        assert_eq!(told(&["bus", "person", "bus", "person"]), "2 people and 2 buses");
        assert_eq!(told(&["car", "bench", "bench", "person"]), "1 person, 2 benches and 1 car");
        assert_eq!(a(Class::named("airplane")), "An airplane");
        assert_eq!(seconds(Span::from_millis(94_400)), "94 s");
        assert_eq!(seconds(Span::from_millis(2_040)), "2 s");
        assert_eq!(seconds(Span::from_millis(1_250)), "1.3 s");
        let lasted = [8.25, 119.0, 119.6, 252.0, 659.0, 7500.0].map(|s| lasting(Span::from_secs_f64(s)));
        assert_eq!(lasted, ["8.3 s", "119 s", "2 min", "4 min 12 s", "11 min", "2 h 5 min"]);
    }
}
