//! From TOML text to a checked [`Config`], with every mistake told at once.
//!
//! serde stops at its first error. So the text becomes a tree first, and each mistake serde names is noted,
//! cut out of the tree, and the rest is tried again. What is missing only because it was cut out is not a
//! second mistake.

use super::{Config, SCHEMA};
use crate::problems::{BadInput, Problem, Problems};
use serde_path_to_error::Segment;
use std::collections::BTreeSet;
use std::fmt;
use toml::{Table, Value};

/// All mistakes of a configuration, one per line.
#[derive(Debug, PartialEq, Eq)]
pub struct Invalid(pub Vec<Problem>);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

/// # Errors
/// [`BadInput`] with the line where the text is no TOML, else [`Invalid`].
pub fn parse(text: &str) -> anyhow::Result<Config> {
    let mut tree: Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        BadInput(format!("line {line}: {}", error.message().replace('\n', ", ")))
    })?;
    let mut problems = Problems::default();
    tell_kinds(&mut tree);
    let config = deserialise(Value::Table(tree), &mut problems);
    if let Some(config) = &config {
        config.check(&mut problems);
    }
    match config {
        Some(mut config) if problems.is_empty() => {
            config.text = text.into();
            Ok(config)
        }
        _ => Err(Invalid(problems.into_sorted()).into()),
    }
}

/// Turns `{ kind = "x", a = 1 }` into `{ x = { a = 1 } }` where a kind decides which keys there are: serde
/// keeps track of the path through the second spelling but not through the first.
fn tell_kinds(tree: &mut Table) {
    let cameras = tree.get_mut("camera").and_then(Value::as_table_mut);
    for (_, camera) in cameras.into_iter().flatten() {
        let Some(camera) = camera.as_table_mut() else { continue };
        if let Some(source) = camera.get_mut("source") {
            tell_kind(source);
        }
        let rules = camera.get_mut("rule").and_then(Value::as_table_mut);
        rules.into_iter().flatten().for_each(|(_, rule)| tell_kind(rule));
    }
}

fn tell_kind(node: &mut Value) {
    let Some(table) = node.as_table_mut() else { return };
    let kind = match table.remove("kind") {
        Some(Value::String(kind)) => kind,
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let rest = std::mem::take(table);
    table.insert(kind, Value::Table(rest));
}

fn deserialise(mut tree: Value, problems: &mut Problems) -> Option<Config> {
    let mut cut: BTreeSet<String> = BTreeSet::new();
    loop {
        let error = match serde_path_to_error::deserialize::<_, Config>(tree.clone()) {
            Ok(config) => return Some(config),
            Err(error) => error,
        };
        let mut place = Place::of(error.path());
        let what = error.inner().message().trim_end().replace('\n', ", ");
        if let Some(field) = quoted_after(&what, "missing field ") {
            let path = place.child(field).shown();
            if !cut.contains(&path) {
                problems.add(path, format!("is missing, it is needed in {}", place.section()));
            }
            if place.stand_in(field, &mut tree) {
                continue;
            }
        } else if let Some(field) = quoted_after(&what, "unknown field ") {
            place.ensure_last(field);
            let expected = what.split_once(", ").map_or("no such key is known", |(_, expected)| expected);
            problems.add(place.shown(), format!("unknown key, {expected}"));
        } else if let Some(kind) = quoted_after(&what, "unknown variant ") {
            let expected = what.split_once(", ").map_or("", |(_, expected)| expected);
            let path = place.without_last(kind).child_if_table("kind", &tree).shown();
            let said = if kind.is_empty() { "is missing".into() } else { format!("\"{kind}\" is unknown") };
            problems.add(path, format!("{said}, {expected}"));
        } else {
            problems.add(place.shown(), what);
        }
        cut.insert(place.shown());
        if !place.cut_from(&mut tree) {
            return None;
        }
    }
}

/// The text between the first pair of backquotes, if `message` starts with `intro`.
fn quoted_after<'a>(message: &'a str, intro: &str) -> Option<&'a str> {
    message.strip_prefix(intro)?.strip_prefix('`')?.split('`').next()
}

