//! `tracks.jsonl`: what the rules saw, a line a frame. Numbers come back to the last bit, and with them the verdict.
//!
//! ```text
//! {"us":33366,"taken_us":1764000000000000,"aspect":1.7777778,"tracks":[{"id":17,"class":"person","score":0.82,
//!  "box":[0.1,0.2,0.3,0.9],"born_us":0,"seen_us":33366,"state":"confirmed"}]}
//! ```

use super::past::Sighting;
use crate::clue::wire::{Figure, Shelf};
use crate::clue::{Clues, Pose};
use crate::detection::Class;
use crate::geometry::BBox;
use crate::ids::TrackId;
use crate::pipeline::Moment;
use crate::time::{MediaTime, WallTime};
use crate::track::{MAX_BOXES, Track, TrackState};
use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Class names are never freed, so a file must not bring as many as it likes.
const MAX_CLASSES: usize = 1000;

#[derive(Serialize, Deserialize)]
struct Line<'a> {
    us: i64,
    taken_us: i64,
    aspect: f32,
    #[serde(borrow)]
    tracks: Vec<Item<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    shelves: Vec<Shelf<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    poses: Vec<Figure>,
}

#[derive(Serialize, Deserialize)]
struct Item<'a> {
    id: u64,
    #[serde(borrow)]
    class: Cow<'a, str>,
    score: f32,
    #[serde(rename = "box")]
    bbox: [f32; 4],
    born_us: i64,
    seen_us: i64,
    state: State,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Tentative,
    Confirmed,
    Lost,
}

/// # Errors
/// A number that JSON cannot spell: there is none in tracks of sound detections.
pub fn to_lines(sightings: &[Sighting]) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    for seen in sightings {
        let item = |track: &Track| Item {
            id: track.id.0,
            class: track.class.name().into(),
            score: track.score,
            bbox: track.bbox.to_array(),
            born_us: track.born.micros(),
            seen_us: track.seen.micros(),
            state: match track.state {
                TrackState::Tentative => State::Tentative,
                TrackState::Confirmed => State::Confirmed,
                TrackState::Lost => State::Lost,
            },
        };
        let line = Line {
            us: seen.moment.at.micros(),
            taken_us: seen.moment.taken.micros(),
            aspect: seen.moment.aspect,
            tracks: seen.tracks.iter().map(item).collect(),
            shelves: seen.clues.shelves.iter().map(Shelf::of).collect(),
            poses: seen.clues.poses.iter().map(Figure::from).collect(),
        };
        serde_json::to_writer(&mut text, &line)?;
        text.push(b'\n');
    }
    Ok(text)
}

/// # Errors
/// A line that is none of ours, named by its number.
pub fn from_lines(text: &[u8]) -> Result<Vec<Sighting>> {
    let mut classes = BTreeSet::new();
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate();
    lines
        .map(|(n, line)| {
            let line: Line<'_> =
                serde_json::from_slice(line).with_context(|| format!("{}:{} is no frame", super::TRACKS, n + 1))?;
            if line.tracks.len() > MAX_BOXES {
                bail!("{}:{} has {} tracks, expected at most {MAX_BOXES}", super::TRACKS, n + 1, line.tracks.len());
            }
            for item in &line.tracks {
                if !classes.contains(&*item.class) {
                    classes.insert(item.class.to_string());
                }
                if classes.len() > MAX_CLASSES {
                    bail!(
                        "{}:{} names class number {}, expected at most {MAX_CLASSES}",
                        super::TRACKS,
                        n + 1,
                        classes.len()
                    );
                }
            }
            let track = |item: Item<'_>| Track {
                id: TrackId(item.id),
                class: Class::named(&item.class),
                score: item.score,
                bbox: BBox::new(item.bbox[0], item.bbox[1], item.bbox[2], item.bbox[3]),
                born: MediaTime::from_micros(item.born_us),
                seen: MediaTime::from_micros(item.seen_us),
                state: match item.state {
                    State::Tentative => TrackState::Tentative,
                    State::Confirmed => TrackState::Confirmed,
                    State::Lost => TrackState::Lost,
                },
            };
            let moment = Moment {
                at: MediaTime::from_micros(line.us),
                taken: WallTime::from_micros(line.taken_us),
                aspect: line.aspect,
            };
            let shelf = |shelf: Shelf<'_>| shelf.sight().map_err(|what| anyhow!("{}:{}: {what}", super::TRACKS, n + 1));
            let clues = Clues {
                poses: line.poses.into_iter().map(Pose::from).collect(),
                shelves: line.shelves.into_iter().map(shelf).collect::<Result<_>>()?,
            };
            Ok(Sighting { moment, tracks: line.tracks.into_iter().map(track).collect(), clues })
        })
        .collect()
}
