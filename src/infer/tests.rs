//! Finding and loading models: what is right loads, and what is wrong is one sentence.

use super::registry::{Place, Registry, sha256};
use super::*;
use crate::problems::BadInput;
use std::path::Path;

const NANODET_TOML: &str = include_str!("../../models/nanodet-g/model-320.toml");
const NANODET_ONNX: &[u8] = include_bytes!("../../models/nanodet-g/nanodet-g.onnx");

fn request(model: &str) -> Request {
    Request { model: model.into(), ..Request::default() }
}

fn named(folder: &Path) -> Registry {
    Registry { named: Some(folder.into()), ..Registry::default() }
}

fn error_of(registry: &Registry, model: &str) -> String {
    let Err(error) = registry.load(&request(model)) else { panic!("{model} loads") };
    assert!(error.chain().any(|e| e.is::<BadInput>()), "{error:#}");
    let text = format!("{error:#}");
    assert!(!text.contains('\n'), "{text}");
    text
}

#[test]
fn what_says_how_people_stand_finds_nothing_and_the_other_way_round() {
    let here = Registry { local: Some("models".into()), ..Registry::default() };
    assert_eq!(pose::PoseEye::model(&here.pose("auto").unwrap()), "movenet-lightning-int8");
    let error = error_of(&here, "movenet-lightning-int8");
    assert!(error.ends_with("it says how a person stands, expected a model that finds things"), "{error}");
    let error = format!("{:#}", here.pose("nanodet-g-int8").err().unwrap());
    assert!(error.ends_with("it finds things, expected a model that says how a person stands"), "{error}");
    let error = format!("{:#}", Registry::default().pose("auto").err().unwrap());
    assert!(error.contains("model movenet-lightning-int8 is not here: put movenet-lightning.int8 into"), "{error}");
}

/// Writes a model `mine` with this file, and a manifest made from NanoDet's by replacing text.
fn write_model(folder: &Path, onnx: &[u8], replace: &[(&str, &str)]) {
    let folder = folder.join("mine");
    std::fs::create_dir_all(&folder).unwrap();
    let size = format!("bytes = {}", onnx.len());
    let digest = format!("sha256 = \"{}\"", sha256(onnx));
    let mut toml = String::new();
    for line in NANODET_TOML.lines() {
        let line = match line.split(" = ").next() {
            Some("bytes") => &size,
            Some("sha256") => &digest,
            Some("name") => "name = \"mine\"",
            _ => line,
        };
        toml += &(line.to_string() + "\n");
    }
    for (from, to) in replace {
        assert!(toml.contains(from), "{from}");
        toml = toml.replace(from, to);
    }
    std::fs::write(folder.join("model.toml"), toml).unwrap();
    std::fs::write(folder.join("nanodet-g.onnx"), onnx).unwrap();
}

#[test]
fn with_nothing_around_the_embedded_model_is_used() {
    let nothing = Registry::default();
    for asked in ["auto", "nanodet-g", "nanodet-g-320"] {
        assert_eq!(nothing.load(&request(asked)).unwrap().model(), "nanodet-g-int8", "{asked}");
    }
    let places: Vec<_> = nothing.all().into_iter().map(|k| (k.manifest.name, k.place == Place::Absent)).collect();
    let absent = [
        "nanodet-g",
        "nanodet-g-320",
        "yolox-nano-int8",
        "yolox-nano-int8-exact",
        "yolox-nano",
        "movenet-lightning-int8",
        "movenet-lightning",
    ];
    let expected = [("nanodet-g-int8", false)].into_iter().chain(absent.map(|name| (name, true))).collect::<Vec<_>>();
    assert_eq!(places, expected.into_iter().map(|(name, absent)| (name.to_string(), absent)).collect::<Vec<_>>());
}

#[test]
fn a_model_that_is_not_there_is_named_with_what_is() {
    let nothing = Registry::default();
    let text = error_of(&nothing, "nanodet-g-int4");
    let names = "no model `nanodet-g-int4`, expected auto, nanodet-g-int8, nanodet-g, nanodet-g-320, yolox-nano-int8, yolox-nano-int8-exact, yolox-nano";
    assert!(text.contains(names), "{text}");
    let text = error_of(&nothing, "yolox-nano");
    assert!(text.contains("not here: `watchpost models pull yolox-nano` gets it"), "{text}");
    let text = error_of(&nothing, "/no/such/place");
    assert!(text.contains("cannot open model /no/such/place"), "{text}");
}

