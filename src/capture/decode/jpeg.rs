//! The JPEG frames of cameras (USB, RTP), through libjpeg-turbo.
//!
//! A frame is looked at cheaply when it comes (its markers, its header) and decoded when somebody needs pixels: at half,
//! a quarter or an eighth of its size where that will do, which the inverse transform gives for less than the full size,
//! and to the planes it is made of. Frames that are dropped are never decoded, and full size is for people.
//!
//! Absent: still pictures for `detect`, where every pixel counts and nobody hurries (`still`).

use super::check_size;
use crate::frame::{Encoded, Picture, Yuv420};
use anyhow::{Context as _, Result, anyhow, bail};
use image::ImageFormat;
use std::fmt;
use std::sync::Arc;
use turbojpeg::{Colorspace, DecompressHeader, Decompressor, ScalingFactor, Subsamp, YuvImage, yuv_pixels_len};

/// Largest reduction first; those with vector code.
const SCALES: [ScalingFactor; 3] = [ScalingFactor::ONE_EIGHTH, ScalingFactor::ONE_QUARTER, ScalingFactor::ONE_HALF];

/// A progressive picture has some ten; a hostile one has thousands, each as dear as a picture.
const MAX_SCANS: u32 = 64;

struct Jpeg {
    /// From the start marker to the end marker.
    bytes: Vec<u8>,
    header: DecompressHeader,
}

/// One frame of a camera, not decoded yet. `bytes` may have a tail, as the drivers of some cameras hand over a whole
/// buffer with the remains of older frames in it. Its Huffman tables may be missing (those that the standard proposes
/// are meant then), as from many USB cameras.
///
/// # Errors
/// No JPEG, one that is cut off, or one of a size that no camera has; the error completes "a frame is …". What is broken
/// inside of the compressed data shows when it is decoded.
pub fn picture(mut bytes: Vec<u8>) -> Result<Picture> {
    bytes.truncate(length(&bytes)?);
    let mut decompressor = Decompressor::new().map_err(plain)?;
    let header = decompressor.read_header(&bytes).map_err(plain).context("a broken JPEG")?;
    let side = |n: usize| u32::try_from(n).context("a JPEG of absurd size");
    check_size(side(header.width)?, side(header.height)?).context("a JPEG that")?;
    let is_planes = matches!(header.colorspace, Colorspace::YCbCr | Colorspace::Gray);
    if !is_planes || header.is_lossless || header.subsamp == Subsamp::Unknown {
        // No camera is known that does this; whoever has one may see, if slowly.
        let rgb = image::load_from_memory_with_format(&bytes, ImageFormat::Jpeg).context("a broken JPEG")?;
        return Ok(Picture::Rgb(Arc::new(rgb.into_rgb8())));
    }
    Ok(Picture::Encoded(Arc::new(Jpeg { bytes, header })))
}

impl Encoded for Jpeg {
    fn size(&self) -> (u32, u32) {
        (self.header.width as u32, self.header.height as u32)
    }

    fn planes(&self, (width, height): (u32, u32)) -> Result<Yuv420> {
        let will_do = |scale: &ScalingFactor| {
            let scaled = self.header.scaled(*scale);
            scaled.width >= width as usize && scaled.height >= height as usize
        };
        self.decode(SCALES.into_iter().find(will_do).unwrap_or(ScalingFactor::ONE))
    }
}

impl Jpeg {
    fn decode(&self, scale: ScalingFactor) -> Result<Yuv420> {
        const PACKED: usize = 1;
        let DecompressHeader { width, height, subsamp, .. } = self.header.scaled(scale);
        let mut decompressor = Decompressor::new().map_err(plain)?;
        decompressor.set_scaling_factor(scale).map_err(plain)?;
        decompressor.set_scan_limit(MAX_SCANS).map_err(plain)?;
        let length = yuv_pixels_len(width, PACKED, height, subsamp).map_err(plain)?;
        let mut image = YuvImage { pixels: vec![0; length], width, align: PACKED, height, subsamp };
        match decompressor.decompress_to_yuv(&self.bytes, image.as_deref_mut()) {
            // The stuffing of some cameras: everything that was needed was there before it.
            Err(turbojpeg::Error::TurboJpegError(said)) if said.contains("extraneous bytes before marker") => {}
            decoded => decoded.map_err(plain).context("a broken JPEG")?,
        }
        Ok(to_420(image))
    }
}

/// Not its megabytes.
impl fmt::Debug for Jpeg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jpeg({} bytes, {:?})", self.bytes.len(), self.header)
    }
}

