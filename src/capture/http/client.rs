//! Asks a camera over HTTP. The only file of the cameras' pictures that names ureq and http-auth.
//!
//! A login is given only to the host it is meant for, and only once it was asked for (Basic or Digest). Certificates are
//! always checked. Absent: proxies, since cameras are near, and cookies.

use crate::capture::Refused;
use crate::capture::address::{Login, host, unknown_host};
use anyhow::{Context as _, Error, Result, anyhow, bail};
use http_auth::{PasswordClient, PasswordParams};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use ureq::http::Response;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Body, BodyReader};
use url::{Position, Url};

/// For its name, for a connection, for the beginning of an answer, and for each piece of it.
const WITHIN: Duration = Duration::from_secs(5);
const MOST_REDIRECTS: u32 = 3;
/// Of an answer that is not looked at; what is longer costs its connection.
const LONGEST_REST: u64 = 64 << 10;

pub struct Wish {
    pub url: Url,
    pub login: Option<Login>,
    pub ca_file: Option<PathBuf>,
}

pub struct Client {
    agent: Agent,
    /// Where the camera has sent us, at first where the user did.
    url: Url,
    login: Option<Login>,
    /// Answers what the camera asked for last.
    password: Option<PasswordClient>,
    /// The login was not meant for where we are now.
    has_left: bool,
}

/// Ends whatever a [`Client`] waits for.
pub struct Closer(Agent);

impl Closer {
    pub fn close(&self) {
        self.0.clone().shutdown();
    }
}

/// The camera said yes; its bytes are still to come.
pub struct Answer {
    /// Of what kind it says it is; may be empty.
    pub content_type: String,
    body: BodyReader<'static>,
    /// What was looked at and is still to be read.
    begun: Vec<u8>,
}

impl Answer {
    /// 0: it has ended.
    ///
    /// # Errors
    /// Nothing came for [`WITHIN`], or the connection broke.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.begun.is_empty() {
            return self.body.read(buffer).map_err(|error| match error.into() {
                // In the words of whoever waits for pictures just as long.
                ureq::Error::Timeout(_) => anyhow!("no picture for {} s", WITHIN.as_secs()),
                error => sentence(&error),
            });
        }
        let length = self.begun.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.begun[..length]);
        self.begun.drain(..length);
        Ok(length)
    }

    /// Whether its first bytes, white space apart, are these.
    ///
    /// # Errors
    /// As [`Answer::read`].
    pub fn begins_with(&mut self, wanted: &[u8]) -> Result<bool> {
        let mut begun = std::mem::take(&mut self.begun);
        let mut piece = [0; 64];
        while begun.trim_ascii_start().len() < wanted.len() && begun.len() < 1024 {
            match self.read(&mut piece)? {
                0 => break,
                read => begun.extend_from_slice(&piece[..read]),
            }
        }
        self.begun = begun;
        Ok(self.begun.trim_ascii_start().starts_with(wanted))
    }
}

