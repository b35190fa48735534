//! Memory that begins where a line of the caches does, so that no vector of it lies in two.

use anyhow::Result;
use std::ops::{Deref, DerefMut};

const LINE: usize = 64;

/// Bytes, or what is as large as a byte.
pub struct Lines<T> {
    /// Never grows, so that it stays where it is.
    all: Vec<T>,
    /// The first that is on a line.
    first: usize,
    length: usize,
}

impl<T: Copy + Default> Lines<T> {
    /// # Errors
    /// There is no room for so many.
    pub fn zeros(length: usize) -> Result<Self> {
        let mut all: Vec<T> = Vec::new();
        all.try_reserve_exact(length.saturating_add(LINE))?;
        let first = all.as_ptr().align_offset(LINE).min(LINE);
        all.resize(first + length, T::default());
        Ok(Lines { all, first, length })
    }
}

impl<T> Deref for Lines<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.all[self.first..self.first + self.length]
    }
}

impl<T> DerefMut for Lines<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.all[self.first..self.first + self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_begins_on_a_line() {
        for length in [0, 1, 63, 64, 1000] {
            let mut lines = Lines::<u8>::zeros(length).unwrap();
            lines.fill(7);
            assert_eq!((lines.as_ptr().align_offset(LINE), lines.len()), (0, length));
            assert!(lines.iter().all(|byte| *byte == 7));
        }
        assert!(Lines::<u8>::zeros(usize::MAX).is_err());
    }
}
