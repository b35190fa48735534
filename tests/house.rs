//! The house stands: a room imports only from floors below, and on its own floor only from the rooms its row names;
//! a vendor's crate is named in one place; files can be read in one sitting.
//!
//! This reads source text, not types: what it looks for is a path that a person wrote (`crate::store`,
//! `rumqttc::Client`), outside comments. A macro could hide one from it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const CELLAR: u8 = 0;
const GROUND: u8 = 1;
const FIRST: u8 = 2;
const SECOND: u8 = 3;
const THIRD: u8 = 4;
const ROOF: u8 = 5;
const FLOORS: [&str; 6] = ["cellar", "ground floor", "1st floor", "2nd floor", "3rd floor", "roof"];

/// Room, floor, and the rooms of the same floor it may import from. The nouns of the cellar know each other. Files that
/// hold tests only may use every neighbour, but nothing from above.
const ROOMS: &[(&str, u8, &[&str])] = &[
    ("clue", CELLAR, CELLAR_ROOMS),
    ("detection", CELLAR, CELLAR_ROOMS),
    ("event", CELLAR, CELLAR_ROOMS),
    ("fact", CELLAR, CELLAR_ROOMS),
    ("frame", CELLAR, CELLAR_ROOMS),
    ("geometry", CELLAR, CELLAR_ROOMS),
    ("ids", CELLAR, CELLAR_ROOMS),
    ("memory", CELLAR, CELLAR_ROOMS),
    ("problems", CELLAR, CELLAR_ROOMS),
    ("time", CELLAR, CELLAR_ROOMS),
    ("track", GROUND, &[]),
    ("scene", GROUND, &["track"]),
    ("sight", GROUND, &[]),
    ("statistics", GROUND, &[]),
    ("pattern", GROUND, &["track", "scene", "statistics"]),
    ("pipeline", GROUND, &["track", "scene", "pattern", "sight", "statistics"]),
    ("tape", GROUND, &["track", "sight", "pipeline"]),
    ("backoff", FIRST, &["stop"]),
    ("mailbox", FIRST, &["stop"]),
    ("stop", FIRST, &[]),
    ("metrics", FIRST, &[]),
    ("capture", FIRST, &["mailbox", "stop"]),
    ("infer", FIRST, &[]),
    ("evidence", FIRST, &[]),
    ("store", FIRST, &[]),
    ("platform", FIRST, &["stop"]),
    ("link", SECOND, &[]),
    ("report", SECOND, &[]),
    ("config", SECOND, &["link", "report"]),
    ("web", SECOND, &["config", "link", "report"]),
    ("app", THIRD, &[]),
    ("main", ROOF, &[]),
];

const CELLAR_ROOMS: &[&str] =
    &["clue", "detection", "event", "fact", "frame", "geometry", "ids", "memory", "problems", "time"];

/// A name that may be written only in the files below the given paths (relative to `src/`), and why.
const DOORS: &[(&str, &[&str], &str)] = &[
    ("nokhwa", &["capture/usb/find.rs"], "devices are found in one file"),
    ("v4l", &["capture/usb/device.rs"], "V4L2 devices enter through one file"),
    ("retina", &["capture/rtsp/client.rs"], "RTSP enters through one file"),
    ("openh264", &["capture/decode/", "capture/encode/"], "codecs have their own folders"),
    ("turbojpeg", &["capture/decode/"], "codecs have their own folders"),
    ("rumqttc", &["platform/mqtt.rs"], "the MQTT client can be exchanged behind platform/"),
    ("embedded_svc", &["platform/", "link/", "app/run/"], "the core never learns what it runs on"),
    ("tract_onnx", &["infer/tract.rs", "infer/quant/"], "the inference engine sits behind trait Detector"),
    ("tract_linalg", &["infer/tract.rs", "infer/quant/"], "the inference engine sits behind trait Detector"),
    ("rusqlite", &["store/"], "SQL lives in store/"),
    ("rust_xlsxwriter", &["report/"], "spreadsheets are written in report/"),
    (
        "ureq",
        &["infer/pull.rs", "capture/onvif/soap.rs", "capture/http/client.rs"],
        "one file downloads, one looks for cameras, and one asks those of the configuration",
    ),
    ("http_auth", &["capture/http/client.rs"], "logins over HTTP are answered in one file"),
    ("ring::signature", &["evidence/case/seal.rs"], "what is signed is signed in one file"),
    ("zip", &["evidence/case/archive.rs"], "evidence is packed and unpacked in one file"),
    ("SystemTime::now", &["time.rs"], "only time.rs reads the OS clock"),
    ("Instant::now", &["time.rs"], "only time.rs reads the OS clock"),
    ("Timestamp::now", &["time.rs"], "only time.rs reads the OS clock"),
    ("Zoned::now", &["time.rs"], "only time.rs reads the OS clock"),
    ("unsafe", &["infer/quant/kernel/"], "unsafe code lives in infer/quant/kernel/, with a safety comment"),
];

