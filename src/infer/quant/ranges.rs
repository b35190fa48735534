//! Which numbers the tensors of a network hold: all that is needed beside the network to quantize it.
//!
//! As text, so that the ranges of a network can be kept where its weights cannot. A network and its ranges give the
//! same plan on every machine.

use super::scheme::Curve;
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
    #[serde(default, with = "row", skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<Ends>,
    /// Where its layer can be a table: of the sums that are looked up, per block of channels, in the order that
    /// [`super::scheme`] gives them.
    #[serde(default, with = "row", skip_serializing_if = "Vec::is_empty")]
    pub sums: Vec<Ends>,
    /// What is added to every bias, so that its channel's mean stays what it is in floats: where curves are exact, and
    /// where they are tables, if that is something else.
    #[serde(default, skip_serializing_if = "Shifts::is_empty")]
    pub exact: Shifts,
    #[serde(default, skip_serializing_if = "Shifts::is_empty")]
    pub table: Shifts,
}

impl Range {
    pub fn shifts(&self, curve: Curve) -> &Shifts {
        if curve == Curve::Exact || self.table.is_empty() { &self.exact } else { &self.table }
    }
}

/// Small numbers, in hundredths of the largest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shifts {
    unit: f32,
    counts: Vec<i8>,
}

impl Shifts {
    pub fn new(shifts: &[f64]) -> Self {
        let largest = shifts.iter().fold(0.0, |most: f64, shift| most.max(shift.abs()));
        let unit = short((largest / 100.0).max(1e-9) as f32);
        let count = |shift: &f64| (shift / f64::from(unit)).round().clamp(-127.0, 127.0) as i8;
        Shifts { unit, counts: shifts.iter().map(count).collect() }
    }

    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// 0 where there are none.
    pub fn get(&self, channel: usize) -> f32 {
        self.counts.get(channel).map_or(0.0, |count| f32::from(*count) * self.unit)
    }
}

/// The unit, then how many of it.
impl Serialize for Shifts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let counts = self.counts.iter().map(i8::to_string);
        serializer.serialize_str(&[written(self.unit)].into_iter().chain(counts).collect::<Vec<_>>().join(" "))
    }
}

impl<'de> Deserialize<'de> for Shifts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut words = text.split_ascii_whitespace();
        let unit = words.next().map(read).transpose()?.unwrap_or_default();
        let count = |word: &str| word.parse().map_err(|_| de::Error::custom(format!("{word:?} is no small number")));
        Ok(Shifts { unit, counts: words.map(count).collect::<Result<_, _>>()? })
    }
}

impl Ranges {
    pub const SCHEMA: u32 = 2;

    /// # Errors
    /// What is wrong with the text, in one sentence.
    pub fn parse(text: &str) -> Result<Self> {
        let ranges: Ranges = serde_json::from_str(text).context("these are no ranges")?;
        ensure!(ranges.schema == Self::SCHEMA, "ranges of schema {}, expected {}", ranges.schema, Self::SCHEMA);
        for (name, range) in &ranges.tensors {
            let all = range.channels.iter().chain(&range.sums);
            for ends in all {
                let fine = ends[0] <= ends[1] && ends.iter().all(|end| end.abs() <= 1e6);
                ensure!(fine, "the range of {name} has the ends {ends:?}");
            }
            let units = [range.exact.unit, range.table.unit];
            ensure!(
                units.iter().all(|unit| (0.0..=1e6).contains(unit)),
                "the shifts of {name} have the units {units:?}"
            );
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
pub fn short(number: f32) -> f32 {
    format!("{number:.2e}").parse().expect("a number that was written can be read")
}

/// Without the zero before the point: there are many.
fn written(number: f32) -> String {
    let text = number.to_string();
    match (text.strip_prefix("-0."), text.strip_prefix("0.")) {
        (Some(digits), _) => format!("-.{digits}"),
        (_, Some(digits)) => format!(".{digits}"),
        _ => text,
    }
}

fn read<E: de::Error>(word: &str) -> Result<f32, E> {
    word.parse().map_err(|_| E::custom(format!("{word:?} is no number")))
}

/// Ends as one string of words `low:high`, or `high` where the low end is that of the word before.
mod row {
    use super::{Deserialize, Deserializer, Ends, Serializer, de, read, written};

    pub fn serialize<S: Serializer>(row: &[Ends], serializer: S) -> Result<S::Ok, S::Error> {
        let mut words = Vec::new();
        let mut before = None;
        for [low, high] in row {
            let same = before == Some(low);
            words.push(if same { written(*high) } else { format!("{}:{}", written(*low), written(*high)) });
            before = Some(low);
        }
        serializer.serialize_str(&words.join(" "))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Ends>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut row: Vec<Ends> = Vec::new();
        for word in text.split_ascii_whitespace() {
            let (low, high) = match (word.split_once(':'), row.last()) {
                (Some((low, high)), _) => (read(low)?, high),
                (None, Some([low, _])) => (*low, word),
                (None, None) => return Err(de::Error::custom(format!("{word:?} has no low end"))),
            };
            row.push([low, read(high)?]);
        }
        Ok(row)
    }
}
