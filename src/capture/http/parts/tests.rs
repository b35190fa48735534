//! What cameras send, whole and byte by byte.

use super::*;
use proptest::prelude::*;

const TYPE: &str = "multipart/x-mixed-replace; boundary=frame";

/// Begins and ends like a JPEG, with something that says which.
fn picture(name: &str) -> Vec<u8> {
    [&[0xff, 0xd8, 0xff, 0xda, 0, 2], name.as_bytes(), &[0xff, 0xd9]].concat()
}

fn part(boundary: &str, header: &str, body: &[u8]) -> Vec<u8> {
    [format!("{boundary}\r\nContent-Type: image/jpeg\r\n{header}\r\n").as_bytes(), body, b"\r\n"].concat()
}

fn sized(boundary: &str, name: &str) -> Vec<u8> {
    part(boundary, &format!("Content-Length: {}\r\n", picture(name).len()), &picture(name))
}

fn split(content_type: &str, stream: &[u8], step: usize) -> (Vec<Vec<u8>>, Parts) {
    let (mut parts, mut found) = (Parts::new(content_type), Vec::new());
    for piece in stream.chunks(step) {
        parts.feed(piece);
        found.extend(std::iter::from_fn(|| parts.next()));
    }
    (found, parts)
}

/// The stream gives these pictures, and so many bytes of garbage, however it is cut.
#[track_caller]
fn check(what: &str, content_type: &str, stream: &[u8], expected: &[&str], garbage: u64) {
    let expected: Vec<_> = expected.iter().map(|name| picture(name)).collect();
    for step in [1, 2, 3, 7, 64, stream.len()] {
        let (found, parts) = split(content_type, stream, step);
        assert_eq!(found, expected, "{what}, {step} bytes at a time");
        assert_eq!(parts.garbage(), garbage, "{what}, {step} bytes at a time");
    }
}

#[test]
fn pictures_with_and_without_a_length() {
    let with = [sized("--frame", "a"), sized("--frame", "b")].concat();
    check("with a length", TYPE, &with, &["a", "b"], 0);
    let without = [part("--frame", "", &picture("a")), part("--frame", "", &picture("b")), b"--frame\r\n".to_vec()];
    check("without", TYPE, &without.concat(), &["a", "b"], 0);
    let lf = String::from_utf8_lossy(&part("--frame", "", b"x")).replace('\r', "").replace("x\n", "").into_bytes();
    check("lines of one character", TYPE, &[lf, picture("a"), b"\n--frame\n".to_vec()].concat(), &["a"], 0);
}

#[test]
fn boundaries_as_cameras_write_them() {
    let one = |boundary: &str| sized(boundary, "a");
    check("quoted", "multipart/x-mixed-replace;boundary=\"fr ame\"", &one("--fr ame"), &["a"], 0);
    check("escaped", "multipart/mixed; charset=x; y; Boundary = \"fr\\\"a\"; x=y", &one("--fr\"a"), &["a"], 0);
    check("announced with its dashes", "multipart/x-mixed-replace; boundary=--frame", &one("--frame"), &["a"], 0);
    check("and then dashed again", "multipart/x-mixed-replace; boundary=--frame", &one("----frame"), &["a"], 0);
    check("of dashes", "multipart/x-mixed-replace; boundary=----", &one("------"), &["a"], 0);
    check("not announced", "multipart/x-mixed-replace", &one("--frame"), &["a"], 0);
    check("quoted and never closed", "multipart/x-mixed-replace; boundary=\"frame", &one("--frame"), &["a"], 0);
    let two = [sized("--frame", "a"), b"--frame--\r\n".to_vec(), sized("--frame", "b")].concat();
    check("that says it is the last", TYPE, &two, &["a", "b"], 0);
    check("longer than announced is another", TYPE, &[one("--framed"), one("--frame")].concat(), &["a"], 52);
}

