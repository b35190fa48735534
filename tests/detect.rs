//! `watchpost detect` as a user meets it: the binary, files, exit status.

mod cli;

use cli::{Desk, encoded, jpeg, png_that_claims, scene, shared};
use image::codecs::jpeg::JpegEncoder;
use image::{ImageEncoder, ImageFormat, RgbImage};
use serde_json::Value;

/// As a camera held upright writes it: the pixels lie on their side and EXIF says to turn them.
fn turned_jpeg(stored: &RgbImage, orientation: u8) -> Vec<u8> {
    let mut exif = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
    encoder.set_exif_metadata(exif).unwrap();
    encoder.encode_image(stored).unwrap();
    bytes
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn json_has_one_object_per_picture() {
    let desk = Desk::new();
    desk.put("a.jpg", jpeg(320, 240)).put("b.png", encoded(&scene(64, 200), ImageFormat::Png));
    let run = desk.run("detect a.jpg b.png --json -");
    let objects = lines(&run.is_fine("two pictures").stdout);
    let told = |i: usize, key: &str| objects[i][key].clone();
    assert_eq!(objects.len(), 2);
    assert_eq!([told(0, "image"), told(1, "image")], ["a.jpg", "b.png"]);
    assert_eq!([told(0, "width"), told(0, "height"), told(1, "width"), told(1, "height")], [320, 240, 64, 200]);
    assert_eq!(told(0, "schema"), 1);
    assert!(told(0, "model").is_string() && told(0, "detections").is_array());

    desk.run("detect a.jpg b.png --json c.json").is_fine("into a file");
    assert_eq!(std::fs::read_to_string(desk.path("c.json")).unwrap(), run.stdout);
}

#[test]
fn a_picture_is_seen_upright() {
    let desk = Desk::new();
    desk.put("a.jpg", turned_jpeg(&scene(100, 40), 6));
    let objects = lines(&desk.run("detect a.jpg --json -").stdout);
    assert_eq!([&objects[0]["width"], &objects[0]["height"]], [40, 100]);
    desk.run("detect a.jpg --annotate b.png").is_fine("annotate");
    let annotated = image::open(desk.path("b.png")).unwrap();
    assert_eq!((annotated.width(), annotated.height()), (40, 100));
}

#[test]
fn without_a_wish_it_says_what_it_saw() {
    let desk = Desk::new();
    desk.put("a.jpg", jpeg(160, 120));
    let run = desk.run("detect a.jpg");
    let said = &run.is_fine("plain").stdout;
    assert!(said.starts_with("a.jpg: ") && said.ends_with(" ms)\n") && said.lines().count() == 1, "{said}");
    assert_eq!(
        desk.run("detect a.jpg --apply count --min-score 1").stdout.split(" (").next(),
        Some("a.jpg: nothing found")
    );
}

#[test]
fn names_of_what_is_written() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("other")).unwrap();
    desk.put("a.jpg", jpeg(160, 120)).put("other/a.png", encoded(&scene(80, 60), ImageFormat::Png));
    desk.run("detect a.jpg other/a.png --annotate marked --apply grey,annotate --out done").is_fine("two of a name");
    assert_eq!(desk.names_in("marked"), ["a-2.png", "a.jpg"]);
    assert_eq!(desk.names_in("done"), ["a-2.png", "a.jpg"]);
    assert_eq!(image::open(desk.path("done/a-2.png")).unwrap().width(), 80);
}

#[test]
fn one_broken_picture_does_not_stop_the_others() {
    let desk = Desk::new();
    let whole = jpeg(160, 120);
    desk.put("a.jpg", &whole).put("cut.jpg", &whole[..whole.len() / 2]).put("z.jpg", &whole);
    let run = desk.run("detect a.jpg cut.jpg missing.jpg z.jpg --json out.json");
    run.says(1, &["watchpost: cut.jpg: ", "watchpost: missing.jpg: "], "two of four are broken");
    assert_eq!(run.stderr.lines().count(), 2);
    let written = std::fs::read_to_string(desk.path("out.json")).unwrap();
    let images: Vec<Value> = lines(&written).iter().map(|object| object["image"].clone()).collect();
    assert_eq!(images, ["a.jpg", "z.jpg"]);
    desk.run("detect cut.jpg missing.jpg --json none.json").says(2, &["cut.jpg", "missing.jpg"], "all are broken");
}

