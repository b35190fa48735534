//! The int8 twin of a float model: made on the spot from its file and its ranges, and kept, since making it takes a
//! small board some seconds and more memory than running it.

use super::detector::NetDetector;
use super::engine::Engine;
use super::manifest::Manifest;
use super::pose::PoseNet;
use super::quant::compile::{Options, compile};
use super::quant::matcher::Part;
use super::quant::plan::Plan;
use super::quant::ranges::Ranges;
use super::quant::{file, scheme::Curve};
use super::{Limits, pull, registry, tract};
use anyhow::{Context, Result, ensure};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Of what is kept: rises when the same file and ranges give another plan.
const VERSION: u32 = 2;
/// Of a digest, in front of what is kept.
const DIGEST: usize = 64;
/// Far more than any network for a small board.
const MOST_BYTES: u64 = 512 << 20;

/// The float network that a manifest's file holds, reading bytes, and which byte is a zero for it.
pub fn network(manifest: &Manifest, onnx: &[u8]) -> Result<(Part, [u8; 3])> {
    let input = &manifest.input;
    let mut part = tract::graph(onnx, [1, 3, input.height as usize, input.width as usize])?;
    let (gain, offset) = input.unit();
    let zeros = part.graph.read_bytes(gain, offset);
    Ok((part, zeros))
}

/// What runs the twin: from the folders that keep it, or made, see [`kept_or_made`]. Where a part of the network stays in
/// floats, that is read from the float model at every start.
pub fn engine(
    manifest: &Manifest,
    ranges: &str,
    folders: &[PathBuf],
    onnx: impl Fn() -> Result<Vec<u8>>,
) -> Result<Engine> {
    let plan = kept_or_made(manifest, ranges, folders, &onnx)?;
    if manifest.floats.is_empty() {
        return Engine::int8(manifest, plan);
    }
    let (part, _) = network(manifest, &onnx()?)?;
    Engine::part(manifest, plan, part)
}

/// A detector that runs a plan, and in floats what was left of the network.
pub fn detector(manifest: &Manifest, plan: Plan, part: Part, limits: Limits) -> Result<NetDetector> {
    NetDetector::new(manifest, of_part(manifest, plan, part)?, limits)
}

/// Likewise what says how people stand.
pub fn pose(manifest: &Manifest, plan: Plan, part: Part) -> Result<PoseNet> {
    PoseNet::new(manifest, of_part(manifest, plan, part)?)
}

fn of_part(manifest: &Manifest, plan: Plan, part: Part) -> Result<Engine> {
    if part.rest.is_some() { Engine::part(manifest, plan, part) } else { Engine::int8(manifest, plan) }
}

/// The twin of the model in `onnx`.
pub fn make(manifest: &Manifest, onnx: &[u8], ranges: &str, curve: Curve) -> Result<Plan> {
    let (Part { graph, rest, .. }, picture_zeros) = network(manifest, onnx)?;
    ensure!(rest.is_some() != manifest.floats.is_empty(), "its manifest says otherwise which nodes stay in floats");
    let ranges = Ranges::parse(ranges).context("its ranges cannot be used")?;
    compile(&graph, &ranges, Options { curve, picture_zeros }).context("it cannot be quantized")
}

/// Where a twin is kept in a folder: its name says what it was made of.
pub fn path(folder: &Path, manifest: &Manifest, ranges: &str) -> PathBuf {
    let made_of = format!("{VERSION} {:?} {} {}", manifest.curve, manifest.sha256, registry::sha256(ranges.as_bytes()));
    let digest = registry::sha256(made_of.as_bytes());
    folder.join(format!("{}-{}.int8", manifest.name, &digest[..16]))
}

/// The twin in a file, behind its own digest: power may fail while a card is written.
fn kept(place: &Path) -> Option<Result<Plan>> {
    let mut bytes = Vec::new();
    std::fs::File::open(place).ok()?.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
    let whole = bytes.split_at_checked(DIGEST).filter(|(digest, rest)| registry::sha256(rest).as_bytes() == *digest);
    Some(whole.context("its digest is another").and_then(|(_, rest)| file::read(rest)))
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
        match kept(place) {
            None => {}
            Some(Ok(plan)) => return Ok(plan),
            Some(Err(error)) => {
                tracing::warn!(file = %place.display(), error = %format!("{error:#}"), "Int8 twin is broken, making it anew.");
            }
        }
    }
    let plan = make(manifest, &onnx()?, ranges, manifest.curve)?;
    let bytes = file::write(&plan)?;
    let bytes = [registry::sha256(&bytes).as_bytes(), &bytes].concat();
    // Nowhere to keep it is no reason not to use it.
    match places.iter().find(|place| pull::write(place, &bytes).is_ok()) {
        Some(place) => {
            forget_others(place);
            tracing::info!(model = %manifest.name, file = %place.display(), "Int8 twin made and kept.");
        }
        None => tracing::warn!(model = %manifest.name, "Int8 twin made, but there is no folder to keep it in."),
    }
    Ok(plan)
}

