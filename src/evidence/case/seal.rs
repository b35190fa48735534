//! Digests, chained, and a signature over the end of the chain.
//!
//! ```text
//! link(0) = 32 zero bytes
//! link(i) = SHA-256( link(i-1) || length of name as u64 LE || name || hexadecimal SHA-256 of the bytes )
//! ```
//!
//! The digests alone say which file was changed; the chain fixes their names and order; the signature (Ed25519, RFC
//! 8032) fixes the chain.

use super::archive::Entry;
use anyhow::{Context, Result, anyhow, bail};
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What is signed begins so, that a signature of ours can never be taken for one of something else.
const PURPOSE: &[u8] = b"watchpost evidence 1\n";

/// The device's own key.
pub struct Key(Ed25519KeyPair);

/// `seal.json`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seal {
    pub algorithm: String,
    /// Hexadecimal, 32 bytes.
    pub public_key: String,
    pub contents: Vec<Digested>,
    /// End of the chain, hexadecimal.
    pub chain: String,
    /// Hexadecimal, 64 bytes.
    pub signature: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Digested {
    pub file: String,
    pub sha256: String,
}

impl Key {
    /// The key in the file, which is made where there is none, for its owner's eyes only.
    ///
    /// # Errors
    /// The file cannot be read or written, or is no key. A key that cannot be read is never replaced: what was signed
    /// with it would become worthless.
    pub fn open(path: &Path) -> Result<Key> {
        let file = path.display();
        match fs::read(path) {
            Ok(bytes) => Ed25519KeyPair::from_pkcs8(&bytes)
                .map(Key)
                .map_err(|error| anyhow!("{file} is no Ed25519 key in PKCS#8 ({error}), expected the one made here")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Key::create(path),
            Err(error) => Err(error).with_context(|| format!("cannot read the key {file}")),
        }
    }

    fn create(path: &Path) -> Result<Key> {
        let bytes = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .map_err(|_| anyhow!("the system gives no randomness to make a key from"))?;
        let written = || -> std::io::Result<()> {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(bytes.as_ref())?;
            file.sync_all()
        };
        written().with_context(|| format!("cannot write the key {}", path.display()))?;
        Ed25519KeyPair::from_pkcs8(bytes.as_ref()).map(Key).map_err(|error| anyhow!("a key just made is none: {error}"))
    }

    /// Hexadecimal.
    pub fn public(&self) -> String {
        hex(self.0.public_key().as_ref())
    }

    pub fn seal(&self, entries: &[Entry]) -> Seal {
        let contents: Vec<Digested> = entries
            .iter()
            .map(|entry| Digested { file: entry.name.clone(), sha256: hex(&Sha256::digest(&entry.bytes)) })
            .collect();
        let chain = chain(&contents);
        let signature = hex(self.0.sign(&signed(&chain)).as_ref());
        Seal { algorithm: "Ed25519".into(), public_key: self.public(), contents, chain: hex(&chain), signature }
    }
}

impl Seal {
    /// Whether these are the bytes that were signed, all of them and nothing else.
    ///
    /// # Errors
    /// A sentence that names what was changed, added or taken away.
    pub fn check(&self, entries: &[Entry]) -> Result<()> {
        if self.algorithm != "Ed25519" {
            bail!("the seal is made with \"{}\", expected Ed25519", self.algorithm);
        }
        for entry in entries {
            let digest = hex(&Sha256::digest(&entry.bytes));
            match self.contents.iter().find(|known| known.file == entry.name) {
                None => bail!("{} was added after signing", entry.name),
                Some(known) if known.sha256 != digest => bail!("{} was changed after signing", entry.name),
                Some(_) => {}
            }
        }
        for known in &self.contents {
            if !entries.iter().any(|entry| entry.name == known.file) {
                bail!("{} was taken away after signing", known.file);
            }
        }
        let chain = chain(&self.contents);
        if hex(&chain) != self.chain {
            bail!("the list of contents in {} was changed after signing", super::SEAL);
        }
        let (key, signature) = (unhex(&self.public_key, "public_key")?, unhex(&self.signature, "signature")?);
        UnparsedPublicKey::new(&ED25519, key).verify(&signed(&chain), &signature).map_err(|_| {
            anyhow!("the signature does not belong to these contents and this key: {} was changed", super::SEAL)
        })
    }
}

/// Short enough to be read out over a telephone: the first 16 hexadecimal digits of the key's digest, in fours.
pub fn fingerprint(public_key: &str) -> String {
    let digest = hex(&Sha256::digest(public_key.as_bytes()));
    digest.as_bytes()[..16].chunks(4).map(String::from_utf8_lossy).collect::<Vec<_>>().join("-")
}

fn chain(contents: &[Digested]) -> [u8; 32] {
    contents.iter().fold([0; 32], |before, entry| {
        let mut link = Sha256::new();
        link.update(before);
        link.update((entry.file.len() as u64).to_le_bytes());
        link.update(entry.file.as_bytes());
        link.update(entry.sha256.as_bytes());
        link.finalize().into()
    })
}

fn signed(chain: &[u8; 32]) -> Vec<u8> {
    [PURPOSE, chain].concat()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str, what: &str) -> Result<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    let digits = text.len().is_multiple_of(2) && text.bytes().all(|b| b.is_ascii_hexdigit());
    if !digits {
        bail!("{} has a {what} that is no hexadecimal number", super::SEAL);
    }
    Ok(pairs.filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect())
}
