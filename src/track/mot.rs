//! MOTChallenge text: one box a line, `frame,id,x,y,w,h,conf,...`, frames from 1, the rest in pixels.
//!
//! Absent: the size of the frame, which these files do not tell. Boxes stay in pixels, with an aspect of 1.

use super::{MAX_BOXES, Track, TrackState};
use crate::detection::{Class, Detection};
use crate::geometry::BBox;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Far beyond every recording, but still exact in a film time of microseconds.
const LAST_FRAME: f64 = 1e9;
/// Pixels; further out a box is a slip of the pen.
const FARTHEST: f64 = 1e6;

/// Detections by frame, in the order of the file. The error names the line and what was expected there.
///
/// Ids are ignored and so is what comes after `conf`; without `conf` the score is 1. Fields are parted by commas or
/// blanks. Confidences are taken as scores when all are within 0..1, otherwise (percent, logits) the least of the
/// file becomes 0 and the greatest 1.
pub fn read(text: &str) -> Result<BTreeMap<u32, Vec<Detection>>, String> {
    let mut boxes = Vec::new();
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        if !line.trim().is_empty() {
            let (frame, detection) = read_line(line).map_err(|what| format!("line {}: {what}", number + 1))?;
            boxes.push((number + 1, frame, detection));
        }
    }
    let least = boxes.iter().map(|b| b.2.score).fold(f32::INFINITY, f32::min);
    let most = boxes.iter().map(|b| b.2.score).fold(f32::NEG_INFINITY, f32::max);
    let mut frames: BTreeMap<u32, Vec<Detection>> = BTreeMap::new();
    for (line, frame, mut detection) in boxes {
        if least < 0.0 || most > 1.0 {
            detection.score = if most > least { (detection.score - least) / (most - least) } else { 1.0 };
        }
        let of_frame = frames.entry(frame).or_default();
        if of_frame.len() == MAX_BOXES {
            return Err(format!("line {line}: one box too many in frame {frame}, expected at most {MAX_BOXES}"));
        }
        of_frame.push(detection);
    }
    Ok(frames)
}

fn read_line(line: &str) -> Result<(u32, Detection), String> {
    const NAMES: [&str; 7] = ["frame", "id", "x", "y", "w", "h", "conf"];
    let mut values = [0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0];
    let fields: Vec<&str> =
        if line.contains(',') { line.split(',').collect() } else { line.split_whitespace().collect() };
    if fields.len() < 6 {
        return Err(format!("{} fields, expected frame,id,x,y,w,h,conf", fields.len()));
    }
    for ((value, name), field) in values.iter_mut().zip(NAMES).zip(&fields) {
        let number = field.trim().parse::<f64>().ok().filter(|v| v.is_finite());
        *value = number.ok_or_else(|| format!("{name} is {:?}, expected a number", shorten(field)))?;
    }
    let [frame, _, x, y, w, h, conf] = values;
    if frame.fract() != 0.0 || !(1.0..=LAST_FRAME).contains(&frame) {
        return Err(format!("frame is {frame}, expected a whole number from 1"));
    }
    for (value, name) in [(x, "x"), (y, "y"), (w, "w"), (h, "h")] {
        if value.abs() > FARTHEST {
            return Err(format!("{name} is {value}, expected pixels"));
        }
    }
    if w < 0.0 || h < 0.0 {
        return Err(format!("the box measures {w} by {h}, expected a width and height of 0 or more"));
    }
    let bbox = BBox::from_xywh(x as f32, y as f32, w as f32, h as f32);
    Ok((frame as u32, Detection { class: Class::PERSON, score: conf as f32, bbox }))
}

fn shorten(field: &str) -> String {
    field.trim().chars().take(20).collect()
}

