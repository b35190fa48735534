//! `models bench`: what each layer of a network costs on this board, and how close that is to what the board can do.
//!
//! Processor time is read after every layer, which costs about as much as a small layer; what reading costs is
//! measured and taken off. The network is run without that as well, so that both can be compared.

use crate::bad_input;
use crate::frame::Frame;
use crate::infer::quant::{kernel::Isa, peak};
use crate::infer::{self, Kind, Layer, Network, Request, golden};
use crate::time::{CpuTime, MediaTime, WallTime};
use anyhow::Result;
use serde::Serialize;
use std::io::Write;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// A name of `watchpost models list`, or a path
    #[arg(default_value = "auto")]
    name: String,
    /// Times that the network is run
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs that are not measured.
const WARM_UP: usize = 3;

#[derive(Serialize)]
struct Report {
    model: String,
    threads: u8,
    /// The kernels that ran. `WATCHPOST_ISA` chooses others.
    isa: &'static str,
    runs: u16,
    /// Processor time of a run in which no clock is read between layers, median.
    cpu_us: f64,
    /// The layers' medians together.
    layers_us: f64,
    products: u64,
    gmacs: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    peak: Option<Peak>,
    kinds: Vec<Part>,
    /// In the order in which they run.
    layers: Vec<Row>,
}

/// The fastest that our dense kernel was seen to be on this board.
#[derive(Serialize)]
struct Peak {
    /// Thousand million products a second.
    gmacs: f64,
    what: String,
}

#[derive(Serialize)]
struct Part {
    kind: Kind,
    cpu_us: f64,
    /// Of the time of all layers.
    share: f64,
    products: u64,
}

