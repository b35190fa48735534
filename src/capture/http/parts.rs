//! Splits a stream of `multipart/x-mixed-replace` into the pictures in it. Pure: bytes in, pictures out.
//!
//! Cameras are careless here. A boundary is announced with its dashes or without, quoted or not, and now and then another
//! one is used; a length is given, or missing, or wrong; text stands between the parts. So a delimiter is looked for, not
//! expected, whatever is between the end of one part and the next delimiter is passed over, and everything is bounded.

use crate::capture::decode::jpeg;

/// Of one picture, in bytes; those of 8 megapixels have some 4 MB.
pub const LARGEST: usize = 8 << 20;
const LONGEST_HEADER: usize = 16 << 10;
/// A boundary has at most 70 characters; this is with the rest of its line.
const LONGEST_LINE: usize = 256;
/// So much without the announced boundary, and it is taken to be another one.
const WRONG_AFTER: u64 = 4096;

#[derive(Debug)]
pub struct Parts {
    /// Two dashes and the boundary without the dashes before it. Empty: not known yet.
    delimiter: Vec<u8>,
    place: Place,
    bytes: Vec<u8>,
    /// In `bytes`: no delimiter begins before.
    searched: usize,
    has_begun: bool,
    garbage: u64,
    broken: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Between,
    Header,
    /// In a part of so many bytes.
    Sized {
        length: usize,
        is_picture: bool,
    },
    /// In a part that ends with the next delimiter, or as soon as its picture is whole.
    Open {
        is_picture: bool,
    },
}

impl Parts {
    /// For the `Content-Type` of the answer.
    pub fn new(content_type: &str) -> Self {
        let boundary = parameter(content_type, "boundary").unwrap_or_default();
        Parts {
            delimiter: delimiter(boundary.as_bytes()),
            place: Place::Between,
            bytes: Vec::new(),
            searched: 0,
            has_begun: false,
            garbage: 0,
            broken: 0,
        }
    }

    /// Bytes between parts that belong to none, white space and dashes apart.
    pub fn garbage(&self) -> u64 {
        self.garbage
    }

    /// Parts that were given up because they are larger than [`LARGEST`].
    pub fn broken(&self) -> u64 {
        self.broken
    }

    /// What came; [`Parts::next`] is to be asked after that until it has no more.
    pub fn feed(&mut self, more: &[u8]) {
        self.bytes.extend_from_slice(more);
    }

