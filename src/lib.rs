//! Etude learns to compose piano music from a folder of MIDI files.
//!
//! This page is the map. Each room below is one module; read them in this order.
//!
//! ```text
//! music/    what a piece is: pitch, note, score, tempo, scale, harmony, Standard MIDI Files
//! editor/   how a piece is changed: operations, edits as values, selection, clipboard, history,
//!           grid, project file
//! tokens/   a piece as numbers: frames, chords, vocabulary, corpus, split; frames with touch;
//!           what music measures like
//! model/    the networks, training, metrics, checkpoints, composing; the only room that knows burn
//! studio/   the background workers: requests in, events out, cancellation
//! audio/    what is heard: sequencer, synthesizer, output device, rendering to a file
//! ui/       what is seen: piano roll, curves, panels, transport, commands, theme
//! cli/      what a shell sees
//! ```
//!
//! Who may use whom (an arrow points at what is used):
//!
//! ```text
//! music ◄─ editor ◄───────────────────┐
//!   ▲ ▲                               │
//!   │ └── tokens ◄─ model ◄─ studio ◄─ ui ◄─ main
//!   └──── audio ◄─────────────────────┘         cli sits beside ui
//! ```
//!
//! `music`, `editor` and `tokens` know no named thread, no clock and no egui. Only `music`
//! names midly, only `model` burn, only `audio` rodio, cpal and rustysynth, only `ui` egui and
//! rfd. `tests/architecture.rs` reads the sources and holds these lines.
//!
//! Beside the rooms stand small things every room may use: [`cancel`] (a flag that asks long work
//! to stop), [`files`] (writing so that nothing is ever half-written, and where the program keeps
//! its own files), [`assets`] (what is embedded in the binary), [`logging`] (the program's own
//! notes) and [`cuda_libraries`] (NVIDIA's compiler for kernels, fetched when the user asks).

pub mod assets;
pub mod audio;
pub mod cancel;
pub mod cli;
pub mod cuda_libraries;
pub mod editor;
pub mod files;
pub mod logging;
pub mod model;
pub mod music;
pub mod studio;
pub mod tokens;
#[cfg(feature = "studio")]
pub mod ui;
