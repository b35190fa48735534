//! Each row is a file somebody could have written, and what they are told.

use super::*;
use expect_test::{Expect, expect};

fn check(text: &str, expected: Expect) {
    let told = match parse(text) {
        Ok(_) => "right".to_string(),
        Err(error) => format!("{error:#}"),
    };
    expected.assert_eq(&told);
}

/// A file without mistakes to put mistakes into.
fn with(extra: &str) -> String {
    format!(
        "schema = 1\n[device]\nid = \"till-3\"\n[camera.entrance]\nsource = {{ kind = \"file\", path = \"a.mp4\" }}\n{extra}"
    )
}

const ZONE: &str = "[camera.entrance.zone.shelf]\npolygon = [[0.1, 0.2], [0.6, 0.2], [0.6, 0.9]]\n";

#[test]
fn a_whole_file_is_right() {
    check(&with(ZONE), expect!["right"]);
}

#[test]
fn six_mistakes_are_told_at_once() {
    let text = r#"
        schema = 1
        colour = "red"
        [device]
        id = "till 3"
        [mqtt]
        url = 7
        [camera.entrance]
        source = { kind = "film", path = "a.mp4" }
        [camera.entrance.zone.shelf]
        polygon = [[0.1, 0.2], [0.6, 0.2]]
        [camera.exit]
        source = { kind = "file", path = "a.mp4", repeet = true }
        [camera.exit.rule.linger]
        kind = "loitering"
        zone = "shelf"
        min_dwell_s = "long"
    "#;
    check(
        text,
        expect![[r#"
            camera.entrance.source.kind: "film" is unknown, expected one of `file`, `folder`, `usb`, `csi`, `rtsp`, `http`, `recorded`
            camera.entrance.zone.shelf.polygon: has 2 points, expected at least 3
            camera.exit.rule.linger.min_dwell_s: invalid type: string "long", expected f64
            camera.exit.rule.linger.zone: there is no zone "shelf" at this camera, expected the name of a zone, but this camera has none
            camera.exit.source.repeet: unknown key, expected one of `path`, `repeat`, `pace`
            colour: unknown key, expected one of `schema`, `device`, `mqtt`, `model`, `tracker`, `store`, `evidence`, `camera`
            device.id: "till 3" is no name here, expected 1 to 64 of: letters, digits, "-", "_", "."
            mqtt.url: invalid type: integer `7`, expected a string"#]],
    );
}

#[test]
fn what_is_missing_is_named_where_it_belongs() {
    check(
        "[device]\n",
        expect![[r#"
        device.id: is missing, it is needed in [device]
        schema: is missing, it is needed in the file"#]],
    );
    check(&with("[camera.exit]\n"), expect!["camera.exit.source: is missing, it is needed in [camera.exit]"]);
    check(
        &with(&format!("{ZONE}[camera.entrance.rule.r]\nzone = \"shelf\"")),
        expect![
            "camera.entrance.rule.r.kind: is missing, expected one of `line_count`, `occupancy`, `dwell`, `loitering`, `restricted_zone`, `after_hours`, `crowding`, `shelf_sweep`, `removed_object`, `abandoned_object`, `concealment`, `unusual`, `journey`, `exit_without_checkout`, `repeat_approach`, `group_split`, `queue_too_long`, `running`, `wrong_way`, `tailgating`, `stopped_vehicle`, `object_in_zone`, `unattended`"
        ],
    );
}

#[test]
fn no_toml_names_its_line() {
    check("schema = 1\n[device\n", expect!["line 2: unclosed table, expected `]`"]);
}

#[test]
fn a_reload_says_what_it_can_do() {
    let base = parse(&with(ZONE)).expect("right");
    let changed = |text: &str| diff(&base, &parse(text).expect("right"));
    assert_eq!(changed(&with(ZONE)), Change::Nothing);
    assert_eq!(
        changed(&with(&ZONE.replace("0.9", "0.8"))),
        Change::Cameras(vec![("entrance".into(), CameraChange::Rules)])
    );
    assert_eq!(
        changed(&with(ZONE).replace("a.mp4", "b.mp4")),
        Change::Cameras(vec![("entrance".into(), CameraChange::Restart)])
    );
    assert_eq!(changed(&with(ZONE).replace("till-3", "till-4")), Change::NeedsRestart(vec!["device"]));
}
