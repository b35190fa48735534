//! A detector from a manifest and a model's file: letterbox, network, head, suppression.

use super::engine::Engine;
use super::golden;
use super::head::{Candidate, Head};
use super::letterbox::{Fit, Letterbox};
use super::manifest::{Golden, Manifest};
use super::nms;
use super::stages::{Meter, Stages};
use super::{Detector, Limits, Network};
use crate::clue::Clues;
use crate::detection::{Class, Detection, Detections};
use crate::frame::Frame;
use anyhow::{Context, Result, ensure};

/// Things found in one frame, at the most. Three times what is scored in COCO.
const MAX_DETECTIONS: usize = 300;

pub struct NetDetector {
    name: String,
    classes: Vec<Class>,
    limits: Limits,
    letterbox: Letterbox,
    engine: Engine,
    head: Head,
    candidates: Vec<Candidate>,
}

impl NetDetector {
    /// `engine` was made of the file that `manifest` speaks of.
    pub fn new(manifest: &Manifest, engine: Engine, limits: Limits) -> Result<Self> {
        ensure!(!manifest.is_pose(), "it says how a person stands, expected a model that finds things");
        let mut detector = NetDetector {
            name: manifest.name.clone(),
            classes: manifest.interned_classes(),
            limits,
            letterbox: Letterbox::new(&manifest.input),
            engine,
            head: Head::new(manifest),
            candidates: Vec::new(),
        };
        if let Some(expected) = &manifest.golden {
            expected.check(&detector.golden()?)?;
        }
        Ok(detector)
    }

    /// What the network answers to the golden picture.
    pub fn golden(&mut self) -> Result<Golden> {
        self.engine.fill(&mut self.letterbox, &golden::picture())?;
        Ok(Golden::of(self.engine.run()?))
    }

    /// Turns the candidates into detections, as fractions of the picture that lies there in the input.
    fn detections(&mut self, fit: Fit) -> Vec<Detection> {
        nms::suppress(&mut self.candidates, self.limits.nms, MAX_DETECTIONS);
        let classes = &self.classes;
        let detection = |c: Candidate| Detection {
            class: classes[c.class],
            score: c.score,
            bbox: fit.to_picture(c.bbox).clamped(),
        };
        // What lies in the border only is nothing that the picture shows.
        self.candidates.drain(..).map(detection).filter(|d| d.bbox.area() > 0.0).collect()
    }
}

impl Detector for NetDetector {
    fn model(&self) -> &str {
        &self.name
    }

    fn classes(&self) -> &[Class] {
        &self.classes
    }

    fn enough(&self, picture: (u32, u32)) -> (u32, u32) {
        self.letterbox.enough(picture)
    }

    fn detect_timed(&mut self, frame: &Frame, stages: &mut Stages) -> Result<Detections> {
        let mut meter = Meter::start();
        let fit = self.engine.fill(&mut self.letterbox, &frame.picture)?;
        stages.letterbox = meter.lap();
        let output = self.engine.run().with_context(|| format!("cannot run {}", self.name))?;
        stages.infer = meter.lap();
        self.candidates.clear();
        self.head.decode(output, self.limits.min_score, &mut self.candidates);
        let items = self.detections(fit);
        stages.post = meter.lap();
        Ok(Detections {
            at: frame.at,
            taken: frame.taken,
            aspect: frame.picture.aspect(),
            items,
            clues: Clues::default(),
        })
    }

    fn set_threads(&mut self, threads: usize) -> Result<()> {
        self.engine.set_threads(threads)
    }

    fn network(&mut self) -> Option<&mut dyn Network> {
        Some(&mut self.engine)
    }
}
