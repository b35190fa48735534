//! What a network's numbers are like over some pictures: the ends of every channel, and numbers drawn from it.
//!
//! The same pictures give the same samples, however many threads look at them.

use super::float::{Float, Seen, activate};
use super::graph::{Graph, Kind};
use super::kernel::Act;
use super::layout::straight;
use super::{Pictures, Progress};
use anyhow::{Context, Result, ensure};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// Numbers that are drawn of each channel, over all pictures.
const DRAWN: usize = 2048;
/// At most from one picture: more would be neighbours of each other.
const MOST_OF_ONE: usize = 64;

/// Of one tensor.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// Least and most of each channel.
    pub ends: Vec<[f32; 2]>,
    /// Mean of each channel.
    pub means: Vec<f64>,
    /// Channel by channel, as many of each.
    pub values: Vec<f32>,
}

impl Sample {
    /// The numbers of a channel.
    pub fn channel(&self, channel: usize) -> &[f32] {
        let each = self.values.len() / self.ends.len().max(1);
        &self.values[channel * each..][..each]
    }

    /// With its channels in another order.
    pub fn reordered(&self, order: &[usize]) -> Sample {
        Sample {
            ends: order.iter().map(|channel| self.ends[*channel]).collect(),
            means: order.iter().map(|channel| self.means[*channel]).collect(),
            values: order.iter().flat_map(|channel| self.channel(*channel)).copied().collect(),
        }
    }

    /// What an activation makes of it. The ends are those of `made`, which knows them.
    fn activated(&self, act: Act, made: Sample) -> Sample {
        Sample { ends: made.ends, means: made.means, values: self.values.iter().map(|y| activate(act, *y)).collect() }
    }
}

/// Of a network, by tensor. Empty where nothing needs to be known.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// Of the sums that curved activations are applied to.
    pub sums: Vec<Sample>,
    pub tensors: Vec<Sample>,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Look {
    Nothing,
    Ends,
    Values,
}

struct Looks {
    sums: Vec<Look>,
    tensors: Vec<Look>,
}

impl Looks {
    fn new(graph: &Graph) -> Self {
        let mut looks =
            Looks { sums: vec![Look::Nothing; graph.tensors.len()], tensors: vec![Look::Nothing; graph.tensors.len()] };
        looks.tensors[0] = Look::Ends;
        for layer in &graph.layers {
            let tensor = layer.output;
            looks.tensors[tensor] = match &layer.kind {
                Kind::Conv(_) if straight(graph, tensor).is_some() => Look::Nothing,
                Kind::Conv(conv) if is_curved(conv.act) => {
                    looks.sums[tensor] = Look::Values;
                    // What follows from the sums need not be kept as well.
                    if layer.inputs.len() == 1 { Look::Ends } else { Look::Values }
                }
                Kind::Conv(_) | Kind::Add(_) => Look::Values,
                _ => Look::Ends,
            };
        }
        looks
    }
}

/// Whether an activation can be a table.
pub fn is_curved(act: Act) -> bool {
    matches!(act, Act::Silu | Act::Sigmoid | Act::HardSwish)
}

