//! What a recording came to, for people and for other programs: JSON, CSV, an Excel workbook, and a few lines
//! of text.
//!
//! [`Tally`] looks over the pipeline's shoulder after each frame and makes a [`Report`]; the writers turn that
//! into bytes, and [`Output`] brings bytes to a file as a whole or not at all.
//!
//! Absent: reports over days from the store, and opinions about the numbers.

pub mod csv;
pub mod json;
mod output;
mod sheet;
mod tally;
pub mod text;
pub mod xlsx;

pub use output::{Output, Part};
pub use tally::{About, Minute, Report, Tally};
