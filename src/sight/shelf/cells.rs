//! The part of a picture that a zone covers, as cells of 4 x 4 small pixels: a mean colour and how much edge there is.
//!
//! Small pixels are means of squares, so that a frame is some 320 of them wide whatever the camera gives, and a cell is
//! 1.25 % of its width. Planes are read where they lie, and only there; no picture is turned into RGB.

use crate::frame::{Picture, Yuv420};
use crate::geometry::{BBox, Point, Polygon};
use anyhow::{Context as _, Result, ensure};
use image::RgbImage;

/// Columns of small pixels in a frame at most.
pub(super) const WIDTH: usize = 320;
/// Small pixels in a cell, in each direction.
const SIDE: usize = 4;

/// How one cell looks. Steps of 255, whatever range the source had.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Look {
    /// Brightness.
    pub y: f32,
    /// Colour, nought where there is none.
    pub u: f32,
    pub v: f32,
    /// Mean steps from one small pixel to the next, sideways and downwards.
    pub gx: f32,
    pub gy: f32,
}

impl Look {
    /// Moves by `part` of the way to another look.
    pub fn follow(&mut self, to: &Look, part: f32) {
        let Look { y, u, v, gx, gy } = self;
        for (from, to) in [(y, to.y), (u, to.u), (v, to.v), (gx, to.gx), (gy, to.gy)] {
            *from += (to - *from) * part;
        }
    }
}

/// Which cells of frames of one size lie in a zone. Cells are numbered row by row, those outside are left out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Grid {
    size: (usize, usize),
    /// Pixels of the picture in a small pixel, in each direction.
    step: usize,
    /// First column and row of cells, and how many there are: the box around the zone.
    left: usize,
    top: usize,
    pub columns: usize,
    pub rows: usize,
    /// Of each cell in that box its number, `None` outside of the zone.
    pub number: Vec<Option<usize>>,
    /// Of each number its column and row in that box.
    pub places: Vec<(usize, usize)>,
}

impl Grid {
    /// `None` where the zone covers no cell of such a frame.
    pub fn new(area: &Polygon, (width, height): (u32, u32)) -> Option<Self> {
        let (width, height) = (width as usize, height as usize);
        let step = width.div_ceil(WIDTH).max(1);
        let (all_columns, all_rows) = (width / (step * SIDE), height / (step * SIDE));
        let pixel = (step * SIDE) as f32;
        let centre = |column: usize, row: usize| {
            Point::new((column as f32 + 0.5) * pixel / width as f32, (row as f32 + 0.5) * pixel / height as f32)
        };
        let inside: Vec<(usize, usize)> = (0..all_rows)
            .flat_map(|row| (0..all_columns).map(move |column| (column, row)))
            .filter(|&(column, row)| area.contains(centre(column, row)))
            .collect();
        let left = inside.iter().map(|cell| cell.0).min()?;
        let right = inside.iter().map(|cell| cell.0).max()?;
        let (top, bottom) = (inside.first()?.1, inside.last()?.1);
        let (columns, rows) = (right - left + 1, bottom - top + 1);
        let mut number = vec![None; columns * rows];
        let places: Vec<(usize, usize)> = inside.iter().map(|&(column, row)| (column - left, row - top)).collect();
        for (i, &(column, row)) in places.iter().enumerate() {
            number[row * columns + column] = Some(i);
        }
        Some(Grid { size: (width, height), step, left, top, columns, rows, number, places })
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Of the frame: width over height.
    pub fn aspect(&self) -> f32 {
        self.size.0 as f32 / self.size.1 as f32
    }

    pub fn is_for(&self, (width, height): (u32, u32)) -> bool {
        self.size == (width as usize, height as usize)
    }

    /// The cells within `reach` columns and rows, itself left out.
    pub fn around(&self, cell: usize, reach: usize) -> impl Iterator<Item = usize> + '_ {
        let (column, row) = self.places[cell];
        let rows = row.saturating_sub(reach)..(row + reach + 1).min(self.rows);
        let columns = column.saturating_sub(reach)..(column + reach + 1).min(self.columns);
        rows.flat_map(move |row| columns.clone().map(move |column| row * self.columns + column))
            .filter_map(|place| self.number[place])
            .filter(move |&other| other != cell)
    }

    /// Whether the zone ends beside this cell.
    pub fn is_border(&self, cell: usize) -> bool {
        self.around(cell, 1).count() < 8
    }