impl Samples {
    /// Runs the network over all pictures, on `threads` threads.
    ///
    /// # Errors
    /// No pictures, one that cannot be had, or numbers that are none.
    pub fn take(
        graph: &Graph,
        zeros: [u8; 3],
        pictures: &Pictures,
        threads: usize,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Samples> {
        ensure!(pictures.count > 0, "there are no pictures to calibrate with");
        let float = Float::new(graph, zeros)?;
        let looks = Looks::new(graph);
        let each = DRAWN.div_ceil(pictures.count).min(MOST_OF_ONE);
        let next = AtomicUsize::new(0);
        let mut found: Vec<Option<Samples>> = vec![None; pictures.count];
        thread::scope(|scope| {
            let (send, receive) = mpsc::channel();
            for _ in 0..threads.clamp(1, pictures.count) {
                let (send, next, float, looks) = (send.clone(), &next, &float, &looks);
                scope.spawn(move || {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        if index >= pictures.count {
                            return;
                        }
                        let one = look(graph, float, looks, pictures, index, each);
                        // Nobody listens any more after an error.
                        if send.send((index, one)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(send);
            for (done, (index, one)) in receive.iter().enumerate() {
                found[index] = Some(one.with_context(|| format!("picture {}", index + 1))?);
                progress(Progress { what: "Looking at pictures", done: done + 1, of: pictures.count });
            }
            Ok::<_, anyhow::Error>(())
        })?;
        let found: Vec<Samples> = found.into_iter().flatten().collect();
        ensure!(found.len() == pictures.count, "some of the pictures were not looked at");
        let mut all = Samples { sums: Vec::new(), tensors: Vec::new() };
        for (tensor, described) in graph.tensors.iter().enumerate() {
            all.sums.push(merge(described.channels, found.iter().map(|one| &one.sums[tensor])));
            all.tensors.push(merge(described.channels, found.iter().map(|one| &one.tensors[tensor])));
        }
        for layer in &graph.layers {
            if let (Kind::Conv(conv), Look::Values) = (&layer.kind, looks.sums[layer.output])
                && looks.tensors[layer.output] == Look::Ends
            {
                let made = std::mem::take(&mut all.tensors[layer.output]);
                all.tensors[layer.output] = all.sums[layer.output].activated(conv.act, made);
            }
        }
        let all_of_it = all.sums.iter().chain(&all.tensors);
        let finite = all_of_it.flat_map(|s| s.ends.as_flattened().iter().chain(&s.values)).all(|x| x.is_finite());
        ensure!(finite, "the network makes numbers that are none");
        Ok(all)
    }
}

/// One picture. The values of its samples are pixel by pixel.
fn look(
    graph: &Graph,
    float: &Float,
    looks: &Looks,
    pictures: &Pictures,
    index: usize,
    each: usize,
) -> Result<Samples> {
    let count = graph.tensors.len();
    let mut one = Samples { sums: vec![Sample::default(); count], tensors: vec![Sample::default(); count] };
    float.run(&(pictures.get)(index)?, &mut |seen| {
        let (tensor, values, look, to) = match seen {
            Seen::Sums(tensor, values) => (tensor, values, looks.sums[tensor], &mut one.sums[tensor]),
            Seen::Tensor(tensor, values) => (tensor, values, looks.tensors[tensor], &mut one.tensors[tensor]),
        };
        if look == Look::Nothing {
            return;
        }
        let channels = graph.tensors[tensor].channels;
        to.ends = vec![[f32::INFINITY, f32::NEG_INFINITY]; channels];
        to.means = vec![0.0; channels];
        for pixel in values.chunks_exact(channels) {
            for (ends, value) in to.ends.iter_mut().zip(pixel) {
                // A number that is none is met again as an end that is none.
                ends[0] = if *value >= ends[0] { ends[0] } else { *value };
                ends[1] = if *value <= ends[1] { ends[1] } else { *value };
            }
            to.means.iter_mut().zip(pixel).for_each(|(mean, value)| *mean += f64::from(*value));
        }
        to.means.iter_mut().for_each(|mean| *mean /= (values.len() / channels) as f64);
        if look == Look::Values {
            // Sums and what is made of them are drawn at the same pixels.
            let mut dice = Dice(((index as u64) << 32) + tensor as u64);
            for _ in 0..each {
                let pixel = dice.below(values.len() / channels);
                to.values.extend_from_slice(&values[pixel * channels..][..channels]);
            }
        }
    })?;
    Ok(one)
}

fn merge<'a>(channels: usize, parts: impl Iterator<Item = &'a Sample> + Clone) -> Sample {
    let mut all = Sample::default();
    for part in parts.clone().filter(|part| !part.ends.is_empty()) {
        all.ends.resize(channels, [f32::INFINITY, f32::NEG_INFINITY]);
        for (all, ends) in all.ends.iter_mut().zip(&part.ends) {
            *all = [all[0].min(ends[0]), all[1].max(ends[1])];
        }
        all.means.resize(channels, 0.0);
        all.means.iter_mut().zip(&part.means).for_each(|(all, mean)| *all += mean);
    }
    let count = parts.clone().count() as f64;
    all.means.iter_mut().for_each(|mean| *mean /= count);
    all.values.reserve(parts.clone().map(|part| part.values.len()).sum());
    for channel in 0..all.ends.len() {
        for part in parts.clone() {
            all.values.extend(part.values.iter().skip(channel).step_by(channels));
        }
    }
    all
}

/// A small generator (splitmix64), the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((bits ^ (bits >> 31)) % n.max(1) as u64) as usize
    }
}
