//! Runs bound convolutions, one row of outputs after the other or several at once.

use super::Arena;
#[cfg(debug_assertions)]
use super::SLACK;
use super::job::{Job, To, Weights};
use crate::infer::quant::kernel::crew::Crew;
#[cfg(debug_assertions)]
use crate::infer::quant::kernel::scalar;
use crate::infer::quant::kernel::{Added, DenseRow, DepthwiseRow, Isa, Out};

/// Fewest products that are worth the while of a second thread: some ten microseconds of the fastest kernels.
const WORTH_IT: u64 = 1_000_000;

/// The memory that a job works on.
#[derive(Clone, Copy)]
struct Ground {
    isa: Isa,
    bytes: *mut u8,
    /// Of `bytes`.
    #[cfg(debug_assertions)]
    length: usize,
    /// The output that the job writes to, if it writes to one.
    reals: *mut f32,
    #[cfg(debug_assertions)]
    reals_length: usize,
}

// SAFETY: it is memory that `Arena::run` has for itself while threads work on it; see there.
unsafe impl Sync for Ground {}

impl Arena {
    /// Runs all rows of outputs of a job. Whoever computes a row, it is the same bytes.
    ///
    /// # Panics
    /// On a job of another arena.
    pub fn run(&mut self, job: &Job, crew: &mut Crew) {
        assert!(job.arena == self.id, "a job of this arena");
        let output = match job.out {
            To::Bytes(_) => None,
            To::Reals { output, .. } => Some(&mut self.outputs[output]),
        };
        let ground = Ground {
            isa: self.isa,
            #[cfg(debug_assertions)]
            length: self.bytes.len(),
            #[cfg(debug_assertions)]
            reals_length: output.as_ref().map_or(0, |output| output.len()),
            reals: output.map_or(std::ptr::null_mut(), |output| output.as_mut_ptr()),
            bytes: self.bytes.as_mut_ptr(),
        };
        // Whole, so that threads borrow it and not the pointers in it.
        let ground = &ground;
        // SAFETY: the job is this arena's, and each of its rows is run once. The arena is borrowed mutably until all
        // are done. Rows at the same time write different bytes, since rows of a buffer or an output do not overlap,
        // and none that another reads, since `bind` has checked that what is written is not what is read.
        let row = |y: usize| unsafe { ground.row(job, y) };
        if job.products() < WORTH_IT {
            (0..job.height).for_each(row);
        } else {
            crew.each(job.height, &row);
        }
    }
}

impl Ground {
    /// # Safety
    /// The memory is that of the arena of the job, nobody else writes what this row reads or touches what it writes,
    /// and the job has such a row.
    unsafe fn row(&self, job: &Job, y: usize) {
        let bytes = self.bytes;
        // SAFETY: `bind` has checked, against the arena's places, that the inputs of every output of the job (each
        // within the border), what is added and what is written lie within `bytes` or the output named; vectors that
        // reach past the last pixel stay within SLACK.
        unsafe {
            let added = job.added.map_or(Added { from: std::ptr::null(), pixel: 0 }, |lane| Added {
                from: bytes.add(lane.at + y * lane.line),
                pixel: lane.pixel,
            });
            let out = match job.out {
                To::Bytes(lane) => Out::Bytes { to: bytes.add(lane.at + y * lane.line), pixel: lane.pixel },
                To::Reals { lane, channels, .. } => {
                    let to = self.reals.add(lane.at + y * lane.line);
                    Out::Reals { to, pixel: lane.pixel, channels }
                }
            };
            let Job { ref epilogue, pixel, line, stride, width, .. } = *job;
            let from = bytes.add(job.from + y * job.step).cast_const();
            match &job.weights {
                Weights::Dense { weights, segments } => {
                    let row = DenseRow { weights, epilogue, from, pixel, segments, width, added, out };
                    #[cfg(debug_assertions)]
                    if self.isa == Isa::Scalar {
                        return scalar::dense(&row, &self.watch(job, out));
                    }
                    self.isa.dense(&row);
                }
                Weights::Depthwise(weights) => {
                    let row = DepthwiseRow { weights, epilogue, from, pixel, line, stride, width, added, out };
                    #[cfg(debug_assertions)]
                    if self.isa == Isa::Scalar {
                        return scalar::depthwise(&row, &self.watch(job, out));
                    }
                    self.isa.depthwise(&row);
                }
            }
        }
    }
}

#[cfg(debug_assertions)]
impl Ground {
    /// What a row of a job may touch.
    fn watch(&self, job: &Job, out: Out) -> scalar::Watched {
        let (read, outputs) = &job.watched;
        let start = self.bytes.cast_const();
        let read = read.clone().map(|range| start.wrapping_add(range.start)..start.wrapping_add(range.end));
        let (mut written, mut written_reals) = (read[0].start..read[0].start, std::ptr::null()..std::ptr::null());
        match out {
            Out::Bytes { to, pixel } => {
                let to = to.cast_const();
                written = to..to.wrapping_add((job.width - 1) * pixel + outputs);
                // The slack of the last is nobody's.
                let end = start.wrapping_add(self.length - SLACK);
                assert!(start <= written.start && written.end <= end, "a row in the arena");
            }
            Out::Reals { to, pixel, channels } => {
                let to = to.cast_const();
                written_reals = to..to.wrapping_add((job.width - 1) * pixel + channels);
                let start = self.reals.cast_const();
                let end = start.wrapping_add(self.reals_length);
                assert!(start <= written_reals.start && written_reals.end <= end, "a row in an output");
            }
        }
        scalar::Watched { read, written, written_reals }
    }
}
