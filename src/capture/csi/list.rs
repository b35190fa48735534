//! The CSI cameras of this board, from the program that comes with its system.

use std::io::Read as _;
use std::process::{Command, Stdio};

use crate::time::{Span, Stopwatch};

/// A CSI camera that is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsiCamera {
    /// For [`super::CsiConfig::camera`].
    pub camera: u32,
    /// Of the sensor: `imx708`
    pub name: String,
    /// Columns, rows, and frames per second at most, as the sensor has them; other sizes are scaled from these.
    pub modes: Vec<(u32, u32, u32)>,
}

const PROGRAMS: [&str; 2] = ["rpicam-hello", "libcamera-hello"];

/// Asking the sensors takes about a second.
const WITHIN: Span = Span::from_millis(10_000);

/// Empty where the program is not installed, and where there are none.
pub fn connected() -> Vec<CsiCamera> {
    PROGRAMS.iter().find_map(|program| ask(program)).map(|text| parse(&text)).unwrap_or_default()
}

/// `None`: not installed.
fn ask(program: &str) -> Option<String> {
    let mut command = Command::new(program);
    command.arg("--list-cameras").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let mut out = child.stdout.take()?;
    // The list is short; more than that is something else.
    let reader = std::thread::Builder::new().name("csi-list".into()).spawn(move || {
        let mut text = Vec::new();
        let _ = out.by_ref().take(1 << 20).read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let clock = Stopwatch::start();
    while matches!(child.try_wait(), Ok(None)) && clock.elapsed() < WITHIN {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
    reader.ok()?.join().ok()
}

/// ```text
/// 0 : imx708 [4608x2592 10-bit RGGB] (/base/soc/i2c0mux/i2c@1/imx708@1a)
///     Modes: 'SRGGB10_CSI2P' : 1536x864 [120.13 fps - (768, 432)/3072x1728 crop]
///                              2304x1296 [56.03 fps - (0, 0)/4608x2592 crop]
/// ```
fn parse(text: &str) -> Vec<CsiCamera> {
    let mut cameras: Vec<CsiCamera> = Vec::new();
    // libcamera lists USB cameras, too; those are read without it.
    let mut is_ours = false;
    for line in text.lines() {
        if let Some((number, rest)) = line.split_once(" : ")
            && let Ok(camera) = number.parse()
        {
            let place = rest.rsplit_once('(').map_or("", |(_, place)| place);
            is_ours = !place.contains("usb");
            if is_ours {
                let name = rest.split([' ', '[']).next().unwrap_or("camera").to_owned();
                cameras.push(CsiCamera { camera, name, modes: Vec::new() });
            }
        } else if let Some(camera) = cameras.last_mut().filter(|_| is_ours) {
            camera.modes.extend(mode(line));
        }
    }
    for camera in &mut cameras {
        camera.modes.sort();
        camera.modes.dedup();
    }
    cameras
}

/// The part before ` fps`.
fn mode(line: &str) -> Option<(u32, u32, u32)> {
    let (before, _) = line.split_once(" fps")?;
    let (size, fps) = before.rsplit_once(" [")?;
    let (width, height) = size.rsplit(' ').next()?.split_once('x')?;
    Some((width.parse().ok()?, height.parse().ok()?, fps.parse::<f64>().ok()? as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_a_raspberry_pi_is_understood() {
        let text = "Available cameras\n-----------------\n\
            0 : imx708 [4608x2592 10-bit RGGB] (/base/soc/i2c0mux/i2c@1/imx708@1a)\n    \
            Modes: 'SRGGB10_CSI2P' : 1536x864 [120.13 fps - (768, 432)/3072x1728 crop]\n                             \
            2304x1296 [56.03 fps - (0, 0)/4608x2592 crop]\n\n\
            1 : HD Pro Webcam C920 [1920x1080] (/base/scb/pcie@7d500000/pci@0,0/usb@0,0-1.2:1.0-046d:082d)\n    \
            Modes: 'MJPEG' : 640x480 [30.00 fps - (0, 0)/640x480 crop]\n\
            2 : ov5647 [2592x1944] (/base/soc/i2c0mux/i2c@0/ov5647@36)\n";
        let modes = vec![(1536, 864, 120), (2304, 1296, 56)];
        let expected = [
            CsiCamera { camera: 0, name: "imx708".into(), modes },
            CsiCamera { camera: 2, name: "ov5647".into(), modes: vec![] },
        ];
        assert_eq!(parse(text), expected);
        assert_eq!(parse("No cameras available!\n"), []);
    }
}
