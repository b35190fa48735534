//! The shop: a floor in metres, and one camera under the ceiling that sees it in perspective.
//!
//! ```text
//!    y                        street behind the window: bay
//!    9  +-------------------------------------+
//!       | spirits              |  badge > stockroom
//!    7  |              wines                  |
//!       | emergency                           |
//!    5  |    snacks                           |
//!       |                                     |
//!    3  |             queue     till  counter |
//!       |   ---gate---                        |
//!    0  +---entrance--------------exit--------+   camera here, looking up the page
//!          3      4      5    6    7    8    9  x
//! ```

use std::fmt::Write;
use watchpost::config;
use watchpost::geometry::{BBox, Point};
use watchpost::pipeline::CameraPlan;

pub const ASPECT: f64 = 16.0 / 9.0;
const CAMERA: [f64; 3] = [6.0, -3.0, 3.5];
/// Sine and cosine of 30 degrees: how steeply it looks down.
const DOWN: [f64; 2] = [0.5, 0.866_025_403_784];
/// Frame heights at a distance of one: 55 degrees from top to bottom.
const FOCAL: f64 = 0.96;

/// Where a point is in the picture, in fractions: `x` to the right, `y` away from the camera, `z` above the floor.
pub fn seen(x: f64, y: f64, z: f64) -> Point {
    let (dx, dy, dz) = (x - CAMERA[0], y - CAMERA[1], z - CAMERA[2]);
    let ahead = dy * DOWN[1] - dz * DOWN[0];
    let above = dy * DOWN[0] + dz * DOWN[1];
    Point::new((0.5 + FOCAL * dx / ahead / ASPECT) as f32, (0.5 - FOCAL * above / ahead) as f32)
}

/// Of something so high and wide that stands there, cut by the edge of the picture; `None` where nothing is left of it.
pub fn box_of(x: f64, y: f64, height: f64, width: f64) -> Option<BBox> {
    let (foot, head) = (seen(x, y, 0.0), seen(x, y, height));
    let (left, right) = (seen(x - width / 2.0, y, height / 2.0), seen(x + width / 2.0, y, height / 2.0));
    let whole = BBox::new(left.x, head.y, right.x, foot.y);
    let cut = whole.clamped();
    (cut.area() > 0.3 * whole.area()).then_some(cut)
}

/// Name, kind, and the corners of a rectangle on the floor.
const ZONES: [(&str, &str, [f64; 4]); 10] = [
    ("entrance", "entrance", [3.0, 0.0, 4.8, 1.5]),
    ("exit", "exit", [7.2, 0.0, 9.0, 2.2]),
    ("snacks", "shelf", [3.0, 4.0, 5.0, 5.5]),
    ("wines", "shelf", [6.5, 6.0, 8.5, 7.5]),
    ("spirits", "shelf", [2.5, 7.0, 4.5, 8.5]),
    ("till", "till", [7.2, 2.5, 8.8, 3.8]),
    ("queue", "queue", [4.4, 2.5, 7.0, 3.8]),
    ("counter", "other", [9.2, 2.5, 10.2, 3.8]),
    ("stockroom", "restricted", [8.9, 7.8, 10.4, 9.2]),
    ("emergency", "other", [2.2, 5.6, 3.4, 6.8]),
];
const BAY: [f64; 4] = [2.0, 9.8, 10.0, 11.4];

const RULES: &str = r#"
[camera.shop.rule.unpaid]
kind = "exit_without_checkout"
[camera.shop.rule.journey]
kind = "journey"
journey = "entrance -> shelf(dwell > 20s) -> !checkout(dwell > 2s) -> exit within 10m"
[camera.shop.rule.again]
kind = "repeat_approach"
zone = "wines"
[camera.shop.rule.group]
kind = "group_split"
far_heights = 1.5
apart_s = 12.0
[camera.shop.rule.queue]
kind = "queue_too_long"
zone = "queue"
more_than = 3
for_s = 10.0
[camera.shop.rule.run]
kind = "running"
[camera.shop.rule.back]
kind = "wrong_way"
line = "gate"
allowed = "in"
[camera.shop.rule.slip]
kind = "tailgating"
line = "badge"
[camera.shop.rule.van]
kind = "stopped_vehicle"
zone = "bay"
min_stop_s = 30.0
[camera.shop.rule.blocked]
kind = "object_in_zone"
zone = "emergency"
for_s = 20.0
[camera.shop.rule.counter]
kind = "unattended"
zone = "counter"
for_s = 30.0
[camera.shop.rule.linger]
kind = "loitering"
zone = "spirits"
min_dwell_s = 45.0
[camera.shop.rule.keep-out]
kind = "restricted_zone"
zone = "stockroom"
"#;

/// Its camera with every rule, from a file as a user writes it.
pub fn plan() -> CameraPlan {
    let mut text = String::from(
        "schema = 1\n[device]\nid = \"simulated\"\n[camera.shop]\nsource = { kind = \"file\", path = \"none.mp4\" }\n",
    );
    let corner = |x, y| {
        let at = seen(x, y, 0.0);
        format!("[{:.4}, {:.4}]", at.x.clamp(0.0, 1.0), at.y.clamp(0.0, 1.0))
    };
    for (name, kind, [x1, y1, x2, y2]) in ZONES.into_iter().chain([("bay", "other", BAY)]) {
        let corners = [corner(x1, y1), corner(x2, y1), corner(x2, y2), corner(x1, y2)].join(", ");
        writeln!(text, "[camera.shop.zone.{name}]\nkind = \"{kind}\"\npolygon = [{corners}]").unwrap();
    }
    // Drawn from right to left: upwards in the picture is in. The other one leads up, so to the right is in.
    for (name, [x1, y1, x2, y2]) in [("gate", [5.2, 1.8, 2.4, 1.8]), ("badge", [8.7, 7.4, 8.7, 9.6])] {
        let points = [corner(x1, y1), corner(x2, y2)].join(", ");
        writeln!(text, "[camera.shop.line.{name}]\npoints = [{points}]").unwrap();
    }
    text += RULES;
    config::parse(&text).unwrap_or_else(|error| panic!("{error:#}")).camera_plan(None).expect("one camera")
}
