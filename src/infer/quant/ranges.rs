//! Which numbers the tensors of a network hold: all that is needed beside the network to quantize it.
//!
//! As text, so that the ranges of a network can be kept where its weights cannot. A network and its ranges give the
//! same plan on every machine.

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::BTreeMap;

/// Least and most.
pub type Ends = [f32; 2];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ranges {
    /// Of this way of writing them down.
    pub schema: u32,
    /// By the name of the tensor.
    pub tensors: BTreeMap<String, Range>,
}

/// Of one tensor. Numbers have three digits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// Of each channel: where clipping costs least.
    #[serde(with = "row")]
    pub channels: Vec<Ends>,
    /// Where its layer can be a table: of the sums that are looked up, per block of channels, in the order that
    /// [`super::scheme`] gives them.
    #[serde(default, with = "row", skip_serializing_if = "Vec::is_empty")]
    pub sums: Vec<Ends>,
    /// Where something is added after the table: of what is found in the table, per block.
    #[serde(default, with = "row", skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<Ends>,
}

impl Ranges {
    pub const SCHEMA: u32 = 1;

    /// # Errors
    /// What is wrong with the text, in one sentence.
    pub fn parse(text: &str) -> Result<Self> {
        let ranges: Ranges = serde_json::from_str(text).context("these are no ranges")?;
        ensure!(ranges.schema == Self::SCHEMA, "ranges of schema {}, expected {}", ranges.schema, Self::SCHEMA);
        for (name, range) in &ranges.tensors {
            let all = range.channels.iter().chain(&range.sums).chain(&range.found);
            for ends in all {
                let fine = ends[0] <= ends[1] && ends.iter().all(|end| end.abs() <= 1e6);
                ensure!(fine, "the range of {name} has the ends {ends:?}");
            }
        }
        Ok(ranges)
    }

    /// One tensor a line.
    pub fn to_text(&self) -> String {
        let mut text = format!("{{\"schema\": {},\n\"tensors\": {{", self.schema);
        for (i, (name, range)) in self.tensors.iter().enumerate() {
            let [name, range] = [serde_json::to_string(name), serde_json::to_string(range)]
                .map(|json| json.expect("strings and numbers are JSON"));
            text.push_str(if i == 0 { "\n" } else { ",\n" });
            text.push_str(&name);
            text.push_str(": ");
            text.push_str(&range);
        }
        text.push_str("\n}}\n");
        text
    }
}

/// To three digits, as ranges are written.
pub fn short(ends: Ends) -> Ends {
    ends.map(|end| format!("{end:.2e}").parse().expect("a number that was written can be read"))
}

/// Ends as one string of numbers, without the zero before the point: there are many.
mod row {
    use super::*;

    pub fn serialize<S: Serializer>(row: &[Ends], serializer: S) -> Result<S::Ok, S::Error> {
        let number = |end: &f32| {
            let text = end.to_string();
            match text.strip_prefix("-0.") {
                Some(digits) => format!("-.{digits}"),
                None => text.strip_prefix("0.").map_or(text.clone(), |digits| format!(".{digits}")),
            }
        };
        let numbers: Vec<String> = row.as_flattened().iter().map(number).collect();
        serializer.serialize_str(&numbers.join(" "))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Ends>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let numbers: Vec<f32> = text
            .split_ascii_whitespace()
            .map(|word| word.parse().map_err(|_| de::Error::custom(format!("{word:?} is no number"))))
            .collect::<Result<_, _>>()?;
        let (pairs, rest) = numbers.as_chunks::<2>();
        if rest.is_empty() { Ok(pairs.to_vec()) } else { Err(de::Error::custom("an end is missing")) }
    }
}
