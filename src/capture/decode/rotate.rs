//! Films of telephones lie on their side and say so.

use crate::frame::Yuv420;

/// Clockwise, as a player turns the picture before it shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    None,
    Quarter,
    Half,
    ThreeQuarters,
}

impl Rotation {
    pub fn apply(self, yuv: Yuv420) -> Yuv420 {
        if self == Rotation::None {
            return yuv;
        }
        let (w, h) = (yuv.width as usize, yuv.height as usize);
        let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
        let (width, height) = match self {
            Rotation::Half | Rotation::None => (yuv.width, yuv.height),
            Rotation::Quarter | Rotation::ThreeQuarters => (yuv.height, yuv.width),
        };
        Yuv420 {
            width,
            height,
            y: self.plane(&yuv.y, w, h),
            u: self.plane(&yuv.u, cw, ch),
            v: self.plane(&yuv.v, cw, ch),
            full_range: yuv.full_range,
        }
    }

    fn plane(self, from: &[u8], w: usize, h: usize) -> Vec<u8> {
        match self {
            Rotation::None => from.to_vec(),
            Rotation::Half => from.iter().rev().copied().collect(),
            Rotation::Quarter => (0..w).flat_map(|x| (0..h).rev().map(move |y| from[y * w + x])).collect(),
            Rotation::ThreeQuarters => (0..w).rev().flat_map(|x| (0..h).map(move |y| from[y * w + x])).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_turn_brings_the_left_column_up() {
        let (w, h) = (3, 2);
        let picture = [1, 2, 3, 4, 5, 6];
        assert_eq!(Rotation::Quarter.plane(&picture, w, h), [4, 1, 5, 2, 6, 3]);
        assert_eq!(Rotation::ThreeQuarters.plane(&picture, w, h), [3, 6, 2, 5, 1, 4]);
        assert_eq!(Rotation::Half.plane(&picture, w, h), [6, 5, 4, 3, 2, 1]);
    }
}
