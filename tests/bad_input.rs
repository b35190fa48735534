//! Everything a user can get wrong, verb by verb: one sentence that names the file, the place in it and what was
//! expected, an exit status, and never a panic. Pictures are in `detect.rs`.

mod cli;

use cli::{Desk, jpeg, png_that_claims, scene};
use image::codecs::gif::GifEncoder;
use image::{Delay, Frame};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;
use watchpost::infer::registry::sha256;

/// Longer than anything takes, even on a busy machine under emulation.
const PATIENCE: Duration = Duration::from_secs(120);

/// A film that needs no codec of video: `frames` pictures, ten a second.
fn gif(frames: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, 30);
    for i in 0..frames {
        let picture =
            image::DynamicImage::ImageRgb8(scene(96 + i % 2, 72)).resize_exact(96, 72, image::imageops::Nearest);
        let frame = Frame::from_parts(picture.into_rgba8(), 0, 0, Delay::from_numer_denom_ms(100, 1));
        encoder.encode_frame(frame).unwrap();
    }
    drop(encoder);
    bytes
}

#[test]
fn films() {
    let desk = Desk::new();
    let film = gif(8);
    desk.put("film.gif", &film).put("cut.gif", &film[..film.len() * 3 / 4]).put("head.gif", &film[..20]);
    desk.put("zero.mp4", "").put("notes.mp4", "no film, words").put("picture.mp4", jpeg(64, 48));
    desk.put("strange.avi", [b"RIFF\xff\0\0\0AVI LIST".as_slice(), &[0x9e; 300]].concat());
    desk.put(
        "noise.mp4",
        (0..5000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 | 0x80).collect::<Vec<u8>>(),
    );
    std::fs::create_dir(desk.path("folder.mp4")).unwrap();

    desk.run("count film.gif --json out.json").is_fine("a whole film");
    let without_ffmpeg = [("PATH", "")];
    for verb in ["count", "replay --config good.toml"] {
        desk.put("good.toml", CONFIG);
        let check = |what: &str, film: &str, words: &[&str]| {
            let run = desk.run_with(&format!("{verb} {film}"), &without_ffmpeg);
            run.complains(2, words, &format!("{verb}: {what}"));
        };
        check("zero bytes", "zero.mp4", &["zero.mp4", "is empty"]);
        check("a folder", "folder.mp4", &["folder.mp4", "is a folder"]);
        check("no such file", "gone.mp4", &["gone.mp4", "No such file"]);
        check("words", "notes.mp4", &["notes.mp4", "expected"]);
        check("a picture", "picture.mp4", &["picture.mp4", "is a picture", "a film is expected"]);
        check("a codec for ffmpeg, which is not installed", "strange.avi", &["strange.avi", "install ffmpeg"]);
        check("noise", "noise.mp4", &["noise.mp4"]);
        check("nothing but a header", "head.gif", &["head.gif"]);
    }

    let run = desk.run("count cut.gif --json cut.json");
    run.complains(1, &["cut.gif", "breaks off after"], "a film that ends mid-frame");
    let counted = std::fs::read_to_string(desk.path("cut.json")).unwrap();
    assert!(counted.contains("\"frames\""), "what was seen until then is written: {counted}");
}

