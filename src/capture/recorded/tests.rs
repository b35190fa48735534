use super::*;
use crate::clue::{Clues, Joint, JointSight, ShelfChange, ShelfSight};
use crate::geometry::Point;
use crate::ids::ZoneId;
use expect_test::{Expect, expect};
use proptest::prelude::*;

fn file_with(text: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text).unwrap();
    file
}

/// What a reader makes of a file, without the folder in front.
fn check(text: &str, expected: Expect) {
    let file = file_with(text.as_bytes());
    let read = || -> Result<String> {
        let mut log = TrackLog::open(file.path())?;
        let mut told = String::new();
        while let Some(seen) = log.next_frame()? {
            told += &format!("{} us at {}: {} found\n", seen.at.micros(), seen.taken, seen.items.len());
        }
        Ok(told + &log.torn().unwrap_or_default())
    };
    let told = read().unwrap_or_else(|error| {
        assert!(error.chain().any(|cause| cause.is::<BadInput>()), "{error:?}");
        format!("{error:#}")
    });
    expected.assert_eq(&told.replace(&file.path().display().to_string(), "tracks.jsonl"));
}

const HEADER: &str =
    r#"{"schema":1,"kind":"watchpost-tracks","camera":"c","model":"m","start":"2026-11-24T10:15:00.000Z"}"#;