    /// The box around some cells, fractions of the frame.
    pub fn bbox(&self, cells: &[usize]) -> BBox {
        let corners = cells.iter().map(|&cell| self.cell_box(cell));
        corners
            .reduce(|a, b| BBox::new(a.x1.min(b.x1), a.y1.min(b.y1), a.x2.max(b.x2), a.y2.max(b.y2)))
            .unwrap_or(BBox::new(0.0, 0.0, 0.0, 0.0))
    }

    pub fn cell_box(&self, cell: usize) -> BBox {
        let (column, row) = self.places[cell];
        let pixel = (self.step * SIDE) as f32;
        let x = |column: usize| (self.left + column) as f32 * pixel / self.size.0 as f32;
        let y = |row: usize| (self.top + row) as f32 * pixel / self.size.1 as f32;
        BBox::new(x(column), y(row), x(column + 1), y(row + 1))
    }

    /// How each cell looks.
    ///
    /// # Errors
    /// The picture has another size, or less data than its size says.
    pub fn look(&self, picture: &Picture) -> Result<Vec<Look>> {
        let (width, height) = picture.size();
        ensure!(self.is_for((width, height)), "the picture is {width}x{height} pixels, expected another size");
        match picture {
            Picture::Yuv420(yuv) => self.look_at_planes(yuv),
            Picture::Rgb(rgb) => self.look_at_rgb(rgb),
            Picture::Encoded(_) => anyhow::bail!("the picture is still compressed"),
        }
    }

    fn look_at_planes(&self, yuv: &Yuv420) -> Result<Vec<Look>> {
        ensure!(yuv.is_consistent(), "the planes of a frame are not as long as its size needs");
        // BT.601 video range.
        let (black, gain, chroma) = if yuv.full_range { (0.0, 1.0, 1.0) } else { (16.0, 255.0 / 219.0, 255.0 / 224.0) };
        let small = self.shrink::<1>(&yuv.y, self.size.0, self.step, SIDE)?;
        let luma: Vec<f32> = small.iter().map(|[y]| (y - black) * gain).collect();
        let chroma_width = self.size.0.div_ceil(2);
        // One mean a cell: half as many samples as of brightness.
        let mean = |plane| self.shrink::<1>(plane, chroma_width, self.step * SIDE / 2, 1);
        let (u, v) = (mean(&yuv.u)?, mean(&yuv.v)?);
        Ok(self.cells(&luma, |i| ((u[i][0] - 128.0) * chroma, (v[i][0] - 128.0) * chroma)))
    }

    fn look_at_rgb(&self, rgb: &RgbImage) -> Result<Vec<Look>> {
        let brightness = |[r, g, b]: [f32; 3]| 0.299 * r + 0.587 * g + 0.114 * b;
        let small = self.shrink::<3>(rgb.as_raw(), self.size.0, self.step, SIDE)?;
        let luma: Vec<f32> = small.iter().map(|&pixel| brightness(pixel)).collect();
        let means = self.shrink::<3>(rgb.as_raw(), self.size.0, self.step * SIDE, 1)?;
        Ok(self.cells(&luma, |i| {
            let y = brightness(means[i]);
            ((means[i][2] - y) * 0.564, (means[i][0] - y) * 0.713)
        }))
    }

    /// Means of squares of `step` pixels in the box around the zone, `per_cell` of them a cell in each direction.
    fn shrink<const C: usize>(
        &self,
        pixels: &[u8],
        width: usize,
        step: usize,
        per_cell: usize,
    ) -> Result<Vec<[f32; C]>> {
        let (columns, rows) = (self.columns * per_cell, self.rows * per_cell);
        let (x0, y0) = (self.left * per_cell * step * C, self.top * per_cell * step);
        let (length, area) = (columns * step * C, (step * step) as f32);
        let mut means = Vec::with_capacity(columns * rows);
        let mut sums = vec![0u32; length];
        for row in 0..rows {
            sums.fill(0);
            for y in y0 + row * step..y0 + (row + 1) * step {
                let start = y * width * C + x0;
                let line =
                    pixels.get(start..start + length).context("a picture has fewer pixels than its size says")?;
                sums.iter_mut().zip(line).for_each(|(sum, &byte)| *sum += u32::from(byte));
            }
            for square in sums.chunks_exact(step * C) {
                let mut mean = [0u32; C];
                for pixel in square.as_chunks::<C>().0 {
                    mean.iter_mut().zip(pixel).for_each(|(mean, &sum)| *mean += sum);
                }
                means.push(mean.map(|sum| sum as f32 / area));
            }
        }
        Ok(means)
    }

