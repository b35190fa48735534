//! Which video devices there are, and what stays the same about them when they are plugged in another order.
//!
//! `/dev/videoN` is a number in the order of plugging. udev makes links that last (`/dev/v4l/by-id/…`), but small
//! systems have no udev, so a camera may also be named by what it is or by where it is plugged, which the kernel
//! itself knows (sysfs): see [`Name`]. Names are looked up at every opening.

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use nokhwa::utils::ApiBackend;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What the configuration calls a camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// `/dev/video0`, `/dev/v4l/by-id/…`
    Path(PathBuf),
    /// `usb:046d:0825:SERIAL`, the serial number where two of a kind are there: this very camera, wherever it is
    /// plugged. `#1` behind it means the second video device of that camera, counted from 0.
    Model { vendor: String, product: String, serial: Option<String>, nth: usize },
    /// `usb:1-1.2`: whatever is plugged there.
    Port { port: String, nth: usize },
}

impl Name {
    /// # Errors
    /// Completes "is "…", ".
    pub fn parse(text: &str) -> Result<Name> {
        let expected = "a path such as \"/dev/video0\", \"usb:046d:0825:SERIAL\" or \"usb:1-1.2\" expected";
        let Some(rest) = text.strip_prefix("usb:") else {
            ensure!(text.starts_with("/dev/"), "{expected}");
            return Ok(Name::Path(text.into()));
        };
        let (what, nth) = match rest.rsplit_once('#').and_then(|(what, nth)| Some((what, nth.parse().ok()?))) {
            Some((what, nth)) => (what, nth),
            None => (rest, 0),
        };
        let mut parts = what.splitn(3, ':');
        let is_id = |id: &str| id.len() == 4 && id.bytes().all(|b| b.is_ascii_hexdigit());
        match (parts.next(), parts.next(), parts.next()) {
            (Some(vendor), Some(product), serial) if is_id(vendor) && is_id(product) && serial != Some("") => {
                let [vendor, product] = [vendor, product].map(str::to_ascii_lowercase);
                Ok(Name::Model { vendor, product, serial: serial.map(str::to_owned), nth })
            }
            (Some(port), None, None) if is_port(port) => Ok(Name::Port { port: port.into(), nth }),
            _ => bail!("{expected}"),
        }
    }
}

/// Bus, then the numbers of the sockets on the way: `1-1.2`.
fn is_port(text: &str) -> bool {
    let is_number = |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
    text.split_once('-').is_some_and(|(bus, way)| is_number(bus) && way.split('.').all(is_number))
}

/// A `/dev/videoN`, which need not be a camera.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// `None` of what is built in.
    pub usb: Option<Usb>,
    /// N
    pub number: u32,
    /// As its driver calls it.
    pub name: String,
}

/// A device on the USB, and which of its parts a video device is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Usb {
    pub port: String,
    /// `1-1.2:1.0`
    interface: String,
    index: u32,
    pub vendor: String,
    pub product: String,
    pub serial: Option<String>,
}

/// Where the kernel shows its devices: below `/`, in tests below a folder.
pub struct Machine(PathBuf);

impl Default for Machine {
    fn default() -> Self {
        Machine("/".into())
    }
}

impl Machine {
    /// As the kernel lists them, in a lasting order: by USB socket, then by number.
    pub fn nodes(&self) -> Vec<Node> {
        self.of(self.listed())
    }

    /// And what nokhwa finds in `/dev` beside them: a container may have the devices and no list.
    pub fn found(&self) -> Vec<Node> {
        let mut numbers = self.listed();
        // It panics at a file there whose name begins with `video` and goes on without a number.
        if let Ok(Ok(found)) = super::guarded(|| nokhwa::query(ApiBackend::Video4Linux)) {
            numbers.extend(found.iter().filter_map(|info| info.index().as_index().ok()));
        }
        self.of(numbers)
    }

