//! `model.toml`: what a model file is, where it comes from, how it wants its pixels and what it says.
//!
//! A manifest is written by whoever adds a model, possibly the user, so every field is checked before anything
//! is built from it.

use super::quant::scheme::Curve;
use crate::detection::Class;
use crate::ids::is_valid_name;
use crate::problems::{BadInput, Problems};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::Path;

/// Far more than any manifest with a list of classes needs.
const MAX_MANIFEST_BYTES: u64 = 256 * 1024;
/// Nothing bigger runs on the boards this is for.
const MAX_MODEL_BYTES: u64 = 512 * 1024 * 1024;

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Of this file format: 1.
    pub schema: u32,
    /// What the user calls the model and what outputs print as `model`.
    pub name: String,
    /// The model's file, in the folder of the manifest.
    pub file: String,
    pub bytes: u64,
    /// Of the file, in hexadecimal.
    pub sha256: String,
    /// SPDX expression.
    pub licence: String,
    #[serde(default)]
    pub quantization: Quantization,
    /// Of an int8 model whose file is its float twin's: the file, beside this one, with the ranges that the twin is
    /// quantized by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranges: Option<String>,
    /// Of such a model: how it computes what is curved.
    #[serde(default)]
    pub curve: Curve,
    /// Of such a model of which a part stays in floats: which nodes, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub floats: Vec<String>,
    /// Of an int8 model: points of average precision (COCO, 0..100) below its float twin, as measured.
    #[serde(default)]
    pub lost: f32,
    pub classes: Classes,
    pub origin: Origin,
    pub input: Input,
    pub head: Head,
    /// What the model answers to the picture of [`super::golden`].
    pub golden: Option<Golden>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantization {
    /// Weights and arithmetic in 32 bit floats (weights may be stored in 16).
    #[default]
    None,
    Int8,
}

/// The classes in the order of the model's scores.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(untagged, expecting = "expected \"coco80\" or a list of names")]
pub enum Classes {
    /// `"coco80"`
    Set(String),
    List(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Who made it and where it was published, in words.
    pub from: String,
    /// What was done to it since.
    pub obtained: String,
    /// Where `models pull` gets the file.
    pub url: Option<String>,
}

/// How the network wants a picture.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Pixels.
    pub width: u32,
    pub height: u32,
    pub layout: Layout,
    pub channels: Channels,
    /// What black and white become, before `mean` and `std`.
    pub range: [f32; 2],
    /// Per channel, in the order of `channels`, in the unit of `range`: subtracted.
    #[serde(default)]
    pub mean: [f32; 3],
    /// Likewise: divided by.
    #[serde(default = "ones")]
    pub std: [f32; 3],
    pub letterbox: Placement,
    /// Grey of the border, 0..255 as in a picture.
    pub pad: u8,
}

fn ones() -> [f32; 3] {
    [1.0; 3]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Batch, channels, rows, columns: what ONNX exports of YOLO have.
    Nchw,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Channels {
    Bgr,
    Rgb,
}

/// Where the scaled picture lies in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    TopLeft,
    Centred,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    pub kind: HeadKind,
    /// Pixels of the input per cell, in the order of the output.
    pub strides: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadKind {
    Yolox,
    Yolov5,
    Yolov8,
    Nanodet,
    /// Joints of one person instead of boxes, see [`super::pose`].
    Movenet,
}

/// A summary of the raw output for the golden picture.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    pub mean: f32,
    /// Root of the mean square.
    pub rms: f32,
    /// Output values at equal distances.
    pub samples: Vec<f32>,
    /// Largest deviation allowed, as a part of `rms`: kernels differ between processors.
    pub tolerance: f32,
}

