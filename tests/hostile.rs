//! Bytes of strangers at every door: refused in peace, never a panic. The same functions as the fuzzer drives.

#[path = "fuzz/entries.rs"]
mod entries;

use image::ImageFormat;
use proptest::collection::vec;
use proptest::prelude::*;
use std::io::Cursor;
use std::process::Command;

/// A valid file, spoilt: some bytes exchanged, then cut off.
fn spoilt(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..12);
    (prop::sample::select(seeds), changes, prop::option::weighted(0.3, any::<prop::sample::Index>())).prop_map(
        |(mut bytes, changes, cut)| {
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            bytes
        },
    )
}

/// A valid text, spoilt: some of its lines, words of other lines in their places.
fn shuffled(text: &str) -> impl Strategy<Value = Vec<u8>> {
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let words: Vec<String> = text.split([' ', '\n', ',']).map(str::to_owned).collect();
    let line = (prop::sample::select(lines), prop::sample::select(words), any::<prop::sample::Index>(), 0..4).prop_map(
        |(line, word, at, how)| match line.split_whitespace().nth(at.index(6)) {
            Some(old) if how == 0 => line.replacen(old, &word, 1),
            _ => line,
        },
    );
    vec(line, 0..40).prop_map(|lines| lines.join("\n").into_bytes())
}

fn many() -> ProptestConfig {
    ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() }
}

const TRACK_LOG: &str = r#"{"schema":1,"kind":"watchpost-tracks","camera":"door","model":"made-up","start":"2026-11-24T10:15:02.120Z"}
{"us":0,"aspect":1.7777778,"detections":[{"class":"person","score":0.91,"box":[0.12,0.3,0.25,0.88]}]}
{"us":100000,"taken_us":1764000000000000,"aspect":1.5,"detections":[]}
{"us":200000,"aspect":1.7777778,"detections":[{"class":"car","score":0.4,"box":[0,0,1,1]},{"class":"person","score":1,"box":[0.5,0.5,0.5,0.5]}]}
"#;

/// Decoding costs more than parsing.
fn some() -> ProptestConfig {
    ProptestConfig { cases: 500, ..many() }
}

proptest! {
    #![proptest_config(many())]

    #[test]
    fn noise(bytes in vec(any::<u8>(), 0..600)) {
        entries::config(&bytes);
        entries::manifest(&bytes);
        entries::mot(&bytes);
        entries::track_log(&bytes);
        entries::image(&bytes);
    }

    #[test]
    fn spoilt_config(bytes in shuffled(include_str!("../config/watchpost.toml"))) {
        entries::config(&bytes);
    }

    #[test]
    fn spoilt_manifest(bytes in shuffled(include_str!("../models/nanodet-g/model.toml"))) {
        entries::manifest(&bytes);
    }

    #[test]
    fn spoilt_mot(bytes in shuffled("1,-1,10,20,30,40,0.9,-1,-1,-1\n2,-1,11.5,20,30,40,1\n3,-1,NaN,-1e30,0,-4,inf\n4,9,1")) {
        entries::mot(&bytes);
    }
}

proptest! {
    #![proptest_config(some())]

    #[test]
    fn spoilt_picture(bytes in spoilt(pictures())) {
        entries::image(&bytes);
    }

    #[test]
    fn spoilt_track_log(bytes in spoilt(vec![TRACK_LOG.into()])) {
        entries::track_log(&bytes);
    }

    #[test]
    fn spoilt_film(bytes in spoilt(films())) {
        entries::video(&bytes);
    }
}

fn pictures() -> Vec<Vec<u8>> {
    let picture = image::RgbImage::from_fn(24, 18, |x, y| image::Rgb([x as u8 * 10, y as u8 * 14, 77]));
    [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::Bmp]
        .map(|format| {
            let mut bytes = Cursor::new(Vec::new());
            picture.write_to(&mut bytes, format).unwrap();
            bytes.into_inner()
        })
        .into()
}

/// Where ffmpeg is installed it makes a film of ten frames; else only the head of one is spoilt.
fn films() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("film.mp4");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=10", "-frames:v", "10"])
        .args(["-pix_fmt", "yuv420p", "-c:v", "libx264", "-bf", "2"])
        .arg(&film)
        .status();
    match made {
        Ok(status) if status.success() => vec![std::fs::read(&film).unwrap()],
        _ => vec![b"\0\0\0\x18ftypisom\0\0\0\0isommp41\0\0\0\x08moov\0\0\0\x10mdat01234567".to_vec()],
    }
}