impl Client {
    /// # Errors
    /// `ca_file` cannot be read.
    pub fn new(wish: Wish) -> Result<Self> {
        let roots = match &wish.ca_file {
            Some(path) => RootCerts::new_with_certs(&certificates(path)?),
            None => RootCerts::PlatformVerifier,
        };
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(roots)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false) // what a camera refuses has its own words
            .max_redirects(0) // followed here, since the login may not go everywhere
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent("watchpost")
            .timeout_resolve(Some(WITHIN))
            .timeout_connect(Some(WITHIN))
            .timeout_recv_response(Some(WITHIN))
            .timeout_per_read(Some(WITHIN))
            .timeout_per_write(Some(WITHIN))
            .build()
            .new_agent();
        Ok(Client { agent, url: wish.url, login: wish.login, password: None, has_left: false })
    }

    pub fn closer(&self) -> Closer {
        Closer(self.agent.clone())
    }

    /// Asks, logs in and follows redirects as far as need be. A connection that still stands is used again.
    ///
    /// # Errors
    /// One piece of a sentence about the camera, with [`Refused`] in the chain where asking again soon is of no use.
    pub fn get(&mut self) -> Result<Answer> {
        for _ in 0..=MOST_REDIRECTS {
            let response = self.ask()?;
            let status = response.status().as_u16();
            let header = |name: &str| response.headers().get(name).map(|v| String::from_utf8_lossy(v.as_bytes()));
            match status {
                200..=299 => {
                    let content_type = header("content-type").unwrap_or_default().into_owned();
                    return Ok(Answer { content_type, body: response.into_body().into_reader(), begun: Vec::new() });
                }
                301 | 302 | 303 | 307 | 308 => {
                    let location = header("location").context("it redirects and does not say where to")?.into_owned();
                    drain(response);
                    self.follow(&location)?;
                }
                401 | 403 => return Err(self.refused(status)),
                404 => bail!("it has no such address (404): check the path of url"),
                _ => bail!("it answers with status {status}"),
            }
        }
        bail!("it redirects more than {MOST_REDIRECTS} times")
    }

    /// One answer, after a login if one is asked for.
    fn ask(&mut self) -> Result<Response<Body>> {
        let response = self.ask_once()?;
        if response.status().as_u16() != 401 || self.login.is_none() {
            return Ok(response);
        }
        // Also where a login was sent: what a camera asked for some time ago may be stale.
        let asked = response.headers().get_all("www-authenticate");
        let asked = asked.iter().filter_map(|value| value.to_str().ok());
        let password = asked.fold(PasswordClient::builder(), |builder, value| builder.challenges(value)).build();
        let kind = "it wants a login of a kind that is not known, Basic or Digest expected";
        self.password = Some(password.map_err(|_| Refused(kind.into()))?);
        drain(response);
        self.ask_once()
    }

    fn ask_once(&mut self) -> Result<Response<Body>> {
        let mut request = self.agent.get(&self.url[..Position::AfterQuery]);
        if let Some((password, login)) = self.password.as_mut().zip(self.login.as_ref()) {
            let answer = password.respond(&PasswordParams {
                username: &login.user,
                password: &login.password,
                uri: &self.url[Position::BeforePath..Position::AfterQuery],
                method: "GET",
                body: Some(&[]),
            });
            // The reason may repeat what was to be sent.
            request = request.header("authorization", answer.map_err(|_| anyhow!("its login cannot be answered"))?);
        }
        request.call().map_err(|error| sentence(&error))
    }

    fn follow(&mut self, location: &str) -> Result<()> {
        let next = target(&self.url, location)?;
        if host(&next) != host(&self.url) && self.login.take().is_some() {
            // Whoever answers there is not who the password was meant for.
            (self.password, self.has_left) = (None, true);
        }
        self.url = next;
        Ok(())
    }

    fn refused(&self, status: u16) -> Error {
        let said = match (self.login.is_some(), status) {
            (true, 401) => "it refuses the login (check user and password_file)".into(),
            (true, _) => "it lets this login do nothing here (403): check user and the path of url".into(),
            (false, _) if self.has_left => format!(
                "it redirects to {}, which wants a login of its own (name that address in url)",
                host(&self.url)
            ),
            (false, 401) => "it wants a login (set user and password_file)".into(),
            (false, _) => "it forbids this address (403): check the path of url, or set user and password_file".into(),
        };
        Refused(said).into()
    }
}

/// Where a redirect leads, which may be said relative to where it was asked.
fn target(asked: &Url, location: &str) -> Result<Url> {
    let mut url = asked.join(location).map_err(|_| anyhow!("it redirects to something that is no address"))?;
    match (asked.scheme(), url.scheme()) {
        (_, "https") | ("http", "http") => {}
        ("https", "http") => bail!("it redirects from https: to http: at {}, where everybody can listen", host(&url)),
        (_, other) => bail!("it redirects to {other}: at {}, http: or https: expected", host(&url)),
    }
    // A login in it would be somebody else's.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Ok(url)
}

