//! Bytes of strangers at every door: refused in peace, never a panic. The same functions as the fuzzer drives.

#[path = "fuzz/entries.rs"]
mod entries;
#[path = "fuzz/plan.rs"]
mod plan;

use image::ImageFormat;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;
use std::io::Cursor;
use std::process::Command;
use watchpost::infer::quant::kernel::Isa;
use watchpost::infer::quant::session::Session;

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

/// Running a whole network costs more than decoding.
fn few() -> ProptestConfig {
    ProptestConfig { cases: 60, ..many() }
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
        entries::int8(&bytes);
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
    fn spoilt_int8(bytes in spoilt(vec![plan::small()])) {
        entries::int8(&bytes);
    }

    #[test]
    fn int8_with_other_numbers(bytes in renumbered(plan::small())) {
        entries::int8(&bytes);
    }

    #[test]
    fn spoilt_film(bytes in spoilt(films())) {
        entries::video(&bytes);
    }
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn spoilt_embedded_int8(bytes in spoilt(vec![embedded()])) {
        entries::int8(&bytes);
    }

    #[test]
    fn embedded_int8_with_other_numbers(bytes in renumbered(embedded())) {
        entries::int8(&bytes);
    }
}

/// A seed that nothing is wrong with gets to the end of its door; where `WATCHPOST_SEED` names a file it is left there.
#[test]
fn the_small_model_can_be_run() {
    let file = plan::small();
    let plan = watchpost::infer::quant::file::read(&file).unwrap();
    let mut session = Session::new(plan, Isa::Scalar).unwrap();
    session.run();
    for output in 0..2 {
        assert!(session.output(output).iter().any(|real| *real != 0.0));
    }
    entries::int8(&file);
    if let Some(seed) = std::env::var_os("WATCHPOST_SEED") {
        std::fs::write(seed, file).unwrap();
    }
}

fn embedded() -> Vec<u8> {
    include_bytes!("../models/nanodet-g/int8/nanodet-g.int8").to_vec()
}

/// An int8 model whose description has other numbers in up to three places: what neither noise nor a parser gets past is
/// what memory is measured by.
fn renumbered(file: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let length = u32::from_le_bytes(file[8..12].try_into().unwrap()) as usize;
    let description: Value = serde_json::from_slice(&file[12..12 + length]).unwrap();
    let number = prop_oneof![
        4 => 0..70u64,
        2 => (0..64u32, -1i64..2).prop_map(|(bit, beside)| (1u64 << bit).wrapping_add_signed(beside)),
        1 => any::<u64>(),
    ];
    let change = (any::<prop::sample::Index>(), number);
    vec(change, 1..4).prop_map(move |changes| {
        let mut description = description.clone();
        let mut numbers = Vec::new();
        find_numbers(&mut description, &mut numbers);
        let count = numbers.len();
        for (at, number) in changes {
            *numbers[at.index(count)] = number.into();
        }
        let text = description.to_string();
        [&file[..8], &(text.len() as u32).to_le_bytes(), text.as_bytes(), &file[12 + length..]].concat()
    })
}

fn find_numbers<'a>(value: &'a mut Value, found: &mut Vec<&'a mut Value>) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| find_numbers(value, found)),
        Value::Object(values) => values.values_mut().for_each(|value| find_numbers(value, found)),
        Value::Number(_) => found.push(value),
        _ => {}
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