#[test]
fn bad_input_gets_one_sentence() {
    let desk = Desk::new();
    let whole = jpeg(160, 120);
    let png = encoded(&scene(90, 70), ImageFormat::Png);
    desk.put("a.jpg", &whole).put("b.jpg", &whole).put("1.jpg", &whole);
    desk.put("cut.jpg", &whole[..whole.len() * 2 / 3]).put("cut.png", &png[..png.len() / 2]);
    desk.put("head.jpg", &whole[..30]).put("zero.jpg", "").put("notes.jpg", "no picture, words");
    desk.put("bomb.png", png_that_claims(20_000, 20_000)).put("web.webp", b"RIFF\x10\0\0\0WEBPVP8 \0\0\0\0");
    std::fs::create_dir(desk.path("folder.jpg")).unwrap();
    std::fs::create_dir(desk.path("other")).unwrap();
    desk.put("other/1.jpg", &whole);

    let check = |what: &str, line: &str, words: &[&str]| desk.run(&format!("detect {line}")).complains(2, words, what);
    check("truncated JPEG", "cut.jpg", &["cut.jpg: ", "cut off"]);
    check("truncated PNG", "cut.png", &["cut.png: ", "broken picture"]);
    check("nothing but a header", "head.jpg", &["head.jpg: "]);
    check("zero bytes", "zero.jpg", &["zero.jpg: the file is empty, expected a picture (JPEG, PNG, GIF or BMP)"]);
    check("words", "notes.jpg", &["notes.jpg: not a picture, expected JPEG, PNG, GIF or BMP"]);
    check("a folder", "folder.jpg", &["folder.jpg: a folder, expected a picture"]);
    check("no such file", "gone.jpg", &["gone.jpg: No such file"]);
    check("a bomb", "bomb.png", &["bomb.png: a picture of 20000x20000 pixels, at most 120 million are read"]);
    check("another format", "web.webp", &["web.webp: ", "expected JPEG, PNG, GIF or BMP"]);
    check(
        "unknown operation",
        "a.jpg --apply blurr --out o",
        &["\"blurr\" is no operation", "did you mean blur?", "pixelate"],
    );
    check("unknown class", "a.jpg --class persn", &["\"persn\" is no class of", "did you mean person?", "bicycle"]);
    check("nowhere to write", "a.jpg --apply blur", &["--apply blur", "--out DIR"]);
    check("nothing to write", "a.jpg --out o", &["--out", "--apply OP"]);
    check("score of 3", "a.jpg --min-score 3", &["--min-score: expected a number from 0 to 1"]);
    check("no such model", "a.jpg --model nonesuch", &["nonesuch"]);
    check(
        "over the input",
        "a.jpg --json a.jpg",
        &["a.jpg is one of the pictures to look at, it would be written over"],
    );
    check("over the input too", "a.jpg --apply mask --out .", &["a.jpg is one of the pictures to look at"]);
    check("no folder", "a.jpg --json no/x.json", &["no/x.json cannot be written: there is no folder no"]);
    check("one file for two", "a.jpg b.jpg --annotate x.jpg", &["x.jpg is one file and 2 pictures were given"]);
    check("two on stdout", "a.jpg --json - --coco -", &["only one of --json, --coco and --annotate"]);
    check("two of one id", "1.jpg other/1.jpg --coco c.json", &["1.jpg and other/1.jpg would both be image_id 1"]);
    assert_eq!(std::fs::read(desk.path("a.jpg")).unwrap(), whole, "the input was not touched");

    if std::path::Path::new("/dev/full").exists() {
        desk.run("detect a.jpg --json /dev/full").complains(1, &["cannot write /dev/full: No space left"], "full disk");
    }
}

/// A photograph with somebody on it: the only way to see more than empty lists.
#[test]
fn people_on_a_photograph() {
    let Some(shared) = shared() else { return };
    let desk = Desk::new();
    let photograph = std::fs::read(shared.join("data/coco-mini/images/000000009590.jpg")).unwrap();
    desk.put("000000009590.jpg", &photograph);
    // On its side, and named so that COCO's id is its place.
    let upright = image::load_from_memory(&photograph).unwrap().into_rgb8();
    desk.put("turned.jpg", turned_jpeg(&image::imageops::rotate270(&upright), 6));

    let run = desk
        .run("detect 000000009590.jpg turned.jpg --json all.json --coco c.json --class person --apply crop --out cut");
    run.is_fine("everything at once");
    let objects = lines(&std::fs::read_to_string(desk.path("all.json")).unwrap());
    let found = objects[0]["detections"].as_array().unwrap();
    assert!(found.len() >= 3, "five people sit at a table: {found:?}");
    assert!(found.iter().all(|d| d["class"] == "person" && d["score"].as_f64().unwrap() >= 0.3));
    assert!(found.is_sorted_by(|a, b| a["score"].as_f64() >= b["score"].as_f64()));
    let crops = desk.names_in("cut");
    assert!(crops.contains(&"000000009590-person-1.jpg".to_owned()), "{crops:?}");
    let both: usize = objects.iter().map(|object| object["detections"].as_array().unwrap().len()).sum();
    assert_eq!(crops.len(), both);

    let rows: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(desk.path("c.json")).unwrap()).unwrap();
    assert!(rows.len() > both && rows.iter().all(|row| row["category_id"] == 1));
    let of = |id: u64| {
        rows.iter()
            .filter(|row| row["image_id"] == id)
            .max_by(|a, b| a["score"].as_f64().unwrap().total_cmp(&b["score"].as_f64().unwrap()))
            .unwrap()
    };
    // The same person, upright in one file and lying in the other: x of one is y from below of the other.
    let [x, y, w, h] = [0, 1, 2, 3].map(|i| of(9590)["bbox"][i].as_f64().unwrap());
    let lying = [0, 1, 2, 3].map(|i| of(2)["bbox"][i].as_f64().unwrap());
    let expected = [y, f64::from(upright.width()) - x - w, h, w];
    assert!(expected.iter().zip(lying).all(|(a, b)| (a - b).abs() < 12.0), "{expected:?} {lying:?}");

    // Asking for both must not change either.
    let alone = desk.run("detect 000000009590.jpg turned.jpg --class person --json -");
    assert_eq!(alone.stdout, std::fs::read_to_string(desk.path("all.json")).unwrap());
    let alone = desk.run("detect 000000009590.jpg turned.jpg --class person --coco -");
    assert_eq!(alone.stdout, std::fs::read_to_string(desk.path("c.json")).unwrap());
}