/// Appends a line for everybody seen in this frame: tentative and lost tracks are no result.
pub fn write(frame: u32, tracks: &[Track], out: &mut String) {
    for t in tracks.iter().filter(|t| t.state == TrackState::Confirmed) {
        let (b, id, score) = (t.bbox, t.id, t.score);
        writeln!(out, "{frame},{id},{:.2},{:.2},{:.2},{:.2},{score:.3},-1,-1,-1", b.x1, b.y1, b.width(), b.height())
            .expect("a string takes everything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(text: &str) -> String {
        match read(text) {
            Ok(frames) => frames
                .iter()
                .map(|(frame, found)| {
                    let boxes: Vec<String> =
                        found.iter().map(|d| format!("{:?} {:.2}", d.bbox.to_array(), d.score)).collect();
                    format!("{frame}: {}", boxes.join(" | "))
                })
                .collect::<Vec<_>>()
                .join("\n"),
            Err(what) => what,
        }
    }

    #[test]
    fn what_is_read() {
        for (story, text, expected) in [
            ("nothing", "", ""),
            ("the usual", "1,-1,10,20,5,6,0.9,-1,-1,-1\n", "1: [10.0, 20.0, 15.0, 26.0] 0.90"),
            ("no conf", "2,-1,1,1,1,1", "2: [1.0, 1.0, 2.0, 2.0] 1.00"),
            (
                "from Windows",
                "\u{feff}1,-1,0,0,1,1,.5\r\n\r\n1,-1,0,0,2,2,.25\r\n",
                "1: [0.0, 0.0, 1.0, 1.0] 0.50 | [0.0, 0.0, 2.0, 2.0] 0.25",
            ),
            ("blanks, as numpy writes", "1.000e+00 -1 0 0 1 1 1.000e+00", "1: [0.0, 0.0, 1.0, 1.0] 1.00"),
            (
                "out of order",
                "3,-1,0,0,1,1,1\n1,-1,0,0,1,1,1",
                "1: [0.0, 0.0, 1.0, 1.0] 1.00\n3: [0.0, 0.0, 1.0, 1.0] 1.00",
            ),
            (
                "percent",
                "1,-1,0,0,1,1,20\n2,-1,0,0,1,1,60\n3,-1,0,0,1,1,100",
                "1: [0.0, 0.0, 1.0, 1.0] 0.00\n2: [0.0, 0.0, 1.0, 1.0] 0.50\n3: [0.0, 0.0, 1.0, 1.0] 1.00",
            ),
            ("conf unknown", "1,-1,0,0,1,1,-1", "1: [0.0, 0.0, 1.0, 1.0] 1.00"),
        ] {
            assert_eq!(told(text), expected, "{story}");
        }
    }

    #[test]
    fn what_is_refused() {
        for (text, expected) in [
            ("1,-1,0,0,1,1,1\n1,-1,0,0", "line 2: 4 fields, expected frame,id,x,y,w,h,conf"),
            ("1,-1,0,zero,1,1,1", "line 1: y is \"zero\", expected a number"),
            ("1,-1,0,0,nan,1,1", "line 1: w is \"nan\", expected a number"),
            ("0,-1,0,0,1,1,1", "line 1: frame is 0, expected a whole number from 1"),
            ("1.5,-1,0,0,1,1,1", "line 1: frame is 1.5, expected a whole number from 1"),
            ("1,-1,0,0,-1,1,1", "line 1: the box measures -1 by 1, expected a width and height of 0 or more"),
            ("1,-1,1e30,0,1,1,1", "line 1: x is 1000000000000000000000000000000, expected pixels"),
            ("{\"detections\":[]}", "line 1: 1 fields, expected frame,id,x,y,w,h,conf"),
        ] {
            assert_eq!(told(text), expected);
        }
        let crowd = "7,-1,0,0,1,1,1\n".repeat(MAX_BOXES);
        assert!(read(&crowd).is_ok());
        let crowd = format!("{crowd}8,-1,0,0,1,1,1\n7,-1,0,0,1,1,1\n");
        assert_eq!(told(&crowd), "line 2002: one box too many in frame 7, expected at most 2000");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[0-9,. e\\-\n]{0,80}|\\PC{0,40}") {
            let _ = read(&text);
        }
    }
}
