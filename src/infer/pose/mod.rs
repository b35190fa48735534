//! How a person stands: joints of whoever is in a box, by a network that looks at one person at a time.
//!
//! ```text
//! frame, box -> crop -> letterbox -> engine -> decode -> Pose
//! ```
//!
//! Every person costs a look of its own, so it looks only at whom a zone asks about, and [`Turns`] says when.
//!
//! Absent on purpose: several people in one look (a detector has found them already), and smoothing over time, since
//! what is recorded shall be what was seen.

mod crop;
mod decode;
mod turns;

pub use decode::COLUMNS;
pub use turns::{Turns, look};

use super::Network;
use super::engine::Engine;
use super::golden;
use super::letterbox::{Bytes, Letterbox};
use super::manifest::{Golden, Input, Manifest};
use super::registry::Registry;
use crate::clue::{JointSight, Pose};
use crate::frame::Picture;
use crate::geometry::BBox;
use anyhow::{Context, Result, ensure};
use crop::Crop;

/// Sees how people stand.
pub trait PoseEye: Send {
    /// Name of the model, as outputs print it.
    fn model(&self) -> &str;

    /// How whoever is in each of the boxes stands, in their order. A box of which no pixel is in the picture is left out.
    ///
    /// # Errors
    /// A picture that cannot be decoded.
    fn look(&mut self, picture: &Picture, boxes: &[BBox]) -> Result<Vec<Pose>>;
}

/// Loads what says how people stand: `auto`, a name or a path.
///
/// # Errors
/// As [`super::load`].
pub fn load(model: &str) -> Result<Box<dyn PoseEye>> {
    Ok(Box::new(Registry::from_env().pose(model)?))
}

/// A person as a network with this input reads it; `None` where no pixel of the box is in the picture.
///
/// # Errors
/// A picture that cannot be decoded.
pub fn bytes_of(input: &Input, picture: &Picture, bbox: BBox) -> Result<Option<Vec<u8>>> {
    let Some(crop) = Crop::new(bbox, picture.size(), input.width, crop::MARGIN) else { return Ok(None) };
    let mut bytes = Bytes::new(input);
    let part = crop.cut(&picture.decoded(crop.enough())?)?;
    Letterbox::new(input).place(&part, crop.fit(), &mut bytes)?;
    Ok(Some(bytes.bytes))
}

/// A network of the kind `movenet`.
pub struct PoseNet {
    name: String,
    letterbox: Letterbox,
    engine: Engine,
    /// Pixels of the input, and cells of the output, in both directions.
    side: u32,
    cells: usize,
    margin: f32,
}

impl PoseNet {
    /// `engine` was made of the file that `manifest` speaks of.
    ///
    /// # Errors
    /// A model of another kind, or one that does not answer as its manifest says.
    pub fn new(manifest: &Manifest, engine: Engine) -> Result<Self> {
        ensure!(manifest.is_pose(), "it finds things, expected a model that says how a person stands");
        let side = manifest.input.width;
        let stride = *manifest.head.strides.first().context("its manifest has no stride")?;
        let mut net = PoseNet {
            name: manifest.name.clone(),
            letterbox: Letterbox::new(&manifest.input),
            engine,
            side,
            cells: (side / stride) as usize,
            margin: crop::MARGIN,
        };
        if let Some(expected) = &manifest.golden {
            expected.check(&net.golden()?)?;
        }
        Ok(net)
    }

    /// What the network answers to the golden picture.
    pub fn golden(&mut self) -> Result<Golden> {
        self.engine.fill(&mut self.letterbox, &golden::picture())?;
        Ok(Golden::of(self.engine.run()?))
    }

    /// The square that is looked at, in longer sides of the box.
    pub fn set_margin(&mut self, margin: f32) {
        self.margin = margin;
    }

    pub fn network(&mut self) -> &mut dyn Network {
        &mut self.engine
    }

