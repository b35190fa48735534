//! The int8 twin of a float model: made on the spot from its file and its ranges, and kept, since making it takes a
//! small board some seconds and more memory than running it.

use super::engine::Engine;
use super::manifest::Manifest;
use super::onnx::NetDetector;
use super::quant::compile::{Options, compile};
use super::quant::graph::Graph;
use super::quant::plan::Plan;
use super::quant::ranges::Ranges;
use super::quant::{file, scheme::Curve};
use super::{Limits, pull, registry, tract};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// Of what is kept: rises when the same file and ranges give another plan.
const VERSION: u32 = 1;

/// The float network that a manifest's file holds, reading bytes, and which byte is a zero for it.
pub fn network(manifest: &Manifest, onnx: &[u8]) -> Result<(Graph, [u8; 3])> {
    let input = &manifest.input;
    let mut graph = tract::graph(onnx, [1, 3, input.height as usize, input.width as usize])?;
    let (gain, offset) = input.unit();
    let zeros = graph.read_bytes(gain, offset);
    Ok((graph, zeros))
}

/// The twin of the model in `onnx`.
pub fn make(manifest: &Manifest, onnx: &[u8], ranges: &str, curve: Curve) -> Result<Plan> {
    let (graph, picture_zeros) = network(manifest, onnx)?;
    let ranges = Ranges::parse(ranges).context("its ranges cannot be used")?;
    compile(&graph, &ranges, Options { curve, picture_zeros }).context("it cannot be quantized")
}

/// Where a twin is kept in a folder: its name says what it was made of.
pub fn path(folder: &Path, manifest: &Manifest, ranges: &str) -> PathBuf {
    let made_of = format!("{VERSION} {:?} {} {}", manifest.curve, manifest.sha256, registry::sha256(ranges.as_bytes()));
    let digest = registry::sha256(made_of.as_bytes());
    folder.join(format!("{}-{}.int8", manifest.name, &digest[..16]))
}

/// The twin from the first folder that keeps it, else made of what `onnx` reads and kept in the first folder that can
/// be written.
pub fn kept_or_made(
    manifest: &Manifest,
    ranges: &str,
    folders: &[PathBuf],
    onnx: impl FnOnce() -> Result<Vec<u8>>,
) -> Result<Plan> {
    let places: Vec<PathBuf> = folders.iter().map(|folder| path(folder, manifest, ranges)).collect();
    for place in &places {
        let Ok(kept) = std::fs::read(place) else { continue };
        match file::read(&kept) {
            Ok(plan) => return Ok(plan),
            Err(error) => {
                tracing::warn!(file = %place.display(), error = %format!("{error:#}"), "Int8 twin is broken, making it anew.");
            }
        }
    }
    let plan = make(manifest, &onnx()?, ranges, manifest.curve)?;
    let bytes = file::write(&plan)?;
    // Nowhere to keep it is no reason not to use it.
    match places.iter().find(|place| pull::write(place, &bytes).is_ok()) {
        Some(place) => tracing::info!(model = %manifest.name, file = %place.display(), "Int8 twin made and kept."),
        None => tracing::warn!(model = %manifest.name, "Int8 twin made, but there is no folder to keep it in."),
    }
    Ok(plan)
}

/// A detector that runs a plan.
pub fn detector(manifest: &Manifest, plan: Plan, limits: Limits) -> Result<NetDetector> {
    NetDetector::new(manifest, Engine::int8(manifest, plan)?, limits)
}