#[derive(Serialize)]
struct Row {
    name: String,
    kind: Kind,
    what: String,
    /// Height, width, channels.
    shape: [usize; 3],
    products: u64,
    cpu_us: f64,
    /// Thousand million products a second; null where there are none.
    gmacs: Option<f64>,
    /// Of the peak.
    of_peak: Option<f64>,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let mut detector = infer::load(&Request { model: args.name.clone(), ..Request::default() })?;
    let picture = golden::picture();
    detector.detect(&Frame { index: 0, at: MediaTime::ZERO, taken: WallTime::EPOCH, picture })?;
    let model = detector.model().to_string();
    let Some(network) = detector.network() else { bad_input!("{model} has no network to measure") };
    let report = measure(model, network, args.runs)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer(&mut out, &report)?;
        writeln!(out)?;
    } else {
        print(&report, &mut out)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(model: String, network: &mut dyn Network, runs: u16) -> Result<Report> {
    let (isa, layers) = (network.isa(), network.layers());
    let peak = Isa::named(isa).map(peak_of).transpose()?;
    let clock = cost_of_clock();
    let mut nanos = vec![Vec::new(); layers.len()];
    let mut whole = Vec::new();
    for run in 0..WARM_UP + usize::from(runs) {
        let mut last = CpuTime::now();
        network.run_layers(&mut |layer| {
            let now = CpuTime::now();
            if run >= WARM_UP {
                nanos[layer].push(now.nanos_since(last).saturating_sub(clock));
            }
            last = now;
        })?;
        let start = CpuTime::now();
        network.run_layers(&mut |_| ())?;
        if run >= WARM_UP {
            whole.push(CpuTime::now().nanos_since(start).saturating_sub(clock));
        }
    }
    let rows: Vec<Row> =
        layers.into_iter().zip(nanos).map(|(layer, nanos)| Row::new(layer, median(nanos), peak.as_ref())).collect();
    let products = rows.iter().map(|row| row.products).sum();
    let (cpu_us, layers_us) = (micros(median(whole)), rows.iter().map(|row| row.cpu_us).sum());
    let kinds = [Kind::Dense, Kind::Depthwise, Kind::Other].map(|kind| Part::of(kind, &rows, layers_us)).into();
    Ok(Report {
        model,
        threads: 1,
        isa,
        runs,
        cpu_us,
        layers_us,
        products,
        gmacs: rate(products, cpu_us),
        peak,
        kinds,
        layers: rows,
    })
}

/// Runs every loop for some milliseconds, several times in turn, since something else may be in the way of one.
fn peak_of(isa: Isa) -> Result<Peak> {
    const ROUNDS: usize = 5;
    const PRODUCTS: u64 = 200_000_000;
    let mut loops = peak::Loop::all(isa)?;
    let mut best = Peak { gmacs: 0.0, what: String::new() };
    for round in 0..=ROUNDS {
        for one in &mut loops {
            // One without a fast kernel would take seconds.
            let runs = if isa == Isa::Scalar { 4 } else { PRODUCTS / one.products };
            let start = CpuTime::now();
            (0..runs).for_each(|_| one.run());
            let gmacs = rate(runs * one.products, micros(CpuTime::now().nanos_since(start)));
            if round > 0 && gmacs > best.gmacs {
                best = Peak { gmacs, what: one.what.clone() };
            }
        }
    }
    Ok(best)
}

/// Nanoseconds.
fn cost_of_clock() -> u64 {
    let mut last = CpuTime::now();
    let lap = |_| {
        let now = CpuTime::now();
        let nanos = now.nanos_since(last);
        last = now;
        nanos
    };
    median((0..1000).map(lap).collect())
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1000.0
}

/// Thousand million a second; a layer that took no time that the clock can see has none.
fn rate(products: u64, cpu_us: f64) -> f64 {
    if cpu_us > 0.0 { products as f64 / cpu_us / 1000.0 } else { 0.0 }
}

impl Row {
    fn new(layer: Layer, nanos: u64, peak: Option<&Peak>) -> Self {
        let Layer { name, kind, what, shape, products } = layer;
        let cpu_us = micros(nanos);
        let gmacs = (products > 0).then(|| rate(products, cpu_us));
        let of_peak = gmacs.zip(peak).map(|(gmacs, peak)| gmacs / peak.gmacs);
        Row { name, kind, what, shape, products, cpu_us, gmacs, of_peak }
    }
}

impl Part {
    fn of(kind: Kind, rows: &[Row], all_us: f64) -> Self {
        let mine = || rows.iter().filter(|row| row.kind == kind);
        // Begun at zero: an empty sum of floats is -0.
        let cpu_us = mine().fold(0.0, |sum, row| sum + row.cpu_us);
        let share = if all_us > 0.0 { cpu_us / all_us } else { 0.0 };
        Part { kind, cpu_us, share, products: mine().map(|row| row.products).sum() }
    }
}

fn print(report: &Report, out: &mut impl Write) -> Result<()> {
    let Report { model, threads, isa, runs, cpu_us, layers_us, products, gmacs, peak, kinds, layers } = report;
    writeln!(out, "{model} on {isa}, {threads} thread, median of {runs} runs: {cpu_us:.1} us of processor time")?;
    let Some(peak) = peak else {
        writeln!(out, "A float network is not taken apart; its int8 twin is.")?;
        return Ok(());
    };
    writeln!(out, "peak: {:.1} GMAC/s, seen in a {}", peak.gmacs, peak.what)?;
    writeln!(
        out,
        "{:<36} {:<16} {:>12} {:>8} {:>8} {:>7} {:>5}",
        "layer", "kind", "shape", "MMAC", "cpu us", "GMAC/s", "peak"
    )?;
    for Row { name, what, shape: [height, width, channels], products, cpu_us, gmacs, of_peak, .. } in layers {
        // The end of a name says more than its beginning.
        let end = name.char_indices().rev().nth(35).map_or(0, |(at, _)| at);
        let shape = format!("{height}x{width}x{channels}");
        write!(out, "{:<36} {what:<16} {shape:>12} {:>8.2} {cpu_us:>8.1}", &name[end..], *products as f64 / 1e6)?;
        match gmacs.zip(*of_peak) {
            Some((gmacs, of_peak)) => writeln!(out, " {gmacs:>7.1} {of_peak:>5.2}")?,
            None => writeln!(out)?,
        }
    }
    let sum = format!("{} layers together", layers.len());
    let (mmac, of_peak) = (*products as f64 / 1e6, gmacs / peak.gmacs);
    writeln!(out, "{sum:<36} {:<16} {:>12} {mmac:>8.2} {layers_us:>8.1} {gmacs:>7.1} {of_peak:>5.2}", "", "")?;
    for Part { kind, cpu_us, share, products } in kinds {
        let name = format!("{kind:?}").to_lowercase();
        let mmac = *products as f64 / 1e6;
        writeln!(out, "{name:<36} {:<16} {:>12} {mmac:>8.2} {cpu_us:>8.1} {:>6.0}%", "", "", 100.0 * share)?;
    }
    Ok(())
}