#[test]
fn a_wrong_file_is_one_sentence_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("yolox_nano.onnx");
    let registry = named(folder.path());
    let check = |bytes: &[u8], expected: &str| {
        std::fs::write(&file, bytes).unwrap();
        // The user named the folder, so `auto` does not look away.
        for model in ["auto", "yolox-nano", "yolox-nano-int8", file.to_str().unwrap()] {
            let text = error_of(&registry, model);
            assert!(text.contains(&format!("cannot use model {}", file.display())), "{text}");
            assert!(text.contains(expected), "{text}");
        }
    };
    check(&[], "it has 0 bytes, expected the 3660092 bytes of yolox-nano");
    check(&[7; 1_830_046], "it has 1830046 bytes, expected the 3660092");
    check(&[7; 3_660_092], "expected 695e750a5d5754bb5a8d5325643b59282191a7e7a564e435a415fd3c578eab14 (yolox-nano");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert!(error_of(&registry, "yolox-nano").contains("it is not a file"));
}

#[test]
fn a_pulled_file_that_broke_is_passed_over_by_auto_only() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("yolox_nano.onnx"), [7; 100]).unwrap();
    let registry = Registry { pulled: vec![folder.path().into()], ..Registry::default() };
    assert_eq!(registry.load(&request("auto")).unwrap().model(), "nanodet-g-int8");
    assert!(error_of(&registry, "yolox-nano").contains("it has 100 bytes"));
}

#[test]
fn a_users_own_model_is_found_by_name_folder_manifest_and_file() {
    let folder = tempfile::tempdir().unwrap();
    write_model(folder.path(), NANODET_ONNX, &[]);
    let registry = named(folder.path());
    let mine = folder.path().join("mine");
    for model in ["mine".into(), mine.clone(), mine.join("model.toml"), mine.join("nanodet-g.onnx")] {
        assert_eq!(registry.find(model.to_str().unwrap()).unwrap().manifest.name, "mine", "{}", model.display());
    }
    assert_eq!(registry.load(&request("mine")).unwrap().classes().len(), 80);
    assert_eq!(registry.all().last().unwrap().manifest.name, "mine");
}

#[test]
fn a_file_that_is_not_what_its_manifest_says() {
    let check = |onnx: &[u8], replace: &[(&str, &str)], expected: &str| {
        let folder = tempfile::tempdir().unwrap();
        write_model(folder.path(), onnx, replace);
        let text = error_of(&named(folder.path()), "mine");
        assert!(text.contains("nanodet-g.onnx") && text.contains(expected), "{text}");
    };
    check(b"\x89PNG\r\n\x1a\n", &[], "not a readable ONNX graph");
    check(&NANODET_ONNX[..1 << 20], &[], "not a readable ONNX graph");
    check(
        NANODET_ONNX,
        &[("kind = \"nanodet\"", "kind = \"yolox\"")],
        "output has shape [1, 2100, 124], expected [1, 2100, 85]",
    );
    check(NANODET_ONNX, &[("\"coco80\"", "[\"person\"]")], "expected [1, 2100, 45]");
    check(NANODET_ONNX, &[("\"bgr\"", "\"rgb\"")], "golden picture is off by");
    check(NANODET_ONNX, &[("pad = 0", "pad = 114")], "golden picture is off by");
}

#[test]
fn a_pull_gives_the_right_file_or_none() {
    let mut manifest = manifest::Manifest::parse(NANODET_TOML).unwrap();
    (manifest.bytes, manifest.sha256) = (5, sha256(b"12345"));
    let check = |answer: &'static str, expected: Result<(), &str>| {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("models");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/model.onnx", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            use std::io::{Read, Write};
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let pulled = pull::pull(&manifest, &url, &into);
        server.join().unwrap();
        let files = std::fs::read_dir(&into).into_iter().flatten().count();
        match (pulled, expected) {
            (Ok(path), Ok(())) => assert_eq!(std::fs::read(path).unwrap(), b"12345"),
            (Err(error), Err(expected)) => {
                assert_eq!(files, 0);
                assert!(format!("{error:#}").contains(expected), "{error:#}");
            }
            (pulled, _) => panic!("{answer:?} gives {pulled:?}"),
        }
    };
    check("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n12345", Ok(()));
    check("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n54321", Err("is not nanodet-g-320: its sha256 is"));
    check("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n123", Err("the connection broke"));
    check("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n123", Err("expected 5"));
    check("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123456789", Err("expected 5"));
    check("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", Err("there is no such file (404)"));
    check("nonsense\r\n\r\n", Err("cannot pull nanodet-g-320 from http://127.0.0.1"));
}
