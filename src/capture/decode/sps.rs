//! What a sequence parameter set of H.264 says about the pictures, as far as we need it to choose a decoder
//! and to know the colours (ITU-T H.264, 7.3.2.1.1 and E.1.1). Absent: everything that only a decoder needs.

use super::bytes::Bits;
use anyhow::{Result, bail};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sps {
    pub width: u32,
    pub height: u32,
    /// Luma and chroma fill 0..255.
    pub full_range: bool,
    /// 4:2:0, 8 bits, whole frames, a profile that OpenH264 knows.
    pub openh264_can: bool,
}

/// `nal` begins with the NAL header.
pub fn parse(nal: &[u8]) -> Result<Sps> {
    let [header, body @ ..] = nal else { bail!("it is empty") };
    if header & 0x1f != 7 {
        bail!("NAL unit of type {} where a sequence parameter set (7) is expected", header & 0x1f);
    }
    let body = without_emulation_prevention(body);
    let mut b = Bits::new(&body);
    let profile = b.bits(8)?;
    b.bits(16)?; // constraint flags, level
    b.unsigned()?; // seq_parameter_set_id
    let (mut chroma, mut eight_bits) = (1, true);
    if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
        chroma = b.unsigned()?;
        if chroma == 3 {
            b.bit()?; // separate_colour_plane_flag
        }
        eight_bits = b.unsigned()? == 0 && b.unsigned()? == 0;
        b.bit()?; // qpprime_y_zero_transform_bypass_flag
        if b.bit()? {
            for list in 0..if chroma == 3 { 12 } else { 8 } {
                if b.bit()? {
                    skip_scaling_list(&mut b, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    b.unsigned()?; // log2_max_frame_num_minus4
    match b.unsigned()? {
        0 => drop(b.unsigned()?), // log2_max_pic_order_cnt_lsb_minus4
        1 => {
            b.bit()?;
            b.signed()?;
            b.signed()?;
            for _ in 0..b.unsigned()?.min(255) {
                b.signed()?;
            }
        }
        _ => {}
    }
    b.unsigned()?; // max_num_ref_frames
    b.bit()?; // gaps_in_frame_num_value_allowed_flag
    let columns = u64::from(b.unsigned()?) + 1;
    let rows = u64::from(b.unsigned()?) + 1;
    let whole_frames = b.bit()?;
    if !whole_frames {
        b.bit()?; // mb_adaptive_frame_field_flag
    }
    b.bit()?; // direct_8x8_inference_flag
    let mut crop = [0u64; 4];
    if b.bit()? {
        for side in &mut crop {
            *side = u64::from(b.unsigned()?);
        }
    }
    let fields = if whole_frames { 1 } else { 2 };
    let unit_x = if matches!(chroma, 1 | 2) { 2 } else { 1 };
    let unit_y = if chroma == 1 { 2 } else { 1 } * fields;
    let width = (columns * 16).saturating_sub(unit_x * (crop[0] + crop[1]));
    let height = (rows * 16 * fields).saturating_sub(unit_y * (crop[2] + crop[3]));
    if width == 0 || height == 0 || width > 16384 || height > 16384 {
        bail!("pictures of {width}x{height}, 1..16384 expected");
    }
    let known = matches!(profile, 66 | 77 | 88 | 100);
    Ok(Sps {
        width: width as u32,
        height: height as u32,
        // The rest of the set is optional and often broken; without it colours are those of video.
        full_range: vui_full_range(&mut b).unwrap_or(false),
        openh264_can: known && chroma == 1 && eight_bits && whole_frames,
    })
}

fn vui_full_range(b: &mut Bits<'_>) -> Result<bool> {
    if !b.bit()? {
        return Ok(false);
    }
    // aspect_ratio_info_present_flag; 255 is Extended_SAR
    if b.bit()? && b.bits(8)? == 255 {
        b.bits(32)?;
    }
    if b.bit()? {
        b.bit()?; // overscan
    }
    if b.bit()? {
        b.bits(3)?; // video_format
        return b.bit();
    }
    Ok(false)
}

fn skip_scaling_list(b: &mut Bits<'_>, size: u32) -> Result<()> {
    let (mut last, mut next) = (8i32, 8i32);
    for _ in 0..size {
        if next != 0 {
            next = last.wrapping_add(b.signed()?) & 0xff;
        }
        if next != 0 {
            last = next;
        }
    }
    Ok(())
}

/// 00 00 03 stands for 00 00.
fn without_emulation_prevention(nal: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(nal.len());
    let mut zeros = 0;
    for &byte in nal {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        text.split(' ').map(|b| u8::from_str_radix(b, 16).unwrap()).collect()
    }

    #[test]
    fn a_film_by_x264_in_high_profile() {
        // 1920x1080 by libx264 with B-frames: 1088 rows, cropped by 8.
        let sps =
            parse(&hex("67 64 00 28 ac d9 40 78 02 27 e5 c0 44 00 00 03 00 04 00 00 03 00 c8 3c 60 c6 58")).unwrap();
        assert_eq!(sps, Sps { width: 1920, height: 1080, full_range: false, openh264_can: true });
    }

    #[test]
    fn what_is_no_parameter_set_is_refused() {
        assert!(parse(&[]).is_err());
        assert!(parse(&[0x67]).is_err());
        assert!(parse(&hex("68 ee 3c 80")).is_err());
        for n in 0..8 {
            assert!(parse(&hex("67 64 00 28 ac d9 40 78")[..n]).is_err(), "{n} bytes");
        }
    }
}
