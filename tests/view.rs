//! What a camera is allowed to see: turned, cut and masked pictures, judged pixel by pixel, and by the real binary.

mod cli;

use cli::Desk;
use proptest::prelude::*;
use std::sync::Arc;
use watchpost::capture::{View, ViewConfig};
use watchpost::frame::{Frame, Picture, Yuv420};
use watchpost::geometry::{Point, Polygon};
use watchpost::time::{MediaTime, WallTime};

/// Every pixel another one, as far as bytes go; none of them black.
fn planes(width: u32, height: u32) -> Yuv420 {
    let (cw, ch) = Yuv420::chroma_size(width, height);
    let fill = |n: u32, step: u32| (0..n).map(|i| 20 + (i * step % 199) as u8).collect::<Vec<u8>>();
    let (y, u, v) = (fill(width * height, 7), fill(cw * ch, 11), fill(cw * ch, 13));
    Yuv420 { width, height, y, u, v, full_range: true }
}

fn seen(config: ViewConfig, picture: Picture) -> Picture {
    let frame = Frame { index: 0, at: MediaTime::ZERO, taken: WallTime::EPOCH, picture };
    View::new(config).apply(frame).unwrap().picture
}

fn seen_planes(config: ViewConfig, yuv: Yuv420) -> Yuv420 {
    match seen(config, Picture::Yuv420(Arc::new(yuv))) {
        Picture::Yuv420(yuv) => (*yuv).clone(),
        other => panic!("planes became {other:?}"),
    }
}

fn turned(degrees: u16) -> ViewConfig {
    ViewConfig { rotate: Some(degrees), ..ViewConfig::default() }
}

fn polygon() -> impl Strategy<Value = Vec<[f32; 2]>> {
    prop::collection::vec([0.0f32..=1.0, 0.0f32..=1.0], 3..6)
}

proptest! {
    #[test]
    fn four_quarters_are_a_whole_turn(width in 1u32..40, height in 1u32..40) {
        let picture = planes(width, height);
        let mut now = picture.clone();
        for _ in 0..4 {
            now = seen_planes(turned(90), now);
            prop_assert!(now.is_consistent());
        }
        prop_assert_eq!(&now, &picture);
        prop_assert_eq!(seen_planes(turned(180), seen_planes(turned(180), picture.clone())), picture.clone());
        prop_assert_eq!(seen_planes(turned(90), seen_planes(turned(270), picture.clone())), picture);
    }

    #[test]
    fn planes_and_rgb_turn_the_same_way(width in 1u32..20, height in 1u32..20, quarter in 1u16..4) {
        // The same luma everywhere in a block of chroma, so that both are the same picture.
        let picture = Yuv420 { u: vec![128; 400], v: vec![128; 400], ..planes(width, height) };
        let (cw, ch) = Yuv420::chroma_size(width, height);
        let picture = Yuv420 { u: vec![128; (cw * ch) as usize], v: vec![128; (cw * ch) as usize], ..picture };
        let rgb = seen(turned(90 * quarter), Picture::Rgb(Arc::new(picture.to_rgb())));
        prop_assert_eq!(&*rgb.to_rgb().unwrap(), &seen_planes(turned(90 * quarter), picture).to_rgb());
    }

    #[test]
    fn nothing_is_seen_inside_of_a_mask(
        width in 1u32..50, height in 1u32..50, mask in polygon(), quarter in 0u16..4, cut in any::<bool>(),
    ) {
        let crop = cut.then_some([0.1, 0.2, 0.83, 0.97]);
        let config = ViewConfig { rotate: Some(90 * quarter), crop, mask: vec![mask.clone()] };
        let open = seen_planes(ViewConfig { mask: Vec::new(), ..config.clone() }, planes(width, height));
        let masked = seen_planes(config.clone(), planes(width, height));
        prop_assert!(masked.is_consistent());
        let area = Polygon::new(mask.iter().map(|[x, y]| Point::new(*x, *y)).collect());
        let (w, h) = (masked.width, masked.height);
        let rgb = seen(config, Picture::Rgb(Arc::new(planes(width, height).to_rgb()))).to_rgb().unwrap();
        for i in 0..w * h {
            let (x, y) = (i % w, i / w);
            // Anywhere in the pixel, not only at its middle.
            let places = [(0.5, 0.5), (0.1, 0.1), (0.9, 0.1), (0.1, 0.9), (0.9, 0.9)];
            let inside = area.as_ref().is_some_and(|area| places.iter().any(|(dx, dy)| {
                area.contains(Point::new((x as f32 + dx) / w as f32, (y as f32 + dy) / h as f32))
            }));
            let luma = masked.y[i as usize];
            if inside {
                let chroma = (y / 2 * w.div_ceil(2) + x / 2) as usize;
                prop_assert_eq!((luma, masked.u[chroma], masked.v[chroma]), (0, 128, 128), "at {} {}", x, y);
                prop_assert_eq!(rgb.get_pixel(x, y).0, [0; 3]);
            } else if luma != 0 {
                prop_assert_eq!(luma, open.y[i as usize]);
            }
        }
    }
}

