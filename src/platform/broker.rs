//! `[mqtt]`: which broker, who we are to it, and how it is trusted.

use crate::problems::Problems;
use anyhow::{Context, Result, bail};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `[mqtt]`
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MqttConfig {
    /// `mqtt://host:1883`, or `mqtts://host:8883` for TLS, where the broker's certificate is always checked.
    pub url: String,
    /// Who we are to the broker, if it asks.
    #[serde(default)]
    pub username: Option<String>,
    /// A file with the password in its first line.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// For `mqtts`: PEM certificates to trust instead of those of the operating system.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Must be unique at the broker. `watchpost-<device>` if absent.
    #[serde(default)]
    pub client_id: Option<String>,
    /// The broker is asked for a sign of life this often; a dead link is noticed after twice as long.
    #[serde(default = "default_keep_alive_s")]
    pub keep_alive_s: u16,
    /// After an outage, events that were acknowledged in the last so many seconds before it are sent once more
    /// (same `id`, `late`): a broker that dies takes with it what it has acknowledged and not yet handed on.
    /// 0 turns this off.
    #[serde(default = "default_resend_s")]
    pub resend_s: f64,
    /// After an outage, subscribers get so many seconds to come back too before events are sent. Home Assistant needs
    /// up to 10, Node-RED up to 15.
    #[serde(default = "default_settle_s")]
    pub settle_s: f64,
    /// Where Home Assistant listens for new devices. Empty turns discovery off.
    #[serde(default = "default_discovery_prefix")]
    pub discovery_prefix: String,
}

fn default_keep_alive_s() -> u16 {
    15
}
fn default_resend_s() -> f64 {
    60.0
}
fn default_settle_s() -> f64 {
    10.0
}
fn default_discovery_prefix() -> String {
    "homeassistant".into()
}