/// From the start of the image to its end marker. Behind it may lie the remains of older, longer images, with end
/// markers of their own, so it does not do to look for the last.
///
/// # Errors
/// It does not begin with a JPEG, or with one that is cut off.
pub fn length(bytes: &[u8]) -> Result<usize> {
    if !bytes.starts_with(&[0xff, 0xd8]) {
        bail!("no JPEG, it begins with {:02x?}", &bytes[..bytes.len().min(2)]);
    }
    let mut at = 2;
    loop {
        // To the next marker. In compressed data ff is followed by 00, restart markers are d0..d7; fill bytes are ff.
        let Some(marker) = next_marker(bytes, at) else {
            bail!("a JPEG that is cut off after {} bytes", bytes.len());
        };
        at = marker;
        if bytes[at + 1] == 0xd9 {
            return Ok(at + 2);
        }
        let length = bytes.get(at + 2..at + 4).map_or(0, |l| usize::from(l[0]) << 8 | usize::from(l[1]));
        at += 2 + length;
    }
}

/// From `at` on. Blocks without any ff, nearly all of them, are passed over in one go.
fn next_marker(bytes: &[u8], mut at: usize) -> Option<usize> {
    const BLOCK: usize = 32;
    let is_marker = |at: &usize| match bytes.get(*at..at + 2) {
        Some([0xff, kind]) => !matches!(kind, 0x00 | 0x01 | 0xd0..=0xd8 | 0xff),
        _ => false,
    };
    while let Some(block) = bytes.get(at..at + BLOCK) {
        let any = block.iter().fold(0, |any, byte| any | u8::from(*byte == 0xff));
        if any > 0
            && let Some(found) = (at..at + BLOCK).find(is_marker)
        {
            return Some(found);
        }
        at += BLOCK;
    }
    (at..bytes.len()).find(is_marker)
}

/// The planes packed, and chroma halved in both directions whatever the camera does.
fn to_420(image: YuvImage<Vec<u8>>) -> Yuv420 {
    let (width, height) = (image.width, image.height);
    let (luma, chroma) = (image.y_size(), image.uv_size());
    let to = (width.div_ceil(2), height.div_ceil(2));
    let is_grey = image.subsamp == Subsamp::Gray;
    let mut pixels = image.pixels;
    let [u, v] = if is_grey {
        [vec![128; to.0 * to.1], vec![128; to.0 * to.1]]
    } else {
        let (u, v) = pixels[luma.0 * luma.1..].split_at(chroma.0 * chroma.1);
        [u, v].map(|plane| resample(plane, chroma, to))
    };
    // Rows are padded to whole groups of pixels that share their chroma; few pictures need that.
    if luma.0 != width {
        for row in 1..height {
            pixels.copy_within(row * luma.0..row * luma.0 + width, row * width);
        }
    }
    pixels.truncate(width * height);
    Yuv420 { width: width as u32, height: height as u32, y: pixels, u, v, full_range: true }
}

/// To half as many, as many or twice as many columns and rows, the mean of what goes into one.
fn resample(plane: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    if from.0 == to.0 && from.1 >= to.1 {
        let mean = |upper: &[u8], lower: &[u8], out: &mut Vec<u8>| {
            out.extend(upper.iter().zip(lower).map(|(a, b)| (u16::from(*a) + u16::from(*b)).div_ceil(2) as u8));
        };
        let mut out = Vec::with_capacity(to.0 * to.1);
        if from.1 == to.1 {
            out.extend_from_slice(&plane[..from.0 * from.1]);
            return out;
        }
        for rows in plane.chunks(2 * from.0).take(to.1) {
            let (upper, lower) = rows.split_at(from.0);
            mean(upper, if lower.is_empty() { upper } else { lower }, &mut out);
        }
        return out;
    }
    // Of one output pixel: the first pixel of the input, and the last.
    let span = |i: usize, from: usize, to: usize| {
        let (down, up) = (from.div_ceil(to), to.div_ceil(from));
        let first = (i * down / up).min(from - 1);
        (first, (first + down - 1).min(from - 1))
    };
    let at = |x: usize, y: usize| u16::from(plane[y * from.0 + x]);
    let mut out = Vec::with_capacity(to.0 * to.1);
    for y in 0..to.1 {
        let (y0, y1) = span(y, from.1, to.1);
        for x in 0..to.0 {
            let (x0, x1) = span(x, from.0, to.0);
            out.push(((at(x0, y0) + at(x1, y0) + at(x0, y1) + at(x1, y1) + 2) / 4) as u8);
        }
    }
    out
}

