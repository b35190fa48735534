//! The ZIP around a case. Files from elsewhere are read with suspicion: so many entries, so many bytes, plain names.

use crate::problems::BadInput;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::{Cursor, Read, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// More than the longest case there can be, and little enough for any board.
const MAX_BYTES: u64 = 64 << 20;
const MAX_ENTRIES: usize = 1000;

/// One file in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub bytes: Vec<u8>,
}

impl Entry {
    pub fn new(name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Entry { name: name.into(), bytes: bytes.into() }
    }
}

/// Writes the file whole or not at all; it is on the disk when this returns.
///
/// # Errors
/// The disk is full or the folder is gone.
pub fn write(path: &Path, entries: &[Entry]) -> Result<()> {
    let bytes = packed(entries).context("cannot pack the evidence")?;
    let draft = path.with_extension("part");
    let written = || -> std::io::Result<()> {
        let mut file = File::create(&draft)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    let outcome = written().with_context(|| format!("cannot write the evidence {}", path.display()));
    if outcome.is_err() {
        let _ = fs::remove_file(&draft);
    }
    outcome
}

fn packed(entries: &[Entry]) -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for entry in entries {
        // JPEG does not get smaller.
        let method = if entry.name.ends_with(".jpg") { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        // No times of the machine in it: the same case gives the same bytes.
        let options = SimpleFileOptions::default()
            .compression_method(method)
            .last_modified_time(zip::DateTime::default())
            .unix_permissions(0o644);
        zip.start_file(entry.name.as_str(), options)?;
        zip.write_all(&entry.bytes)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// Every entry, in the order of the file.
///
/// # Errors
/// [`BadInput`]: it is no ZIP, or one that no program of ours has written.
pub fn read(path: &Path) -> Result<Vec<Entry>> {
    let wrong = |what: String| BadInput(format!("{}: {what}, expected an evidence file", path.display()));
    let file = File::open(path).map_err(|error| wrong(format!("cannot be opened ({error})")))?;
    let mut zip = ZipArchive::new(file).map_err(|error| wrong(format!("is no ZIP file ({error})")))?;
    if zip.len() > MAX_ENTRIES {
        return Err(wrong(format!("has {} entries, more than {MAX_ENTRIES}", zip.len())).into());
    }
    let mut entries: Vec<Entry> = Vec::with_capacity(zip.len());
    let mut left = MAX_BYTES;
    for i in 0..zip.len() {
        let mut packed = zip.by_index(i).map_err(|error| wrong(format!("entry {i} cannot be read ({error})")))?;
        let name = packed.name().to_string();
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/' | b'-' | b'_');
        if name.len() > 100 || !name.bytes().all(plain) || entries.iter().any(|entry| entry.name == name) {
            return Err(wrong(format!("entry {i} has a name that no evidence has")).into());
        }
        let mut bytes = Vec::new();
        // One byte more than is allowed tells too much from just enough.
        let mut limited = (&mut packed).take(left + 1);
        limited.read_to_end(&mut bytes).map_err(|error| wrong(format!("{name} cannot be unpacked ({error})")))?;
        left = left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| wrong(format!("unpacks to more than {} MB", MAX_BYTES >> 20)))?;
        entries.push(Entry { name, bytes });
    }
    Ok(entries)
}