    fn cells(&self, luma: &[f32], colour: impl Fn(usize) -> (f32, f32)) -> Vec<Look> {
        let width = self.columns * SIDE;
        let look = |&(column, row): &(usize, usize)| {
            let (mut y, mut gx, mut gy) = (0.0, 0.0, 0.0);
            for line in row * SIDE..(row + 1) * SIDE {
                for x in column * SIDE..(column + 1) * SIDE {
                    let here = luma[line * width + x];
                    y += here;
                    // Steps over the border of a cell belong to the cell behind it.
                    gx += if x > 0 { (here - luma[line * width + x - 1]).abs() } else { 0.0 };
                    gy += if line > 0 { (here - luma[(line - 1) * width + x]).abs() } else { 0.0 };
                }
            }
            let n = (SIDE * SIDE) as f32;
            let (u, v) = colour(row * self.columns + column);
            Look { y: y / n, u, v, gx: gx / n, gy: gy / n }
        };
        self.places.iter().map(look).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;
    use std::sync::Arc;

    fn area(corners: &[[f32; 2]]) -> Polygon {
        Polygon::new(corners.iter().map(|&[x, y]| Point::new(x, y)).collect()).unwrap()
    }

    const LEFT_HALF: [[f32; 2]; 4] = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]];

    #[test]
    fn cells_lie_where_the_zone_is() {
        let grid = Grid::new(&area(&LEFT_HALF), (1280, 720)).unwrap();
        assert_eq!((grid.columns, grid.rows, grid.len()), (40, 45, 1800));
        let cell = grid.number[44 * 40 + 39].unwrap();
        assert_eq!(grid.bbox(&[cell]), BBox::new(0.4875, 704.0 / 720.0, 0.5, 1.0));
        assert!(grid.is_border(cell) && !grid.is_border(41));
        assert_eq!(grid.around(41, 1).collect::<Vec<_>>(), [0, 1, 2, 40, 42, 80, 81, 82]);
        assert!(Grid::new(&area(&LEFT_HALF), (3, 3)).is_none(), "no cell in so small a picture");
        assert!(Grid::new(&area(&[[1.5, 0.0], [1.6, 0.0], [1.6, 1.0]]), (640, 360)).is_none(), "outside");
    }

    #[test]
    fn planes_and_rgb_look_the_same() {
        let rgb = RgbImage::from_fn(640, 64, |x, _| if x < 100 { Rgb([200, 60, 40]) } else { Rgb([90, 90, 90]) });
        let grid = Grid::new(&area(&LEFT_HALF), (640, 64)).unwrap();
        let from_rgb = grid.look(&Picture::Rgb(Arc::new(rgb))).unwrap();
        let (red, grey) = (from_rgb[0], from_rgb[30]);
        assert!((red.y - 99.6).abs() < 1.0 && (red.u + 33.6).abs() < 1.0 && (red.v - 71.6).abs() < 1.0, "{red:?}");
        assert!((grey.y - 90.0).abs() < 1.0 && grey.u.abs() < 1.0 && grey.v.abs() < 1.0, "{grey:?}");
        // The same in video range.
        let at = |x: u32| if x < 100 { [101.5_f32, 98.5, 190.9] } else { [93.3, 128.0, 128.0] };
        let plane = |w: u32, h: u32, scale: u32, i: usize| {
            (0..w * h).map(|at_| at(at_ % w * scale)[i].round() as u8).collect::<Vec<_>>()
        };
        let (y, u, v) = (plane(640, 64, 1, 0), plane(320, 32, 2, 1), plane(320, 32, 2, 2));
        let yuv = Yuv420 { width: 640, height: 64, y, u, v, full_range: false };
        let from_planes = grid.look(&Picture::Yuv420(Arc::new(yuv))).unwrap();
        for (a, b) in from_rgb.iter().zip(&from_planes) {
            let off = [a.y - b.y, a.u - b.u, a.v - b.v, a.gx - b.gx, a.gy - b.gy];
            assert!(off.iter().all(|off| off.abs() < 1.5), "{a:?} {b:?}");
        }
        assert!(from_rgb[12].gx > 1.0, "an edge: {:?}", from_rgb[12]);
    }

    #[test]
    fn a_picture_that_is_too_short_is_refused() {
        let grid = Grid::new(&area(&LEFT_HALF), (64, 64)).unwrap();
        let short = Yuv420 { width: 64, height: 64, y: vec![0; 64], u: vec![], v: vec![], full_range: true };
        assert!(grid.look(&Picture::Yuv420(Arc::new(short))).is_err());
        assert!(grid.look(&Picture::Rgb(Arc::new(RgbImage::new(8, 8)))).is_err());
    }
}
