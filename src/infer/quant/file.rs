//! A plan as a file.
//!
//! ```text
//! 8 bytes   "WPINT8\0\1": the format and its version
//! 4 bytes   n, length of the description, little endian
//! n bytes   the description: JSON, see `Description`
//! the rest  what the description points at: weights as kernels read them, constants as 32 bit floats, little endian
//! ```
//! Nothing in a file is believed: every place is checked here to lie in the file, and every size by
//! [`Session::new`](super::session::Session::new), which binds a plan to memory.

use super::graph::Upsample;
use super::kernel::{Act, Dense, Depthwise, Epilogue, signed};
use super::plan::{Buffer, Conv, Place, Plan, Step, StepKind, Sum, Target, View};
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cell::Cell;

const MAGIC: &[u8; 8] = b"WPINT8\0\x01";
/// Far more than a network of a thousand layers needs.
const MOST_DESCRIPTION: usize = 4 << 20;
/// Bytes of a step's name, which errors repeat.
const LONGEST_NAME: usize = 200;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    /// Height, width, channels, border, and the zeros.
    buffers: Vec<(usize, usize, usize, usize, Span)>,
    outputs: Vec<[usize; 2]>,
    steps: Vec<(String, Part)>,
}

/// First byte and length of something behind the description.
type Span = (usize, usize);
/// Buffer, first channel, channels.
type Region = (usize, usize, usize);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Part {
    Conv(Box<ConvPart>),
    MaxPool { from: Region, to: Region, side: usize, stride: usize, pad: usize },
    AveragePool { from: Region, to: Region, side: usize, stride: usize },
    Nearest { from: Region, to: Region },
    Bilinear { from: Region, to: Region },
    Add { from: [Region; 2], to: Region, scales: [Vec<i32>; 2], zero: Vec<i32>, floor: Span },
    Copy { from: Region, to: Region },
    Reals { from: Region, to: PlacePart, scale: Span, zero: Span },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConvPart {
    kernel: [usize; 2],
    stride: usize,
    pad: [usize; 2],
    weights: WeightsPart,
    from: Region,
    to: TargetPart,
    #[serde(skip_serializing_if = "Option::is_none")]
    added: Option<Region>,
    act: ActPart,
    mult: Span,
    bias: Span,
    scale: Span,
    zero: Span,
    add_scale: Span,
    table: Span,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum WeightsPart {
    Dense { at: Span, outputs: usize, segments: usize, dwords: usize },
    Depthwise { at: Span, channels: usize, side: usize },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum TargetPart {
    Bytes(Region),
    Reals { place: PlacePart, height: usize, width: usize },
}

/// Output, row, column, channels.
type PlacePart = (usize, usize, usize, usize);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum ActPart {
    Slope(f32),
    Silu,
    Sigmoid,
    HardSwish,
    Table,
}

pub fn write(plan: &Plan) -> Result<Vec<u8>> {
    let mut data = Data::default();
    let buffers =
        plan.buffers.iter().map(|b| (b.height, b.width, b.channels, b.border, data.bytes(&b.zeros))).collect();
    let steps = plan.steps.iter().map(|step| (step.name.clone(), data.part(&step.kind))).collect();
    let description = Description { buffers, outputs: plan.outputs.clone(), steps };
    let text = serde_json::to_vec(&description).context("a plan is always describable")?;
    let mut file = MAGIC.to_vec();
    file.extend((text.len() as u32).to_le_bytes());
    file.extend(text);
    file.extend(data.0);
    Ok(file)
}

/// What is behind the description, while it is written.
#[derive(Default)]
struct Data(Vec<u8>);

impl Data {
    fn bytes(&mut self, bytes: &[u8]) -> Span {
        self.0.extend(bytes);
        (self.0.len() - bytes.len(), bytes.len())
    }

    fn weights(&mut self, weights: &[i8]) -> Span {
        self.0.extend(weights.iter().map(|w| w.cast_unsigned()));
        (self.0.len() - weights.len(), weights.len())
    }

    fn reals(&mut self, reals: &[f32]) -> Span {
        self.0.extend(reals.iter().flat_map(|r| r.to_le_bytes()));
        (self.0.len() - 4 * reals.len(), 4 * reals.len())
    }

    fn part(&mut self, kind: &StepKind) -> Part {
        match kind {
            StepKind::Dense { conv, epilogue, added } => {
                let (bytes, [outputs, segments, dwords]) = conv.weights.packed();
                let weights = WeightsPart::Dense { at: self.weights(bytes), outputs, segments, dwords };
                self.conv(conv, weights, epilogue, *added)
            }
            StepKind::Depthwise { conv, epilogue, added } => {
                let (bytes, [channels, side]) = conv.weights.packed();
                let weights = WeightsPart::Depthwise { at: self.weights(bytes), channels, side };
                self.conv(conv, weights, epilogue, *added)
            }
            &StepKind::MaxPool { from, to, side, stride, pad } => {
                Part::MaxPool { from: region(from), to: region(to), side, stride, pad }
            }
            &StepKind::AveragePool { from, to, side, stride } => {
                Part::AveragePool { from: region(from), to: region(to), side, stride }
            }
            &StepKind::Upsample { how: Upsample::Nearest, from, to } => {
                Part::Nearest { from: region(from), to: region(to) }
            }
            &StepKind::Upsample { how: Upsample::Bilinear, from, to } => {
                Part::Bilinear { from: region(from), to: region(to) }
            }
            StepKind::Add { from, to, sum } => Part::Add {
                from: from.map(region),
                to: region(*to),
                scales: sum.scales.clone(),
                zero: sum.zero.clone(),
                floor: self.bytes(&sum.floor),
            },
            &StepKind::Copy { from, to } => Part::Copy { from: region(from), to: region(to) },
            StepKind::Reals { from, scale, zero, to } => Part::Reals {
                from: region(*from),
                to: (to.output, to.row, to.column, to.channels),
                scale: self.reals(scale),
                zero: self.reals(zero),
            },
        }
    }

    fn conv<W>(&mut self, conv: &Conv<W>, weights: WeightsPart, epilogue: &Epilogue, added: Option<View>) -> Part {
        let Epilogue { act, mult, bias, scale, zero, add_scale, table } = epilogue;
        let to = match conv.to {
            Target::Bytes(view) => TargetPart::Bytes(region(view)),
            Target::Reals { place: p, height, width } => {
                TargetPart::Reals { place: (p.output, p.row, p.column, p.channels), height, width }
            }
        };
        let act = match *act {
            Act::Slope(slope) => ActPart::Slope(slope),
            Act::Silu => ActPart::Silu,
            Act::Sigmoid => ActPart::Sigmoid,
            Act::HardSwish => ActPart::HardSwish,
            Act::Table => ActPart::Table,
        };
        Part::Conv(Box::new(ConvPart {
            kernel: conv.kernel,
            stride: conv.stride,
            pad: conv.pad,
            weights,
            from: region(conv.from),
            to,
            added: added.map(region),
            act,
            mult: self.reals(mult),
            bias: self.reals(bias),
            scale: self.reals(scale),
            zero: self.reals(zero),
            add_scale: self.reals(add_scale),
            table: self.bytes(table),
        }))
    }
}

fn region(view: View) -> Region {
    (view.buffer, view.channel, view.channels)
}

fn view((buffer, channel, channels): Region) -> View {
    View { buffer, channel, channels }
}

/// # Errors
/// What is wrong with the file, with the step it is wrong in.
pub fn read(file: &[u8]) -> Result<Plan> {
    plan(file, |weights| signed(weights).to_vec().into())
}

/// Likewise, and weights stay where they are: for a file that is part of the binary.
///
/// # Errors
/// As [`read`].
pub fn read_embedded(file: &'static [u8]) -> Result<Plan> {
    plan(file, |weights| signed(weights).into())
}

fn plan<'a>(file: &'a [u8], weights: fn(&'a [u8]) -> Cow<'static, [i8]>) -> Result<Plan> {
    let (head, rest) = file.split_at_checked(12).context("it is too short for an int8 model")?;
    ensure!(head[..7] == MAGIC[..7], "it is no int8 model: it begins otherwise");
    ensure!(head[7] == MAGIC[7], "it is of version {} of int8 models, expected {}", head[7], MAGIC[7]);
    let length = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
    let parts = rest.split_at_checked(length).filter(|_| length <= MOST_DESCRIPTION);
    let (text, data) = parts.with_context(|| format!("its description of {length} bytes does not lie in it"))?;
    let description: Description = serde_json::from_slice(text).context("its description cannot be read")?;
    let source = Source { data, left: Cell::new(data.len()), weights };
    let buffers = description.buffers.into_iter().map(|(height, width, channels, border, zeros)| {
        Ok(Buffer { height, width, channels, border, zeros: source.bytes(zeros)?.to_vec() })
    });
    let buffers = buffers.collect::<Result<_>>()?;
    let steps = description.steps.into_iter().enumerate().map(|(i, (name, part))| {
        let printable = name.len() <= LONGEST_NAME && !name.contains(char::is_control);
        ensure!(printable, "step {i} has a name of {} bytes that cannot be printed", name.len());
        let kind = source.step(part).with_context(|| format!("its step {name} is malformed"))?;
        Ok(Step { name, kind })
    });
    Ok(Plan { buffers, steps: steps.collect::<Result<_>>()?, outputs: description.outputs })
}

/// What is behind the description, while it is read.
struct Source<'a> {
    data: &'a [u8],
    /// Bytes that may still be pointed at. Each is for one reader, so that a plan is never much larger than its file.
    left: Cell<usize>,
    /// What becomes of weights.
    weights: fn(&'a [u8]) -> Cow<'static, [i8]>,
}

impl<'a> Source<'a> {
    fn bytes(&self, (at, length): Span) -> Result<&'a [u8]> {
        let found = at.checked_add(length).and_then(|end| self.data.get(at..end));
        let found =
            found.with_context(|| format!("{length} bytes at {at} do not lie in its {} bytes", self.data.len()))?;
        let left = self.left.get().checked_sub(length);
        self.left.set(left.with_context(|| format!("{length} bytes at {at} are somebody else's already"))?);
        Ok(found)
    }

    fn weights(&self, span: Span) -> Result<Cow<'static, [i8]>> {
        Ok((self.weights)(self.bytes(span)?))
    }

    fn reals(&self, span: Span) -> Result<Vec<f32>> {
        let (chunks, rest) = self.bytes(span)?.as_chunks::<4>();
        ensure!(rest.is_empty(), "{} bytes are no floats", span.1);
        Ok(chunks.iter().map(|c| f32::from_le_bytes(*c)).collect())
    }

    fn step(&self, part: Part) -> Result<StepKind> {
        Ok(match part {
            Part::Conv(part) => self.conv(*part)?,
            Part::MaxPool { from, to, side, stride, pad } => {
                StepKind::MaxPool { from: view(from), to: view(to), side, stride, pad }
            }
            Part::AveragePool { from, to, side, stride } => {
                StepKind::AveragePool { from: view(from), to: view(to), side, stride }
            }
            Part::Nearest { from, to } => StepKind::Upsample { how: Upsample::Nearest, from: view(from), to: view(to) },
            Part::Bilinear { from, to } => {
                StepKind::Upsample { how: Upsample::Bilinear, from: view(from), to: view(to) }
            }
            Part::Add { from, to, scales, zero, floor } => {
                let sum = Sum { scales, zero, floor: self.bytes(floor)?.to_vec() };
                StepKind::Add { from: from.map(view), to: view(to), sum }
            }
            Part::Copy { from, to } => StepKind::Copy { from: view(from), to: view(to) },
            Part::Reals { from, to, scale, zero } => {
                StepKind::Reals { from: view(from), scale: self.reals(scale)?, zero: self.reals(zero)?, to: place(to) }
            }
        })
    }

    fn conv(&self, part: ConvPart) -> Result<StepKind> {
        let act = match part.act {
            ActPart::Slope(slope) => Act::Slope(slope),
            ActPart::Silu => Act::Silu,
            ActPart::Sigmoid => Act::Sigmoid,
            ActPart::HardSwish => Act::HardSwish,
            ActPart::Table => Act::Table,
        };
        let epilogue = Epilogue {
            act,
            mult: self.reals(part.mult)?,
            bias: self.reals(part.bias)?,
            scale: self.reals(part.scale)?,
            zero: self.reals(part.zero)?,
            add_scale: self.reals(part.add_scale)?,
            table: self.bytes(part.table)?.to_vec(),
        };
        let to = match part.to {
            TargetPart::Bytes(region) => Target::Bytes(view(region)),
            TargetPart::Reals { place: at, height, width } => Target::Reals { place: place(at), height, width },
        };
        let (kernel, stride, pad, from) = (part.kernel, part.stride, part.pad, view(part.from));
        let added = part.added.map(view);
        Ok(match part.weights {
            WeightsPart::Dense { at, outputs, segments, dwords } => {
                let weights = Dense::from_packed(self.weights(at)?, outputs, segments, dwords)?;
                StepKind::Dense { conv: Conv { weights, kernel, stride, pad, from, to }, epilogue, added }
            }
            WeightsPart::Depthwise { at, channels, side } => {
                let weights = Depthwise::from_packed(self.weights(at)?, channels, side)?;
                StepKind::Depthwise { conv: Conv { weights, kernel, stride, pad, from, to }, epilogue, added }
            }
        })
    }
}

fn place((output, row, column, channels): PlacePart) -> Place {
    Place { output, row, column, channels }
}
