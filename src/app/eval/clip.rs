//! Poses of the people in a film, as text: one person in one frame a line, `frame,person`, then `x,y,confidence` of
//! COCO's 17 joints; frames from 0, pixels, confidences 0..100 and 0 where a joint was not found.
//!
//! Absent: the size of the frame and times, which these files do not tell. Joints stay in pixels, with an aspect of 1.

use crate::bad_input;
use crate::clue::{Joint, JointSight, Pose};
use crate::geometry::{BBox, Point};
use anyhow::Result;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// An hour at 30 frames a second, and more than any clip; a score is written for each.
const LAST_FRAME: u32 = 120_000;
/// Unpacked. Nobody's clip is larger, but what packs zeros may claim anything.
const MOST_BYTES: u64 = 256 << 20;
/// Pixels; further out a joint is a slip of the pen.
const FARTHEST: f32 = 1e5;
const FIELDS: usize = 2 + 3 * Joint::COUNT;

/// The poses of each person, by frame.
#[derive(Debug, Default, PartialEq)]
pub struct Clip {
    pub people: BTreeMap<u64, BTreeMap<u32, Pose>>,
}

impl Clip {
    /// One more than the last frame in which somebody is.
    pub fn frames(&self) -> u32 {
        self.people.values().filter_map(|person| person.keys().next_back()).max().map_or(0, |last| last + 1)
    }
}

/// Clips of a folder with their names, in the order of these: `NAME.csv.gz` and `NAME.csv`.
pub fn find(dir: &Path) -> Result<Vec<(String, PathBuf)>> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        bad_input!("{} is no folder that can be read, expected one with clips (NAME.csv.gz)", dir.display());
    };
    let mut clips: Vec<(String, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let file = entry.file_name().into_string().ok()?;
            let name = file.strip_suffix(".csv.gz").or_else(|| file.strip_suffix(".csv"))?;
            Some((name.to_owned(), entry.path()))
        })
        .collect();
    clips.sort();
    if clips.is_empty() {
        bad_input!("there are no clips in {}, expected files named NAME.csv.gz or NAME.csv", dir.display());
    }
    if let Some(twice) = clips.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        bad_input!("{} is there twice, as .csv and as .csv.gz, expected one of them", twice[0].1.display());
    }
    Ok(clips)
}

pub fn read(path: &Path) -> Result<Clip> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) => bad_input!("cannot read the clip {}: {error}", path.display()),
    };
    let mut text = String::new();
    let packed = path.extension().is_some_and(|kind| kind == "gz");
    let read = if packed {
        flate2::read::MultiGzDecoder::new(file).take(MOST_BYTES).read_to_string(&mut text)
    } else {
        file.take(MOST_BYTES).read_to_string(&mut text)
    };
    match read {
        Ok(bytes) if bytes as u64 >= MOST_BYTES => {
            bad_input!("{} holds more than {} MB of text, expected one clip", path.display(), MOST_BYTES >> 20)
        }
        Ok(_) => {}
        Err(error) if packed && error.kind() != ErrorKind::InvalidData => {
            bad_input!("cannot unpack the clip {}: {error}, expected gzip", path.display())
        }
        Err(_) => bad_input!("{} is no text, expected frame,person and x,y,confidence of 17 joints", path.display()),
    }
    match parse(&text) {
        Ok(clip) => Ok(clip),
        Err(what) => bad_input!("{}, {what}", path.display()),
    }
}

/// The error names the line and what was expected there.
fn parse(text: &str) -> Result<Clip, String> {
    let mut clip = Clip::default();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let at_line = |what: String| format!("line {}: {what}", number + 1);
        let (frame, person, pose) = parse_line(line).map_err(at_line)?;
        if clip.people.entry(person).or_default().insert(frame, pose).is_some() {
            return Err(at_line(format!("person {person} is in frame {frame} twice, expected once")));
        }
    }
    Ok(clip)
}

