//! What else was seen in a frame, beside the boxes: by eyes that look only where the scene asks them to.
//!
//! Clues travel with the [`Detections`](crate::detection::Detections) of their frame, so that what is recorded holds
//! them and can be played again. A frame without clues is the rule.

pub mod wire;

use crate::detection::settled_score;
use crate::geometry::{BBox, Point, from_grid, to_grid};
use crate::ids::ZoneId;
use crate::time::Span;

/// Everything of one frame. Empty where nobody looked, which is not the same as nothing to see.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Clues {
    pub poses: Vec<Pose>,
    /// What has become certain of the goods in zones that are watched for them.
    pub shelves: Vec<ShelfSight>,
}

impl Clues {
    /// As they are recorded: places in steps of [`crate::geometry::GRID`], scores as [`settled_score`] has them.
    pub fn settled(&self) -> Clues {
        // Whoever adds a kind of clue adds it to `tape` as well, or a recording would lack it.
        let Clues { poses, shelves } = self;
        Clues {
            poses: poses.iter().map(Pose::settled).collect(),
            shelves: shelves.iter().map(ShelfSight::settled).collect(),
        }
    }

    pub fn is_empty(&self) -> bool {
        let Clues { poses, shelves } = self;
        poses.is_empty() && shelves.is_empty()
    }
}

/// How one person stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Pose {
    /// The detection that was looked at; fractions of the frame.
    pub bbox: BBox,
    /// By [`Joint`].
    pub joints: [JointSight; Joint::COUNT],
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JointSight {
    /// Fractions of the frame.
    pub at: Point,
    /// 0..1, how sure.
    pub score: f32,
}

/// In the order of COCO's key points. Left is the person's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joint {
    Nose,
    LeftEye,
    RightEye,
    LeftEar,
    RightEar,
    LeftShoulder,
    RightShoulder,
    LeftElbow,
    RightElbow,
    LeftWrist,
    RightWrist,
    LeftHip,
    RightHip,
    LeftKnee,
    RightKnee,
    LeftAnkle,
    RightAnkle,
}

impl Joint {
    pub const COUNT: usize = 17;
}

fn on_grid(v: f32) -> f32 {
    from_grid(to_grid(v))
}

fn box_on_grid(BBox { x1, y1, x2, y2 }: BBox) -> BBox {
    BBox::new(on_grid(x1), on_grid(y1), on_grid(x2), on_grid(y2))
}

impl ShelfSight {
    fn settled(&self) -> ShelfSight {
        ShelfSight { bbox: box_on_grid(self.bbox), ..self.clone() }
    }
}

impl Pose {
    fn settled(&self) -> Pose {
        let joint = |joint: JointSight| JointSight {
            at: Point::new(on_grid(joint.at.x), on_grid(joint.at.y)),
            score: settled_score(joint.score),
        };
        Pose { bbox: box_on_grid(self.bbox), joints: self.joints.map(joint) }
    }

    pub fn joint(&self, joint: Joint) -> JointSight {
        self.joints[joint as usize]
    }

    pub fn is_finite(&self) -> bool {
        let joint = |joint: &JointSight| joint.at.x.is_finite() && joint.at.y.is_finite() && joint.score.is_finite();
        self.bbox.is_finite() && self.joints.iter().all(joint)
    }

    /// 0..1, how sure all of it is: the mean of its joints.
    pub fn score(&self) -> f32 {
        self.joints.iter().map(|joint| joint.score).sum::<f32>() / Joint::COUNT as f32
    }
}

/// Something about the goods in one zone, told once, when it has become certain.
///
/// Times are lengths before the frame, not moments: a recording that is played again has another film time.
#[derive(Debug, Clone, PartialEq)]
pub struct ShelfSight {
    pub zone: ZoneId,
    pub what: ShelfChange,
    /// How much of the zone, in cells, of so many cells in all.
    pub cells: u32,
    pub of: u32,
    /// Where, fractions of the frame.
    pub bbox: BBox,
    /// For how long it has been there to be seen; of a touch, how long ago it ended.
    pub shown: Span,
    /// For how long before that the place could not be seen: it happened in that time. Of a touch, how long it took.
    pub hidden: Span,
}

/// What has become of a place on a shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShelfChange {
    /// Something reached in and left again, whatever it did there.
    Touched,
    /// Something that was there is not there any more.
    Gone,
    /// Something is there that was not.
    There,
    /// It looks different, and nothing tells which of the two looks is the empty one.
    Altered,
}

impl ShelfChange {
    pub const ALL: [ShelfChange; 4] =
        [ShelfChange::Touched, ShelfChange::Gone, ShelfChange::There, ShelfChange::Altered];

    /// As track logs spell it.
    pub fn name(self) -> &'static str {
        match self {
            ShelfChange::Touched => "touched",
            ShelfChange::Gone => "gone",
            ShelfChange::There => "there",
            ShelfChange::Altered => "altered",
        }
    }
}
