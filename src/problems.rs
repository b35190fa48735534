//! What a user got wrong: an input that cannot be used, or a configuration, all of it at once and each mistake
//! with its place.

use std::fmt;

/// One mistake, printed as `dotted.path: what is wrong, what was expected`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub path: String,
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.what)
    }
}

/// Collected while a configuration is checked. Each module checks its own part with
/// `fn check(&self, at: &str, problems: &mut Problems)`, where `at` is the dotted path of that part.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub fn add(&mut self, path: impl Into<String>, what: impl Into<String>) {
        self.0.push(Problem { path: path.into(), what: what.into() });
    }
    /// Adds a problem unless `ok`.
    pub fn expect(&mut self, ok: bool, path: impl Into<String>, what: impl Into<String>) {
        if !ok {
            self.add(path, what);
        }
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
    /// Sorted by place, each once.
    pub fn into_sorted(mut self) -> Vec<Problem> {
        self.0.sort();
        self.0.dedup();
        self.0
    }
}

/// The input or the configuration is wrong: exit status 2 instead of 1. Put anywhere into the chain of causes.
#[derive(Debug)]
pub struct BadInput(pub String);

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadInput {}

/// `bail!` for [`BadInput`].
#[macro_export]
macro_rules! bad_input {
    ($($arg:tt)*) => { return Err(anyhow::Error::new($crate::problems::BadInput(format!($($arg)*)))) };
}