#[test]
fn mp4_that_ends_too_early_or_is_of_no_known_codec() {
    let desk = Desk::new();
    desk.put("film.gif", gif(12));
    desk.run("count film.gif --annotate film.mp4").is_fine("makes an MP4");
    let film = std::fs::read(desk.path("film.mp4")).unwrap();
    let swapped = |from: &[u8; 4], to: &[u8; 4]| {
        let mut bytes = film.clone();
        let places: Vec<usize> = (0..bytes.len() - 4).filter(|i| bytes[*i..*i + 4] == *from).collect();
        assert!(!places.is_empty());
        places.into_iter().for_each(|i| bytes[i..i + 4].copy_from_slice(to));
        bytes
    };
    desk.put("codec.mp4", swapped(b"avc1", b"zzzz")).put("indexless.mp4", swapped(b"moov", b"free"));
    let run = |film: &str| desk.run_with(&format!("count {film} --json -"), &[("PATH", "")]);
    run("codec.mp4").complains(2, &["codec.mp4", "install ffmpeg"], "no known codec");
    run("indexless.mp4").complains(2, &["indexless.mp4", "moov"], "no index");
    for keep in [1, 3, 5, 7, 9] {
        desk.put("cut.mp4", &film[..film.len() * keep / 10]);
        let run = run("cut.mp4");
        let status = run.status;
        // Where the index is lost there is nothing to count; else what comes before the cut is.
        run.complains(if status == 2 { 2 } else { 1 }, &["cut.mp4"], &format!("{keep} tenths of an MP4"));
    }
}

/// Right, and with a camera that needs no model.
const CONFIG: &str = r#"
schema = 1
[device]
id = "till-3"
[store]
dir = "state"
[camera.entrance]
source = { kind = "recorded", path = "tracks.jsonl" }
[camera.entrance.zone.shelf]
polygon = [[0.1, 0.2], [0.6, 0.2], [0.6, 0.9]]
"#;

#[test]
fn configurations() {
    let desk = Desk::new();
    desk.put("good.toml", CONFIG).put("torn.toml", &CONFIG[..CONFIG.len() - 12]).put("zero.toml", "");
    desk.put("bytes.toml", [0xff, 0xfe, 0x00]).put("empty.toml", "schema = 1\n[device]\nid = \"a\"\n");
    desk.put(
        "six.toml",
        r#"
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
            source = { kind = "file", path = "a.mp4" }
            [camera.exit.zone.shelf]
            polygon = [[0.1, 0.2], [0.6, 0.2], [0.6, 0.9]]
            [camera.exit.rule.linger]
            kind = "loitering"
            zone = "shelf"
            min_dwell_s = "long"
        "#,
    );
    let six = [
        "camera.entrance.source.kind: ",
        "camera.entrance.zone.shelf.polygon: ",
        "camera.exit.rule.linger.min_dwell_s: ",
        "colour: ",
        "device.id: ",
        "mqtt.url: ",
    ];
    for verb in ["check", "run", "count film.gif"] {
        desk.put("film.gif", gif(2));
        let run = |file: &str| desk.run(&format!("{verb} --config {file}"));
        let told = run("six.toml");
        told.says(2, &six, "six mistakes");
        assert_eq!(told.stderr.lines().count(), 6, "{verb}: a line each:\n{}", told.stderr);
        for (line, path) in told.stderr.lines().zip(six) {
            assert!(line.starts_with(path), "{verb}: begins with the dotted path: {line}");
        }
        run("torn.toml").complains(2, &["line "], "no TOML");
        run("zero.toml").says(2, &["schema: ", "device: "], "zero bytes");
        run("gone.toml").complains(2, &["gone.toml", "No such file"], "no such file");
        run("bytes.toml").complains(2, &["bytes.toml"], "no text");
        run(".").complains(2, &["."], "a folder");
    }
    desk.put("two.toml", CONFIG.replace(", [0.6, 0.9]]", "]"));
    let two = ["camera.entrance.zone.shelf.polygon: has 2 points, expected at least 3"];
    desk.run("check --config two.toml").complains(2, &two, "a polygon of two points");
    desk.run("run --config empty.toml").complains(2, &["no enabled camera"], "nothing to watch");
    assert_eq!(desk.run("check --config good.toml").is_fine("a right one").status, 0);
}