#[test]
fn a_crop_is_a_part_of_the_turned_picture() {
    let picture = planes(16, 8);
    let config = ViewConfig { crop: Some([0.5, 0.0, 1.0, 0.5]), ..ViewConfig::default() };
    let part = seen_planes(config, picture.clone());
    assert_eq!((part.width, part.height), (8, 4));
    assert_eq!(part.y[..8], picture.y[8..16]);
    assert_eq!(part.u[..4], picture.u[4..8]);
    // Turned clockwise, the left column becomes the top row, its lowest pixel first.
    let top = ViewConfig { rotate: Some(90), crop: Some([0.0, 0.0, 1.0, 0.1]), mask: Vec::new() };
    let row: Vec<u8> = (0..8).rev().map(|y| picture.y[16 * y]).collect();
    assert_eq!(seen_planes(top, picture).y[..8], row);
}

#[test]
fn a_mask_leaves_the_rest_alone() {
    let config =
        ViewConfig { mask: vec![vec![[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]], ..ViewConfig::default() };
    let (picture, masked) = (planes(64, 48), seen_planes(config, planes(64, 48)));
    for row in 0..48 {
        assert!(masked.y[row * 64..][..32].iter().all(|y| *y == 0));
        // One column more is touched by the mask's edge; the next ones are not.
        assert_eq!(masked.y[row * 64 + 34..][..30], picture.y[row * 64 + 34..][..30]);
    }
}

#[test]
fn mistakes_in_a_view_are_told() {
    let desk = Desk::new();
    desk.put(
        "wrong.toml",
        r#"
        schema = 1
        device = { id = "till" }
        [camera.door]
        source = { kind = "file", path = "a.mp4" }
        rotate = 45
        crop = [0.5, 0.1, 0.4, 0.9]
        mask = [[[0.1, 0.1], [0.2, 0.2]], [[0.1, 0.1], [1.2, 0.1], [0.5, 0.5]]]
        tamper = { after_s = 0.0, ignore = ["dark"] }
        "#,
    );
    let outcome = desk.run("check --config wrong.toml");
    let words = [
        "camera.door.rotate: is 45, expected 0, 90, 180 or 270 degrees clockwise",
        "camera.door.crop: is [0.5, 0.1, 0.4, 0.9], expected [x1, y1, x2, y2] from 0 to 1 with x1 < x2 and y1 < y2",
        "camera.door.mask[0]: encloses nothing, expected at least 3 corners around an area",
        "camera.door.mask[1]: reaches out of the picture, expected numbers from 0 to 1",
        "camera.door.tamper.after_s: is 0.0, expected 1 second to a day, 86400",
    ];
    outcome.says(2, &words, "check");
}

/// Nobody is found beneath a mask, and whoever stands upright is found again in a film that lies on its side.
#[test]
fn a_film_is_counted_as_its_camera_sees_it() {
    let vtest = "/usr/share/doc/opencv-doc/examples/data/vtest.avi";
    let desk = Desk::new();
    let turned = |name: &str, filter: &str| {
        let film = desk.path(name);
        let run = std::process::Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-i", vtest, "-frames:v", "12", "-vf", filter, "-q:v", "2"])
            .arg(&film)
            .status();
        run.is_ok_and(|status| status.success())
    };
    if !turned("film.avi", "null") || !turned("side.avi", "transpose=cclock") {
        assert!(std::env::var_os("CI").is_none(), "ffmpeg and opencv-doc are expected where CI is set");
        println!("skipped: no ffmpeg or no film");
        return;
    }
    let people = |film: &str, keys: &str| -> u64 {
        let head =
            "schema = 1\ndevice = { id = \"till\" }\n[camera.door]\nsource = { kind = \"file\", path = \"none\" }\n";
        desk.put("view.toml", format!("{head}{keys}\n"));
        let outcome = desk.run(&format!("count {film} --config view.toml --every 3 --json -"));
        outcome.is_fine(keys);
        let counts: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        counts["objects"]["person"]["max_at_once"].as_u64().unwrap_or(0)
    };
    let upright = people("film.avi", "");
    assert!(upright >= 2, "{upright}");
    assert!(people("side.avi", "rotate = 90").abs_diff(upright) <= 1);
    assert_eq!(people("film.avi", "mask = [[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]]"), 0);
    let half = people("film.avi", "crop = [0.0, 0.0, 0.5, 1.0]");
    assert!(half < upright, "{half} of {upright} in half of the picture");
}
