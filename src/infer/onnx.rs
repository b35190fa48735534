//! A detector from a manifest and an ONNX file: letterbox, network, head, suppression.

use super::golden;
use super::head::{Candidate, Head};
use super::letterbox::{Fit, Letterbox};
use super::manifest::{Golden, Manifest};
use super::nms;
use super::stages::{Meter, Stages};
use super::tract::Net;
use super::{Detector, Limits};
use crate::detection::{Class, Detection, Detections};
use crate::frame::Frame;
use anyhow::{Context, Result};

/// Things found in one frame, at the most. Three times what is scored in COCO.
const MAX_DETECTIONS: usize = 300;

pub struct OnnxDetector {
    name: String,
    classes: Vec<Class>,
    limits: Limits,
    letterbox: Letterbox,
    net: Net,
    head: Head,
    candidates: Vec<Candidate>,
}

impl OnnxDetector {
    /// `onnx` is the file that `manifest` speaks of, checked by digest already.
    pub fn new(manifest: &Manifest, onnx: &[u8], limits: Limits) -> Result<Self> {
        let head = Head::new(manifest);
        let input = [1, 3, manifest.input.height as usize, manifest.input.width as usize];
        let mut detector = OnnxDetector {
            name: manifest.name.clone(),
            classes: manifest.interned_classes(),
            limits,
            letterbox: Letterbox::new(&manifest.input),
            net: Net::new(onnx, input, head.output_shape())?,
            head,
            candidates: Vec::new(),
        };
        if let Some(expected) = &manifest.golden {
            expected.check(&detector.golden()?)?;
        }
        Ok(detector)
    }

    /// What the network answers to the golden picture.
    pub fn golden(&mut self) -> Result<Golden> {
        self.letterbox.fill(&golden::picture(), self.net.input()?)?;
        Ok(Golden::of(self.net.run()?))
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

impl Detector for OnnxDetector {
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
        let fit = self.letterbox.fill(&frame.picture, self.net.input()?)?;
        stages.letterbox = meter.lap();
        let output = self.net.run().with_context(|| format!("cannot run {}", self.name))?;
        stages.infer = meter.lap();
        self.candidates.clear();
        self.head.decode(output, self.limits.min_score, &mut self.candidates);
        let items = self.detections(fit);
        stages.post = meter.lap();
        Ok(Detections { at: frame.at, taken: frame.taken, aspect: frame.picture.aspect(), items })
    }
}
