//! `watchpost check`: every problem of a configuration at once, and what would run.

use crate::capture::SourceConfig;
use crate::config::{self, Config};
use anyhow::Result;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    #[arg(long, value_name = "FILE", default_value = "config/watchpost.toml")]
    config: PathBuf,
    /// Print the JSON schema of the configuration file and read none
    #[arg(long)]
    schema: bool,
}

/// # Errors
/// [`config::Invalid`] with all mistakes, or [`crate::app::BadInput`].
pub fn run(args: Args) -> Result<ExitCode> {
    let text = if args.schema {
        config::json_schema()
    } else {
        let config = config::load(&args.config)?;
        format!("{} is right.\n{}", args.config.display(), summary(&config))
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn summary(config: &Config) -> String {
    let mut text = format!("\ndevice {}, state in {}\n", config.device.id, config.store.dir.display());
    match &config.mqtt {
        Some(mqtt) => text.push_str(&format!("publishes to {} below watchpost/{}\n", mqtt.url, config.device.id)),
        None => text.push_str("publishes nothing: there is no [mqtt] section\n"),
    }
    for (name, camera) in &config.camera {
        let off = if camera.enabled { "" } else { " (disabled)" };
        text.push_str(&format!("\ncamera {name}{off}: {}\n", camera.source));
        let parts = [
            ("lines", camera.line.keys().map(String::as_str).collect::<Vec<_>>()),
            ("zones", camera.zone.keys().map(String::as_str).collect()),
            ("rules", camera.rule.keys().map(String::as_str).collect()),
        ];
        for (what, names) in parts.into_iter().filter(|(_, names)| !names.is_empty()) {
            text.push_str(&format!("  {what}: {}\n", names.join(", ")));
        }
    }
    text.push_str("\nthreads\n");
    for camera in config.camera.iter().filter(|(_, camera)| camera.enabled) {
        text.push_str(&format!("  capture-{:<16} reads the camera, reopens it after an outage\n", camera.0));
    }
    let any = |is: fn(&SourceConfig) -> bool| config.camera.values().any(|c| c.enabled && is(&c.source));
    if any(|source| matches!(source, SourceConfig::Csi(_))) {
        text.push_str(
            "  csi, csi-said            read what a CSI camera's program writes, and what it complains about\n",
        );
    }
    if any(|source| matches!(source, SourceConfig::Rtsp(_))) {
        text.push_str("  rtsp                     receives a network camera's stream\n");
        text.push_str(
            "  ffmpeg-in, -out, -says   feed and read ffmpeg, for a stream that is not decoded in the program\n",
        );
    }
    if any(|source| matches!(source, SourceConfig::Http(_))) {
        text.push_str("  http                     receives a network camera's pictures\n");
    }
    if any(|source| matches!(source, SourceConfig::Rtsp(_) | SourceConfig::Http(_) | SourceConfig::Usb(_))) {
        text.push_str("  knock                    asks whether a camera that was lost is back\n");
    }
    text.push_str("  signals                  waits for SIGTERM and SIGINT\n");
    text.push_str("  lane                     detects, tracks, judges, records (SQLite)\n");
    for i in 1..config.model.threads {
        text.push_str(&format!("  rows-{i:<19} shares the rows of an int8 network's layers with the lane\n"));
    }
    if config.store.keep_tracks_days > 0 && config.store.keep_tracks_mb > 0 {
        text.push_str("  tracks                   writes the track log\n");
    }
    if config.evidence.enabled {
        text.push_str("  evidence                 runs the rule of an alert again, signs and writes its file\n");
    }
    if config.mqtt.is_some() {
        text.push_str("  link                     delivers the outbox, keeps retained topics\n");
        text.push_str("  mqtt                     waits for the broker\n");
    }
    text
}
