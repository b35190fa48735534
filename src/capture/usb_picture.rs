//! What USB cameras send, turned into pictures. Pure.

use crate::frame::{Picture, Yuv420};
use anyhow::{Context as _, Result, bail};
use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, RgbImage};
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Mjpeg,
    /// Y0 U Y1 V
    Yuyv,
    /// A plane of Y, then one of U V in turn.
    Nv12,
}

/// `bytes` may be longer than the picture: the driver hands over its whole buffer.
pub fn decode(kind: Kind, (width, height): (u32, u32), bytes: &[u8]) -> Result<Picture> {
    Ok(match kind {
        Kind::Mjpeg => {
            let jpeg = with_huffman_tables(one_jpeg(bytes)?);
            let jpeg = image::load_from_memory_with_format(&jpeg, ImageFormat::Jpeg).context("a broken JPEG")?;
            Picture::Rgb(Arc::new(jpeg.into_rgb8()))
        }
        Kind::Yuyv => Picture::Yuv420(Arc::new(from_yuyv(width, height, bytes)?)),
        Kind::Nv12 => Picture::Yuv420(Arc::new(from_nv12(width, height, bytes)?)),
    })
}

/// From the start of the image to its end marker. Behind it lie the remains of older, longer images, with end
/// markers of their own, so it does not do to look for the last.
fn one_jpeg(bytes: &[u8]) -> Result<&[u8]> {
    if !bytes.starts_with(&[0xff, 0xd8]) {
        bail!("no JPEG, it begins with {:02x?}", &bytes[..bytes.len().min(2)]);
    }
    let mut at = 2;
    loop {
        // To the next marker. In compressed data ff is followed by 00, restart markers are d0..d7; fill bytes are ff.
        let Some(marker) = bytes.get(at..).and_then(|rest| rest.windows(2).position(is_marker)) else {
            bail!("a JPEG that is cut off after {} bytes", bytes.len());
        };
        at += marker;
        if bytes[at + 1] == 0xd9 {
            return Ok(&bytes[..at + 2]);
        }
        let length = bytes.get(at + 2..at + 4).map_or(0, |l| usize::from(l[0]) << 8 | usize::from(l[1]));
        at += 2 + length;
    }
}

/// Many cameras leave the Huffman tables out, since they are those the standard proposes. Our own encoder
/// writes just those, so they are taken from it.
fn with_huffman_tables(jpeg: &[u8]) -> Cow<'_, [u8]> {
    static TABLES: OnceLock<Vec<u8>> = OnceLock::new();
    if segments(jpeg).any(|(marker, _)| marker == DHT) {
        return jpeg.into();
    }
    let tables = TABLES.get_or_init(|| {
        let mut any = Vec::new();
        // Encoding into memory does not fail; were it to, the picture is a broken JPEG as before.
        let _ = JpegEncoder::new(&mut any).encode_image(&RgbImage::new(8, 8));
        segments(&any).filter(|(marker, _)| *marker == DHT).flat_map(|(_, segment)| segment.to_vec()).collect()
    });
    [&jpeg[..2], tables, &jpeg[2..]].concat().into()
}

/// Markers and whole segments before the compressed data.
fn segments(jpeg: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = jpeg.get(2..).unwrap_or_default();
    std::iter::from_fn(move || {
        let &[0xff, marker, high, low, ..] = rest else { return None };
        let (segment, after) = rest.split_at_checked(2 + (usize::from(high) << 8 | usize::from(low)))?;
        rest = after;
        (marker != SOS).then_some((marker, segment))
    })
}

const DHT: u8 = 0xc4;
const SOS: u8 = 0xda;

fn is_marker(pair: &[u8]) -> bool {
    pair[0] == 0xff && !matches!(pair[1], 0x00 | 0x01 | 0xd0..=0xd8 | 0xff)
}

