//! `watchpost eval motion` scores the motion gate's background model pixel by pixel, as change detection is scored
//! (CDnet): it gives F1 where `groundtruth/` lies beside the pictures, and writes the masks for whoever has a scorer of
//! his own.

use crate::bad_input;
use crate::capture::read_picture;
use crate::frame::Picture;
use crate::infer::Meter;
use crate::infer::motion::Motion;
use crate::sight::Grey;
use crate::time::{MediaTime, Span};
use anyhow::{Context, Result};
use image::imageops::{FilterType, resize};
use image::{GrayImage, RgbImage};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// A folder with `input/` (pictures, in the order of their names) and perhaps `groundtruth/` (a mask for each)
    dir: PathBuf,
    /// Write the masks here, named like the pictures, as .png
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Pictures per second
    #[arg(long, value_name = "N", default_value_t = 25.0)]
    fps: f64,
    /// So many pictures at the beginning are learnt from and not scored
    #[arg(long, value_name = "N", default_value_t = 40)]
    skip: usize,
}

/// # Errors
/// A folder that is none, pictures that cannot be read, masks that cannot be written.
pub fn run(args: Args) -> Result<ExitCode> {
    let Args { dir, out, fps, skip } = args;
    if !(fps > 0.0 && fps <= 1000.0) {
        bad_input!("--fps is {fps}, expected more than 0, at most 1000");
    }
    let pictures = files(&dir.join("input"))?;
    let truth = dir.join("groundtruth");
    let truth = if truth.is_dir() { files(&truth)? } else { Vec::new() };
    if !truth.is_empty() && truth.len() != pictures.len() {
        bad_input!("{}: {} pictures and {} masks, expected as many", dir.display(), pictures.len(), truth.len());
    }
    if let Some(out) = &out {
        std::fs::create_dir_all(out).with_context(|| format!("cannot make the folder {}", out.display()))?;
    }
    let (mut motion, mut score, mut cost) = (Motion::default(), Score::default(), Span::ZERO);
    for (n, path) in pictures.iter().enumerate() {
        let rgb = read_picture(path)?;
        let size = rgb.dimensions();
        let mut meter = Meter::start();
        let grey = Grey::of(&Picture::Rgb(rgb))?;
        motion.look(&grey, MediaTime::ZERO + Span::from_secs_f64(n as f64 / fps));
        cost = cost + meter.lap().cpu;
        let mask = enlarged(&grey, motion.mask(), size)?;
        if let Some(path) = out.as_ref().map(|out| out.join(path.file_name().unwrap_or_default()).with_extension("png"))
        {
            mask.save(&path).with_context(|| format!("cannot write {}", path.display()))?;
        }
        if let Some(path) = truth.get(n).filter(|_| n >= skip) {
            score.add(&mask, &*read_picture(path)?);
        }
    }
    let each = cost.secs_f64() * 1000.0 / pictures.len().max(1) as f64;
    let score = if truth.is_empty() { String::new() } else { score.words() + "\n" };
    let count = pictures.len();
    let text = format!("{count} pictures, {each:.3} ms of processor time each (grey picture and background)\n{score}");
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        bad_input!("{} is no folder that can be read, expected one with pictures", dir.display());
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    Ok(files)
}

fn enlarged(grey: &Grey, mask: &[u8], size: (u32, u32)) -> Result<GrayImage> {
    let mask = GrayImage::from_raw(grey.width as u32, grey.height as u32, mask.to_vec())
        .context("a mask is as large as its picture")?;
    let mut mask = resize(&mask, size.0, size.1, FilterType::Triangle);
    mask.iter_mut().for_each(|pixel| *pixel = if *pixel > 127 { 255 } else { 0 });
    Ok(mask)
}

/// Pixels, by what is true and what was found.
#[derive(Debug, Default)]
struct Score {
    hits: u64,
    false_alarms: u64,
    misses: u64,
}

impl Score {
    /// Labels of CDnet: 255 moves; 0 does not, and 50 is a shadow, which does not; 85 and 170 are not judged.
    fn add(&mut self, mask: &GrayImage, truth: &RgbImage) {
        for (found, truth) in mask.iter().zip(truth.pixels()) {
            match (truth.0[0], *found > 0) {
                (255, true) => self.hits += 1,
                (255, false) => self.misses += 1,
                (0 | 50, true) => self.false_alarms += 1,
                _ => {}
            }
        }
    }

    fn words(&self) -> String {
        let part = |of: u64| self.hits as f64 / (self.hits + of).max(1) as f64;
        let (precision, recall) = (part(self.false_alarms), part(self.misses));
        let f1 = 2.0 * precision * recall / (precision + recall).max(1e-9);
        format!("precision {precision:.4}, recall {recall:.4}, F1 {f1:.4}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Luma, Rgb};

    #[test]
    fn shadows_are_background_and_the_unknown_is_not_judged() {
        let labels = [255, 255, 0, 50, 85, 170];
        let truth = RgbImage::from_fn(6, 1, |x, _| Rgb([labels[x as usize]; 3]));
        let mask = GrayImage::from_fn(6, 1, |x, _| Luma([if x == 1 { 0 } else { 255 }]));
        let mut score = Score::default();
        score.add(&mask, &truth);
        assert_eq!((score.hits, score.misses, score.false_alarms), (1, 1, 2));
        assert_eq!(score.words(), "precision 0.3333, recall 0.5000, F1 0.4000");
    }
}
