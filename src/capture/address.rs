//! Addresses and logins of network cameras, which are never shown whole: many cameras want a password in the path or
//! behind the question mark, so what is shown of an address is the host.

use crate::problems::Problems;
use anyhow::{Context as _, Result};
use schemars::JsonSchema;
use serde::Deserialize;
use std::fmt;
use std::path::{Path, PathBuf};
use url::Url;

/// As the user wrote it. Shown (also by `Debug`) as its host.
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Address(String);

impl Address {
    pub fn new(text: impl Into<String>) -> Self {
        Address(text.into())
    }

    /// # Errors
    /// What is wrong, as a piece of a sentence that begins with the key; it does not repeat a secret.
    pub fn parse(&self, schemes: &[&str]) -> Result<Url, String> {
        let expected: Vec<_> = schemes.iter().map(|scheme| format!("\"{scheme}://host/path\"")).collect();
        let expected = format!("{} expected", expected.join(" or "));
        // Not repeated: whatever it is, it may hold a secret.
        let url = Url::parse(self.0.trim()).map_err(|error| format!("is no address ({error}), {expected}"))?;
        if !schemes.contains(&url.scheme()) {
            return Err(format!("begins with \"{}:\", {expected}", url.scheme()));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(format!("names no host, {expected}"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("holds a login, expected as user and password_file beside it".into());
        }
        Ok(url)
    }

    /// For those that were checked before.
    ///
    /// # Errors
    /// As [`Address::parse`].
    pub fn url(&self, schemes: &[&str]) -> Result<Url> {
        self.parse(schemes).map_err(|what| anyhow::anyhow!("the camera's url {what}"))
    }

    pub fn check(&self, at: &str, schemes: &[&str], problems: &mut Problems) {
        if let Err(what) = self.parse(schemes) {
            problems.add(format!("{at}.url"), what);
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Url::parse(self.0.trim()) {
            Ok(url) => f.write_str(&host(&url)),
            Err(_) => f.write_str("an unknown host"),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// `10.0.0.7`, with its port where that is not the usual one.
pub fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or("an unknown host");
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// A sentence for what the operating system says when it cannot find a host name; `None`: it says something else.
pub fn unknown_host(said: &str) -> Option<String> {
    let (_, why) = said.split_once("failed to lookup address information")?;
    Some(format!("its host name cannot be found ({})", why.trim_start_matches([':', ' '])))
}

/// Who we are at a camera.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(…)")
    }
}

impl Login {
    /// Read anew at every opening, since the file may be mended while we run. `None`: no login is configured.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(user: Option<&str>, password_file: Option<&Path>) -> Result<Option<Login>> {
        let Some(user) = user else { return Ok(None) };
        let password = match password_file {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the camera's password_file {}", path.display()))?,
        };
        Ok(Some(Login { user: user.to_owned(), password: password.lines().next().unwrap_or("").to_owned() }))
    }
}

/// A password file without a user is a slip.
pub fn check_login(at: &str, user: Option<&String>, password_file: Option<&PathBuf>, problems: &mut Problems) {
    problems.expect(
        user.is_some() || password_file.is_none(),
        format!("{at}.user"),
        "is missing, expected beside password_file",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_as_its_host() {
        let check = |text: &str| Address::new(text).parse(&["rtsp", "rtsps"]).map(|url| host(&url));
        assert_eq!(check("rtsp://10.0.0.7/sub").unwrap(), "10.0.0.7");
        assert_eq!(check("rtsp://cam.shop:8554/").unwrap(), "cam.shop:8554");
        assert_eq!(check("rtsp://[::1]:8554/a").unwrap(), "[::1]:8554");
        for wrong in ["10.0.0.7/sub", "http://10.0.0.7/", "rtsp://", "rtsp://me:secret@10.0.0.7/", "rtsp:secret"] {
            let told = check(wrong).unwrap_err();
            assert!(!told.contains("secret") && told.contains("expected"), "{wrong}: {told}");
        }
        let address = Address::new("rtsp://10.0.0.7/user=admin_password=secret?pwd=secret");
        assert_eq!(format!("{address} {address:?}"), "10.0.0.7 Address(10.0.0.7)");
    }

    #[test]
    fn a_host_that_is_not_known_is_told_in_words() {
        let said = std::net::ToSocketAddrs::to_socket_addrs(&("no-such-host.invalid", 80)).err().unwrap().to_string();
        let told = unknown_host(&said).unwrap();
        assert!(told.starts_with("its host name cannot be found (") && !told.contains("lookup"), "{told}");
        assert_eq!(unknown_host("Connection refused (os error 111)"), None);
    }

    #[test]
    fn a_login_is_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pass");
        std::fs::write(&file, "secret\n").unwrap();
        let login = Login::read(Some("me"), Some(&file)).unwrap().unwrap();
        assert_eq!((login.user.as_str(), login.password.as_str()), ("me", "secret"));
        assert!(!format!("{login:?}").contains("secret"));
        assert!(Login::read(Some("me"), Some(&folder.path().join("none"))).is_err());
        assert!(Login::read(None, None).unwrap().is_none());
    }
}
