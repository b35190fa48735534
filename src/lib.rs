//! Watchpost reads cameras, finds people and things with a YOLO, follows and counts them, notices what is out
//! of the ordinary, and publishes it over MQTT. One package: this library and a thin binary.
//!
//! This page is the map. Start reading at [`pipeline`], the pure heart, or at [`app::run`], which ties all of
//! it to cameras, disk and broker.
//!
//! # The flow
//!
//! ```text
//!  per camera                     inference lane                             store            link
//! +---------+   +---------+   +-------------------------------------+   +---------+   +----------+
//! | capture |-->| mailbox |-->| infer -> track -> scene -> pattern  |-->| SQLite  |-->| MQTT     |--> broker
//! |  Source |   | 1 slot  |   | Frame   Tracks    Facts    Events   |   | + outbox|   | rumqttc  |
//! +---------+   +---------+   +-------------------------------------+   +---------+   +----------+
//!    lossy         lossy                                                 lossless from here on
//! ```
//!
//! A frame may be lost; an event may not. `infer` turns pixels into [`detection::Detections`]; everything to
//! its right is [`pipeline::Pipeline::step`]: a pure function of its input and its own state. No clock, no
//! I/O, no threads, no async, and normal operation cannot fail. That is the seam where recordings enter, so
//! every rule is tested without a model, a camera or a clock.
//!
//! # The floors
//!
//! A room imports only from the floors below its own; `tests/house.rs` fails where an arrow points up.
//!
//! | floor | rooms | what it is |
//! |---|---|---|
//! | roof | `main.rs` | the command line |
//! | 3rd | [`app`] | one file per verb |
//! | 2nd | [`config`], [`link`], [`report`] | the file, the way to the broker, JSON, CSV and sheets |
//! | 1st | [`capture`], [`infer`], [`evidence`], [`store`], [`platform`], [`mailbox`], [`stop`], [`backoff`] | everything that does I/O |
//! | ground | [`tape`], [`pipeline`], [`pattern`], [`scene`], [`sight`], [`statistics`], [`track`] | pure |
//! | cellar | [`time`], [`geometry`], [`frame`], [`detection`], [`clue`], [`fact`], [`event`], [`ids`], [`memory`], [`problems`] | the nouns |
//!
//! # Invariants, many of them about what is absent
//!
//! - Coordinates are fractions of the frame: x to the right, y down. Pixels exist in `capture`, `infer` and
//!   `evidence` only.
//! - [`time::MediaTime`] (since the source opened) and [`time::WallTime`] never mix, and only `time` reads a clock.
//! - Thresholds are seconds, never frames: boards and cameras differ in rate.
//! - An event is on disk, synced, before it is offered to the broker, and leaves the outbox on PUBACK only.
//!   `seq` counts every event of a device without gaps; `id` is a digest, so duplicates can be told.
//! - Nothing that reaches an output iterates a `HashMap`: the same recording and configuration give the same
//!   bytes on every board.
//! - Every channel has a bound and an answer to "what if it is full": see [`mailbox`] and [`store`].
//! - Vendor types die at the door. Only `capture/usb/` names nokhwa and v4l, only `capture/rtsp/client.rs` names retina, only
//!   `capture/http/client.rs` names http-auth, only `capture/{decode,encode}/` name a codec, only `infer/tract.rs` and
//!   `infer/quant/` name tract, only `platform/mqtt.rs` names rumqttc.
//! - No `unsafe` but in `infer/quant/kernel/`, where each block says why. No shell. No secret in the configuration:
//!   secrets are files named there.

#![deny(unsafe_code)]

pub mod app;
pub mod backoff;
pub mod capture;
pub mod clue;
pub mod config;
pub mod detection;
pub mod event;
pub mod evidence;
pub mod fact;
pub mod frame;
pub mod geometry;
pub mod ids;
pub mod infer;
pub mod link;
pub mod mailbox;
pub mod memory;
pub mod pattern;
pub mod pipeline;
pub mod platform;
pub mod problems;
pub mod report;
pub mod scene;
pub mod sight;
pub mod statistics;
pub mod stop;
pub mod store;
pub mod tape;
pub mod time;
pub mod track;