    fn listed(&self) -> BTreeSet<u32> {
        let entries = fs::read_dir(self.0.join("sys/class/video4linux")).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.strip_prefix("video")?.parse().ok()).collect()
    }

    fn of(&self, numbers: BTreeSet<u32>) -> Vec<Node> {
        let mut nodes: Vec<Node> = numbers.into_iter().map(|number| self.node(number)).collect();
        nodes.sort();
        nodes
    }

    fn node(&self, number: u32) -> Node {
        let entry = self.0.join(format!("sys/class/video4linux/video{number}"));
        let name = read(&entry.join("name")).unwrap_or_else(|| format!("video{number}"));
        let index = read(&entry.join("index")).and_then(|index| index.parse().ok()).unwrap_or(0);
        Node { usb: usb_of(&entry, index), number, name }
    }

    /// N of `/dev/videoN`.
    ///
    /// # Errors
    /// There is none of that name, or two; the sentence says which there are.
    pub fn resolve(&self, name: &Name) -> Result<u32> {
        let (nodes, nth, called) = match name {
            Name::Path(path) => return self.number_of(path),
            Name::Model { vendor, product, serial, nth } => {
                let is = |usb: &Usb| {
                    usb.vendor == *vendor && usb.product == *product && (serial.is_none() || usb.serial == *serial)
                };
                let called = match serial {
                    Some(serial) => format!("usb:{vendor}:{product}:{serial}"),
                    None => format!("usb:{vendor}:{product}"),
                };
                (self.plugged(is), nth, called)
            }
            Name::Port { port, nth } => (self.plugged(|usb| usb.port == *port), nth, format!("usb:{port}")),
        };
        let ports: BTreeSet<&str> = nodes.iter().filter_map(|node| Some(node.usb.as_ref()?.port.as_str())).collect();
        if ports.len() > 1 {
            let ports: Vec<String> = ports.iter().map(|port| format!("usb:{port}")).collect();
            bail!("{called} is the name of {} cameras, expected one of {}", ports.len(), ports.join(", "));
        }
        let node = nodes.get(*nth).with_context(|| format!("{called} is not plugged in; {}", self.there_are()))?;
        Ok(node.number)
    }

    fn plugged(&self, is: impl Fn(&Usb) -> bool) -> Vec<Node> {
        self.nodes().into_iter().filter(|node| node.usb.as_ref().is_some_and(&is)).collect()
    }

    fn number_of(&self, path: &Path) -> Result<u32> {
        let inside = self.0.join(path.strip_prefix("/").unwrap_or(path));
        let target =
            fs::canonicalize(inside).map_err(|error| anyhow!("{}: {error}; {}", path.display(), self.there_are()))?;
        let dev = fs::canonicalize(self.0.join("dev")).unwrap_or_else(|_| "/dev".into());
        let file = target.strip_prefix(dev).ok().and_then(Path::to_str);
        let number = file.and_then(|file| file.strip_prefix("video")?.parse().ok());
        number.with_context(|| format!("{} is no video device; {}", path.display(), self.there_are()))
    }

    /// The video devices of this machine, in words.
    fn there_are(&self) -> String {
        let nodes = self.nodes();
        if nodes.is_empty() {
            return "there is no video device here".into();
        }
        let said = nodes.iter().map(|node| match &node.usb {
            Some(usb) => format!("/dev/video{} (usb:{}, {})", node.number, usb.port, node.name),
            None => format!("/dev/video{} ({})", node.number, node.name),
        });
        format!("there are: {}", said.collect::<Vec<_>>().join(", "))
    }
}

