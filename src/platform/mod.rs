//! The Linux underneath: the broker's client behind the traits of embedded-svc, the facts of the board, the
//! supervisor. Nothing below the second floor imports it, so the core never sees a platform.
//!
//! Absent: Wi-Fi, Ethernet and HTTP of embedded-svc. On Linux they belong to the operating system.

pub mod broker;
pub mod clock;
pub mod host;
pub mod mqtt;
pub mod watchdog;

pub use broker::MqttConfig;
pub use host::{Host, HostFacts};
pub use watchdog::Watchdog;