impl Manifest {
    /// Reads and checks a manifest; every mistake in it is named.
    pub fn read(path: &Path) -> Result<Self> {
        let cannot = || format!("cannot read model manifest {}", path.display());
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|f| f.take(MAX_MANIFEST_BYTES).read_to_string(&mut text))
            .map_err(|e| BadInput(e.to_string()))
            .with_context(cannot)?;
        Self::parse(&text).with_context(cannot)
    }

    pub fn parse(text: &str) -> Result<Self> {
        let toml = toml::Deserializer::parse(text).map_err(|e| BadInput(on_one_line(&e)))?;
        let manifest: Manifest = serde_path_to_error::deserialize(toml).map_err(|e| {
            let (at, why) = (e.path().to_string(), on_one_line(e.inner()));
            BadInput(if at == "." { why } else { format!("{at}: {why}") })
        })?;
        let mut problems = Problems::default();
        manifest.check(&mut problems);
        let problems: Vec<String> = problems.into_sorted().iter().map(ToString::to_string).collect();
        if problems.is_empty() { Ok(manifest) } else { Err(BadInput(problems.join("; ")).into()) }
    }

    fn check(&self, problems: &mut Problems) {
        let mut expect = |ok: bool, at: &str, what: &str| problems.expect(ok, at, what);
        expect(self.schema == 1, "schema", "unknown, expected 1");
        expect(is_valid_name(&self.name), "name", "expected letters, digits, `-`, `_`, `.`, 64 at the most");
        expect(
            is_valid_name(&self.file) && !self.file.starts_with('.'),
            "file",
            "expected the name of a file in the same folder",
        );
        expect((1..=MAX_MODEL_BYTES).contains(&self.bytes), "bytes", "expected 1 to 512 MiB");
        let is_digest = self.sha256.len() == 64 && self.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        expect(is_digest, "sha256", "expected 64 hexadecimal digits, lower case");
        expect((0.0..=100.0).contains(&self.lost), "lost", "expected 0 to 100 points");
        let twin = self.ranges.as_ref().is_none_or(|file| is_valid_name(file) && !file.starts_with('.'));
        expect(twin, "ranges", "expected the name of a file in the same folder");
        let floats = self.ranges.is_none() || self.quantization == Quantization::Int8;
        let parts = self.floats.is_empty() || self.ranges.is_some();
        expect(parts, "floats", "expected with ranges only: the rest is read from the float model");
        expect(floats, "ranges", "expected with quantization = \"int8\" only");
        if let Classes::Set(set) = &self.classes {
            expect(set == "coco80", "classes", "unknown set, expected \"coco80\" or a list of names");
        }
        let names = self.class_names();
        expect((1..=1000).contains(&names.len()), "classes", "expected 1 to 1000 names");
        expect(names.iter().all(|n| (1..=64).contains(&n.len())), "classes", "expected names of 1 to 64 bytes");
        if let Some(url) = &self.origin.url {
            expect(url.starts_with("https://"), "origin.url", "expected https://...");
        }
        self.input.check(&mut expect);
        let (strides, input) = (&self.head.strides, &self.input);
        let fits = |s: &u32| (1..=256).contains(s) && input.width.is_multiple_of(*s) && input.height.is_multiple_of(*s);
        expect((1..=8).contains(&strides.len()), "head.strides", "expected 1 to 8 of them");
        expect(
            strides.iter().all(fits),
            "head.strides",
            "expected divisors of the input's width and height, 256 at the most",
        );
        let square = !self.is_pose() || (input.width == input.height && strides.len() == 1);
        expect(square, "head.kind", "expected a square input and one stride with \"movenet\"");
        if let Some(golden) = &self.golden {
            let finite = golden.samples.iter().chain([&golden.mean, &golden.rms]).all(|v| v.is_finite());
            expect(finite && golden.samples.len() <= 64, "golden", "expected finite numbers, 64 samples at the most");
            expect(
                golden.tolerance > 0.0 && golden.tolerance <= 0.5,
                "golden.tolerance",
                "expected above 0, at most 0.5",
            );
        }
    }

    /// Whether it says how a person stands, instead of what is where.
    pub fn is_pose(&self) -> bool {
        self.head.kind == HeadKind::Movenet
    }

    pub fn class_names(&self) -> Vec<&str> {
        match &self.classes {
            Classes::Set(_) => COCO80.to_vec(),
            Classes::List(names) => names.iter().map(String::as_str).collect(),
        }
    }

    pub fn interned_classes(&self) -> Vec<Class> {
        self.class_names().into_iter().map(Class::named).collect()
    }
}

