//! Reads one picture from a file, the way a person would see it.
//!
//! Absent on purpose: no repair. Half a picture is refused and not filled up with grey, since a detector
//! finds nothing in grey and nobody would notice.

use crate::geometry::{BBox, Point};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::Arc;

/// Larger pictures are refused before they are unpacked: they have to fit a board's memory.
const MAX_PIXELS: u64 = 120_000_000;
const MAX_SIDE: u32 = 65_535;
/// Unpacked as they are stored; up to 16 bytes a pixel.
const MAX_UNPACKED: u64 = 384_000_000;
/// In the file.
const MAX_BYTES: u64 = 512 << 20;
const FORMATS: &str = "JPEG, PNG, GIF or BMP";

/// A picture from a file.
pub struct Still {
    /// Upright: turned as its EXIF says.
    pub picture: Arc<RgbImage>,
    /// Width and height in the file, before it was turned.
    pub stored: (u32, u32),
    turned: Orientation,
}

impl Still {
    /// Says what is wrong with the file in words that follow its name.
    pub fn read(path: &Path) -> Result<Still> {
        let bytes = read_bytes(path)?;
        let reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format()?;
        let Some(format) = reader.format() else { bail!("not a picture, expected {FORMATS}") };
        ensure!(format.reading_enabled(), "pictures of this kind ({format:?}) are not read, expected {FORMATS}");
        ensure!(format != ImageFormat::Jpeg || jpeg_ends(&bytes), "the JPEG is cut off before its end");

        let mut decoder = reader.into_decoder().map_err(broken)?;
        let (width, height) = decoder.dimensions();
        ensure!(width > 0 && height > 0, "a picture without pixels");
        ensure!(
            u64::from(width) * u64::from(height) <= MAX_PIXELS,
            "a picture of {width}x{height} pixels, at most {} million are read",
            MAX_PIXELS / 1_000_000
        );
        ensure!(
            width.max(height) <= MAX_SIDE,
            "a picture of {width}x{height} pixels, at most {MAX_SIDE} are read in a row or column"
        );
        // The crate's own limit does not count the picture itself.
        let unpacked = decoder.total_bytes();
        ensure!(
            unpacked <= MAX_UNPACKED,
            "a picture of {width}x{height} pixels that takes {} MB, at most {} are read",
            unpacked / 1_000_000,
            MAX_UNPACKED / 1_000_000
        );
        // A picture whose EXIF cannot be read is shown as it is stored, as everybody else does.
        let turned = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let mut picture = DynamicImage::from_decoder(decoder).map_err(broken)?;
        picture.apply_orientation(turned);
        Ok(Still { picture: Arc::new(picture.into_rgb8()), stored: (width, height), turned })
    }

    /// Where a box of the upright picture lies in the one that is stored; fractions of either.
    pub fn in_stored(&self, bbox: BBox) -> BBox {
        let turn = |x: f32, y: f32| match self.turned {
            Orientation::NoTransforms => Point::new(x, y),
            Orientation::Rotate90 => Point::new(y, 1.0 - x),
            Orientation::Rotate180 => Point::new(1.0 - x, 1.0 - y),
            Orientation::Rotate270 => Point::new(1.0 - y, x),
            Orientation::FlipHorizontal => Point::new(1.0 - x, y),
            Orientation::FlipVertical => Point::new(x, 1.0 - y),
            Orientation::Rotate90FlipH => Point::new(y, x),
            Orientation::Rotate270FlipH => Point::new(1.0 - y, 1.0 - x),
        };
        let (a, b) = (turn(bbox.x1, bbox.y1), turn(bbox.x2, bbox.y2));
        BBox::new(a.x.min(b.x), a.y.min(b.y), a.x.max(b.x), a.y.max(b.y))
    }
}

/// The picture alone, upright.
///
/// # Errors
/// One sentence that begins with the file's name.
pub fn read_picture(path: &Path) -> Result<Arc<RgbImage>> {
    Still::read(path).map(|still| still.picture).with_context(|| path.display().to_string())
}