/// What the pure floors (ground and cellar) never name; `time.rs` may, being the one place that reads clocks.
const IMPURE: &[&str] = &["std::fs", "std::io", "std::net", "std::thread", "std::sync::mpsc", "std::env", "tokio"];

const LONGEST_FILE: usize = 450;

#[test]
fn no_arrow_points_up() {
    let mut faults = Vec::new();
    for file in sources() {
        let Some(&(room, floor, neighbours)) = room_of(&file.path) else {
            if file.path != "lib.rs" {
                faults.push(format!("src/{}: this room has no floor yet, give it a row in tests/house.rs", file.path));
            }
            continue;
        };
        for (line, wanted) in crate_paths(&file.code) {
            let Some(&(_, other, _)) = ROOMS.iter().find(|(name, ..)| *name == wanted) else { continue };
            let may = other < floor || other == floor && (neighbours.contains(&wanted.as_str()) || file.is_test);
            if wanted != room && !may {
                faults.push(format!(
                    "src/{}:{line}: {room} ({}) imports {wanted} ({}), arrows point down",
                    file.path,
                    FLOORS[usize::from(floor)],
                    FLOORS[usize::from(other)]
                ));
            }
        }
    }
    report("An arrow points up. Move the noun down, or pass the value in.", &faults);
}

#[test]
fn vendors_stay_at_their_doors() {
    let mut faults = Vec::new();
    for file in sources() {
        for (name, doors, why) in DOORS {
            if doors.iter().any(|door| file.path == *door || door.ends_with('/') && file.path.starts_with(door)) {
                continue;
            }
            for (line, rest) in find_all(&file.code, name) {
                // A crate is named as a path or in a use; a variable that happens to be called so is not meant.
                let is_path = rest.starts_with("::") || rest.starts_with(" as ") || rest.starts_with(';');
                let is_item = name.contains("::") || *name == "unsafe";
                if is_path || is_item {
                    faults.push(format!(
                        "src/{}:{line}: names {name}, allowed in {}: {why}",
                        file.path,
                        doors.join(", ")
                    ));
                }
            }
        }
    }
    report("A vendor's name got past its door.", &faults);
}

#[test]
fn the_pure_floors_touch_nothing_outside() {
    let mut faults = Vec::new();
    for file in sources() {
        let pure = room_of(&file.path).is_some_and(|&(_, floor, _)| floor <= GROUND) && file.path != "time.rs";
        for name in IMPURE.iter().filter(|_| pure) {
            for (line, _) in find_all(&file.code, name) {
                faults.push(format!("src/{}:{line}: {name}: no clock, no I/O, no threads down here", file.path));
            }
        }
    }
    report("The core did something besides computing.", &faults);
}

#[test]
fn files_can_be_read_in_one_sitting() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut faults = Vec::new();
    for path in rust_files(&root.join("src")).into_iter().chain(rust_files(&root.join("tests"))) {
        let lines = fs::read_to_string(&path).expect("source is UTF-8").lines().count();
        if lines > LONGEST_FILE {
            let path = path.strip_prefix(root).expect("found below the root").display();
            faults.push(format!("{path}: {lines} lines, at most {LONGEST_FILE}"));
        }
    }
    report("A file has outgrown one sitting. Split it where its subject changes.", &faults);
}