#[test]
fn another_boundary_than_announced_is_found() {
    let stream: Vec<u8> = (0..200).flat_map(|i| sized("--other", &i.to_string())).collect();
    let (found, parts) = split(TYPE, &stream, 100);
    assert!((100..200).contains(&found.len()) && found.last() == Some(&picture("199")), "{}", found.len());
    assert!(parts.garbage() > WRONG_AFTER);
}

#[test]
fn garbage_between_parts_is_passed_over_and_counted() {
    let stream = [sized("--frame", "a"), b"oops\r\n".to_vec(), sized("--frame", "b"), b"!\n".to_vec()].concat();
    check("text", TYPE, &[stream, sized("--frame", "c")].concat(), &["a", "b", "c"], 5);
    let short = [part("--frame", "Content-Length: 3\r\n", &picture("a")), sized("--frame", "b")].concat();
    let (found, _) = split(TYPE, &short, 5);
    assert_eq!(found, [picture("a")[..3].to_vec(), picture("b")], "a length that is too short costs one picture");
    let long = [part("--frame", "Content-Length: 30\r\n", &picture("a")), sized("--frame", "b"), sized("--frame", "c")];
    let (found, _) = split(TYPE, &long.concat(), 5);
    assert_eq!(found.last(), Some(&picture("c")), "one that is too long costs another");
    let text = [b"--frame\r\nContent-Type: text/plain\r\n\r\nhello\r\n".to_vec(), sized("--frame", "a")].concat();
    check("a part that is no picture", TYPE, &text, &["a"], 0);
}

#[test]
fn a_picture_without_a_length_does_not_wait_for_the_next() {
    let mut parts = Parts::new(TYPE);
    parts.feed(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n");
    let whole = picture("a");
    parts.feed(&whole[..whole.len() - 1]);
    assert_eq!(parts.next(), None);
    parts.feed(&whole[whole.len() - 1..]);
    assert_eq!(parts.next(), Some(whole));
    parts.feed(&[b"\r\n".to_vec(), part("--frame", "", &picture("b"))].concat());
    assert_eq!(parts.next(), Some(picture("b")));
    assert_eq!(parts.garbage(), 0);
}

#[test]
fn what_is_too_large_is_given_up() {
    let huge = format!("--frame\r\nContent-Length: {}\r\n\r\n", LARGEST + 1).into_bytes();
    let (found, parts) = split(TYPE, &[huge, vec![7; 1000], sized("--frame", "a")].concat(), 100);
    assert_eq!((found, parts.broken()), (vec![picture("a")], 1));
    let endless = [b"--frame\r\n\r\n".to_vec(), vec![7; LARGEST + 5000], sized("\r\n--frame", "a")].concat();
    let (found, parts) = split(TYPE, &endless, 4096);
    assert_eq!((found, parts.broken()), (vec![picture("a")], 1));
    let header = [b"--frame\r\n".to_vec(), b"x: y\r\n".repeat(LONGEST_HEADER), sized("--frame", "a")].concat();
    let (found, parts) = split(TYPE, &header, 4096);
    assert_eq!(found, [picture("a")]);
    assert!(parts.bytes.len() < 2 * LONGEST_HEADER);
}

proptest! {
    /// However a stream is cut, the same comes out of it.
    #[test]
    fn cuts_do_not_matter(stream in prop::collection::vec(prop_oneof![
        Just(b"--frame".to_vec()), Just(b"\r\n".to_vec()), Just(b"\n".to_vec()), Just(b"-".to_vec()),
        Just(b"Content-Length: 3".to_vec()), Just(vec![0xff, 0xd8]), Just(b"ab".to_vec()),
    ], 0..40), step in 1usize..9) {
        let stream = stream.concat();
        let (whole, _) = split(TYPE, &stream, stream.len().max(1));
        let (cut, _) = split(TYPE, &stream, step);
        prop_assert_eq!(whole, cut);
    }

    #[test]
    fn nothing_breaks_it(content_type in ".{0,40}", stream in prop::collection::vec(any::<u8>(), 0..400)) {
        split(&content_type, &stream, 17);
        split(&format!("multipart/x-mixed-replace; boundary={content_type}"), &stream, 17);
    }
}