#[test]
fn models() {
    let desk = Desk::new();
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/nanodet-g");
    let whole = std::fs::read(ours.join("nanodet-g.onnx")).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    desk.put("a.jpg", jpeg(64, 48)).put("film.gif", gif(2));
    for (folder, bytes) in [("half", &whole[..whole.len() / 2]), ("flipped", &flipped), ("zero", &[])] {
        std::fs::create_dir(desk.path(folder)).unwrap();
        std::fs::copy(ours.join("model.toml"), desk.path(&format!("{folder}/model.toml"))).unwrap();
        desk.put(&format!("{folder}/nanodet-g.onnx"), bytes);
    }
    std::fs::create_dir(desk.path("words")).unwrap();
    desk.put("words/model.toml", "schema = 1\nname = 7\n");
    for verb in ["detect a.jpg", "count film.gif"] {
        let check = |what: &str, model: &str, words: &[&str]| {
            desk.run(&format!("{verb} --model {model}")).complains(2, words, &format!("{verb}: {what}"));
        };
        check("cut in half", "./half", &["half/nanodet-g.onnx", "bytes"]);
        check("one bit is wrong", "./flipped", &["flipped/nanodet-g.onnx", "sha256"]);
        check("zero bytes", "./zero", &["zero/nanodet-g.onnx"]);
        check("no such model", "nonesuch", &["nonesuch", "nanodet-g"]);
        check("no such folder", "./gone", &["gone"]);
    }
    desk.run("detect a.jpg --model ./words").says(2, &["words/model.toml"], "a manifest with mistakes");
}

/// The same with a file of bytes: by its digest first, and by what is in it where that is right.
#[test]
fn int8_models() {
    let desk = Desk::new();
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/nanodet-g/int8");
    let whole = std::fs::read(ours.join("nanodet-g.int8")).unwrap();
    let manifest = std::fs::read_to_string(ours.join("model.toml")).unwrap();
    desk.put("a.jpg", jpeg(64, 48));
    let with = |at: usize, byte: u8| [&whole[..at], &[byte], &whole[at + 1..]].concat();
    let check = |what: &str, file: &[u8], by_digest: &str, by_contents: &str| {
        for (folder, words) in [("mine", by_digest), ("signed", by_contents)] {
            let mut toml = manifest.clone();
            if folder == "signed" {
                let mine = [("bytes", file.len().to_string()), ("sha256", format!("\"{}\"", sha256(file)))];
                for (key, value) in mine {
                    let line = manifest.lines().find(|line| line.starts_with(key)).unwrap();
                    toml = toml.replace(line, &format!("{key} = {value}"));
                }
            }
            let _ = std::fs::create_dir(desk.path(folder));
            desk.put(&format!("{folder}/model.toml"), toml).put(&format!("{folder}/nanodet-g.int8"), file);
            let run = desk.run(&format!("detect a.jpg --model ./{folder}"));
            run.complains(2, &[&format!("{folder}/nanodet-g.int8"), words], &format!("{what}, {folder}"));
        }
    };
    check("cut in half", &whole[..whole.len() / 2], "bytes", "do not lie in its");
    check("cut in its description", &whole[..4000], "bytes", "does not lie in it");
    check("one bit is wrong", &with(0, whole[0] ^ 1), "sha256", "begins otherwise");
    check("a bit of its description is wrong", &with(13, whole[13] ^ 8), "sha256", "description cannot be read");
    check("of a later version", &with(7, 2), "sha256", "version 2 of int8 models, expected 1");
    check("a single byte", &whole[..1], "bytes", "too short for an int8 model");
    desk.put("mine/nanodet-g.int8", "").put("mine/model.toml", &manifest);
    let run = desk.run("detect a.jpg --model ./mine");
    run.complains(2, &["mine/nanodet-g.int8", "0 bytes"], "zero bytes");
    check("a float network", &std::fs::read(ours.join("../nanodet-g.onnx")).unwrap(), "bytes", "begins otherwise");
}

