//! Gets a model's file from where its manifest says it was published.

use super::manifest::Manifest;
use anyhow::{Context, Result, anyhow, ensure};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Downloads the file of `manifest` from `url` into `folder`. It appears there whole and with the right digest, or
/// not at all, whatever the server or the power does.
pub fn pull(manifest: &Manifest, url: &str, folder: &Path) -> Result<PathBuf> {
    let bytes = download(url, manifest.bytes).with_context(|| format!("cannot pull {} from {url}", manifest.name))?;
    manifest.check_digest(&bytes).with_context(|| format!("what {url} gave is not {}", manifest.name))?;
    let path = folder.join(&manifest.file);
    write(&path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn download(url: &str, expected: u64) -> Result<Vec<u8>> {
    let tls = ureq::tls::TlsConfig::builder()
        .provider(ureq::tls::TlsProvider::Rustls)
        .root_certs(ureq::tls::RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let agent = ureq::Agent::config_builder()
        .tls_config(tls)
        .timeout_connect(Some(Duration::from_secs(20)))
        .timeout_global(Some(Duration::from_secs(600)))
        .build()
        .new_agent();
    let response = agent.get(url).call().map_err(|error| anyhow!("{}", in_words(&error)))?;
    let mut bytes = Vec::new();
    // One byte more than expected tells a longer file from the right one.
    response.into_body().into_reader().take(expected + 1).read_to_end(&mut bytes).context("the connection broke")?;
    ensure!(bytes.len() as u64 == expected, "it gave {} bytes or more, expected {expected}", bytes.len());
    Ok(bytes)
}

fn in_words(error: &ureq::Error) -> String {
    match error {
        ureq::Error::StatusCode(404) => "there is no such file (404)".into(),
        ureq::Error::StatusCode(code) => format!("the server answers {code}"),
        ureq::Error::HostNotFound => "no network, or no such host".into(),
        ureq::Error::ConnectionFailed => "no connection".into(),
        ureq::Error::Timeout(_) => "no answer in time".into(),
        ureq::Error::Io(error) => format!("no connection: {error}"),
        other => other.to_string(),
    }
}

/// Under another name first, on disk before it gets its own.
pub fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let part = path.with_extension(format!("part{}", std::process::id()));
    let written = std::fs::File::create(&part).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let named =
        written.and_then(|()| std::fs::rename(&part, path)).and_then(|()| std::fs::File::open(folder)?.sync_all());
    if named.is_err() {
        let _ = std::fs::remove_file(&part); // what is left of it helps nobody
    }
    named
}
