//! The film with everything drawn on it that was counted.

use crate::capture::FilmWriter;
use crate::evidence::{LineMark, Mark, Overlay, ZoneMark, draw};
use crate::frame::Frame;
use crate::geometry::{Point, Polygon};
use crate::ids::{LineId, ZoneId};
use crate::pipeline::{CameraPlan, Pipeline};
use crate::report::Part;
use crate::track::TrackState;
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};

pub struct Annotated {
    path: PathBuf,
    zones: Vec<(ZoneId, Polygon)>,
    lines: Vec<(LineId, Vec<Point>)>,
    /// Begun with the first frame, whose size is the film's.
    film: Option<(Part, FilmWriter)>,
}

impl Annotated {
    pub fn new(path: &Path, plan: &CameraPlan) -> Self {
        let points = |points: &[[f32; 2]]| points.iter().map(|&[x, y]| Point::new(x, y)).collect::<Vec<_>>();
        let zones = plan.zones.iter().filter_map(|(id, zone)| Some((id.clone(), Polygon::new(points(&zone.polygon))?)));
        Annotated {
            path: path.into(),
            zones: zones.collect(),
            lines: plan.lines.iter().map(|(id, line)| (id.clone(), points(&line.points))).collect(),
            film: None,
        }
    }

    pub fn push(&mut self, frame: &Frame, pipeline: &Pipeline) -> Result<()> {
        let mut picture = frame.picture.to_rgb()?.as_ref().clone();
        draw(&mut picture, &self.overlay(pipeline));
        let (_, film) = match &mut self.film {
            Some(film) => film,
            none => none.insert(begin(&self.path, picture.dimensions())?),
        };
        film.push(frame.at, &picture).with_context(|| format!("cannot write {}", self.path.display()))
    }

    pub fn finish(self) -> Result<()> {
        let Some((part, film)) = self.film else { return Ok(()) };
        film.finish().with_context(|| format!("cannot write {}", self.path.display()))?;
        part.put()
    }

    fn overlay(&self, pipeline: &Pipeline) -> Overlay {
        let (stats, totals) = (pipeline.zones(), pipeline.lines());
        let zone = |(id, area): &(ZoneId, Polygon)| {
            let now = stats.get(id).map_or(0, |zone| zone.now);
            ZoneMark { area: area.clone(), label: format!("{id} {now}"), active: now > 0 }
        };
        let line = |(id, points): &(LineId, Vec<Point>)| {
            let (into, out) = totals.get(id).map_or((0, 0), |line| (line.into, line.out));
            LineMark { points: points.clone(), label: format!("{id} in {into} out {out}") }
        };
        let seen = pipeline.tracks().iter().filter(|track| track.state == TrackState::Confirmed);
        Overlay {
            zones: self.zones.iter().map(zone).collect(),
            lines: self.lines.iter().map(line).collect(),
            marks: seen
                .map(|track| Mark {
                    class: track.class,
                    bbox: track.bbox,
                    label: format!("{} {}", track.class, track.id),
                })
                .collect(),
            poses: pipeline.poses().values().cloned().collect(),
            counters: pipeline.objects().iter().map(|(class, totals)| (class.to_string(), totals.unique)).collect(),
        }
    }
}

fn begin(path: &Path, size: (u32, u32)) -> Result<(Part, FilmWriter)> {
    let part = Part::beside(path)?;
    let file = part.file.try_clone().with_context(|| format!("cannot write {}", path.display()))?;
    Ok((part, FilmWriter::new(file, size)?))
}