fn from_yuyv(width: u32, height: u32, bytes: &[u8]) -> Result<Yuv420> {
    let (w, h) = (width as usize, height as usize);
    let Some(bytes) = bytes.get(..2 * w * h).filter(|_| w > 0 && h > 0 && w % 2 == 0) else {
        bail!("{} bytes of YUYV for {width}x{height}, {} expected", bytes.len(), 2 * w * h);
    };
    let y = bytes.iter().step_by(2).copied().collect();
    // Chroma of two rows is averaged; of an odd last row it is taken as it is.
    let chroma = |offset: usize| -> Vec<u8> {
        let mut plane = Vec::with_capacity(w / 2 * h.div_ceil(2));
        for rows in bytes.chunks(4 * w) {
            let (upper, lower) = rows.split_at(2 * w);
            let lower = if lower.is_empty() { upper } else { lower };
            let of = |row: &[u8], x: usize| u16::from(row[4 * x + offset]);
            plane.extend((0..w / 2).map(|x| (of(upper, x) + of(lower, x)).div_ceil(2) as u8));
        }
        plane
    };
    Ok(Yuv420 { width, height, y, u: chroma(1), v: chroma(3), full_range: false })
}

fn from_nv12(width: u32, height: u32, bytes: &[u8]) -> Result<Yuv420> {
    let (w, h) = (width as usize, height as usize);
    let (cw, ch) = Yuv420::chroma_size(width, height);
    let chroma = 2 * cw as usize * ch as usize;
    let Some(bytes) = bytes.get(..w * h + chroma).filter(|_| w > 0 && h > 0) else {
        bail!("{} bytes of NV12 for {width}x{height}, {} expected", bytes.len(), w * h + chroma);
    };
    let (y, uv) = bytes.split_at(w * h);
    let plane = |offset: usize| uv.iter().skip(offset).step_by(2).copied().collect();
    Ok(Yuv420 { width, height, y: y.to_vec(), u: plane(0), v: plane(1), full_range: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn jpeg(side: u32) -> Vec<u8> {
        let picture = RgbImage::from_fn(side, side, |x, y| Rgb([(x * 37) as u8, (y * 59) as u8, (x * y) as u8]));
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, 95).encode_image(&picture).unwrap();
        jpeg
    }

    #[test]
    fn the_tail_of_an_older_jpeg_is_cut_away() {
        let (new, old) = (jpeg(16), jpeg(64));
        let mut buffer = old.clone();
        buffer[..new.len()].copy_from_slice(&new);
        assert!(buffer.len() > new.len() && buffer.ends_with(&[0xff, 0xd9]));
        assert_eq!(one_jpeg(&buffer).unwrap(), new);
        assert_eq!(decode(Kind::Mjpeg, (16, 16), &buffer).unwrap().size(), (16, 16));
    }

    #[test]
    fn broken_jpegs_are_errors() {
        let whole = jpeg(16);
        for n in 0..whole.len() {
            assert!(one_jpeg(&whole[..n]).is_err(), "{n} bytes");
        }
        assert!(one_jpeg(&[0; 100]).is_err());
    }

    #[test]
    fn a_jpeg_without_huffman_tables_is_decoded_with_the_usual_ones() {
        let mut whole = jpeg(16);
        let original = decode(Kind::Mjpeg, (16, 16), &whole).unwrap().to_rgb();
        while let Some(at) = whole.windows(2).position(|pair| pair == [0xff, 0xc4]) {
            let length = usize::from(whole[at + 2]) << 8 | usize::from(whole[at + 3]);
            whole.drain(at..at + 2 + length);
        }
        assert_eq!(decode(Kind::Mjpeg, (16, 16), &whole).unwrap().to_rgb(), original);
    }

    #[test]
    fn packed_422_becomes_planes() {
        // Two rows of two pixels: Y 1 2 / 3 4, U 10 / 20, V 30 / 40; then what lay in the buffer.
        let yuv = from_yuyv(2, 2, &[1, 10, 2, 30, 3, 20, 4, 40, 99, 99]).unwrap();
        assert_eq!((yuv.y, yuv.u, yuv.v), (vec![1, 2, 3, 4], vec![15], vec![35]));
        let yuv = from_yuyv(2, 3, &[1, 10, 2, 30, 3, 20, 4, 40, 5, 50, 6, 60]).unwrap();
        assert_eq!((yuv.u, yuv.v), (vec![15, 50], vec![35, 60]));
        assert!(from_yuyv(2, 2, &[0; 7]).is_err());
    }

    #[test]
    fn interleaved_chroma_becomes_planes() {
        let yuv = from_nv12(2, 2, &[1, 2, 3, 4, 50, 60]).unwrap();
        assert!(yuv.is_consistent());
        assert_eq!((yuv.y, yuv.u, yuv.v), (vec![1, 2, 3, 4], vec![50], vec![60]));
        assert!(from_nv12(2, 2, &[0; 5]).is_err());
    }
}
