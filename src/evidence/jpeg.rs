//! Pictures as JPEG bytes, for snapshots and evidence.

use crate::frame::Picture;
use anyhow::Context;
use image::codecs::jpeg::JpegEncoder;

/// Looks like the original to people, at a tenth of its bytes.
pub const QUALITY: u8 = 85;

/// The whole picture as a JPEG. `quality` goes from 1 to 100. Fails for pictures without pixels and for
/// those with a side of more than 65535, which JPEG cannot hold.
pub fn jpeg(picture: &Picture, quality: u8) -> anyhow::Result<Vec<u8>> {
    let rgb = picture.to_rgb()?;
    let mut bytes = Vec::with_capacity(rgb.len() / 8);
    JpegEncoder::new_with_quality(&mut bytes, quality.clamp(1, 100))
        .encode_image(&*rgb)
        .with_context(|| format!("cannot write a picture of {}x{} pixels as JPEG", rgb.width(), rgb.height()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::RgbImage;
    use std::sync::Arc;

    fn picture(width: u32, height: u32) -> Picture {
        let pixel = |x, y| image::Rgb([(x * 7) as u8, (y * 5) as u8, (x ^ y) as u8]);
        Picture::Rgb(Arc::new(RgbImage::from_fn(width, height, pixel)))
    }

    #[test]
    fn what_is_written_can_be_read_and_less_quality_is_fewer_bytes() {
        let good = jpeg(&picture(65, 33), 95).unwrap();
        let read = image::load_from_memory(&good).unwrap();
        assert_eq!((read.width(), read.height()), (65, 33));
        assert!(jpeg(&picture(65, 33), 30).unwrap().len() < good.len());
    }

    #[test]
    fn no_pixels_no_jpeg() {
        assert!(jpeg(&picture(0, 9), QUALITY).is_err());
    }
}