/// The name to write into a configuration: the camera's own where that is unmistakable among `nodes`, else its
/// socket; its number only where it is not on the USB.
pub fn lasting_name(node: &Node, nodes: &[Node]) -> String {
    let Some(usb) = &node.usb else { return format!("/dev/video{}", node.number) };
    let others = || nodes.iter().filter_map(|other| other.usb.as_ref()).filter(|other| other.port != usb.port);
    let is_kind = |other: &Usb| other.vendor == usb.vendor && other.product == usb.product;
    // It goes into a file between quotation marks.
    let serial =
        usb.serial.as_deref().filter(|serial| serial.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\'));
    let base = match serial {
        Some(serial) if !others().any(|other| is_kind(other) && other.serial == usb.serial) => {
            format!("usb:{}:{}:{serial}", usb.vendor, usb.product)
        }
        None if !others().any(is_kind) => format!("usb:{}:{}", usb.vendor, usb.product),
        _ => format!("usb:{}", usb.port),
    };
    let parts = nodes.iter().filter(|other| other.usb.as_ref().is_some_and(|other| other.port == usb.port));
    match parts.take_while(|other| *other != node).count() {
        0 => base,
        nth => format!("{base}#{nth}"),
    }
}

/// The USB device among the folders above the interface that a video device belongs to.
fn usb_of(entry: &Path, index: u32) -> Option<Usb> {
    let interface = fs::canonicalize(entry.join("device")).ok()?;
    let device = interface.ancestors().skip(1).find(|folder| read(&folder.join("idVendor")).is_some())?;
    Some(Usb {
        port: device.file_name()?.to_str()?.to_owned(),
        interface: interface.file_name()?.to_str()?.to_owned(),
        index,
        vendor: read(&device.join("idVendor"))?.to_ascii_lowercase(),
        product: read(&device.join("idProduct"))?.to_ascii_lowercase(),
        serial: read(&device.join("serial")),
    })
}

/// `None` also for an empty file.
fn read(file: &Path) -> Option<String> {
    let bytes = fs::read(file).ok()?;
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// `plugged` is number, socket, index, vendor, product, serial.
    fn machine(plugged: &[(u32, &str, u32, &str, &str, &str)]) -> (tempfile::TempDir, Machine) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("dev/v4l/by-id")).unwrap();
        fs::create_dir_all(root.join("sys/class/video4linux")).unwrap();
        for (number, port, index, vendor, product, serial) in plugged {
            fs::write(root.join(format!("dev/video{number}")), "").unwrap();
            let device = root.join("sys/devices/usb1").join(port);
            let interface = device.join(format!("{port}:1.0"));
            fs::create_dir_all(&interface).unwrap();
            for (file, text) in [("idVendor", vendor), ("idProduct", product), ("serial", serial)] {
                fs::write(device.join(file), format!("{text}\n")).unwrap();
            }
            let entry = root.join(format!("sys/class/video4linux/video{number}"));
            fs::create_dir_all(&entry).unwrap();
            fs::write(entry.join("name"), format!("Camera {product}\n")).unwrap();
            fs::write(entry.join("index"), format!("{index}\n")).unwrap();
            symlink(format!("../../../devices/usb1/{port}/{port}:1.0"), entry.join("device")).unwrap();
        }
        let machine = Machine(root.to_owned());
        (folder, machine)
    }

    fn resolve(machine: &Machine, name: &str) -> Result<u32> {
        machine.resolve(&Name::parse(name)?)
    }

    #[test]
    fn a_camera_is_found_by_what_it_is_and_by_where_it_is() {
        let (folder, machine) = machine(&[
            (0, "1-1.2", 0, "046d", "0825", "AB12"),
            (1, "1-1.2", 1, "046d", "0825", "AB12"),
            (7, "1-1.4", 0, "1bcf", "2281", ""),
        ]);
        symlink("../../video7", folder.path().join("dev/v4l/by-id/usb-Eye-video-index0")).unwrap();
        for (name, number) in [
            ("usb:046d:0825:AB12", 0),
            ("usb:046D:0825", 0),
            ("usb:046d:0825#1", 1),
            ("usb:1-1.4", 7),
            ("usb:1bcf:2281", 7),
            ("/dev/video1", 1),
            ("/dev/v4l/by-id/usb-Eye-video-index0", 7),
        ] {
            assert_eq!(resolve(&machine, name).unwrap(), number, "{name}");
        }
        for (name, said) in [
            (
                "usb:046d:0825:ZZ",
                "usb:046d:0825:ZZ is not plugged in; there are: /dev/video0 (usb:1-1.2, Camera 0825), ",
            ),
            ("usb:1-1.3", "usb:1-1.3 is not plugged in; there are"),
            ("/dev/video3", "/dev/video3: No such file or directory (os error 2); there are"),
            ("/dev/v4l", "/dev/v4l is no video device; there are"),
        ] {
            let error = resolve(&machine, name).unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
    }

    #[test]
    fn two_of_a_kind_are_told_apart_by_serial_number_or_socket() {
        let (_folder, same) = machine(&[(0, "1-1", 0, "046d", "0825", "X"), (2, "1-2", 0, "046d", "0825", "X")]);
        let error = resolve(&same, "usb:046d:0825:X").unwrap_err().to_string();
        assert_eq!(error, "usb:046d:0825:X is the name of 2 cameras, expected one of usb:1-1, usb:1-2");
        let names = |machine: &Machine| {
            let nodes = machine.nodes();
            nodes.iter().map(|node| lasting_name(node, &nodes)).collect::<Vec<_>>()
        };
        assert_eq!(names(&same), ["usb:1-1", "usb:1-2"]);
        let (_folder, own) = machine(&[(0, "1-1", 0, "046d", "0825", "X"), (2, "1-2", 0, "046d", "0825", "Y")]);
        assert_eq!(names(&own), ["usb:046d:0825:X", "usb:046d:0825:Y"]);
        let (_folder, one) = machine(&[(4, "1-1", 0, "046d", "0825", ""), (5, "1-1", 1, "046d", "0825", "")]);
        assert_eq!(names(&one), ["usb:046d:0825", "usb:046d:0825#1"]);
        for machine in [same, own, one] {
            let nodes = machine.nodes();
            for node in &nodes {
                assert_eq!(resolve(&machine, &lasting_name(node, &nodes)).unwrap(), node.number);
            }
        }
    }

    #[test]
    fn names_that_are_none_are_refused() {
        for name in
            ["", "video0", "dev/video0", "usb:", "usb:46d:825", "usb:046d", "usb:1-", "usb:1-1.x", "usb:046d:0825:"]
        {
            let error = Name::parse(name).unwrap_err().to_string();
            assert!(error.ends_with("or \"usb:1-1.2\" expected"), "{name}: {error}");
        }
    }
}
