//! Whose pose it is: a pose was seen in the box of a detection, and a track is where its newest detection was.

use crate::clue::Pose;
use crate::detection::Class;
use crate::ids::TrackId;
use crate::track::{Track, TrackState};
use std::collections::BTreeMap;

/// Overlap (intersection over union) of a pose's box and the track's: the track's is smoothed.
const SAME: f32 = 0.3;

/// The poses of one frame by the tracks of the same frame; each pose is one track's at the most, and each track has one
/// pose at the most. What overlaps more goes first.
pub fn tied(poses: &[Pose], tracks: &[Track]) -> BTreeMap<TrackId, Pose> {
    let people = tracks.iter().filter(|track| track.class == Class::PERSON && track.state != TrackState::Lost);
    let mut pairs: Vec<(f32, TrackId, usize)> = people
        .flat_map(|track| poses.iter().enumerate().map(|(i, pose)| (pose.bbox.iou(&track.bbox), track.id, i)))
        .filter(|(overlap, ..)| *overlap >= SAME)
        .collect();
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    let mut taken = vec![false; poses.len()];
    let mut tied = BTreeMap::new();
    for (_, id, i) in pairs {
        if !taken[i] && !tied.contains_key(&id) {
            taken[i] = true;
            tied.insert(id, poses[i].clone());
        }
    }
    tied
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clue::{Joint, JointSight};
    use crate::geometry::{BBox, Point};
    use crate::time::MediaTime;

    fn pose(x: f32) -> Pose {
        let joints = [JointSight { at: Point::new(x, 0.5), score: 0.5 }; Joint::COUNT];
        Pose { bbox: BBox::from_xywh(x, 0.2, 0.1, 0.5), joints }
    }

    fn track(id: u64, class: &str, x: f32, state: TrackState) -> Track {
        let (bbox, at) = (BBox::from_xywh(x, 0.2, 0.1, 0.5), MediaTime::ZERO);
        Track { id: TrackId(id), class: Class::named(class), score: 0.9, bbox, born: at, seen: at, state }
    }

    #[test]
    fn a_pose_goes_to_the_person_whose_box_it_was_seen_in() {
        let tracks = [
            track(1, "person", 0.10, TrackState::Confirmed),
            track(2, "person", 0.14, TrackState::Tentative),
            track(3, "person", 0.50, TrackState::Lost),
            track(4, "car", 0.70, TrackState::Confirmed),
            track(5, "person", 0.90, TrackState::Confirmed),
        ];
        let found = tied(&[pose(0.13), pose(0.11), pose(0.50), pose(0.70)], &tracks);
        let found: Vec<(u64, f32)> = found.iter().map(|(id, pose)| (id.0, pose.bbox.x1)).collect();
        assert_eq!(found, [(1, 0.11), (2, 0.13)]);
    }

    #[test]
    fn two_poses_never_share_a_track() {
        let found = tied(&[pose(0.12), pose(0.11)], &[track(1, "person", 0.10, TrackState::Confirmed)]);
        assert_eq!(found.values().map(|pose| pose.bbox.x1).collect::<Vec<_>>(), [0.11]);
    }
}
