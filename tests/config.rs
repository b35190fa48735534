//! The files in `config/` say what this version understands.

use std::path::{Path, PathBuf};
use watchpost::config::{json_schema, load};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

#[test]
fn every_example_is_right() {
    let examples = std::fs::read_dir(folder().join("examples")).expect("the examples are there");
    let mut files: Vec<PathBuf> = examples.map(|entry| entry.expect("readable").path()).collect();
    files.push(folder().join("watchpost.toml"));
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        if let Err(error) = load(&file) {
            panic!("{}: {error:#}", file.display());
        }
    }
}

/// `watchpost check --schema > config/schema.json` makes it anew.
#[test]
fn the_schema_is_of_this_version() {
    let kept = std::fs::read_to_string(folder().join("schema.json")).expect("config/schema.json is there");
    assert!(kept == json_schema(), "config/schema.json is stale: watchpost check --schema > config/schema.json");
}