    /// `frame` is decoded.
    fn look_at(&mut self, frame: &Picture, crop: &Crop, bbox: BBox) -> Result<Pose> {
        self.engine.place(&mut self.letterbox, &crop.cut(frame)?, crop.fit())?;
        let output = self.engine.run().with_context(|| format!("cannot run {}", self.name))?;
        let side = self.side;
        let on_frame = |joint: JointSight| JointSight { at: crop.to_frame(joint.at, side), ..joint };
        Ok(Pose { bbox, joints: decode::decode(output, self.cells).map(on_frame) })
    }
}

impl PoseEye for PoseNet {
    fn model(&self) -> &str {
        &self.name
    }

    fn look(&mut self, picture: &Picture, boxes: &[BBox]) -> Result<Vec<Pose>> {
        let crop = |bbox: &BBox| Some((*bbox, Crop::new(*bbox, picture.size(), self.side, self.margin)?));
        let crops: Vec<(BBox, Crop)> = boxes.iter().filter_map(crop).collect();
        // Once for all, as large as the smallest person needs.
        let enough = crops.iter().map(|(_, crop)| crop.enough());
        let Some(enough) = enough.reduce(|a, b| (a.0.max(b.0), a.1.max(b.1))) else { return Ok(Vec::new()) };
        let frame = picture.decoded(enough)?;
        crops.iter().map(|(bbox, crop)| self.look_at(&frame, crop, *bbox)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::quant::{file, kernel::Isa};
    use crate::infer::registry::sha256;
    use image::RgbImage;
    use std::sync::Arc;

    const INT8: &str = include_str!("../../../models/movenet-lightning/int8/model.toml");
    const FILE: &[u8] = include_bytes!("../../../models/movenet-lightning/int8/movenet-lightning.int8");

    fn net(isa: Isa) -> PoseNet {
        let manifest = Manifest::parse(INT8).unwrap();
        PoseNet::new(&manifest, Engine::int8_on(&manifest, file::read(FILE).unwrap(), isa).unwrap()).unwrap()
    }

    #[test]
    fn the_file_is_the_one_that_is_meant_and_answers_alike_in_all_kernels() {
        let manifest = Manifest::parse(INT8).unwrap();
        assert_eq!((sha256(FILE), FILE.len() as u64), (manifest.sha256, manifest.bytes));
        let goldens: Vec<Golden> = Isa::available().into_iter().map(|isa| net(isa).golden().unwrap()).collect();
        assert!(goldens.iter().all(|golden| *golden == goldens[0]));
        manifest.golden.unwrap().check(&goldens[0]).unwrap();
    }

    /// The same people wherever they are: what a network finds depends on what is cut out only.
    #[test]
    fn each_box_is_looked_at_for_itself() {
        let mut net = net(Isa::best());
        let ramp = Arc::new(RgbImage::from_fn(640, 480, |x, y| {
            let figure = (x % 320) / 8 + y / 8;
            image::Rgb([(figure * 3) as u8, (figure * 7 % 256) as u8, ((x % 320) / 2) as u8])
        }));
        let picture = Picture::Rgb(ramp);
        // Half of the picture is the other half again.
        let [left, right] = [BBox::new(0.1875, 0.25, 0.3125, 0.75), BBox::new(0.6875, 0.25, 0.8125, 0.75)];
        let outside = BBox::new(1.5, 0.0, 1.7, 0.5);
        let poses = net.look(&picture, &[left, outside, right]).unwrap();
        assert_eq!(poses.iter().map(|pose| pose.bbox).collect::<Vec<_>>(), [left, right]);
        for (a, b) in poses[0].joints.iter().zip(&poses[1].joints) {
            let moved = (b.at.x - a.at.x - 0.5).abs() + (b.at.y - a.at.y).abs();
            assert!(moved < 1e-4 && a.score == b.score, "{a:?} {b:?}");
        }
        assert!(net.look(&picture, &[]).unwrap().is_empty());
    }
}