/// Removes what other versions and ranges made of the same model: a card is small.
fn forget_others(place: &Path) {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mine = name(place);
    let Some((model, digest)) = mine.rsplit_once('-') else { return };
    for entry in place.parent().into_iter().filter_map(|folder| folder.read_dir().ok()).flatten().flatten() {
        let other = name(&entry.path());
        let of_model = other.rsplit_once('-').is_some_and(|(m, d)| m == model && d != digest && d.ends_with(".int8"));
        if of_model && std::fs::remove_file(entry.path()).is_err() {
            tracing::warn!(file = %entry.path().display(), "An old int8 twin cannot be removed.");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::golden;
    use crate::infer::letterbox::Letterbox;
    use crate::infer::manifest::Golden;
    use crate::infer::quant::kernel::Isa;

    const ONNX: &[u8] = include_bytes!("../../models/nanodet-g/nanodet-g.onnx");
    const RANGES: &str = include_str!("../../models/nanodet-g/int8/ranges.json");
    const FLOAT: &str = include_str!("../../models/nanodet-g/model.toml");
    const INT8: &str = include_str!("../../models/nanodet-g/int8/model.toml");
    const FILE: &[u8] = include_bytes!("../../models/nanodet-g/int8/nanodet-g.int8");

    /// Anybody can make the file in the binary of the float network and its ranges.
    #[test]
    fn the_embedded_twin_is_what_its_ranges_make() {
        let (float, int8) = (Manifest::parse(FLOAT).unwrap(), Manifest::parse(INT8).unwrap());
        assert_eq!(float.input, int8.input);
        let plan = make(&float, ONNX, RANGES, int8.curve).unwrap();
        let made = file::write(&plan).unwrap();
        assert_eq!(registry::sha256(&made), int8.sha256);
        assert!(made == FILE);
        // And again, once read.
        assert!(file::write(&file::read(FILE).unwrap()).unwrap() == FILE);
        assert!(file::write(&file::read_embedded(FILE).unwrap()).unwrap() == FILE);
    }

    #[test]
    fn a_kept_twin_is_used_and_a_broken_one_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let folders = [folder.path().to_path_buf()];
        let manifest = Manifest::parse(FLOAT).unwrap();
        let made = kept_or_made(&manifest, RANGES, &folders, || Ok(ONNX.to_vec())).unwrap();
        let expected = file::write(&made).unwrap();
        let place = path(&folders[0], &manifest, RANGES);
        let whole = std::fs::read(&place).unwrap();
        let again = kept_or_made(&manifest, RANGES, &folders, || panic!("it is kept")).unwrap();
        assert!(file::write(&again).unwrap() == expected);
        let kept = |name: &str| folders[0].join(name);
        for name in ["nanodet-g-0123456789abcdef.int8", "nanodet-g-int8-0123456789abcdef.int8"] {
            std::fs::write(kept(name), b"of another version").unwrap();
        }
        let mut broken = whole.clone();
        *broken.last_mut().unwrap() ^= 1;
        for broken in [&broken[..], &whole[..whole.len() / 2], b""] {
            std::fs::write(&place, broken).unwrap();
            kept_or_made(&manifest, RANGES, &folders, || Ok(ONNX.to_vec())).unwrap();
            assert!(std::fs::read(&place).unwrap() == whole);
        }
        let there =
            ["nanodet-g-0123456789abcdef.int8", "nanodet-g-int8-0123456789abcdef.int8"].map(|n| kept(n).exists());
        assert_eq!(there, [false, true], "twins of the same model only are removed");
    }

    /// One golden answer serves every processor.
    #[test]
    fn the_embedded_twin_answers_alike_in_all_kernels() {
        let manifest = Manifest::parse(INT8).unwrap();
        let expected = manifest.golden.clone().unwrap();
        let plan = file::read_embedded(FILE).unwrap();
        let mut answers = Vec::new();
        for isa in Isa::available() {
            let mut engine = Engine::int8_on(&manifest, plan.clone(), isa).unwrap();
            let mut letterbox = Letterbox::new(&manifest.input);
            engine.fill(&mut letterbox, &golden::picture()).unwrap();
            let answer = engine.run().unwrap();
            expected.check(&Golden::of(answer)).unwrap();
            answers.push(answer.iter().map(|real| real.to_bits()).collect::<Vec<_>>());
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]));
    }
}
