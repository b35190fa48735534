//! Words a user types and reads: operations, classes, the line about a picture.

use crate::bad_input;
use crate::detection::{Class, Detection};
use crate::evidence::Op;
use crate::evidence::apply::count;
use anyhow::Result;
use std::cmp::Reverse;

pub fn ops(names: &[String]) -> Result<Vec<Op>> {
    let mut ops = Vec::new();
    for name in names {
        match Op::named(name.trim()) {
            Some(op) => ops.push(op),
            None => bad_input!("--apply: {}", unknown(name, "operation", &Op::ALL.map(Op::name))),
        }
    }
    Ok(ops)
}

/// The classes by these names, all of which the model must know.
pub fn classes(names: &[String], model: &str, known: &[Class]) -> Result<Vec<Class>> {
    let mut classes = Vec::new();
    for name in names {
        match known.iter().find(|class| class.name() == name.trim()) {
            Some(class) => classes.push(*class),
            None => {
                let known: Vec<&str> = known.iter().map(|class| class.name()).collect();
                bad_input!("--class: {}", unknown(name, &format!("class of {model}"), &known));
            }
        }
    }
    Ok(classes)
}

fn unknown(name: &str, what: &str, known: &[&str]) -> String {
    let nearest = known.iter().min_by_key(|other| distance(name, other));
    // More than every third letter wrong is another word.
    let hint = match nearest {
        Some(other) if distance(name, other) <= name.chars().count().div_ceil(3) => {
            format!("did you mean {other}? Known are")
        }
        _ => "known are".to_owned(),
    };
    format!("\"{name}\" is no {what}, {hint} {}", known.join(", "))
}

/// Letters to insert, remove or replace (Levenshtein), whatever their case.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.to_lowercase().chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// `a.jpg: 3 person, 1 dog (yolox-nano, 28 ms)`, the most frequent first.
pub fn summary(image: &str, found: &[Detection], model: &str, millis: f64) -> String {
    let mut totals: Vec<_> = count(found).into_iter().collect();
    totals.sort_by_key(|(_, n)| Reverse(*n));
    let totals: Vec<String> = totals.iter().map(|(class, n)| format!("{n} {class}")).collect();
    let totals = if totals.is_empty() { "nothing found".to_owned() } else { totals.join(", ") };
    format!("{}: {totals} ({model}, {millis:.0} ms)", line(image))
}

/// A text from outside in one line.
pub fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A class as a part of a file's name.
pub fn for_file(class: Class) -> String {
    class.name().chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::BBox;

    fn refused<T>(result: Result<T>) -> String {
        result.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn operations_in_the_order_given() {
        let names = ["blur".to_owned(), " annotate".to_owned()];
        assert_eq!(ops(&names).unwrap(), [Op::Blur, Op::Annotate]);
        assert_eq!(
            refused(ops(&["blurr".to_owned()])),
            "--apply: \"blurr\" is no operation, did you mean blur? Known are annotate, crop, blur, pixelate, grey, edges, mask, count"
        );
        assert!(refused(ops(&["rotate".to_owned()])).contains("no operation, known are annotate"));
    }

    #[test]
    fn a_misspelt_class_finds_its_nearest() {
        let known = ["person", "car", "dining table"].map(Class::named);
        let check = |name: &str, words: &str| {
            let said = refused(classes(&[name.to_owned()], "tiny", &known));
            assert!(said.contains(words), "{said}");
        };
        check("persn", "\"persn\" is no class of tiny, did you mean person? Known are person, car, dining table");
        check("Car", "did you mean car?");
        check("unicorn", "is no class of tiny, known are person");
        check("", "is no class");
        assert_eq!(classes(&["dining table".to_owned()], "tiny", &known).unwrap(), [known[2]]);
    }

    #[test]
    fn the_line_about_a_picture() {
        let of = |name| Detection { class: Class::named(name), score: 0.5, bbox: BBox::new(0.0, 0.0, 1.0, 1.0) };
        let found = [of("dog"), of("person"), of("person")];
        assert_eq!(summary("a.jpg", &found, "nano", 27.6), "a.jpg: 2 person, 1 dog (nano, 28 ms)");
        assert_eq!(summary("b\n.jpg", &[], "nano", 3.2), "b .jpg: nothing found (nano, 3 ms)");
    }
}
