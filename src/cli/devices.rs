//! `etude devices`: what can compute here, what can sound here, and why the rest can't.

use std::io::{BufRead, IsTerminal, Write};

use serde::Serialize;

use super::args::DevicesArgs;
use super::failure::Failure;
use super::interrupt::cancelled_by_interrupt;
use super::output::{Meter, Output};
use crate::cuda_libraries;
use crate::model::{DeviceReport, compute_devices, probe};

#[cfg(feature = "studio")]
type AudioReport = crate::audio::AudioDeviceReport;

/// Nothing can sound in a build without the window and the sound device.
#[cfg(not(feature = "studio"))]
#[derive(Serialize)]
struct AudioReport {
    name: String,
    kind: String,
    available: bool,
    reason: Option<String>,
}

#[derive(Serialize)]
struct Report {
    compute: Vec<DeviceReport>,
    audio: Vec<AudioReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio_note: Option<&'static str>,
}

pub fn run(args: &DevicesArgs, output: &Output) -> Result<(), Failure> {
    if let Some(choice) = args.probe {
        return probe(choice).map_err(Failure::failed);
    }
    if args.fetch_cuda {
        fetch_cuda(args.yes, *output)?;
    }
    let (audio, audio_note) = audio();
    let report = Report { compute: compute_devices(), audio, audio_note };
    output.result(&report, || words(&report))
}

#[cfg(feature = "studio")]
fn audio() -> (Vec<AudioReport>, Option<&'static str>) {
    (crate::audio::audio_devices(), None)
}

#[cfg(not(feature = "studio"))]
fn audio() -> (Vec<AudioReport>, Option<&'static str>) {
    (Vec::new(), Some("this Etude was built without sound; `etude render` works"))
}

fn words(report: &Report) -> String {
    let line = |name: &str, available: bool, reason: Option<&str>| {
        let mark = if available { "yes" } else { "no " };
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("  {mark}  {name}{reason}")
    };
    let mut lines = vec!["compute".to_owned()];
    lines.extend(
        report
            .compute
            .iter()
            .map(|device| line(&device.name, device.available, device.reason.as_deref())),
    );
    lines.push("sound".to_owned());
    lines.extend(
        report
            .audio
            .iter()
            .map(|device| line(&device.name, device.available, device.reason.as_deref())),
    );
    lines.extend(report.audio_note.map(|note| format!("  {note}")));
    lines.join("\n")
}

/// Asks, unless told not to, and fetches.
fn fetch_cuda(yes: bool, output: Output) -> Result<(), Failure> {
    let plan = cuda_libraries::plan()?;
    if plan.is_installed() {
        output.note(&format!("NVIDIA's libraries are in {} already", plan.folder.display()));
        return Ok(());
    }
    output.note(&format!(
        "This fetches {} MB from pypi.org into {}:",
        plan.download_bytes() / 1_000_000,
        plan.folder.display()
    ));
    for package in plan.packages {
        output.note(&format!("  {} {} ({})", package.name, package.version, package.purpose));
    }
    output.note(&format!(
        "They are NVIDIA's, under NVIDIA's licence: {}",
        cuda_libraries::LICENSE_URL
    ));
    if !yes && !consent()? {
        return Err(Failure::failed(
            "nothing was fetched because nobody agreed — answer y, or give --yes",
        ));
    }
    let cancel = cancelled_by_interrupt();
    let mut meter = Meter::new("fetching", plan.download_bytes());
    let fetched = cuda_libraries::fetch(&cancel, &mut |progress| {
        meter.set(progress.done_bytes, || progress.package.to_owned());
    });
    meter.finish();
    fetched.map_err(|error| match error {
        cuda_libraries::FetchError::Cancelled => {
            Failure::Interrupted("stopped; nothing was fetched".to_owned())
        }
        error => error.into(),
    })?;
    output.note("NVIDIA's libraries are in place");
    Ok(())
}

fn consent() -> Result<bool, Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Ok(false);
    }
    let mut stderr = std::io::stderr();
    write!(stderr, "Go on? [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
