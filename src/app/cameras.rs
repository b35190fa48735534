//! `watchpost cameras`: what is connected, in words, and what to write into the configuration to use it.

mod network;

use crate::capture::csi::{self, CsiCamera};
use crate::capture::usb::{self, UsbCamera, UsbMode};
use anyhow::Result;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// Print one JSON object instead of words
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    network: network::Args,
}

/// # Errors
/// Standard output is closed; there is no network to look at.
pub fn run(args: Args) -> Result<ExitCode> {
    let (cameras, nobody) = match args.network.is_asked() {
        true => (network::look(&args.network)?, network::NOBODY),
        false => {
            let usb = usb::connected().into_iter().map(Found::from);
            (usb.chain(csi::connected().into_iter().map(Found::from)).collect(), NOBODY)
        }
    };
    let text = if args.json {
        serde_json::to_string(&Report { schema: 1, cameras: &cameras })? + "\n"
    } else {
        in_words(&cameras, nobody)
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    cameras: &'a [Found],
}

/// A camera, whatever it is connected by.
#[derive(Serialize)]
struct Found {
    kind: &'static str,
    name: String,
    /// What the configuration calls it.
    id: String,
    /// Where it is now, for people.
    place: String,
    modes: Vec<Mode>,
    /// Why it cannot be used.
    trouble: Option<String>,
    /// What its owner may wonder about.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// The keys of its `source`, in TOML.
    source: Vec<String>,
}

#[derive(Serialize)]
struct Mode {
    format: String,
    /// Columns and rows.
    size: (u32, u32),
    /// Any size up to that one is on offer as well.
    up_to: Option<(u32, u32)>,
    fps: Vec<f64>,
    readable: bool,
    /// Where this one is streamed, for those that have an address each.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

impl From<UsbCamera> for Found {
    fn from(camera: UsbCamera) -> Found {
        let place = match &camera.port {
            Some(port) => format!("{}, USB socket {port}", camera.node.display()),
            None => camera.node.display().to_string(),
        };
        Found {
            kind: "usb",
            name: camera.name,
            source: vec!["kind = \"usb\"".into(), format!("device = \"{}\"", camera.device)],
            id: camera.device,
            place,
            modes: camera.modes.into_iter().map(Mode::from).collect(),
            trouble: camera.trouble,
            note: None,
        }
    }
}

impl From<UsbMode> for Mode {
    fn from(mode: UsbMode) -> Mode {
        let [size, most] = mode.sizes;
        let up_to = (size != most).then_some(most);
        Mode { format: mode.format, size, up_to, fps: mode.fps, readable: mode.is_known, url: None }
    }
}

impl From<CsiCamera> for Found {
    fn from(camera: CsiCamera) -> Found {
        let mode = |&(width, height, fps): &(u32, u32, u32)| Mode {
            format: "sensor".into(),
            size: (width, height),
            up_to: None,
            fps: vec![f64::from(fps)],
            readable: true,
            url: None,
        };
        Found {
            kind: "csi",
            name: camera.name,
            id: camera.camera.to_string(),
            place: "ribbon cable".into(),
            modes: camera.modes.iter().map(mode).collect(),
            trouble: None,
            note: None,
            source: vec!["kind = \"csi\"".into(), format!("camera = {}", camera.camera)],
        }
    }
}

const NOBODY: &str = "No camera is connected. A USB camera shows up as /dev/video0; for one on the ribbon cable of a \
                      Raspberry Pi the package rpicam-apps-lite is needed. Those on the network: --network.\n";

fn in_words(cameras: &[Found], nobody: &str) -> String {
    if cameras.is_empty() {
        return nobody.into();
    }
    let mut text = String::new();
    for (camera, number) in cameras.iter().zip(1..) {
        if number > 1 {
            text.push('\n');
        }
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{} ({})", camera.name, camera.place);
        for (format, sizes) in by_format(&camera.modes) {
            let _ = writeln!(text, "    {format:<6} {}", sizes.join("; "));
        }
        if let Some(note) = &camera.note {
            let _ = writeln!(text, "    note: {note}");
        }
        if let Some(trouble) = &camera.trouble {
            let _ = writeln!(text, "    cannot be used: {trouble}");
            continue;
        }
        let _ = writeln!(text, "    to use it:\n\n        [camera.camera{number}.source]");
        for line in &camera.source {
            let _ = writeln!(text, "        {line}");
        }
    }
    text
}

/// In the order of the camera; sizes with their rates, in words.
fn by_format(modes: &[Mode]) -> Vec<(&str, Vec<String>)> {
    let mut formats: Vec<(&str, Vec<String>)> = Vec::new();
    for mode in modes {
        let mut words = match mode.size {
            (0, 0) => "of unknown size".into(),
            (width, height) => format!("{width}x{height}"),
        };
        if let Some((width, height)) = mode.up_to {
            let _ = write!(words, " to {width}x{height}");
        }
        if !mode.fps.is_empty() {
            let fps: Vec<String> = mode.fps.iter().map(f64::to_string).collect();
            let _ = write!(words, " at {} fps", fps.join(", "));
        }
        if !mode.readable {
            words.push_str(" (not read)");
        }
        if let Some(url) = &mode.url {
            let _ = write!(words, " {url}");
            formats.push((&mode.format, vec![words]));
            continue;
        }
        match formats.iter_mut().find(|(format, _)| *format == mode.format) {
            Some((_, sizes)) => sizes.push(words),
            None => formats.push((&mode.format, vec![words])),
        }
    }
    formats
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use std::path::PathBuf;

    #[test]
    fn cameras_are_told_in_words() {
        let mode = |format: &str, sizes, fps: &[f64], is_known| UsbMode {
            format: format.into(),
            sizes,
            fps: fps.to_vec(),
            is_known,
        };
        let door = UsbCamera {
            name: "HD Webcam".into(),
            device: "usb:046d:0825:AB12".into(),
            node: PathBuf::from("/dev/video0"),
            port: Some("1-1.2".into()),
            modes: vec![
                mode("MJPG", [(1280, 720); 2], &[30.0, 7.5], true),
                mode("MJPG", [(640, 480); 2], &[], true),
                mode("H264", [(1920, 1080); 2], &[30.0], false),
                mode("NV12", [(48, 32), (4096, 2160)], &[60.0, 1.0], true),
            ],
            trouble: None,
        };
        let busy = UsbCamera {
            device: "/dev/video9".into(),
            node: PathBuf::from("/dev/video9"),
            port: None,
            modes: vec![],
            trouble: Some("does not open".into()),
            ..door.clone()
        };
        let ribbon = CsiCamera { camera: 0, name: "imx708".into(), modes: vec![(1536, 864, 120)] };
        let said = in_words(&[door.into(), busy.into(), ribbon.into()], NOBODY);
        expect![[r#"
            HD Webcam (/dev/video0, USB socket 1-1.2)
                MJPG   1280x720 at 30, 7.5 fps; 640x480
                H264   1920x1080 at 30 fps (not read)
                NV12   48x32 to 4096x2160 at 60, 1 fps
                to use it:

                    [camera.camera1.source]
                    kind = "usb"
                    device = "usb:046d:0825:AB12"

            HD Webcam (/dev/video9)
                cannot be used: does not open

            imx708 (ribbon cable)
                sensor 1536x864 at 120 fps
                to use it:

                    [camera.camera3.source]
                    kind = "csi"
                    camera = 0
        "#]]
        .assert_eq(&said);
        assert!(in_words(&[], NOBODY).starts_with("No camera is connected."));
    }
}