/// A path through the tree. Kinds are steps of the tree but not of what the user wrote.
#[derive(Clone)]
struct Place(Vec<Step>);

#[derive(Clone, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
    Kind(String),
}

impl Place {
    fn of(path: &serde_path_to_error::Path) -> Self {
        let step = |segment: &Segment| match segment {
            Segment::Map { key } => Some(Step::Key(key.clone())),
            Segment::Seq { index } => Some(Step::Index(*index)),
            Segment::Enum { variant } => Some(Step::Kind(variant.clone())),
            Segment::Unknown => None,
        };
        Place(path.iter().filter_map(step).collect())
    }

    fn child(&self, key: &str) -> Place {
        let mut child = self.clone();
        child.0.push(Step::Key(key.into()));
        child
    }

    fn ensure_last(&mut self, key: &str) {
        if !matches!(self.0.last(), Some(Step::Key(last)) if last == key) {
            self.0.push(Step::Key(key.into()));
        }
    }

    fn without_last(&self, kind: &str) -> Place {
        let mut place = self.clone();
        if matches!(place.0.last(), Some(Step::Kind(last) | Step::Key(last)) if last == kind) {
            place.0.pop();
        }
        place
    }

    /// `key` below this place where it is a table: plain words such as a severity have no `kind` inside.
    fn child_if_table(&self, key: &str, tree: &Value) -> Place {
        if self.find(tree).is_some_and(Value::is_table) { self.child(key) } else { self.clone() }
    }

    fn find<'a>(&self, tree: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(tree, |node, step| match step {
            Step::Key(key) | Step::Kind(key) => node.get(key.as_str()),
            Step::Index(index) => node.get(*index),
        })
    }

    /// Fills in what every file or camera must have, after its absence was noted, so that the rest can be
    /// judged, too.
    fn stand_in(&self, field: &str, tree: &mut Value) -> bool {
        let one = |key: &str, value: Value| Value::Table(Table::from_iter([(key.to_string(), value)]));
        let value = match field {
            "schema" => Value::Integer(SCHEMA.into()),
            "device" => one("id", Value::String("device".into())),
            "source" => one("file", one("path", Value::String("film.mp4".into()))),
            _ => return false,
        };
        let table = self.find_mut(tree).and_then(Value::as_table_mut);
        table.is_some_and(|table| table.insert(field.into(), value).is_none())
    }

    fn find_mut<'a>(&self, tree: &'a mut Value) -> Option<&'a mut Value> {
        self.0.iter().try_fold(tree, |node, step| match step {
            Step::Key(key) | Step::Kind(key) => node.get_mut(key.as_str()),
            Step::Index(index) => node.get_mut(*index),
        })
    }

    fn shown(&self) -> String {
        let mut text = String::new();
        for step in &self.0 {
            match step {
                Step::Key(key) if text.is_empty() => text.push_str(key),
                Step::Key(key) => text.extend([".", key]),
                Step::Index(index) => text.push_str(&format!("[{index}]")),
                Step::Kind(_) => {}
            }
        }
        text
    }

    fn section(&self) -> String {
        if self.0.is_empty() { "the file".into() } else { format!("[{}]", self.shown()) }
    }

    /// Removes the node and says whether anything was removed. An element of a list takes the whole list
    /// with it, since the others would move up.
    fn cut_from(&self, tree: &mut Value) -> bool {
        let in_tables = self.0.iter().take_while(|step| !matches!(step, Step::Index(_))).cloned().collect();
        let mut parent = Place(in_tables);
        let Some(Step::Key(last) | Step::Kind(last)) = parent.0.pop() else { return false };
        let table = parent.find_mut(tree).and_then(Value::as_table_mut);
        table.is_some_and(|table| table.remove(&last).is_some())
    }
}