/// The messages of the crate have several lines.
fn broken(error: image::ImageError) -> anyhow::Error {
    let text = error.to_string();
    anyhow!("broken picture: {}", text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    let file = File::open(path)?;
    ensure!(!file.metadata()?.is_dir(), "a folder, expected a picture ({FORMATS}); name the files in it");
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    ensure!(bytes.len() as u64 <= MAX_BYTES, "more than {} MiB, too large for a picture", MAX_BYTES >> 20);
    ensure!(!bytes.is_empty(), "the file is empty, expected a picture ({FORMATS})");
    Ok(bytes)
}

/// Whether the end marker comes after the first scan. The decoder does not tell: it fills up what is missing.
fn jpeg_ends(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xDA;
    const END_OF_IMAGE: [u8; 2] = [0xFF, 0xD9];
    let mut rest = bytes.get(2..).unwrap_or_default();
    // Before the scan there are segments, and a thumbnail in one of them has an end marker of its own.
    while let [0xFF, marker, after @ ..] = rest {
        match (*marker, after) {
            (START_OF_SCAN, scan) => return scan.windows(2).rev().any(|pair| pair == END_OF_IMAGE),
            // Padding, and markers without a length.
            (0xFF, _) => rest = &rest[1..],
            (0x01 | 0xD0..=0xD7, _) => rest = after,
            (_, [high, low, ..]) => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                rest = after.get(length.max(2)..).unwrap_or_default();
            }
            _ => return false,
        }
    }
    // Something that is no segment: what is wrong with it is for the decoder to say.
    rest.first().is_some_and(|byte| *byte != 0xFF)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn boxes_go_back_the_way_the_picture_came() {
        // One red pixel in a picture that is turned in each of the eight ways.
        let (at, size) = ((3, 1), (8, 5));
        let stored = RgbImage::from_fn(size.0, size.1, |x, y| Rgb(if (x, y) == at { [255, 0, 0] } else { [0; 3] }));
        for exif in 1..=8 {
            let turned = Orientation::from_exif(exif).unwrap();
            let mut upright = DynamicImage::ImageRgb8(stored.clone());
            upright.apply_orientation(turned);
            let picture = upright.into_rgb8();
            let (w, h) = (picture.width() as f32, picture.height() as f32);
            let (x, y, _) = picture.enumerate_pixels().find(|(_, _, p)| p.0[0] == 255).unwrap();
            let red = BBox::from_xywh(x as f32 / w, y as f32 / h, 1.0 / w, 1.0 / h);
            let back = Still { picture: Arc::new(picture), stored: size, turned }.in_stored(red);
            let found = [back.x1 * 8.0, back.y1 * 5.0, back.x2 * 8.0, back.y2 * 5.0].map(|v| v.round() as u32);
            assert_eq!(found, [3, 1, 4, 2], "orientation {exif}");
        }
    }

    #[test]
    fn a_jpeg_ends_where_its_scan_does() {
        let check = |bytes: &[u8], ends: bool| assert_eq!(jpeg_ends(bytes), ends, "{bytes:02x?}");
        let thumbnail = [0xFF, 0xD8, 0xFF, 0xE1, 0, 4, 0xFF, 0xD9];
        check(&[&thumbnail[..], &[0xFF, 0xDA, 0, 2, 1, 2, 0xFF, 0xD9]].concat(), true);
        check(&[&thumbnail[..], &[0xFF, 0xDA, 0, 2, 1, 2, 0xFF, 0xD9, 0, 0]].concat(), true);
        check(&[&thumbnail[..], &[0xFF, 0xDA, 0, 2, 1, 2]].concat(), false);
        check(&thumbnail, false);
        check(&[0xFF, 0xD8, 0xFF], false);
        check(&[], false);
    }

    #[test]
    fn each_bad_picture_gets_one_sentence_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("empty.jpg"), b"").unwrap();
        std::fs::write(path("text.png"), b"hello").unwrap();
        let mut png = Vec::new();
        RgbImage::new(8, 8).write_to(&mut Cursor::new(&mut png), ImageFormat::Png).unwrap();
        std::fs::write(path("cut.png"), &png[..png.len() / 2]).unwrap();
        let mut jpeg = Vec::new();
        RgbImage::new(64, 64).write_to(&mut Cursor::new(&mut jpeg), ImageFormat::Jpeg).unwrap();
        std::fs::write(path("cut.jpg"), &jpeg[..jpeg.len() - 20]).unwrap();
        // Size, bits and colours stand in the header; behind it its check sum, or it would be refused for that.
        let mut claim = |name: &str, width: u32, height: u32, kind: [u8; 2]| {
            png[16..24].copy_from_slice(&[width.to_be_bytes(), height.to_be_bytes()].concat());
            png[24..26].copy_from_slice(&kind);
            let sum = crc32(&png[12..29]);
            png[29..33].copy_from_slice(&sum.to_be_bytes());
            std::fs::write(path(name), &png).unwrap();
        };
        claim("huge.png", 20_000, 20_000, [8, 2]);
        claim("deep.png", 10_000, 10_000, [16, 6]);
        claim("long.png", 64_000_000, 1, [8, 2]);
        for (name, expected) in [
            ("empty.jpg", "the file is empty, expected a picture (JPEG, PNG, GIF or BMP)"),
            ("text.png", "not a picture, expected JPEG, PNG, GIF or BMP"),
            ("cut.png", "broken picture"),
            ("cut.jpg", "the JPEG is cut off before its end"),
            ("huge.png", "a picture of 20000x20000 pixels, at most 120 million are read"),
            ("deep.png", "a picture of 10000x10000 pixels that takes 800 MB, at most 384 are read"),
            ("long.png", "a picture of 64000000x1 pixels, at most 65535 are read in a row or column"),
            ("", "a folder, expected a picture"),
            ("none.png", "No such file"),
        ] {
            let error = format!("{:#}", read_picture(&path(name)).unwrap_err());
            assert!(error.contains(expected) && error.starts_with(folder.path().to_str().unwrap()), "{name}: {error}");
        }
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0u32, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 })
        })
    }
}