/// To the end, so that the connection can be used again.
fn drain(response: Response<Body>) {
    let _ = std::io::copy(&mut response.into_body().into_reader().take(LONGEST_REST), &mut std::io::sink());
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>> {
    let read = || -> Result<Vec<_>> {
        let read = CertificateDer::pem_file_iter(path)?;
        read.map(|certificate| Ok(Certificate::from_der(&certificate?).to_owned())).collect()
    };
    let found = read().with_context(|| format!("cannot read ca_file {}, expected PEM certificates", path.display()))?;
    if found.is_empty() {
        bail!("ca_file {} holds no certificate, expected PEM", path.display());
    }
    Ok(found)
}

/// Without the address, which may hold a secret.
fn sentence(error: &ureq::Error) -> Error {
    match error {
        ureq::Error::HostNotFound => anyhow!("its host name cannot be found"),
        ureq::Error::Timeout(ureq::Timeout::Resolve) => {
            anyhow!("its host name cannot be found: no answer to the question")
        }
        ureq::Error::Timeout(ureq::Timeout::Connect) => anyhow!("cannot connect: no answer for {} s", WITHIN.as_secs()),
        ureq::Error::Timeout(_) => anyhow!("no answer for {} s", WITHIN.as_secs()),
        ureq::Error::ConnectionFailed => anyhow!("cannot connect"),
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => anyhow!("its url, user or password cannot be sent"),
        ureq::Error::Protocol(said) => anyhow!("it does not speak HTTP as expected: {said}"),
        ureq::Error::Rustls(said) => no_trust(&said.to_string()),
        ureq::Error::Io(said) => match said.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(said) => no_trust(&said.to_string()),
            None if matches!(
                said.kind(),
                ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable
            ) =>
            {
                anyhow!("cannot connect: {said}")
            }
            None => anyhow!(unknown_host(&said.to_string()).unwrap_or_else(|| format!("the connection broke: {said}"))),
        },
        _ => anyhow!("no answer that is understood"),
    }
}

fn no_trust(said: &str) -> Error {
    match said.strip_prefix("invalid peer certificate: ") {
        // What `openssl req -x509` makes without further words.
        Some(why) if why.contains("CaUsedAsEndEntity") => anyhow!(
            "its certificate is not trusted (it is an authority's, CA:true): expected a server's, made with \
             basicConstraints=CA:false and the camera's address as subjectAltName"
        ),
        Some(why) => anyhow!("its certificate is not trusted ({why}): expected one that the system trusts, or ca_file"),
        None => anyhow!("no encrypted connection: {said}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_leads_to_an_address_of_the_web() {
        let check = |asked: &str, location: &str| {
            target(&Url::parse(asked).unwrap(), location).map(String::from).map_err(|error| error.to_string())
        };
        assert_eq!(check("http://10.0.0.7/a?b", "/c?d").unwrap(), "http://10.0.0.7/c?d");
        assert_eq!(check("http://10.0.0.7/a", "https://me:pw@10.0.0.8:8443/c").unwrap(), "https://10.0.0.8:8443/c");
        assert!(
            check("https://10.0.0.7/a", "http://10.0.0.7/c?pw=secret").unwrap_err().contains("everybody can listen")
        );
        let error = check("http://10.0.0.7/a", "rtsp://10.0.0.7/pw=secret").unwrap_err();
        assert!(error.contains("rtsp:") && !error.contains("secret"), "{error}");
        assert!(check("http://10.0.0.7/a", "http://").is_err());
    }

    #[test]
    fn an_error_does_not_repeat_the_address() {
        let said = sentence(&ureq::Error::BadUri("http://10.0.0.7/?pw=secret".into())).to_string();
        assert!(!said.contains("secret"), "{said}");
    }
}