#[test]
fn the_state_folder() {
    let desk = Desk::new();
    desk.put("file", "not a folder").put("good.toml", CONFIG);
    let run = |dir: &str| {
        desk.put("c.toml", CONFIG.replace("\"state\"", &format!("\"{dir}\"")));
        desk.run_with("run --config c.toml", &[("WATCHPOST_LOG", "error")])
    };
    // Not even root may write there.
    run("/sys").complains(1, &["cannot write to the state folder /sys", "expected a folder"], "read-only");
    run("/proc/no/such").complains(1, &["cannot make the state folder /proc/no/such"], "cannot be made");
    run("file").complains(1, &["cannot make the state folder", "file"], "a file in its place");
}

/// A file system of 16 pages in a namespace of our own, where that is allowed.
#[test]
fn a_database_on_a_full_disk() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("state")).unwrap();
    desk.put("c.toml", CONFIG);
    let script = "mount -t tmpfs -o size=64k none state || exit 77; head -c 100000 /dev/zero > state/filler; \
                  exec \"$0\" run --config c.toml";
    let mut unshare = Command::new("unshare");
    unshare.args(["-rm", "sh", "-c", script, env!("CARGO_BIN_EXE_watchpost")]);
    unshare.current_dir(desk.path("")).env("WATCHPOST_LOG", "error").stdin(Stdio::null());
    let Ok(output) = unshare.output() else { return println!("skipped: no unshare") };
    let stderr = String::from_utf8_lossy(&output.stderr)
        .replace("head: error writing 'standard output': No space left on device\n", "");
    if output.status.code() == Some(77) || stderr.contains("unshare:") {
        return println!("skipped: no file system can be mounted here");
    }
    let outcome = cli::Outcome { status: output.status.code().unwrap_or(-1), stdout: String::new(), stderr };
    outcome.complains(1, &["the disk of", "state is full"], "a full disk");
}

/// Runs the appliance until it has said these words, then asks it to end. Gives what it said.
fn appliance_says(url: &str, more: &str, words: &str) -> String {
    let desk = Desk::new();
    desk.put("pass", "wrong\n").put("c.toml", format!("{CONFIG}[mqtt]\nurl = \"{url}\"\n{more}"));
    let mut child = desk.command("run --config c.toml").stderr(Stdio::piped()).spawn().unwrap();
    let (to_us, lines) = channel();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| to_us.send(line)));
    let mut said = String::new();
    let mut found = false;
    while let Ok(line) = lines.recv_timeout(PATIENCE) {
        said += &format!("{line}\n");
        if !found && line.contains(words) {
            found = true;
            rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
                .unwrap();
        }
    }
    let _ = child.kill();
    let status = child.wait().unwrap();
    assert!(found, "\"{words}\" was not said:\n{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(status.code(), Some(0), "a broker that refuses is no reason to end badly:\n{said}");
    said
}

#[test]
fn a_broker_that_is_not_there() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let said = appliance_says(&format!("mqtt://127.0.0.1:{port}"), "", "No connection to the broker");
    assert!(said.contains("refused") && said.contains(&port.to_string()), "{said}");
}

#[test]
fn a_password_that_is_wrong() {
    // All of a broker that is needed: it reads CONNECT and answers "bad user name or password".
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("mqtt://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let _ = client.read(&mut [0; 1024]);
            let _ = client.write_all(&[0x20, 2, 0, 4]);
        }
    });
    let who = "username = \"till\"\npassword_file = \"pass\"\n";
    let said = appliance_says(&url, who, "No connection to the broker");
    assert!(said.to_lowercase().contains("password"), "{said}");
}

#[test]
fn what_never_was_a_picture_is_refused_by_every_verb_that_reads_some() {
    let desk = Desk::new();
    desk.put("bomb.png", png_that_claims(20_000, 20_000));
    desk.run("detect bomb.png").complains(2, &["bomb.png", "20000x20000", "120 million"], "detect");
    desk.run("count bomb.png").complains(2, &["bomb.png", "a film is expected"], "count");
}
