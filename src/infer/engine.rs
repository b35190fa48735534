//! What runs a network: tract in floats, or the integers of [`super::quant`].

use super::head::Head;
use super::letterbox::{Fit, Letterbox, Planes, Tensor, interleave};
use super::manifest::{Input, Manifest, Quantization};
use super::quant::{self, kernel::Isa, matcher::Part, session::Session};
use super::tract::Net;
use super::{Kind, Layer, Network};
use crate::bad_input;
use crate::frame::Picture;
use anyhow::{Context, Result, ensure};
use std::borrow::Cow;

pub enum Engine {
    Float { net: Box<Net>, input: Input },
    Int8(Box<Pixels>),
}

/// An integer network and the order in which it wants the colours of a pixel.
pub struct Pixels {
    session: Session,
    /// Rows and columns of its outputs.
    shapes: Vec<[usize; 2]>,
    /// What comes after it in floats, where it is not all.
    behind: Option<Net>,
    height: usize,
    order: [usize; 3],
}

impl Engine {
    /// `file` is the one that `manifest` speaks of, checked by digest already.
    pub fn new(manifest: &Manifest, file: Cow<'static, [u8]>) -> Result<Self> {
        match manifest.quantization {
            Quantization::None => {
                let input = manifest.input.clone();
                let shape = [1, 3, input.height as usize, input.width as usize];
                let net = Box::new(Net::new(&file, shape, Head::new(manifest).output_shape())?);
                Ok(Engine::Float { net, input })
            }
            Quantization::Int8 => Engine::int8(
                manifest,
                match file {
                    Cow::Borrowed(file) => quant::file::read_embedded(file)?,
                    Cow::Owned(file) => quant::file::read(&file)?,
                },
            ),
        }
    }

    pub fn int8(manifest: &Manifest, plan: quant::plan::Plan) -> Result<Self> {
        Engine::int8_on(manifest, plan, isa()?)
    }

    /// The same in instructions of one's choice.
    pub fn int8_on(manifest: &Manifest, plan: quant::plan::Plan, isa: Isa) -> Result<Self> {
        let [_, rows, columns] = Head::new(manifest).output_shape();
        ensure!(
            plan.outputs == [[rows, columns]],
            "its output has shape {:?}, expected {rows} x {columns}",
            plan.outputs
        );
        Engine::beginning(manifest, plan, None, isa)
    }

    /// A network of which only the beginning was quantized to `plan`.
    pub fn part(manifest: &Manifest, plan: quant::plan::Plan, part: Part) -> Result<Self> {
        let rest = part.rest.context("nothing of it stays in floats, but its manifest says so")?;
        let expected: Vec<[usize; 2]> = part.graph.outputs.iter().map(|output| [output.rows, output.columns]).collect();
        ensure!(plan.outputs == expected, "its int8 part ends otherwise than its float part begins");
        let behind = Net::behind(rest, Head::new(manifest).output_shape())?;
        ensure!(behind.inputs() == expected.len(), "its float part begins otherwise than its int8 part ends");
        Engine::beginning(manifest, plan, Some(behind), isa()?)
    }

    fn beginning(manifest: &Manifest, plan: quant::plan::Plan, behind: Option<Net>, isa: Isa) -> Result<Self> {
        let (height, width) = (manifest.input.height as usize, manifest.input.width as usize);
        let found = plan.buffers.first().map(|picture| [picture.height, picture.width]);
        ensure!(found == Some([height, width]), "it reads pictures of {found:?}, expected {height} x {width}");
        let shapes = plan.outputs.clone();
        let session = Session::new(plan, isa)?;
        Ok(Engine::Int8(Box::new(Pixels { session, shapes, behind, height, order: manifest.input.order() })))
    }

    /// A float network stays on one thread.
    pub fn set_threads(&mut self, threads: usize) -> Result<()> {
        match self {
            Engine::Float { .. } => Ok(()),
            Engine::Int8(pixels) => pixels.session.set_threads(threads),
        }
    }

