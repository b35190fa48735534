//! The doors through which bytes of strangers come in, one function each: what comes in may be refused, but nothing
//! panics, hangs or eats the memory. The fuzzer drives them for hours, `tests/hostile.rs` for seconds.

use std::fs;
use std::path::PathBuf;
use watchpost::infer::quant::file;
use watchpost::infer::quant::kernel::Isa;
use watchpost::infer::quant::session::Session;

/// A few frames show whether a film is decoded; a thousand show the same thousand times.
const FRAMES: usize = 16;
/// A second or so of the fastest kernels.
const MOST_PRODUCTS: u64 = 1 << 31;

pub fn config(bytes: &[u8]) {
    let _ = watchpost::config::parse(&String::from_utf8_lossy(bytes));
}

pub fn manifest(bytes: &[u8]) {
    let _ = watchpost::infer::manifest::Manifest::parse(&String::from_utf8_lossy(bytes));
}

pub fn mot(bytes: &[u8]) {
    let _ = watchpost::track::mot::read(&String::from_utf8_lossy(bytes));
}

pub fn track_log(bytes: &[u8]) {
    let file = Scratch::new("track-log", bytes);
    let Ok(mut log) = watchpost::capture::recorded::TrackLog::open(&file.0) else { return };
    while let Ok(Some(_)) = log.next_frame() {}
}

pub fn image(bytes: &[u8]) {
    let file = Scratch::new("image", bytes);
    let _ = watchpost::capture::read_picture(&file.0);
}

/// MP4 only: other kinds go to a child process, which is somebody else's code to fuzz and starts too slowly.
pub fn video(bytes: &[u8]) {
    if bytes.get(4..8) != Some(b"ftyp") {
        return;
    }
    let file = Scratch::new("video", bytes);
    let Ok(mut film) = watchpost::capture::open_video(&file.0) else { return };
    for _ in 0..FRAMES {
        let Ok(Some(_)) = film.next_frame() else { return };
    }
}

/// What is small enough is run, and answers the same in the plainest and the fastest kernels.
pub fn int8(bytes: &[u8]) {
    let Ok(plan) = file::read(bytes) else { return };
    let run = |isa: Isa, most: u64| {
        let mut session = Session::new(plan.clone(), isa).ok().filter(|session| session.products() <= most)?;
        session.run();
        let outputs = (0..plan.outputs.len()).flat_map(|i| session.output(i));
        Some(outputs.map(|real| real.to_bits()).collect::<Vec<_>>())
    };
    if let Some(fastest) = run(Isa::best(), MOST_PRODUCTS)
        && let Some(plainest) = run(Isa::Scalar, MOST_PRODUCTS / 100)
    {
        assert!(fastest == plainest, "both kernels give the same bits");
    }
}

/// The decoders read files: this one is gone when the function returns.
struct Scratch(PathBuf);

impl Scratch {
    fn new(door: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("watchpost-fuzz-{door}-{}", std::process::id()));
        fs::write(&path, bytes).expect("the folder for temporary files can be written");
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