    /// The next picture that is whole, as the camera sent it.
    pub fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            match self.place {
                Place::Between => self.find_part()?,
                Place::Header => self.read_header()?,
                Place::Sized { length, is_picture } => {
                    if self.bytes.len() < length {
                        return None;
                    }
                    let part = self.take(length);
                    self.place = Place::Between;
                    if is_picture {
                        return Some(part);
                    }
                }
                Place::Open { is_picture } => {
                    let part = self.find_end()?;
                    if is_picture && !part.is_empty() {
                        return Some(part);
                    }
                }
            }
        }
    }

    /// Removes what was read.
    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.bytes.split_off(length);
        self.searched = 0;
        std::mem::replace(&mut self.bytes, rest)
    }

    fn pass_over(&mut self, length: usize) {
        let passed = self.take(length);
        self.garbage += passed.iter().filter(|byte| !byte.is_ascii_whitespace() && **byte != b'-').count() as u64;
        if !self.has_begun && self.garbage > WRONG_AFTER {
            self.delimiter.clear();
        }
    }

    /// To the end of the next delimiter's line. `None`: more is needed.
    fn find_part(&mut self) -> Option<()> {
        if self.delimiter.is_empty() {
            match first_delimiter(&self.bytes) {
                Some(found) => self.delimiter = found,
                None => {
                    let kept = self.bytes.len().min(LONGEST_LINE);
                    self.pass_over(self.bytes.len() - kept);
                    return None;
                }
            }
        }
        let Some(at) = self.find_delimiter(|_| true) else {
            let kept = self.bytes.len().min(self.delimiter.len());
            self.pass_over(self.bytes.len() - kept);
            return None;
        };
        // With the dashes before it, which are no garbage.
        let dashes = self.bytes[..at].iter().rev().take_while(|byte| **byte == b'-').count();
        self.pass_over(at - dashes);
        let after = dashes + self.delimiter.len();
        let Some(end) = self.bytes[after..].iter().position(|byte| *byte == b'\n') else {
            if self.bytes.len() > after + LONGEST_LINE {
                self.pass_over(after);
                return Some(());
            }
            return None;
        };
        // One that says there is no more is believed when no more comes.
        let is_last = self.bytes[after..].starts_with(b"--");
        self.take(after + end + 1);
        self.has_begun = true;
        if !is_last {
            self.place = Place::Header;
        }
        Some(())
    }

    fn read_header(&mut self) -> Option<()> {
        let Some(length) = header_length(&self.bytes) else {
            if self.bytes.len() > LONGEST_HEADER {
                self.place = Place::Between;
                return Some(());
            }
            return None;
        };
        let header = self.take(length);
        let header = String::from_utf8_lossy(&header);
        let field = |name: &str| {
            let named = |line: &str| {
                let (key, value) = line.split_once(':')?;
                key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_ascii_lowercase())
            };
            header.lines().find_map(named)
        };
        let is_picture =
            field("content-type").is_none_or(|kind| !["text/", "audio/"].iter().any(|k| kind.starts_with(k)));
        self.place = match field("content-length").and_then(|length| length.parse::<usize>().ok()) {
            Some(0) => Place::Between,
            Some(length) if length <= LARGEST => Place::Sized { length, is_picture },
            Some(_) => {
                self.broken += 1;
                Place::Between
            }
            None => Place::Open { is_picture },
        };
        Some(())
    }

    /// The rest of a part whose length is not known.
    fn find_end(&mut self) -> Option<Vec<u8>> {
        let is_end = |before: &[u8]| before.is_empty() || before.ends_with(b"\n") || before.ends_with(&[0xff, 0xd9]);
        if let Some(at) = self.find_delimiter(is_end) {
            let dashes = self.bytes[..at].iter().rev().take_while(|byte| **byte == b'-').count();
            let mut part = self.take(at - dashes);
            part.truncate(without_line_end(&part).len());
            self.place = Place::Between;
            return Some(part);
        }
        // The delimiter may come with the next picture only, which is a picture too late.
        if without_line_end(&self.bytes).ends_with(&[0xff, 0xd9])
            && let Ok(length) = jpeg::length(&self.bytes)
        {
            let part = self.take(length);
            self.place = Place::Between;
            return Some(part);
        }
        if self.bytes.len() > LARGEST {
            self.broken += 1;
            self.bytes.clear();
            self.searched = 0;
            self.place = Place::Between;
            return Some(Vec::new());
        }
        None
    }

    /// Where a delimiter begins, whose line may still be on its way. `may` judges what is before it and its dashes.
    fn find_delimiter(&mut self, may: impl Fn(&[u8]) -> bool) -> Option<usize> {
        let mut from = self.searched;
        while let Some(at) = find(&self.bytes[from..], &self.delimiter).map(|at| from + at) {
            let dashes = self.bytes[..at].iter().rev().take_while(|byte| **byte == b'-').count();
            let is_whole = match self.bytes.get(at + self.delimiter.len()) {
                None => {
                    self.searched = at;
                    return None;
                }
                Some(next) => next.is_ascii_whitespace() || *next == b'-',
            };
            if is_whole && may(&self.bytes[..at - dashes]) {
                return Some(at);
            }
            from = at + 1;
        }
        self.searched = from.max((self.bytes.len() + 1).saturating_sub(self.delimiter.len()));
        None
    }
}

/// The dashes of a delimiter, and those that a camera announces as a part of its boundary, are the same to us.
fn delimiter(boundary: &[u8]) -> Vec<u8> {
    if boundary.is_empty() {
        return Vec::new();
    }
    let dashes = boundary.iter().take_while(|byte| **byte == b'-').count();
    let name = if dashes == boundary.len() { boundary } else { &boundary[dashes..] };
    [b"--", name].concat()
}

/// Of the first line that looks like one.
fn first_delimiter(bytes: &[u8]) -> Option<Vec<u8>> {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    let mut names = lines.filter(|line| line.starts_with(b"--")).map(|line| line.trim_ascii_end());
    let is_name = |name: &&[u8]| (3..LONGEST_LINE).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic);
    names.find(is_name).map(delimiter)
}

/// With the empty line that ends it.
fn header_length(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(end) = bytes[from..].iter().position(|byte| *byte == b'\n').map(|at| from + at + 1) {
        if without_line_end(&bytes[from..end]).is_empty() {
            return Some(end);
        }
        from = end;
    }
    None
}

fn without_line_end(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let (first, rest) = wanted.split_first()?;
    let mut from = 0;
    while let Some(at) = bytes.get(from..)?.iter().position(|byte| byte == first).map(|at| from + at) {
        if bytes[at + 1..].starts_with(rest) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

/// A parameter of a header's value: `b` in `multipart/x-mixed-replace; boundary="b"`.
fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value;
    loop {
        let at = rest.find(';')?;
        rest = rest[at + 1..].trim_start();
        let (key, after) = rest.split_once('=')?;
        // One without a value may stand before it.
        let key = key.rsplit(';').next().unwrap_or_default();
        let after = after.trim_start();
        let (text, left) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(text);
        }
        rest = left;
    }
}

/// Up to the closing quotation mark, and what follows.
fn unquoted(quoted: &str) -> (String, &str) {
    let (mut text, mut is_escaped) = (String::new(), false);
    for (at, letter) in quoted.char_indices() {
        match letter {
            '"' if !is_escaped => return (text, &quoted[at + 1..]),
            '\\' if !is_escaped => is_escaped = true,
            _ => {
                is_escaped = false;
                text.push(letter);
            }
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests;
