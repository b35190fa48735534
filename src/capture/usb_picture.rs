//! What USB cameras send, turned into pictures. Pure.

use super::decode::jpeg;
use crate::frame::{Picture, Yuv420};
use anyhow::{Context as _, Result, ensure};
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Mjpeg,
    /// Y0 U Y1 V
    Yuyv,
    /// A plane of Y, then one of U V in turn.
    Nv12,
}

/// How pictures lie in memory. The size of an MJPEG picture is in the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    pub kind: Kind,
    pub width: u32,
    pub height: u32,
    /// Bytes from one row to the next; of NV12 in either plane. 0: rows are packed.
    pub stride: u32,
    /// Luma and chroma fill 0..255.
    pub full_range: bool,
}

/// `bytes` may be longer than the picture.
pub fn decode(layout: &Layout, bytes: Vec<u8>) -> Result<Picture> {
    Ok(match layout.kind {
        Kind::Mjpeg => jpeg::picture(bytes)?,
        Kind::Yuyv => Picture::Yuv420(Arc::new(from_yuyv(layout, &bytes)?)),
        Kind::Nv12 => Picture::Yuv420(Arc::new(from_nv12(layout, &bytes)?)),
    })
}

fn from_yuyv(layout: &Layout, bytes: &[u8]) -> Result<Yuv420> {
    let (w, h, (cw, _)) = sides(layout)?;
    // Two columns share four bytes, the last one of an odd width as well.
    let stride = layout.stride as usize;
    let stride = if stride == 0 { 4 * cw } else { stride };
    let rows = rows(bytes, stride, 4 * cw, h).with_context(|| too_short(layout, "YUYV", bytes))?;
    let y = rows.iter().flat_map(|row| row.iter().step_by(2).take(w)).copied().collect();
    // Chroma of two rows is averaged; of an odd last row it is taken as it is.
    let chroma = |offset: usize| -> Vec<u8> {
        let mut plane = Vec::with_capacity(cw * h.div_ceil(2));
        for pair in rows.chunks(2) {
            let (upper, lower) = (pair[0], pair[pair.len() - 1]);
            let of = |row: &[u8], x: usize| u16::from(row[4 * x + offset]);
            plane.extend((0..cw).map(|x| (of(upper, x) + of(lower, x)).div_ceil(2) as u8));
        }
        plane
    };
    Ok(Yuv420 {
        width: layout.width,
        height: layout.height,
        y,
        u: chroma(1),
        v: chroma(3),
        full_range: layout.full_range,
    })
}

fn from_nv12(layout: &Layout, bytes: &[u8]) -> Result<Yuv420> {
    let (w, h, (cw, ch)) = sides(layout)?;
    let stride = layout.stride as usize;
    let (luma, chroma) = (if stride == 0 { w } else { stride }, stride.max(2 * cw));
    let upper = rows(bytes, luma, w, h).with_context(|| too_short(layout, "NV12", bytes))?;
    let rest = bytes.get(luma * h..).unwrap_or_default();
    let lower = rows(rest, chroma, 2 * cw, ch).with_context(|| too_short(layout, "NV12", bytes))?;
    let plane = |offset: usize| lower.iter().flat_map(|row| row.iter().skip(offset).step_by(2)).copied().collect();
    Ok(Yuv420 {
        width: layout.width,
        height: layout.height,
        y: upper.concat(),
        u: plane(0),
        v: plane(1),
        full_range: layout.full_range,
    })
}

/// Columns and rows, and those of chroma.
fn sides(layout: &Layout) -> Result<(usize, usize, (usize, usize))> {
    let (cw, ch) = Yuv420::chroma_size(layout.width, layout.height);
    ensure!(layout.width > 0 && layout.height > 0, "a picture of {}x{}", layout.width, layout.height);
    Ok((layout.width as usize, layout.height as usize, (cw as usize, ch as usize)))
}

/// The used part of each row; the last one may end with the buffer.
fn rows(bytes: &[u8], stride: usize, used: usize, count: usize) -> Option<Vec<&[u8]>> {
    if stride < used {
        return None;
    }
    (0..count).map(|row| bytes.get(row * stride..)?.get(..used)).collect()
}

fn too_short(layout: &Layout, format: &str, bytes: &[u8]) -> String {
    let Layout { width, height, stride, .. } = layout;
    format!("{} bytes of {format} are too few for {width}x{height} in rows of {stride} bytes", bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    fn layout(kind: Kind, width: u32, height: u32, stride: u32) -> Layout {
        Layout { kind, width, height, stride, full_range: false }
    }

    #[test]
    fn packed_422_becomes_planes() {
        let yuyv = |width, height, stride, bytes: &[u8]| from_yuyv(&layout(Kind::Yuyv, width, height, stride), bytes);
        // Two rows of two pixels: Y 1 2 / 3 4, U 10 / 20, V 30 / 40; then what lay in the buffer.
        let yuv = yuyv(2, 2, 4, &[1, 10, 2, 30, 3, 20, 4, 40, 99, 99]).unwrap();
        assert_eq!((yuv.y, yuv.u, yuv.v), (vec![1, 2, 3, 4], vec![15], vec![35]));
        let yuv = yuyv(2, 3, 0, &[1, 10, 2, 30, 3, 20, 4, 40, 5, 50, 6, 60]).unwrap();
        assert_eq!((yuv.u, yuv.v), (vec![15, 50], vec![35, 60]));
        // Rows of six bytes, the last one without its padding.
        let padded = yuyv(2, 2, 6, &[1, 10, 2, 30, 77, 77, 3, 20, 4, 40]).unwrap();
        assert_eq!((padded.y, padded.u, padded.v), (vec![1, 2, 3, 4], vec![15], vec![35]));
        // Three columns: the fourth is there and not shown.
        let odd = yuyv(3, 1, 0, &[1, 10, 2, 30, 3, 20, 9, 40]).unwrap();
        assert!(odd.is_consistent());
        assert_eq!((odd.y, odd.u, odd.v), (vec![1, 2, 3], vec![10, 20], vec![30, 40]));
        assert!(yuyv(2, 2, 4, &[0; 7]).is_err());
        assert!(yuyv(2, 2, 3, &[0; 99]).is_err());
        assert!(yuyv(0, 2, 4, &[0; 8]).is_err());
    }

    #[test]
    fn interleaved_chroma_becomes_planes() {
        let nv12 = |width, height, stride, bytes: &[u8]| from_nv12(&layout(Kind::Nv12, width, height, stride), bytes);
        let yuv = nv12(2, 2, 0, &[1, 2, 3, 4, 50, 60]).unwrap();
        assert!(yuv.is_consistent());
        assert_eq!((yuv.y, yuv.u, yuv.v), (vec![1, 2, 3, 4], vec![50], vec![60]));
        let padded = nv12(2, 2, 3, &[1, 2, 77, 3, 4, 77, 50, 60, 77]).unwrap();
        assert_eq!((padded.y, padded.u, padded.v), (vec![1, 2, 3, 4], vec![50], vec![60]));
        let odd = nv12(3, 1, 0, &[1, 2, 3, 50, 60, 51, 61]).unwrap();
        assert!(odd.is_consistent());
        assert_eq!((odd.y, odd.u, odd.v), (vec![1, 2, 3], vec![50, 51], vec![60, 61]));
        assert!(nv12(2, 2, 0, &[0; 5]).is_err());
    }
}