    pub fn fill(&mut self, letterbox: &mut Letterbox, picture: &Picture) -> Result<Fit> {
        match self {
            Engine::Float { net, input } => letterbox.fill(picture, &mut Planes::new(input, net.input(0)?)),
            Engine::Int8(pixels) => letterbox.fill(picture, &mut **pixels),
        }
    }

    /// As [`Engine::fill`], to a place of one's choice.
    pub fn place(&mut self, letterbox: &mut Letterbox, picture: &Picture, fit: Fit) -> Result<()> {
        match self {
            Engine::Float { net, input } => letterbox.place(picture, fit, &mut Planes::new(input, net.input(0)?)),
            Engine::Int8(pixels) => letterbox.place(picture, fit, &mut **pixels),
        }
    }

    /// The network's answer to what was filled in last: `[rows, columns]`.
    pub fn run(&mut self) -> Result<&[f32]> {
        match self {
            Engine::Float { net, .. } => net.run(),
            Engine::Int8(pixels) => {
                pixels.session.run();
                pixels.go_on()
            }
        }
    }
}

impl Network for Engine {
    fn isa(&self) -> &'static str {
        match self {
            Engine::Float { .. } => "tract",
            Engine::Int8(pixels) => pixels.session.isa().name(),
        }
    }

    fn threads(&self) -> usize {
        match self {
            Engine::Float { .. } => 1,
            Engine::Int8(pixels) => pixels.session.threads(),
        }
    }

    fn layers(&self) -> Vec<Layer> {
        match self {
            Engine::Float { net, .. } => vec![floats(net)],
            Engine::Int8(pixels) => {
                let mut layers = pixels.session.layers();
                layers.extend(pixels.behind.as_ref().map(floats));
                layers
            }
        }
    }

    fn run_layers(&mut self, done: &mut dyn FnMut(usize)) -> Result<()> {
        match self {
            Engine::Float { net, .. } => {
                net.run()?;
                done(0);
            }
            Engine::Int8(pixels) => {
                pixels.session.run_each(done);
                if pixels.behind.is_some() {
                    pixels.go_on()?;
                    done(pixels.session.layers().len());
                }
            }
        }
        Ok(())
    }
}

fn floats(net: &Net) -> Layer {
    let [_, rows, columns] = net.output_shape();
    let (name, what) = ("network".into(), "float".into());
    Layer { name, kind: Kind::Other, what, shape: [1, rows, columns], products: 0 }
}

impl Pixels {
    /// The answer, once the session has run: rows of pixels become the planes that a network in floats reads.
    fn go_on(&mut self) -> Result<&[f32]> {
        let Pixels { session, shapes, behind, .. } = self;
        let Some(net) = behind else { return Ok(session.output(0)) };
        for (index, [count, channels]) in shapes.iter().enumerate() {
            let (pixels, planes) = (session.output(index), net.input(index)?);
            for (c, plane) in planes.chunks_exact_mut(*count).enumerate() {
                plane.iter_mut().zip(pixels[c..].iter().step_by(*channels)).for_each(|(to, real)| *to = *real);
            }
        }
        net.run()
    }
}

/// The kernels that `WATCHPOST_ISA` names, to measure one against the other and to keep a board running whose best
/// ones are in doubt; without it the fastest that this processor can run.
fn isa() -> Result<Isa> {
    let wanted = std::env::var_os("WATCHPOST_ISA").filter(|name| !name.is_empty());
    wanted.map_or(Ok(Isa::best()), |name| named(&name.to_string_lossy()))
}

fn named(name: &str) -> Result<Isa> {
    if let Some(isa) = Isa::named(name) {
        return Ok(isa);
    }
    let names: Vec<&str> = Isa::available().into_iter().map(Isa::name).collect();
    bad_input!("WATCHPOST_ISA is `{name}`, but this processor has kernels for {}", names.join(", "))
}

impl Tensor for Pixels {
    fn clear(&mut self, grey: u8) {
        (0..self.height).for_each(|y| self.session.line(y).fill(grey));
    }

    fn put(&mut self, y: usize, x: usize, rgb: [&[f32]; 3]) {
        interleave(&mut self.session.line(y)[3 * x..], self.order, rgb);
    }
}