fn parse_line(line: &str) -> Result<(u32, u64, Pose), String> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    if fields.len() != FIELDS {
        return Err(format!(
            "{} fields, expected {FIELDS}: frame,person and x,y,confidence of 17 joints",
            fields.len()
        ));
    }
    let shorten = |field: &str| field.chars().take(20).collect::<String>();
    let frame = fields[0].parse().ok().filter(|frame| *frame <= LAST_FRAME);
    let frame = frame
        .ok_or_else(|| format!("frame is {:?}, expected a whole number from 0 to {LAST_FRAME}", shorten(fields[0])))?;
    let person = fields[1].parse();
    let person = person.map_err(|_| format!("person is {:?}, expected a whole number", shorten(fields[1])))?;
    let mut joints = [JointSight { at: Point::new(0.0, 0.0), score: 0.0 }; Joint::COUNT];
    for (n, (joint, fields)) in joints.iter_mut().zip(fields[2..].chunks_exact(3)).enumerate() {
        let number = |field: &str, what: &str, range: std::ops::RangeInclusive<f32>| {
            let number = field.parse::<f32>().ok().filter(|number| range.contains(number));
            let (least, most) = (range.start(), range.end());
            number.ok_or_else(|| {
                let field = shorten(field);
                format!("{what} of joint {} is {field:?}, expected a number from {least} to {most}", n + 1)
            })
        };
        let at =
            Point::new(number(fields[0], "x", -FARTHEST..=FARTHEST)?, number(fields[1], "y", -FARTHEST..=FARTHEST)?);
        *joint = JointSight { at, score: number(fields[2], "confidence", 0.0..=100.0)? / 100.0 };
    }
    Ok((frame, person, Pose { bbox: around(&joints), joints }))
}

/// The least box with all joints that were found; empty without.
fn around(joints: &[JointSight]) -> BBox {
    let found = || joints.iter().filter(|joint| joint.score > 0.0).map(|joint| joint.at);
    if found().next().is_none() {
        return BBox::new(0.0, 0.0, 0.0, 0.0);
    }
    let least = |of: fn(Point) -> f32| found().map(of).fold(f32::INFINITY, f32::min);
    let most = |of: fn(Point) -> f32| found().map(of).fold(f32::NEG_INFINITY, f32::max);
    BBox::new(least(|p| p.x), least(|p| p.y), most(|p| p.x), most(|p| p.y))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(frame: &str, person: &str, third: &str) -> String {
        let joints: Vec<String> = (0..16).map(|n| format!("{},{},50", 10 * n, 20 * n)).collect();
        format!("{frame},{person},{third},{}\n", joints.join(","))
    }

    #[test]
    fn what_is_read() {
        let text = line("3", "7", "0,0,0") + "\n" + &line("1", "7", "5,6,100") + &line("3", "8", "1,1,1");
        let clip = parse(&text).unwrap();
        assert_eq!(clip.frames(), 4);
        let people: Vec<_> = clip.people.iter().map(|(who, poses)| (*who, poses.keys().copied().collect())).collect();
        assert_eq!(people, [(7, vec![1, 3]), (8, vec![3])]);
        let pose = &clip.people[&7][&1];
        assert_eq!(pose.joint(Joint::Nose), JointSight { at: Point::new(5.0, 6.0), score: 1.0 });
        assert_eq!(pose.joint(Joint::RightAnkle).at, Point::new(150.0, 300.0));
        assert_eq!(clip.people[&7][&3].bbox.to_array(), [0.0, 0.0, 150.0, 300.0]);
        assert_eq!(parse("").unwrap().frames(), 0);
    }

    #[test]
    fn what_is_refused_and_where() {
        for (text, expected) in [
            ("1,2,3\n".into(), "line 1: 3 fields, expected 53: frame,person and x,y,confidence of 17 joints"),
            (line("-1", "1", "0,0,0"), "line 1: frame is \"-1\", expected a whole number from 0 to 120000"),
            (line("9999999", "1", "0,0,0"), "line 1: frame is \"9999999\", expected a whole number from 0 to 120000"),
            (line("1", "me", "0,0,0"), "line 1: person is \"me\", expected a whole number"),
            (
                line("1", "1", "0,0,0") + &line("2", "1", "0,NaN,0"),
                "line 2: y of joint 1 is \"NaN\", expected a number from -100000 to 100000",
            ),
            (line("1", "1", "0,0,101"), "line 1: confidence of joint 1 is \"101\", expected a number from 0 to 100"),
            (line("1", "1", "0,0,0") + &line("1", "1", "0,0,0"), "line 2: person 1 is in frame 1 twice, expected once"),
        ] {
            assert_eq!(parse(&text).unwrap_err(), expected);
        }
    }
}
