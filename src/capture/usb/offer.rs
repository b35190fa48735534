//! What a camera offers, and which of it we take. Pure.

use super::UsbConfig;
use crate::capture::usb_picture::Kind;

/// One size in one format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Four letters: `MJPG`, `YUYV`, `H264`, …
    pub code: [u8; 4],
    pub width: u32,
    pub height: u32,
    /// Slowest last; empty where the camera does not say.
    pub intervals: Vec<Interval>,
    /// This is the size nearest to the one asked for; anything between these two is on offer.
    pub between: Option<[(u32, u32); 2]>,
}

/// Seconds from one frame to the next, as a fraction. Cameras say 1/30, but also 2/60 or 333333/10000000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    pub numerator: u32,
    pub denominator: u32,
}

impl Interval {
    /// Frames per second; 0 for what is no interval.
    pub fn fps(self) -> f64 {
        if self.numerator == 0 { 0.0 } else { f64::from(self.denominator) / f64::from(self.numerator) }
    }
}

/// How the four letters are decoded; `None`: not at all.
pub fn kind(code: [u8; 4]) -> Option<Kind> {
    match &code {
        b"MJPG" | b"JPEG" => Some(Kind::Mjpeg),
        b"YUYV" => Some(Kind::Yuyv),
        b"NV12" => Some(Kind::Nv12),
        _ => None,
    }
}

/// MJPEG before raw pictures, which fill the cable; then the nearest size; then the nearest rate.
pub fn choose<'a>(offers: &'a [Offer], wanted: &UsbConfig) -> Option<(&'a Offer, Option<Interval>)> {
    let preference = |offer: &Offer| {
        let rank = match kind(offer.code)? {
            Kind::Mjpeg => 0,
            Kind::Yuyv => 1,
            Kind::Nv12 => 2,
        };
        Some((rank, offer.width.abs_diff(wanted.width) + offer.height.abs_diff(wanted.height)))
    };
    let (_, offer) = offers.iter().filter_map(|o| Some((preference(o)?, o))).min_by_key(|(p, _)| *p)?;
    let far = |interval: &Interval| (interval.fps() - f64::from(wanted.fps)).abs();
    let interval = offer.intervals.iter().copied().filter(|i| i.fps() > 0.0).min_by(|a, b| far(a).total_cmp(&far(b)));
    Some((offer, interval))
}

/// The codes of `offers`, each once, for people.
pub fn codes(offers: &[Offer]) -> String {
    let mut codes: Vec<String> = Vec::new();
    for offer in offers {
        let code = String::from_utf8_lossy(&offer.code).trim_end().to_owned();
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    if codes.is_empty() { "nothing".into() } else { codes.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(code: &[u8; 4], width: u32, height: u32, intervals: &[(u32, u32)]) -> Offer {
        let intervals = intervals.iter().map(|&(numerator, denominator)| Interval { numerator, denominator }).collect();
        Offer { code: *code, width, height, intervals, between: None }
    }

    #[test]
    fn the_nearest_mjpeg_is_chosen_and_raw_only_where_there_is_none() {
        let wanted = UsbConfig::default();
        let check = |offers: &[Offer], chosen: Option<(usize, Option<(u32, u32)>)>| {
            let chosen = chosen.map(|(index, interval)| {
                let interval = interval.map(|(numerator, denominator)| Interval { numerator, denominator });
                (&offers[index], interval)
            });
            assert_eq!(choose(offers, &wanted), chosen, "{offers:?}");
        };
        let raw = [offer(b"YUYV", 1280, 720, &[(1, 10)]), offer(b"NV12", 640, 480, &[(1, 30)])];
        check(&raw, Some((0, Some((1, 10)))));
        let jpeg = [offer(b"MJPG", 1920, 1080, &[(1, 30)]), offer(b"MJPG", 1280, 960, &[(1, 30)])];
        check(&[raw.as_slice(), &jpeg].concat(), Some((3, Some((1, 30)))));
        // 2/60 is 30 frames per second, 0/0 is nothing.
        check(&[offer(b"MJPG", 1280, 720, &[(2, 60), (0, 0), (1, 20), (0, 15)])], Some((0, Some((1, 20)))));
        check(&[offer(b"MJPG", 1280, 720, &[])], Some((0, None)));
        check(&[offer(b"GREY", 1280, 720, &[(1, 15)]), offer(b"H264", 1280, 720, &[(1, 15)])], None);
    }

    #[test]
    fn formats_are_named_once() {
        let offers = [offer(b"H264", 2, 2, &[]), offer(b"H264", 4, 4, &[]), offer(b"Y16 ", 4, 4, &[])];
        assert_eq!((codes(&offers).as_str(), codes(&[]).as_str()), ("H264, Y16", "nothing"));
    }
}
