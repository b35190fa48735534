//! Whether this board knows what time it is. A Pi has no battery for its clock: it starts in the past and jumps
//! when a time server answers.

use std::path::Path;

/// systemd-timesyncd leaves this file when it has heard from a server.
const SYNCHRONIZED: &str = "/run/systemd/timesync/synchronized";

/// Where timesyncd runs, it is believed. Elsewhere (chrony, a virtual machine, a board with a clock chip) a time
/// after this version was made is.
pub fn is_trusted() -> bool {
    const MADE: i64 = 1_790_000_000;
    let timesyncd = Path::new("/run/systemd/timesync").is_dir();
    if timesyncd { Path::new(SYNCHRONIZED).exists() } else { crate::time::WallTime::now().millis() / 1000 > MADE }
}
