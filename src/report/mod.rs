//! What a recording came to, for people and for other programs: JSON, CSV, an Excel workbook, and a few lines
//! of text.
//!
//! [`Tally`] looks over the pipeline's shoulder after each frame and makes a [`Report`]; the writers turn that
//! into bytes, and [`Output`] brings bytes to a file as a whole or not at all.
//!
//! [`past`] is the same for what an appliance has recorded: days and weeks from its store, and which incidents were
//! [`frequent`](past::frequent_between).
//!
//! Absent: opinions about the numbers.

pub mod csv;
pub mod json;
mod output;
pub mod past;
mod sheet;
mod tally;
pub mod text;
pub mod xlsx;

pub use output::{Output, Part};
pub use tally::{About, Minute, Report, Tally};