#[test]
fn the_house_can_be_read() {
    check("use crate::store::Store;", &["1 store"]);
    check("use crate::{\n    ids::RuleId,\n    track::{Track, TrackState},\n};", &["2 ids", "3 track"]);
    check("fn f() -> crate::event::Event {}", &["1 event"]);
    check("// crate::store is up there\nuse crate::time::Span; // not crate::app", &["2 time"]);
    check("/// See [`crate::app`].\n", &[]);
    check("let url = \"http://a\"; crate::link::go(url)", &["1 link"]);
    check("pub(crate) fn f() { $crate::app::g() }", &["1 app"]);

    fn check(text: &str, expected: &[&str]) {
        let code = without_comments(text);
        let found: Vec<String> = crate_paths(&code).iter().map(|(line, room)| format!("{line} {room}")).collect();
        assert_eq!(found, expected, "in {text:?}");
    }
}

struct Source {
    /// Relative to `src/`, with forward slashes.
    path: String,
    /// The text with its comments blanked, so that lines keep their numbers.
    code: String,
    /// Declared `#[cfg(test)] mod ..;` by its parent.
    is_test: bool,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = rust_files(&root);
    assert!(!files.is_empty(), "no sources below {}", root.display());
    files
        .into_iter()
        .map(|file| Source {
            path: file.strip_prefix(&root).expect("found below src").to_string_lossy().replace('\\', "/"),
            code: without_comments(&fs::read_to_string(&file).expect("source is UTF-8")),
            is_test: is_test_file(&file),
        })
        .collect()
}

fn is_test_file(file: &Path) -> bool {
    let name = file.file_stem().expect("a source has a name").to_string_lossy();
    let folder = file.parent().expect("a source lies in a folder");
    [folder.join("mod.rs"), folder.with_extension("rs")].iter().any(|parent| {
        let text = fs::read_to_string(parent).unwrap_or_default();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        lines.windows(2).any(|pair| pair[0] == "#[cfg(test)]" && pair[1].ends_with(&format!("mod {name};")))
    })
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn room_of(path: &str) -> Option<&'static (&'static str, u8, &'static [&'static str])> {
    let room = path.split('/').next().expect("split gives at least one piece").trim_end_matches(".rs");
    ROOMS.iter().find(|(name, ..)| *name == room)
}

/// `//` to the end of the line becomes blank, unless it stands in a string, as in an address. Block comments are not
/// used in this house.
fn without_comments(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    for line in text.lines() {
        let comment = line.match_indices("//").find(|(at, _)| line[..*at].matches('"').count().is_multiple_of(2));
        code.push_str(&line[..comment.map_or(line.len(), |(at, _)| at)]);
        code.push('\n');
    }
    code
}

/// The rooms a text names, with line numbers: `crate::room` anywhere, and every branch of `use crate::{room, ..}`.
fn crate_paths(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let line = 1 + code[..at].matches('\n').count();
        let Some(list) = rest.strip_prefix('{') else {
            found.push((line, first_word(rest)));
            continue;
        };
        let mut depth = 0;
        let mut expects_name = true;
        for (offset, letter) in list.char_indices() {
            match letter {
                '}' if depth == 0 => break,
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => expects_name = true,
                _ if expects_name && letter.is_alphabetic() => {
                    expects_name = false;
                    found.push((line + list[..offset].matches('\n').count(), first_word(&list[offset..])));
                }
                _ => {}
            }
        }
    }
    found
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

/// Where `name` stands as a whole word: its line, and what follows it.
fn find_all<'a>(code: &'a str, name: &str) -> Vec<(usize, &'a str)> {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(name)
        .map(|(at, _)| (&code[..at], &code[at + name.len()..]))
        .filter(|(before, after)| !before.ends_with(is_word) && !after.starts_with(is_word))
        .map(|(before, after)| (1 + before.matches('\n').count(), after))
        .collect()
}

fn report(rule: &str, faults: &[String]) {
    let mut text = String::new();
    for fault in faults {
        write!(text, "\n  {fault}").expect("a string takes everything");
    }
    assert!(faults.is_empty(), "{rule}{text}\n");
}
