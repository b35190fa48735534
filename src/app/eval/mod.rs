//! `watchpost eval`: how good a part is, on labelled data that is not ours to ship. For engineers.

mod clip;
mod keypoints;
mod motion;
mod poses;

use anyhow::Result;
use std::process::ExitCode;

#[derive(clap::Subcommand)]
pub enum Verb {
    /// The motion gate's masks, against those of CDnet
    Motion(motion::Args),
    /// Joints of the people on pictures, for COCO's scorer
    Keypoints(keypoints::Args),
    /// Learn what is normal from poses of visitors, and write how strange each frame of other films is
    Poses(poses::Args),
}

/// # Errors
/// Folders that are none, files that cannot be read, results that cannot be written.
pub fn run(verb: Verb) -> Result<ExitCode> {
    match verb {
        Verb::Motion(args) => motion::run(args),
        Verb::Keypoints(args) => keypoints::run(&args),
        Verb::Poses(args) => poses::run(args),
    }
}