/// Without the name of the library, and without what its memory management thinks.
fn plain(error: turbojpeg::Error) -> anyhow::Error {
    match error {
        turbojpeg::Error::TurboJpegError(said) => anyhow!("{said}"),
        other => anyhow!("{other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::codecs::jpeg::JpegEncoder;
    use image::{GrayImage, Luma, Rgb, RgbImage};
    use turbojpeg::{Compressor, Image, PixelFormat};

    /// Smooth, so that every way to halve chroma gives nearly the same.
    fn scene(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| Rgb([(40 + x * 150 / width) as u8, (200 - y * 150 / height) as u8, 90]))
    }

    fn encoded(picture: &RgbImage, subsamp: Subsamp) -> Vec<u8> {
        let mut compressor = Compressor::new().unwrap();
        compressor.set_quality(95).unwrap();
        compressor.set_subsamp(subsamp).unwrap();
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let image = Image { pixels: &**picture, width, pitch: 3 * width, height, format: PixelFormat::RGB };
        compressor.compress_to_vec(image).unwrap()
    }

    fn worst(a: &RgbImage, b: &RgbImage) -> u8 {
        assert_eq!(a.dimensions(), b.dimensions());
        a.iter().zip(b.iter()).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
    }

    #[test]
    fn every_kind_of_chroma_and_odd_sizes_come_back_at_every_scale() {
        use Subsamp::{None as Sub1x1, Sub1x2, Sub1x4, Sub2x1, Sub2x2, Sub4x1};
        for subsamp in [Sub1x1, Sub2x1, Sub2x2, Sub1x2, Sub4x1, Sub1x4] {
            for (width, height) in [(160, 96), (101, 67), (33, 50)] {
                let original = scene(width, height);
                let picture = picture(encoded(&original, subsamp)).unwrap();
                assert_eq!(picture.size(), (width, height));
                let off = worst(&picture.to_rgb().unwrap(), &original);
                assert!(off <= 12, "{subsamp:?} {width}x{height}: {off}");
                for part in [2, 4, 8] {
                    let expected = (width.div_ceil(part), height.div_ceil(part));
                    let small = picture.decoded(expected).unwrap();
                    let Picture::Yuv420(planes) = &small else { panic!("{small:?}") };
                    assert!(planes.is_consistent());
                    assert_eq!(small.size(), expected);
                    let off = worst(&small.to_rgb().unwrap(), &scene(expected.0, expected.1));
                    // Where the size is no multiple of eight, the last column is more than there was.
                    assert!(off <= 20 || width < 160, "{subsamp:?} {width}x{height} / {part}: {off}");
                }
            }
        }
    }

    #[test]
    fn the_smallest_scale_that_is_large_enough_is_taken() {
        let picture = picture(encoded(&scene(1280, 720), Subsamp::Sub2x2)).unwrap();
        let check = |at_least, expected| assert_eq!(picture.decoded(at_least).unwrap().size(), expected);
        check((416, 234), (640, 360));
        check((640, 361), (1280, 720));
        check((320, 180), (320, 180));
        check((1, 1), (160, 90));
        check((2000, 2000), (1280, 720));
    }

    #[test]
    fn a_grey_camera_is_grey() {
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, 95).encode_image(&GrayImage::from_pixel(33, 17, Luma([77]))).unwrap();
        let rgb = picture(jpeg).unwrap().to_rgb().unwrap();
        assert!(rgb.pixels().all(|p| p.0 == [77; 3]));
    }

    #[test]
    fn the_tail_of_an_older_jpeg_is_cut_away() {
        let (new, old) = (encoded(&scene(16, 16), Subsamp::Sub2x1), encoded(&scene(64, 64), Subsamp::Sub2x1));
        let mut buffer = [new.clone(), vec![0xa5; old.len()], old].concat();
        assert_eq!(length(&buffer).unwrap(), new.len());
        assert_eq!(picture(buffer.clone()).unwrap().size(), (16, 16));
        buffer.truncate(new.len() - 2);
        assert!(picture(buffer).is_err());
    }

    #[test]
    fn broken_jpegs_are_errors() {
        let whole = encoded(&scene(160, 96), Subsamp::Sub2x1);
        for n in 0..whole.len() {
            assert!(picture(whole[..n].to_vec()).is_err(), "{n} bytes");
        }
        assert!(picture(vec![0; 100]).is_err());
        // Half of the scan, and an end marker: only decoding can tell, and does.
        let cut = [&whole[..whole.len() * 3 / 4], &[0xff, 0xd9]].concat();
        let error = picture(cut).unwrap().decoded((1, 1)).unwrap_err();
        assert!(format!("{error:#}").starts_with("a broken JPEG: "), "{error:#}");
    }

    #[test]
    fn stuffing_before_the_end_is_no_harm() {
        let whole = encoded(&scene(64, 64), Subsamp::Sub2x1);
        let stuffed = [&whole[..whole.len() - 2], &[0, 0, 0, 0xff, 0xd9]].concat();
        let [a, b] = [whole, stuffed].map(|jpeg| picture(jpeg).unwrap().to_rgb().unwrap());
        assert_eq!(a, b);
    }

    #[test]
    fn a_jpeg_without_huffman_tables_is_decoded_with_the_usual_ones() {
        let mut whole = encoded(&scene(64, 48), Subsamp::Sub2x1);
        let original = picture(whole.clone()).unwrap().to_rgb().unwrap();
        let mut removed = 0;
        while let Some(at) = whole.windows(2).position(|pair| pair == [0xff, 0xc4]) {
            let length = usize::from(whole[at + 2]) << 8 | usize::from(whole[at + 3]);
            whole.drain(at..at + 2 + length);
            removed += 1;
        }
        assert!(removed > 0);
        assert_eq!(picture(whole).unwrap().to_rgb().unwrap(), original);
    }
}
