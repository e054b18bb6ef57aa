//! `etude render`: a piece as a WAV file.

use super::args::RenderArgs;
use super::failure::Failure;
use super::interrupt::cancelled_by_interrupt;
use super::output::{Meter, Output, clock};
use super::paths::{
    already_there, check_extension, check_is_not_input, check_output_file, note_replaced,
    read_piece,
};
use crate::audio::{BitDepth, Font, FontSource, RenderSettings, render};

pub fn run(args: &RenderArgs, output: &Output) -> Result<(), Failure> {
    check_is_not_input(&args.out, std::slice::from_ref(&args.piece))?;
    check_output_file(&args.out)?;
    check_extension(&args.out, &["wav", "wave"])?;
    let replaced = already_there([args.out.clone()]);
    let cancel = cancelled_by_interrupt();
    let (score, warnings) = read_piece(&args.piece)?;
    for warning in warnings {
        output.note(&format!("{}: {warning}", args.piece.display()));
    }
    let source = args.soundfont.as_deref().map_or(Ok(FontSource::BuiltIn), FontSource::named)?;
    let stopped = || Failure::Interrupted("stopped; no sound file was written".to_owned());
    let font = Font::load(&source, &cancel)
        .map_err(|error| if cancel.is_cancelled() { stopped() } else { error.into() })?;
    let bits = if args.bits == "24" { BitDepth::TwentyFour } else { BitDepth::Sixteen };
    let settings =
        RenderSettings { sample_rate: args.sample_rate, bits, ..RenderSettings::default() };
    let mut meter = Meter::new("rendering", 1_000);
    let mut progress = |share: f64| meter.set((share * 1_000.0) as u64, String::new);
    let report = render(&score, &font, &settings, &args.out, &cancel, &mut progress)
        .map_err(|error| if cancel.is_cancelled() { stopped() } else { error.into() })?;
    meter.finish();
    note_replaced(&replaced, *output);
    output.result(&report, || {
        format!(
            "{}: {} of sound in {:.2} s ({:.0} times as fast as it plays), peak {:.1} dB, mean {:.1} dB",
            args.out.display(),
            clock(report.seconds_of_audio),
            report.seconds,
            report.seconds_of_audio / report.seconds.max(1e-9),
            decibels(report.peak),
            decibels(report.rms),
        )
    })
}

/// Relative to full scale.
fn decibels(level: f64) -> f64 {
    20.0 * level.max(1e-9).log10()
}
