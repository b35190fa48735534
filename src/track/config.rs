//! What a user may set about following, and the two sets of fixed choices below it.

use super::kalman::{Motion, Shape};
use crate::problems::Problems;

/// `[tracker]`: how detections become tracks. The defaults suit people and vehicles at 5 to 30 frames a second.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrackConfig {
    /// A detection of at least this score may start a track.
    pub new_score: f32,
    /// Detections of at least this score are associated first.
    pub high_score: f32,
    /// Detections down to this score continue a track that was seen in the frame before, but never start or
    /// find one again: half hidden people score low, and so does the wallpaper.
    pub low_score: f32,
    /// A track counts once it has been detected for this long, without a gap and at least twice.
    pub confirm_s: f64,
    /// A track nobody has seen for longer than this is over; who comes back later is somebody new.
    pub max_lost_s: f64,
    #[serde(skip)]
    pub(super) method: Method,
}

impl Default for TrackConfig {
    fn default() -> Self {
        TrackConfig {
            new_score: 0.6,
            high_score: 0.5,
            low_score: 0.1,
            confirm_s: 0.06,
            max_lost_s: 1.5,
            method: Method::WATCHPOST,
        }
    }
}

impl TrackConfig {
    /// ByteTrack as its C++ port does it, with the usual parameters (track .5, high .6, match .8, buffer 30 frames at
    /// 30 fps), for boxes in pixels: what we came from, kept because a recording of it tells us that the parts are
    /// right.
    pub fn bytetrack() -> Self {
        TrackConfig {
            new_score: 0.6,
            high_score: 0.5,
            low_score: 0.0,
            confirm_s: 0.0,
            // The original looks once more after its thirty frames have run out: 31/30 s and some rounding.
            max_lost_s: 1.04,
            method: Method::BYTETRACK,
        }
    }

    /// Reports what the types cannot say; `at` is the dotted path of this table.
    pub fn check(&self, at: &str, problems: &mut Problems) {
        for (key, score) in
            [("new_score", self.new_score), ("high_score", self.high_score), ("low_score", self.low_score)]
        {
            let ok = (0.0..=1.0).contains(&score);
            problems.expect(ok, format!("{at}.{key}"), format!("{score} is no score, expected 0 to 1"));
        }
        problems.expect(
            self.low_score <= self.high_score && self.high_score <= self.new_score,
            format!("{at}.high_score"),
            format!(
                "{} is out of order, expected low_score <= high_score <= new_score ({} and {})",
                self.high_score, self.low_score, self.new_score
            ),
        );
        for (key, seconds, most) in [("confirm_s", self.confirm_s, 10.0), ("max_lost_s", self.max_lost_s, 60.0)] {
            let ok = (0.0..=most).contains(&seconds);
            problems.expect(
                ok,
                format!("{at}.{key}"),
                format!("{seconds} is out of range, expected 0 to {most} seconds"),
            );
        }
    }
}

/// Choices that are not the user's: they were settled by measuring (see the table in the module's page).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Method {
    pub motion: Motion,
    /// Whether a tentative track is predicted like any other. The original leaves it where it was.
    pub predict_tentative: bool,
    /// Whether detections are compared with where a track should be by now, or with where it was last seen.
    pub compare_predicted: bool,
    /// Whether predictions are shifted along with a camera that moves.
    pub follow_camera: bool,
    /// Boxes are compared after they were buffered on each side by this part of their size per second since
    /// the track was seen, but not by more than `buffer_most`: the longer ago, the less sure the prediction.
    pub buffer_per_s: f64,
    pub buffer_most: f64,
    /// Added to the right and lower edge of compared boxes: the original counts pixels, both ends included.
    pub edge: f32,
    /// Costs at which pairs part: first stage, second stage (low scores), tentative tracks.
    pub limits: [f64; 3],
    /// Whether a track that lies on top of a lost one is the same, so that the younger of the two ends.
    pub drop_duplicates: bool,
}

impl Method {
    pub const WATCHPOST: Method = Method {
        // Half the process noise of the original: with the camera's share taken out, people move evenly.
        motion: Motion { shape: Shape::WidthHeight, place: 1.0 / 40.0, speed: 1.0 / 320.0 },
        predict_tentative: true,
        compare_predicted: true,
        follow_camera: true,
        buffer_per_s: 0.5,
        buffer_most: 0.3,
        edge: 0.0,
        limits: [0.8, 0.5, 0.8],
        drop_duplicates: false,
    };
    pub const BYTETRACK: Method = Method {
        motion: Motion { shape: Shape::AspectHeight, place: 1.0 / 20.0, speed: 1.0 / 160.0 },
        predict_tentative: false,
        compare_predicted: false,
        follow_camera: false,
        buffer_per_s: 0.0,
        buffer_most: 0.0,
        edge: 1.0,
        limits: [0.8, 0.5, 0.7],
        drop_duplicates: true,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(toml: &str) -> Vec<String> {
        let config: TrackConfig = toml::from_str(toml).unwrap();
        let mut problems = Problems::default();
        config.check("tracker", &mut problems);
        problems.into_sorted().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        assert_eq!(problems(""), [""; 0], "the defaults are fine");
        assert_eq!(problems("max_lost_s = 3.0\nnew_score = 0.7"), [""; 0]);
        expect_test::expect![[r#"
            [
                "tracker.confirm_s: -1 is out of range, expected 0 to 10 seconds",
                "tracker.high_score: 0.5 is out of order, expected low_score <= high_score <= new_score (0.1 and 0.4)",
                "tracker.max_lost_s: inf is out of range, expected 0 to 60 seconds",
            ]
        "#]]
        .assert_debug_eq(&problems("new_score = 0.4\nconfirm_s = -1.0\nmax_lost_s = inf"));
        expect_test::expect![[r#"
            [
                "tracker.high_score: NaN is no score, expected 0 to 1",
                "tracker.high_score: NaN is out of order, expected low_score <= high_score <= new_score (0.1 and 0.6)",
            ]
        "#]]
        .assert_debug_eq(&problems("high_score = nan"));
    }

    #[test]
    fn misspelt_keys_are_refused() {
        assert!(toml::from_str::<TrackConfig>("max_lost = 3.0").is_err());
    }
}
