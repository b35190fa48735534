//! Names of things. Each is its own type, so a zone cannot be handed over where a line is meant.

use std::fmt;
use std::sync::Arc;

/// The names a user gives appear in MQTT topics and file names, hence the narrow alphabet; and none is all dots.
pub fn is_valid_name(name: &str) -> bool {
    name.bytes().any(|b| b != b'.')
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Takes any text; the configuration has checked it with [`is_valid_name`].
            pub fn new(name: &str) -> Self {
                $type(name.into())
            }
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// The appliance: `device.id` of the configuration and second part of every topic.
    DeviceId
}
name! { CameraId }
name! { ZoneId }
name! { LineId }
name! { RuleId }

/// Unique within one camera and one opening of its source; counts from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(pub u64);

impl fmt::Display for TrackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::is_valid_name;

    #[test]
    fn names_fit_into_topics_and_file_names() {
        for name in ["till-3", "a", "A_1.b", ".x", &"a".repeat(64)] {
            assert!(is_valid_name(name), "{name}");
        }
        for name in ["", ".", "..", "a/b", "a b", "é", "+", "#", &"a".repeat(65)] {
            assert!(!is_valid_name(name), "{name}");
        }
    }
}
