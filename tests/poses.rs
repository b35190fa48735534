//! `eval poses` as its users meet it: on made-up people, on files that are wrong, and on the shared poses of real shops
//! where they are present: how well it tells the theft from the rest of a film, in stores it never saw, too.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn poses(learn: &Path, test: &Path, out: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchpost"));
    command.args(["eval", "poses", "--learn"]).arg(learn).arg("--test").arg(test).arg("--out").arg(out).args(more);
    command.output().unwrap()
}

fn scores(out: &Path, clip: &str) -> Vec<f32> {
    let text = std::fs::read_to_string(out.join(format!("{clip}.txt"))).unwrap();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

/// Who comes in from the left for 3 s, stands, and has his hands at work from `busy` on; 10 frames a second.
fn visitor(frames: u32, busy: u32) -> String {
    let mut text = String::new();
    for frame in 0..frames {
        let (x, y) = (300.0 + 20.0 * f64::from(frame.min(30)), 500.0);
        let wrists = if frame >= busy { [(90.0, -80.0), (10.0, -50.0)] } else { [(40.0, 0.0), (-40.0, 0.0)] };
        let mut joints = vec![(0.0, -140.0); 5];
        joints.extend([(35.0, -100.0), (-35.0, -100.0), (40.0, -50.0), (-40.0, -50.0)]);
        joints.extend(wrists);
        joints.extend([(20.0, 0.0), (-20.0, 0.0), (20.0, 80.0), (-20.0, 80.0), (20.0, 160.0), (-20.0, 160.0)]);
        let joints: Vec<String> = joints.iter().map(|(dx, dy)| format!("{},{},90", x + dx, y + dy)).collect();
        writeln!(text, "{frame},1,{}", joints.join(",")).unwrap();
    }
    text
}

#[test]
fn hands_at_work_are_strange_and_the_future_is_not_known() {
    let folder = tempfile::tempdir().unwrap();
    let [learn, test, out] = ["learn", "test", "out"].map(|name| folder.path().join(name));
    for dir in [&learn, &test] {
        std::fs::create_dir(dir).unwrap();
    }
    std::fs::write(learn.join("idle.csv"), visitor(120, 999)).unwrap();
    std::fs::write(test.join("whole.csv"), visitor(120, 60)).unwrap();
    std::fs::write(test.join("cut.csv"), visitor(80, 60)).unwrap();
    std::fs::write(test.join("nobody.csv"), "").unwrap();
    let told = poses(&learn, &test, &out, &["--learn-fps", "10"]);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let told = String::from_utf8(told.stdout).unwrap();
    assert_eq!(told, "120 looks in 1 clips learnt from, 3 clips scored\n");

    let (whole, cut) = (scores(&out, "whole"), scores(&out, "cut"));
    assert_eq!((whole.len(), cut.len(), scores(&out, "nobody").len()), (120, 80, 0));
    assert_eq!(whole[..74], cut[..74], "more than .6 s ahead is not known");
    assert!(whole[110] > whole[50] + 0.2, "{} is not above {}", whole[110], whole[50]);
    assert_eq!(whole[0], 0.0, "who has not walked is not scored");
}

#[test]
fn wrong_input_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let [clips, empty, still, out] = ["clips", "empty", "still", "out"].map(|name| dir.join(name));
    for dir in [&clips, &empty, &still] {
        std::fs::create_dir(dir).unwrap();
    }
    std::fs::write(still.join("a.csv"), visitor(1, 0).replace(",90", ",10")).unwrap();
    let file = clips.join("a.csv");
    let packed = clips.join("a.csv.gz");
    let check = |learn: &Path, more: &[&str], expected: &str| {
        let told = poses(learn, &clips, &out, more);
        let text = String::from_utf8(told.stderr).unwrap().replace(dir.to_str().unwrap(), "DIR");
        assert_eq!((told.status.code(), text.trim_end()), (Some(2), format!("watchpost: {expected}").as_str()));
    };
    let gone = dir.join("gone");
    check(&gone, &[], "DIR/gone is no folder that can be read, expected one with clips (NAME.csv.gz)");
    check(&empty, &[], "there are no clips in DIR/empty, expected files named NAME.csv.gz or NAME.csv");
    std::fs::write(&file, visitor(2, 0) + "7,1,2\n").unwrap();
    let fields = "3 fields, expected 53: frame,person and x,y,confidence of 17 joints";
    check(&clips, &[], &format!("DIR/clips/a.csv, line 3: {fields}"));
    check(&clips, &["--fps", "0"], "--fps is 0, expected 0.01 to 1000 frames a second");
    check(&still, &[], "there is no clear pose in the clips of DIR/still, expected some to learn from");
    std::fs::write(&file, b"\xff\xfe\x00").unwrap();
    check(&clips, &[], "DIR/clips/a.csv is no text, expected frame,person and x,y,confidence of 17 joints");
    std::fs::write(&packed, "no gzip").unwrap();
    check(&clips, &[], "DIR/clips/a.csv is there twice, as .csv and as .csv.gz, expected one of them");
    std::fs::remove_file(&file).unwrap();
    let told = poses(&clips, &clips, &out, &[]);
    let text = String::from_utf8(told.stderr).unwrap();
    assert!(told.status.code() == Some(2) && text.contains("cannot unpack the clip"), "{text}");
    assert!(!out.exists(), "nothing is written of wrong input");
}

// What follows needs the shared data.