/// Where the broker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub tls: bool,
    pub host: String,
    pub port: u16,
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl MqttConfig {
    /// Everything at its default.
    pub fn at(url: &str) -> Self {
        MqttConfig {
            url: url.into(),
            username: None,
            password_file: None,
            ca_file: None,
            client_id: None,
            keep_alive_s: default_keep_alive_s(),
            resend_s: default_resend_s(),
            settle_s: default_settle_s(),
            discovery_prefix: default_discovery_prefix(),
        }
    }

    pub fn check(&self, at: &str, problems: &mut Problems) {
        if let Err(what) = parse_url(&self.url) {
            problems.add(format!("{at}.url"), what);
        }
        if self.password_file.is_some() && self.username.is_none() {
            problems.add(format!("{at}.username"), "is missing, expected one beside password_file");
        }
        if self.ca_file.is_some() && !self.url.starts_with("mqtts://") {
            problems.add(format!("{at}.ca_file"), "is of no use here, expected only with an mqtts:// url");
        }
        if let Some(id) = &self.client_id {
            let valid = crate::ids::is_valid_name(id);
            problems.expect(valid, format!("{at}.client_id"), "expected 1 to 64 letters, digits, '-', '_' or '.'");
        }
        problems.expect(
            (5..=3600).contains(&self.keep_alive_s),
            format!("{at}.keep_alive_s"),
            format!("{} is out of range, expected 5 to 3600", self.keep_alive_s),
        );
        for (key, value, max) in [("resend_s", self.resend_s, 86_400.0), ("settle_s", self.settle_s, 600.0)] {
            problems.expect(
                (0.0..=max).contains(&value),
                format!("{at}.{key}"),
                format!("{value} is out of range, expected 0 to {max}"),
            );
        }
        let prefix = &self.discovery_prefix;
        problems.expect(
            prefix.split('/').all(crate::ids::is_valid_name) || prefix.is_empty(),
            format!("{at}.discovery_prefix"),
            format!("'{prefix}' is not a topic, expected a name like 'homeassistant', or '' for none"),
        );
    }

    /// Relative paths are meant from the folder of the configuration.
    pub fn resolve_paths(&mut self, folder: &Path) {
        for path in [&mut self.password_file, &mut self.ca_file].into_iter().flatten() {
            *path = folder.join(&path);
        }
    }

    pub fn address(&self) -> Result<Address> {
        parse_url(&self.url).map_err(|what| anyhow::anyhow!("mqtt.url {what}"))
    }

    /// User name and password, read anew every time, since the file may be mended while we run.
    pub fn credentials(&self) -> Result<Option<(String, String)>> {
        let Some(username) = &self.username else { return Ok(None) };
        let password = match &self.password_file {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path)
                .with_context(|| format!("cannot read mqtt.password_file {}", path.display()))?,
        };
        Ok(Some((username.clone(), password.lines().next().unwrap_or("").to_owned())))
    }

    /// Certificates are always checked: against `ca_file`, else against what the operating system trusts.
    pub fn tls(&self) -> Result<Arc<rustls::ClientConfig>> {
        let mut roots = rustls::RootCertStore::empty();
        match &self.ca_file {
            Some(path) => {
                let read = || -> Result<()> {
                    for certificate in CertificateDer::pem_file_iter(path)? {
                        roots.add(certificate?)?;
                    }
                    Ok(())
                };
                let mut read = read;
                read().with_context(|| {
                    format!("cannot read mqtt.ca_file {}, expected PEM certificates", path.display())
                })?;
                if roots.is_empty() {
                    bail!("mqtt.ca_file {} holds no certificate, expected PEM", path.display());
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if roots.is_empty() {
                    bail!("the operating system trusts no certificates; install ca-certificates or set mqtt.ca_file");
                }
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }
}

fn parse_url(url: &str) -> Result<Address, String> {
    let wrong = |why: &str| format!("'{url}' {why}, expected mqtt://host:1883 or mqtts://host:8883");
    let (tls, rest) = match url.split_once("://") {
        Some(("mqtt", rest)) => (false, rest),
        Some(("mqtts", rest)) => (true, rest),
        _ => return Err(wrong("has no known scheme")),
    };
    if rest.contains('@') {
        // Not repeated: it holds a secret.
        return Err("holds a user, expected it as mqtt.username with mqtt.password_file".into());
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    let port = match port {
        Some(port) => port.parse().ok().filter(|p| *p != 0).ok_or_else(|| wrong("has no valid port"))?,
        None => [1883, 8883][usize::from(tls)],
    };
    let bracketed = host.starts_with('[') && host.ends_with(']');
    if host.is_empty() || host.contains(['/', '?', '#', ' ']) || (host.contains(':') && !bracketed) {
        return Err(wrong("has no valid host"));
    }
    if tls && bracketed {
        return Err(wrong("names an IPv6 address with TLS, which certificates rarely carry"));
    }
    Ok(Address { tls, host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let check = |url: &str| match parse_url(url) {
            Ok(a) => format!("{} {} {}", if a.tls { "tls" } else { "plain" }, a.host, a.port),
            Err(what) => what,
        };
        let tail = "expected mqtt://host:1883 or mqtts://host:8883";
        assert_eq!(check("mqtt://broker.shop"), "plain broker.shop 1883");
        assert_eq!(check("mqtts://broker.shop/"), "tls broker.shop 8883");
        assert_eq!(check("mqtt://10.0.0.7:1999"), "plain 10.0.0.7 1999");
        assert_eq!(check("mqtt://[::1]:1999"), "plain [::1] 1999");
        assert_eq!(check("mqtt://[::1]"), "plain [::1] 1883");
        assert_eq!(check("http://broker"), format!("'http://broker' has no known scheme, {tail}"));
        assert_eq!(check("mqtt://b:99999"), format!("'mqtt://b:99999' has no valid port, {tail}"));
        assert_eq!(check("mqtt://"), format!("'mqtt://' has no valid host, {tail}"));
        assert!(!check("mqtt://me:secret@broker").contains("secret"));
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let mut config = MqttConfig::at("broker:1883");
        config.password_file = Some("p".into());
        config.ca_file = Some("c".into());
        config.keep_alive_s = 0;
        config.resend_s = f64::NAN;
        config.discovery_prefix = "home assistant/#".into();
        let mut problems = Problems::default();
        config.check("mqtt", &mut problems);
        let paths: Vec<_> = problems.into_sorted().into_iter().map(|p| p.path).collect();
        assert_eq!(
            paths,
            [
                "mqtt.ca_file",
                "mqtt.discovery_prefix",
                "mqtt.keep_alive_s",
                "mqtt.resend_s",
                "mqtt.url",
                "mqtt.username"
            ]
        );
    }
}
