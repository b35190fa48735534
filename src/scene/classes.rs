//! Which classes a zone, a line or a rule cares about.

use crate::detection::Class;
use crate::problems::Problems;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Classes {
    All,
    /// Few: a search from front to back is the fastest there is.
    Only(Vec<Class>),
    /// All the others.
    AllBut(Class),
}

impl Classes {
    /// As configured; all of them where nothing is.
    pub fn configured(names: Option<&[String]>) -> Self {
        names.map_or(Classes::All, |names| Classes::Only(names.iter().map(|name| Class::named(name)).collect()))
    }
    pub fn admit(&self, class: Class) -> bool {
        match self {
            Classes::All => true,
            Classes::Only(some) => some.contains(&class),
            Classes::AllBut(one) => *one != class,
        }
    }
}

/// For the `classes` key of zones, lines and rules.
pub fn check_classes(names: Option<&[String]>, at: &str, problems: &mut Problems) {
    let Some(names) = names else { return };
    let path = format!("{at}.classes");
    problems.expect(!names.is_empty(), &path, "is empty, expected class names such as \"person\", or no such key");
    for (i, name) in names.iter().enumerate() {
        problems.expect(!name.trim().is_empty(), format!("{path}[{i}]"), "is empty, expected a class name");
    }
}

/// For points of zones and lines: fractions of the frame.
pub(super) fn check_points(points: &[[f32; 2]], path: &str, problems: &mut Problems) {
    for (i, [x, y]) in points.iter().enumerate() {
        let inside = [x, y].iter().all(|v| (0.0..=1.0).contains(*v));
        problems.expect(
            inside,
            format!("{path}[{i}]"),
            format!("[{x}, {y}] lies outside of the frame, expected two numbers from 0 to 1"),
        );
    }
}