#[test]
fn files_as_they_come() {
    let frame = r#"{"us":100000,"aspect":1.5,"detections":[{"class":"person","score":0.5,"box":[0.1,0.2,0.3,0.4]}]}"#;
    check(
        &format!("{HEADER}\n{frame}\n"),
        expect![[r#"
        100000 us at 2026-11-24T10:15:00.100Z: 1 found
    "#]],
    );
    check(
        &format!("{HEADER}\n\n{frame}"),
        expect![[r#"
        100000 us at 2026-11-24T10:15:00.100Z: 1 found
    "#]],
    );
    check(
        &format!("{HEADER}\n{frame}\n{{\"us\":2000"),
        expect![[r#"
        100000 us at 2026-11-24T10:15:00.100Z: 1 found
        tracks.jsonl:3: the last line breaks off and is left out, the lines before are used"#]],
    );
    check(
        &format!("{HEADER}\n{{\"us\":2000\n{frame}\n"),
        expect![[
            r#"tracks.jsonl:2: EOF while parsing an object, expected a frame as in {"us":0,"aspect":1.5,"detections":[]}"#
        ]],
    );
    check(
        &format!("{HEADER}\n{{\"us\":2000,\"aspect\":\"wide\",\"detections\":[]}}\n"),
        expect![[
            r#"tracks.jsonl:2: invalid type: string "wide", expected f32, expected a frame as in {"us":0,"aspect":1.5,"detections":[]}"#
        ]],
    );
    check(
        &format!(
            "{HEADER}\n{{\"us\":5,\"aspect\":1,\"detections\":[{{\"class\":\"a\",\"score\":1,\"box\":[1,2,3]}}]}}\n"
        ),
        expect![[
            r#"tracks.jsonl:2: invalid length 3, expected an array of length 4, expected a frame as in {"us":0,"aspect":1.5,"detections":[]}"#
        ]],
    );
    check(
        "",
        expect![[
            r#"tracks.jsonl:1: the file is empty, expected a track log, whose first line says "kind":"watchpost-tracks""#
        ]],
    );
    check(
        "{\"schema\":1,\"image\":\"a.jpg\"}\n",
        expect![[
            r#"tracks.jsonl:1: missing field `kind`, expected a track log, whose first line says "kind":"watchpost-tracks""#
        ]],
    );
    check(&HEADER.replace(":1", ":2"), expect!["tracks.jsonl:1: the schema is 2, expected 1"]);
    check(
        &HEADER.replace("watchpost-tracks", "something"),
        expect![[
            r#"tracks.jsonl:1: this is "something", expected a track log, whose first line says "kind":"watchpost-tracks""#
        ]],
    );
    check(
        &HEADER.replace("10:15", "1015"),
        expect![[
            r#"tracks.jsonl:1: parsed value '2026-11-24T10:15:00', but unparsed input ":00.000Z" remains (expected no unparsed input), expected a track log, whose first line says "kind":"watchpost-tracks""#
        ]],
    );
}

#[test]
fn no_line_is_endless_and_classes_are_not_without_number() {
    let told = |text: String| {
        let file = file_with(text.as_bytes());
        let mut log = TrackLog::open(file.path()).unwrap();
        std::iter::from_fn(|| log.next_frame().map_err(|e| e.to_string()).transpose()).find_map(Result::err).unwrap()
    };
    assert!(
        told(format!("{HEADER}\n{}", " ".repeat(MAX_LINE + 1)))
            .ends_with(":2: the line is longer than 4 MB, expected one frame")
    );
    let items: Vec<String> =
        (0..=MAX_CLASSES).map(|i| format!("{{\"class\":\"c{i}\",\"score\":1,\"box\":[0,0,1,1]}}")).collect();
    let text = format!("{HEADER}\n{{\"us\":1,\"aspect\":1,\"detections\":[{}]}}\n", items.join(","));
    assert!(told(text).ends_with(":2: \"c1000\" is one class too many, expected at most 1000"));
}

#[test]
fn a_file_that_is_not_there_or_a_folder_is_bad_input() {
    for path in ["/nowhere/tracks.jsonl", "/"] {
        let error = TrackLog::open(Path::new(path)).err().unwrap();
        assert!(format!("{error:#}").contains(path), "{error:#}");
    }
}

#[test]
fn a_log_as_a_camera_repeats_with_rising_film_time() {
    let frames = r#"{"us":100000,"aspect":1.5,"detections":[]}
{"us":200000,"aspect":1.5,"detections":[]}"#;
    let file = file_with(format!("{HEADER}\n{frames}\n").as_bytes());
    let mut config = RecordedConfig { path: file.path().into(), speed: 0.0, repeat: true };
    let stop = Stop::new();
    let mut camera = Recorded::open(&config, &stop).unwrap();
    let times: Vec<i64> = (0..6).map(|_| camera.next_frame().unwrap().unwrap().at.micros() / 1000).collect();
    assert_eq!(times, [100, 200, 400, 500, 700, 800]);
    stop.set();
    assert_eq!(camera.next_frame().unwrap(), None);
    config.repeat = false;
    let mut camera = Recorded::open(&config, &Stop::new()).unwrap();
    assert_eq!(std::iter::from_fn(|| camera.next_frame().unwrap()).count(), 2);
}

fn number() -> impl Strategy<Value = f32> {
    any::<u32>().prop_map(f32::from_bits).prop_filter("finite", |v| v.is_finite())
}

proptest! {
    #[test]
    fn every_bit_comes_back(
        frames in prop::collection::vec(
            (any::<i64>(), any::<i64>(), number(), prop::collection::vec((number(), prop::array::uniform4(number())), 0..4)),
            0..6,
        ),
    ) {
        let item = |(score, [x1, y1, x2, y2]): (f32, [f32; 4])| Detection {
            class: Class::PERSON, score, bbox: BBox { x1, y1, x2, y2 },
        };
        let pose = |(score, [x1, y1, x2, y2]): &(f32, [f32; 4])| Pose {
            bbox: BBox { x1: *y2, y1: *x2, x2: *y1, y2: *x1 },
            joints: std::array::from_fn(|i| JointSight { at: Point::new(*x1, if i > 8 { *y1 } else { *x2 }), score: *score }),
        };
        let frames: Vec<Detections> = frames
            .into_iter()
            .map(|(at, taken, aspect, items)| Detections {
                at: MediaTime::from_micros(at),
                taken: WallTime::from_micros(taken),
                aspect,
                clues: Clues { poses: items.iter().map(pose).collect(), ..Clues::default() },
                items: items.into_iter().map(item).collect(),
            })
            .collect();
        let mut writer = TrackWriter::new(Vec::new(), &Header::new("c", "m", WallTime::from_micros(1_234_567))).unwrap();
        frames.iter().for_each(|seen| writer.write(seen).unwrap());
        let file = file_with(&writer.finish().unwrap());
        let mut log = TrackLog::open(file.path()).unwrap();
        let bits = |seen: &Detections| {
            let items = seen.items.iter().map(|d| (d.score.to_bits(), d.bbox.to_array().map(f32::to_bits)));
            let poses = seen.clues.poses.iter().flat_map(|p| {
                let joints = p.joints.into_iter().flat_map(|joint| [joint.at.x, joint.at.y, joint.score]);
                p.bbox.to_array().into_iter().chain(joints).map(f32::to_bits)
            });
            (seen.at, seen.taken, seen.aspect.to_bits(), items.collect::<Vec<_>>(), poses.collect::<Vec<_>>())
        };
        for seen in &frames {
            prop_assert_eq!(bits(&log.next_frame().unwrap().unwrap()), bits(seen));
        }
        prop_assert!(log.next_frame().unwrap().is_none());
    }
}

#[test]
fn a_crowd_beyond_all_crowds_is_refused() {
    let item = r#"{"class":"person","score":0.5,"box":[0.1,0.2,0.3,0.4]}"#;
    let frame = |boxes: usize| format!("{{\"us\":0,\"aspect\":1.5,\"detections\":[{}]}}", vec![item; boxes].join(","));
    check(
        &format!("{HEADER}\n{}\n{}\n", frame(MAX_BOXES), frame(MAX_BOXES + 1)),
        expect!["tracks.jsonl:3: 2001 boxes in one frame, expected at most 2000"],
    );
}

#[test]
fn what_was_seen_of_goods_comes_back() {
    let sight = |what| ShelfSight {
        zone: ZoneId::new("spirits"),
        what,
        cells: 12,
        of: 340,
        bbox: BBox::new(0.1, 0.2, 0.3, 0.4),
        shown: Span::from_micros(1_000_001),
        hidden: Span::from_micros(2_400_000),
    };
    let clues = Clues { shelves: ShelfChange::ALL.map(sight).to_vec(), ..Clues::default() };
    let at = MediaTime::from_micros(7);
    let seen = Detections { at, taken: WallTime::from_micros(7_000_000), aspect: 1.5, items: vec![], clues };
    let mut writer = TrackWriter::new(Vec::new(), &Header::new("c", "m", WallTime::from_micros(1_234_567))).unwrap();
    writer.write(&seen).unwrap();
    let text = String::from_utf8(writer.finish().unwrap()).unwrap();
    let mut log = TrackLog::open(file_with(text.as_bytes()).path()).unwrap();
    assert_eq!(log.next_frame().unwrap().unwrap(), seen);
    check(
        &text.replace("touched", "stolen"),
        expect![[r#"tracks.jsonl:2: "stolen" happens to no shelf, expected one of: touched, gone, there, altered"#]],
    );
    check(
        &text.replace("2400000", "-1"),
        expect![[r#"tracks.jsonl:2: a shelf has the times [1000001, -1], expected microseconds, 0 to those of a day"#]],
    );
    check(
        &text.replace("spirits", "#"),
        expect![[r##"tracks.jsonl:2: a shelf is called "#", expected the name of a zone"##]],
    );
}

#[test]
fn poses_are_read_and_one_of_sixteen_joints_is_told() {
    let joints = |count: usize| vec!["[0.25,0.5,0.75]"; count].join(",");
    let frame = |count: usize| {
        let pose = format!("{{\"box\":[0.1,0.2,0.3,0.4],\"joints\":[{}]}}", joints(count));
        format!("{{\"us\":0,\"aspect\":1.5,\"detections\":[],\"poses\":[{pose}]}}")
    };
    let file = file_with(format!("{HEADER}\n{}\n", frame(17)).as_bytes());
    let seen = TrackLog::open(file.path()).unwrap().next_frame().unwrap().unwrap();
    let [pose] = &seen.clues.poses[..] else { panic!("{seen:?}") };
    assert_eq!(pose.joint(Joint::RightAnkle), JointSight { at: Point::new(0.25, 0.5), score: 0.75 });
    check(
        &format!("{HEADER}\n{}\n", frame(16)),
        expect![[
            r#"tracks.jsonl:2: invalid length 16, expected an array of length 17, expected a frame as in {"us":0,"aspect":1.5,"detections":[]}"#
        ]],
    );
}