fn shared() -> Option<PathBuf> {
    let root = std::env::var_os("WATCHPOST_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = root.join("data/shoplift-pose");
    if !path.exists() {
        println!("skipped: no shared data");
        return None;
    }
    Some(path)
}

struct Judged {
    store: String,
    /// 1 theft, 0 normal, -1 not judged.
    labels: Vec<i32>,
    scores: Vec<f32>,
}

/// The clips of the test folder whose names begin with `kind`, padded as the set's own eval.py does.
fn judged(data: &Path, out: &Path, kind: &str) -> BTreeMap<String, Judged> {
    let mut clips = BTreeMap::new();
    for entry in std::fs::read_dir(data.join("test")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = file.strip_suffix(".lab").filter(|name| name.starts_with(kind)) else { continue };
        let labels = std::fs::read_to_string(data.join("test").join(&file)).unwrap();
        let labels: Vec<i32> = labels.split_whitespace().map(|label| label.parse().unwrap()).collect();
        let mut scores = scores(out, name);
        let least = scores.iter().copied().fold(f32::INFINITY, f32::min);
        scores.resize(labels.len(), least);
        let store = store(name).to_owned();
        clips.insert(name.to_owned(), Judged { store, labels, scores });
    }
    clips
}

fn store(name: &str) -> &str {
    &name[name.find("_BU_").unwrap() + 4..][..3]
}

/// Area under the ROC curve of all frames together, in per cent; ties count half.
fn auc<'a>(clips: impl Iterator<Item = &'a Judged>) -> f64 {
    let mut frames: Vec<(f32, i32)> = clips
        .flat_map(|clip| clip.scores.iter().copied().zip(clip.labels.iter().copied()))
        .filter(|(_, label)| *label >= 0)
        .collect();
    frames.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut area, mut thefts) = (0.0, 0.0, 0.0);
    for tied in frames.chunk_by(|a, b| a.0 == b.0) {
        let positive = tied.iter().filter(|(_, label)| *label == 1).count() as f64;
        let negative = tied.len() as f64 - positive;
        area += positive * (below + negative / 2.0);
        below += negative;
        thefts += positive;
    }
    100.0 * area / (below * thefts)
}

fn report(of: &str, thefts: &BTreeMap<String, Judged>) -> f64 {
    let within = auc(thefts.values());
    let mean = thefts.values().map(|clip| auc(std::iter::once(clip))).sum::<f64>() / thefts.len() as f64;
    let stores = ["SMA", "SMB", "SYA"]
        .map(|store| format!("{store} {:.1}", auc(thefts.values().filter(|clip| clip.store == store))))
        .join(", ");
    println!("{of}: WITHIN {within:.2}, MEANCLIP {mean:.2}, {stores}");
    within
}

#[test]
fn thefts_in_real_shops() {
    let Some(data) = shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (learn, test, out) = (data.join("train_normal"), data.join("test"), folder.path().join("out"));
    assert!(poses(&learn, &test, &out, &[]).status.success());
    let thefts = judged(&data, &out, "abnormal");
    let within = report("all stores learnt from", &thefts);
    assert!(within >= 93.0, "WITHIN was 93.5 and is {within:.2}");

    // At their own rate, other than the thefts.
    let slow = folder.path().join("normal");
    assert!(poses(&learn, &test, &slow, &["--fps", "30"]).status.success());
    let normal = judged(&data, &slow, "normal");
    let hours = normal.values().map(|clip| clip.scores.len()).sum::<usize>() as f64 / 30.0 / 3600.0;
    let mut alerts: Vec<f32> = normal.values().flat_map(|clip| peaks(&clip.scores, 300)).collect();
    alerts.sort_by(|a, b| b.total_cmp(a));
    let noticed = |per_hour: f64| {
        let threshold = alerts[(per_hour * hours) as usize];
        let over =
            |clip: &&Judged| clip.scores.iter().zip(&clip.labels).any(|(s, label)| *label == 1 && *s > threshold);
        let noticed = thefts.values().filter(over).count();
        println!("{per_hour} false alerts an hour: {noticed} of {} thefts noticed", thefts.len());
        noticed
    };
    println!("{hours:.2} hours in which nothing happened");
    let noticed = [1.0, 10.0, 60.0, 100.0].map(noticed);
    assert!(noticed[3] >= 8, "10 thefts were noticed at 100 false alerts an hour");
}

/// Highest first, at least `apart` frames from each other: as many alerts as there could be.
fn peaks(scores: &[f32], apart: usize) -> Vec<f32> {
    let mut scores = scores.to_vec();
    let mut peaks = Vec::new();
    while let Some((at, peak)) = scores.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1)) {
        if peak <= 0.0 {
            break;
        }
        peaks.push(peak);
        let end = (at + apart).min(scores.len());
        scores[at.saturating_sub(apart)..end].fill(0.0);
    }
    peaks
}

#[test]
fn thefts_in_stores_never_seen_before() {
    let Some(data) = shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut thefts = BTreeMap::new();
    for left_out in ["SMA", "SMB", "SYA"] {
        let [learn, out] = ["learn", "out"].map(|name| folder.path().join(format!("{left_out}-{name}")));
        std::fs::create_dir(&learn).unwrap();
        for entry in std::fs::read_dir(data.join("train_normal")).unwrap() {
            let path = std::fs::canonicalize(entry.unwrap().path()).unwrap();
            let name = path.file_name().unwrap();
            if store(name.to_str().unwrap()) != left_out {
                std::os::unix::fs::symlink(&path, learn.join(name)).unwrap();
            }
        }
        assert!(poses(&learn, &data.join("test"), &out, &[]).status.success());
        thefts.extend(judged(&data, &out, "abnormal").into_iter().filter(|(_, clip)| clip.store == left_out));
    }
    let within = report("each store by the others", &thefts);
    assert!(within >= 93.0, "WITHIN was 93.5 and is {within:.2}");
}