impl Input {
    fn check(&self, expect: &mut impl FnMut(bool, &str, &str)) {
        for (at, side) in [("input.width", self.width), ("input.height", self.height)] {
            expect((32..=2048).contains(&side), at, "expected 32 to 2048 pixels");
        }
        let [low, high] = self.range;
        expect(
            low.is_finite() && high.is_finite() && low < high,
            "input.range",
            "expected two numbers, the smaller one first",
        );
        expect(self.mean.iter().all(|v| v.is_finite()), "input.mean", "expected finite numbers");
        expect(self.std.iter().all(|v| v.is_finite() && v.abs() > 1e-6), "input.std", "expected numbers other than 0");
    }
}

/// The parser draws the line with a caret below it; a sentence has to do.
fn on_one_line(error: &toml::de::Error) -> String {
    error.message().replace('\n', ", ")
}

/// The classes of COCO in the order that all its detectors use.
#[rustfmt::skip]
pub const COCO80: [&str; 80] = [
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
    "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone",
    "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear",
    "hair drier", "toothbrush",
];

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = include_str!("../../models/nanodet-g/model.toml");

    #[test]
    fn the_manifests_we_ship_are_right() {
        for text in [GOOD, include_str!("../../models/yolox-nano/model.toml")] {
            assert_eq!(Manifest::parse(text).unwrap().class_names().len(), 80);
        }
        let pose = Manifest::parse(include_str!("../../models/movenet-lightning/model.toml")).unwrap();
        assert!(pose.is_pose());
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let check = |from: &str, to: &str, expected: &str| {
            assert!(GOOD.contains(from), "{from}");
            let error = Manifest::parse(&GOOD.replacen(from, to, 1)).expect_err(to);
            assert!(error.is::<BadInput>());
            assert!(error.to_string().contains(expected), "{to} gives {error}");
            assert!(!error.to_string().contains('\n'));
        };
        check("schema = 1", "schema = 2", "schema: unknown, expected 1");
        check("schema = 1", "schema = ", "expected");
        check("licence =", "license =", "license: unknown field");
        check("file = \"", "file = \"../", "file: expected the name of a file");
        check("file = \"", "file = \"/etc/", "file: expected the name of a file");
        check("sha256 = \"", "sha256 = \"x", "sha256: expected 64 hexadecimal digits");
        check("\"coco80\"", "\"coco81\"", "classes: unknown set");
        check("\"coco80\"", "[]", "classes: expected 1 to 1000 names");
        check("\"coco80\"", "7", "classes: expected \"coco80\" or a list of names");
        check("width = 416", "width = 0", "input.width: expected 32 to 2048");
        check("width = 416", "width = 417", "head.strides: expected divisors");
        check("width = 416", "width = \"wide\"", "input.width: invalid type");
        check("[8, 16, 32]", "[]", "head.strides: expected 1 to 8");
        check("[8, 16, 32]", "[0]", "head.strides: expected divisors");
        check("\"nanodet\"", "\"detr\"", "head.kind: unknown variant `detr`, expected one of");
        check("\"bgr\"", "\"grey\"", "input.channels: unknown variant");
        check("range = [0, 255]", "range = [255, 0]", "input.range: expected two numbers");
        check("range = [0, 255]", "range = [0, nan]", "input.range: expected two numbers");
        check("std = [57.375,", "std = [0,", "input.std: expected numbers other than 0");
        check("tolerance = ", "tolerance = -", "golden.tolerance: expected above 0");
    }
}
