//! The COCO results format: a list of `{"image_id", "category_id", "bbox": [x, y, w, h], "score"}`.

use crate::bad_input;
use crate::capture::Still;
use crate::detection::{Class, Detection};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The official numbers go to 90 with gaps; models count the same names from 0 without them.
#[rustfmt::skip]
const CATEGORIES: [(u16, &str); 80] = [
    (1, "person"), (2, "bicycle"), (3, "car"), (4, "motorcycle"), (5, "airplane"), (6, "bus"), (7, "train"), (8, "truck"),
    (9, "boat"), (10, "traffic light"), (11, "fire hydrant"), (13, "stop sign"), (14, "parking meter"), (15, "bench"),
    (16, "bird"), (17, "cat"), (18, "dog"), (19, "horse"), (20, "sheep"), (21, "cow"), (22, "elephant"), (23, "bear"),
    (24, "zebra"), (25, "giraffe"), (27, "backpack"), (28, "umbrella"), (31, "handbag"), (32, "tie"), (33, "suitcase"),
    (34, "frisbee"), (35, "skis"), (36, "snowboard"), (37, "sports ball"), (38, "kite"), (39, "baseball bat"),
    (40, "baseball glove"), (41, "skateboard"), (42, "surfboard"), (43, "tennis racket"), (44, "bottle"), (46, "wine glass"),
    (47, "cup"), (48, "fork"), (49, "knife"), (50, "spoon"), (51, "bowl"), (52, "banana"), (53, "apple"), (54, "sandwich"),
    (55, "orange"), (56, "broccoli"), (57, "carrot"), (58, "hot dog"), (59, "pizza"), (60, "donut"), (61, "cake"),
    (62, "chair"), (63, "couch"), (64, "potted plant"), (65, "bed"), (67, "dining table"), (70, "toilet"), (72, "tv"),
    (73, "laptop"), (74, "mouse"), (75, "remote"), (76, "keyboard"), (77, "cell phone"), (78, "microwave"), (79, "oven"),
    (80, "toaster"), (81, "sink"), (82, "refrigerator"), (84, "book"), (85, "clock"), (86, "vase"), (87, "scissors"),
    (88, "teddy bear"), (89, "hair drier"), (90, "toothbrush"),
];

#[derive(Serialize)]
struct Row {
    image_id: u64,
    category_id: u16,
    /// Left, top, width, height in pixels of the picture as it is stored: scorers compare with labels that
    /// were made on the file, and those know nothing of EXIF.
    bbox: [f64; 4],
    score: f64,
}

/// The rows of all pictures, one a line.
pub struct Results {
    categories: BTreeMap<Class, u16>,
    image_ids: Vec<u64>,
    rows: Vec<String>,
}

impl Results {
    /// Fails before any work is done where the results could not be told apart.
    pub fn new(images: &[PathBuf], model: &str, classes: &[Class]) -> anyhow::Result<Self> {
        let categories: BTreeMap<Class, u16> = CATEGORIES.map(|(id, name)| (Class::named(name), id)).into();
        if let Some(other) = classes.iter().find(|class| !categories.contains_key(class)) {
            bad_input!(
                "--coco: the model {model} finds \"{other}\", which is none of the 80 classes that have a COCO id"
            );
        }
        let image_ids: Vec<u64> = images.iter().enumerate().map(|(i, path)| image_id(path, i + 1)).collect();
        let mut owners = BTreeMap::new();
        for (path, id) in images.iter().zip(&image_ids) {
            if let Some(other) = owners.insert(*id, path) {
                bad_input!("--coco: {} and {} would both be image_id {id}", other.display(), path.display());
            }
        }
        Ok(Results { categories, image_ids, rows: Vec::new() })
    }

    /// `place` counts the pictures from 0.
    pub fn add(&mut self, place: usize, still: &Still, found: &[Detection]) -> anyhow::Result<()> {
        let size = [still.stored.0, still.stored.1].map(f64::from);
        for d in found {
            let Some(category_id) = self.categories.get(&d.class).copied() else { continue };
            let b = still.in_stored(d.bbox.clamped()).to_array().map(f64::from);
            let [x1, y1, x2, y2] = [b[0] * size[0], b[1] * size[1], b[2] * size[0], b[3] * size[1]];
            let bbox = [x1, y1, x2 - x1, y2 - y1].map(|v| rounded(v, 100.0));
            let score = rounded(d.score.into(), 1e5);
            let row = Row { image_id: self.image_ids[place], category_id, bbox, score };
            self.rows.push(serde_json::to_string(&row)?);
        }
        Ok(())
    }

    pub fn into_json(self) -> String {
        format!("[{}]\n", self.rows.join(",\n"))
    }
}

fn rounded(v: f64, steps: f64) -> f64 {
    (v * steps).round() / steps
}

/// The digits of the file's name as one number, else the picture's place on the command line.
fn image_id(path: &Path, place: usize) -> u64 {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
    let digits: String = stem.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(place as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_ids() {
        let check = |name: &str, id| assert_eq!(image_id(Path::new(name), 7), id, "{name}");
        check("images/000000000139.jpg", 139);
        check("2024/a.jpg", 7);
        check("frame12.png", 12);
        check("cam1_0042.jpg", 10_042);
        check("99999999999999999999999.jpg", 7);
    }

    #[test]
    fn two_pictures_never_share_an_id() {
        let check = |names: &[&str], ok| {
            let images: Vec<PathBuf> = names.iter().map(PathBuf::from).collect();
            assert_eq!(Results::new(&images, "m", &[Class::PERSON]).is_ok(), ok, "{names:?}");
        };
        check(&["a.jpg", "b.jpg", "17.jpg"], true);
        check(&["a/1.jpg", "b/1.jpg"], false);
        check(&["2.jpg", "b.jpg"], false);
        assert!(Results::new(&[], "plates", &[Class::named("plate")]).is_err());
    }

    #[test]
    fn numbers_rise_and_end_at_90() {
        assert!(CATEGORIES.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(CATEGORIES[79], (90, "toothbrush"));
    }
}
