//! SOAP 1.2 over HTTP with the UsernameToken of WS-Security 1.0, as far as ONVIF needs it. Elements are found by their
//! local names: devices differ in the versions of their namespaces, never in what an element means here.

use crate::capture::address::Login;
use crate::time::{Span, Stopwatch, WallTime};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use roxmltree::{Document, Node, ParsingOptions};
use sha1::{Digest as _, Sha1};
use std::fmt;
use std::io::Read as _;
use std::time::Duration;
use url::Url;

/// Of one answer; those of cameras with a dozen profiles have some 100 kB.
const MOST_BYTES: u64 = 1_000_000;
const MOST_NODES: u32 = 100_000;
/// For one question.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// For all questions to one device.
const DEVICE_WITHIN: Span = Span::from_millis(10_000);

/// The device wants another login, or one at all.
#[derive(Debug)]
pub(super) struct NotAuthorized;

impl fmt::Display for NotAuthorized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it refuses the login")
    }
}

impl std::error::Error for NotAuthorized {}

/// A conversation with one device.
pub(super) struct Client<'a> {
    agent: ureq::Agent,
    login: Option<&'a Login>,
    /// By how much the device's clock is ahead of ours; tokens that are minutes off are refused.
    pub ahead: Span,
    clock: Stopwatch,
}

impl<'a> Client<'a> {
    pub(super) fn new(login: Option<&'a Login>) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false) // a fault has a status of its own, and words
            .max_redirects(0) // the login goes to the device that answered, nowhere else
            .max_redirects_will_error(false)
            .proxy(None) // it is on the local network
            .timeout_per_read(Some(ANSWER_WITHIN))
            .timeout_per_write(Some(ANSWER_WITHIN))
            .build()
            .new_agent();
        Client { agent, login, ahead: Span::ZERO, clock: Stopwatch::start() }
    }

    /// The text of a well-formed answer that is no fault.
    ///
    /// # Errors
    /// [`NotAuthorized`], or what was wrong.
    pub(super) fn ask(&self, service: &Url, body: &str) -> Result<String> {
        let question = envelope(&self.security(), body);
        let left = (DEVICE_WITHIN - self.clock.elapsed()).to_std().unwrap_or_default();
        ensure!(!left.is_zero(), "it takes longer than {} s to answer all questions", DEVICE_WITHIN.secs_f64());
        let mut response = self
            .agent
            .post(service.as_str())
            .config()
            .timeout_global(Some(left.min(ANSWER_WITHIN)))
            .build()
            .content_type("application/soap+xml; charset=utf-8")
            .send(question)
            .map_err(|error| anyhow!("it does not answer: {error}"))?;
        let status = response.status().as_u16();
        let mut bytes = Vec::new();
        let reader = response.body_mut().as_reader();
        reader.take(MOST_BYTES + 1).read_to_end(&mut bytes).context("its answer breaks off")?;
        ensure!(bytes.len() as u64 <= MOST_BYTES, "its answer has more than {MOST_BYTES} bytes");
        if status == 401 {
            bail!(NotAuthorized);
        }
        let text = String::from_utf8(bytes).context("its answer is no text")?;
        let answer = parse(&text).with_context(|| format!("HTTP status {status}"))?;
        if let Some(fault) = find(answer.root(), "Fault") {
            let is_code = |node: &Node<'_, '_>| node.tag_name().name() == "Value";
            let codes = fault.descendants().filter(is_code).filter_map(|node| node.text());
            let refused = |code: &str| code.ends_with("NotAuthorized") || code.ends_with("FailedAuthentication");
            if codes.map(str::trim).any(refused) {
                bail!(NotAuthorized);
            }
            bail!("it answers with the fault {:?}", plain(text_of(fault, "Text").unwrap_or("")));
        }
        ensure!((200..300).contains(&status), "it answers with HTTP status {status}");
        Ok(text)
    }

    fn security(&self) -> String {
        let Some(login) = self.login else { return String::new() };
        // Asked to be new each time, not to be a secret.
        let nonce: [u8; 16] = fastrand::u128(..).to_le_bytes();
        token(login, &nonce, &(WallTime::now() + self.ahead).to_string())
    }
}

/// The UsernameToken Profile 1.0 of WS-Security: the digest is Base64(SHA-1(nonce + created + password)).
fn token(login: &Login, nonce: &[u8], created: &str) -> String {
    let sum = Sha1::new().chain_update(nonce).chain_update(created).chain_update(&login.password).finalize();
    let (digest, nonce) = (BASE64_STANDARD.encode(sum), BASE64_STANDARD.encode(nonce));
    let wss = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss";
    format!(
        "<w:Security s:mustUnderstand=\"1\" xmlns:w=\"{wss}-wssecurity-secext-1.0.xsd\"><w:UsernameToken>\
         <w:Username>{}</w:Username>\
         <w:Password Type=\"{wss}-username-token-profile-1.0#PasswordDigest\">{digest}</w:Password>\
         <w:Nonce EncodingType=\"{wss}-soap-message-security-1.0#Base64Binary\">{nonce}</w:Nonce>\
         <u:Created xmlns:u=\"{wss}-wssecurity-utility-1.0.xsd\">{created}</u:Created></w:UsernameToken></w:Security>",
        escaped(&login.user)
    )
}

fn envelope(header: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\">\
         <s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )
}

/// A DTD is refused, so no entity can grow.
pub(super) fn parse(text: &str) -> Result<Document<'_>> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    // The byte order mark and what some devices put before the declaration.
    let text = text.trim_start_matches(['\u{feff}', ' ', '\r', '\n']);
    Document::parse_with_options(text, options).map_err(|error| anyhow!("it answers no XML: {error}"))
}

/// The first of that local name below `node`.
pub(super) fn find<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.descendants().find(|node| node.tag_name().name() == name)
}

pub(super) fn text_of<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    find(node, name).and_then(|node| node.text()).map(str::trim)
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// What a device says of itself, fit for a terminal and a line.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(200).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the ONVIF Application Programmer's Guide.
    #[test]
    fn a_token_holds_the_digest_of_the_password() {
        let nonce = BASE64_STANDARD.decode("LKqI6G/AikKCQrN0zqZFlg==").unwrap();
        let login = Login { user: "<me>".into(), password: "userpassword".into() };
        let token = token(&login, &nonce, "2010-09-16T07:50:45Z");
        assert!(token.contains(">tuOSpGlFlIXsozq4HFNeeGeFLEI=<"), "{token}");
        assert!(token.contains("&lt;me&gt;") && !token.contains("userpassword"), "{token}");
    }

    #[test]
    fn no_entity_grows() {
        assert!(parse("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>").is_err());
        assert!(parse("\u{feff}<a><x:b xmlns:x='y'> c </x:b></a>").is_ok_and(|a| text_of(a.root(), "b") == Some("c")));
        assert!(parse(&format!("{}{}", "<a>".repeat(200_000), "</a>".repeat(200_000))).is_err());
    }
}
