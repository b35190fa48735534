//! Which of a model's twins this board runs: the fastest that is accurate enough, measured once and remembered.
//!
//! Integers are not faster everywhere, and tables not faster than arithmetic everywhere, so the board is asked. What
//! is within a tenth of the fastest counts as fast: of those the most accurate is taken.

use super::manifest::Manifest;
use super::quant::kernel::Isa;
use super::registry::sha256;
use super::{Detector, Meter, golden, pull};
use crate::frame::Frame;
use crate::time::{MediaTime, WallTime};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Pictures that each is measured on, after one that warms it up.
const RUNS: usize = 5;
/// As fast as the fastest, to what a measurement of a few pictures can tell.
const SAME: f64 = 1.1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Processor, instructions, models and what was asked for: another of these is measured anew.
    pub of: String,
    pub chosen: String,
    pub measured: Vec<Measured>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    pub model: String,
    /// Processor time of a picture, milliseconds.
    pub cpu_ms: f64,
    /// Points of average precision below the float twin.
    pub lost: f32,
}

impl Choice {
    /// Takes the best of what was measured, if anything was.
    fn of(of: String, measured: Vec<Measured>) -> Option<Self> {
        let fastest = measured.iter().map(|m| m.cpu_ms).min_by(f64::total_cmp)?;
        let fast = measured.iter().filter(|m| m.cpu_ms <= fastest * SAME);
        let chosen = fast.min_by(|a, b| a.lost.total_cmp(&b.lost))?.model.clone();
        Some(Choice { of, chosen, measured })
    }

    /// The measurements in words.
    pub fn why(&self) -> String {
        let words = |m: &Measured| format!("{} {:.1} ms (loses {:.1} points of AP)", m.model, m.cpu_ms, m.lost);
        format!("measured on this board: {}", self.measured.iter().map(words).collect::<Vec<_>>().join(", "))
    }
}

/// What a choice among these depends on.
pub fn key(candidates: &[&Manifest], most_lost: f32) -> String {
    let files =
        candidates.iter().map(|m| format!("{} {} {:?}", m.name, m.sha256, m.curve)).collect::<Vec<_>>().join(", ");
    let of = format!("{} {} {most_lost} {files}", processor(), Isa::best().name());
    sha256(of.as_bytes())
}

/// As the kernel calls it; boards name themselves in one of several ways.
fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let names = ["model name", "Model", "Hardware", "CPU part"];
    let line = |name: &&str| info.lines().find(|line| line.starts_with(*name)).map(str::to_string);
    names.iter().find_map(line).unwrap_or_else(|| std::env::consts::ARCH.into())
}

fn place(folder: &Path) -> PathBuf {
    folder.join("choice.json")
}

/// What was chosen before, of the same.
pub fn kept(folders: &[PathBuf], key: &str) -> Option<Choice> {
    let read = |folder: &PathBuf| serde_json::from_slice::<Choice>(&std::fs::read(place(folder)).ok()?).ok();
    folders.iter().filter_map(read).find(|choice| choice.of == key)
}

/// What a picture costs.
///
/// # Errors
/// A detector that fails on the picture.
pub fn measure(detector: &mut dyn Detector, lost: f32) -> Result<Measured> {
    let picture = golden::picture();
    let frame = Frame { index: 0, at: MediaTime::ZERO, taken: WallTime::EPOCH, picture };
    detector.detect(&frame)?;
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let mut meter = Meter::start();
        detector.detect(&frame)?;
        times.push(meter.lap().cpu.micros());
    }
    times.sort_unstable();
    Ok(Measured { model: detector.model().into(), cpu_ms: times[RUNS / 2] as f64 / 1e3, lost })
}

/// Chooses, and remembers it in the first folder that can be written.
pub fn keep(measured: Vec<Measured>, folders: &[PathBuf], key: String) -> Option<Choice> {
    let choice = Choice::of(key, measured)?;
    let text = serde_json::to_vec_pretty(&choice).expect("names and numbers are JSON");
    if !folders.iter().any(|folder| pull::write(&place(folder), &text).is_ok()) {
        tracing::warn!("No folder to keep the choice of a model in: it will be measured at every start.");
    }
    tracing::info!(model = %choice.chosen, why = %choice.why(), "Model chosen.");
    Some(choice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(story: &str, measured: &[(&str, f64, f32)], expected: Option<&str>) {
        let measured = measured.iter().map(|(model, cpu_ms, lost)| Measured {
            model: (*model).into(),
            cpu_ms: *cpu_ms,
            lost: *lost,
        });
        let chosen = Choice::of(String::new(), measured.collect()).map(|choice| choice.chosen);
        assert_eq!(chosen.as_deref(), expected, "{story}");
    }

    #[test]
    fn the_fastest_and_of_equals_the_most_accurate() {
        check("tables win", &[("table", 4.0, 0.8), ("exact", 5.7, 0.3), ("float", 30.0, 0.0)], Some("table"));
        check(
            "tables win by nothing",
            &[("table", 5.5, 0.8), ("exact", 5.7, 0.3), ("float", 30.0, 0.0)],
            Some("exact"),
        );
        check("integers are slow here", &[("table", 40.0, 0.8), ("float", 30.0, 0.0)], Some("float"));
        check("there is nothing", &[], None);
    }

    #[test]
    fn a_choice_is_remembered_until_something_else_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let folders = [folder.path().join("missing/too"), folder.path().to_path_buf()];
        let choice = Choice::of("this".into(), vec![Measured { model: "m".into(), cpu_ms: 1.0, lost: 0.0 }]).unwrap();
        std::fs::write(place(folder.path()), serde_json::to_vec(&choice).unwrap()).unwrap();
        assert_eq!(kept(&folders, "this"), Some(choice));
        assert_eq!(kept(&folders, "that"), None);
        std::fs::write(place(folder.path()), "{").unwrap();
        assert_eq!(kept(&folders, "this"), None);
    }
}
