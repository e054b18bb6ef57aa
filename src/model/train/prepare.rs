//! What is known before the first step, and what of it the user should know.

use super::super::batches::Layout;
use super::super::device::Chosen;
use super::super::kernels::KernelChoice;
use super::super::material::{Material, Reading, beyond_the_piano, has_clock};
use super::super::network::NetworkConfig;
use super::super::run::{RunFolder, RunSummary};
use super::super::trainer::Job;
use super::super::{ModelCard, Softmax, adaptive, baselines, memory};
use super::files::corpus_summary;
use super::{Beginning, TrainError, TrainRequest, counted};
use crate::cancel::CancelToken;
use crate::tokens::{BackOff, Chord, Corpus, Stretch};

/// Everything that is known before the first step.
pub fn prepare<'a>(
    request: &'a TrainRequest,
    material: Material,
    folder: RunFolder,
    chosen: &Chosen,
    beginning: Beginning,
    cancel: &'a CancelToken,
) -> Result<Job<'a>, TrainError> {
    let settings = &request.settings;
    let Beginning { is_resumed, from, learned_before, network } = beginning;
    let config = match &network {
        Some(card) => card.network_config(),
        None => NetworkConfig::new(settings, material.vocabulary(), has_clock(&material.music)),
    };
    let layout = Layout::fit(settings, &material.train_lengths());
    // Of performances the chords are counted here, and needed no more.
    let chords = material.music.chords();
    let backoff = BackOff::fit(chords_of(&chords, &material.split.train));
    let baselines = baselines::baselines(&material, &chords, &backoff, cancel);
    drop(chords);
    // What unknown chords cost belongs to the vocabulary that lacks them.
    let backoff = match network.as_deref().and_then(ModelCard::chords) {
        Some(known) => known.backoff.clone(),
        None => backoff,
    };
    let micro_batch = memory::fitting_batch(&config, &layout, chosen.kind, settings.dropout)?;
    let summary = RunSummary {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        settings: settings.clone(),
        from,
        learned_before,
        device: chosen.name.clone(),
        device_kind: chosen.kind,
        batch: layout.batch,
        parameters: config.n_parameters(),
        vocabulary: config.vocabulary(),
        corpus: corpus_summary(&material),
        baselines,
        ending: None,
    };
    let escape_price = material.escape_price(&backoff);
    Ok(Job {
        settings,
        config,
        layout,
        micro_batch,
        material,
        backoff,
        escape_price,
        folder,
        summary,
        is_resumed,
        from: request.from.as_deref().filter(|_| !is_resumed),
        device_reason: chosen.reason.clone(),
        cancel,
        kernels: KernelChoice::Fastest,
        #[cfg(test)]
        fails_above: None,
    })
}

/// The chords of some stretches with how often each stands there, whether a vocabulary has them
/// or not: what the back-off is fitted on, so that it doesn't depend on the vocabulary's size.
fn chords_of(corpus: &Corpus, stretches: &[Stretch]) -> Vec<(Chord, u64)> {
    let mut counts = vec![0; corpus.chords.len()];
    for (piece, frames) in stretches.iter().flat_map(|stretch| &stretch.parts) {
        for &chord in &corpus.pieces[*piece].chords[frames.clone()] {
            counts[chord as usize] += 1;
        }
    }
    let counted = corpus.chords.iter().copied().zip(counts);
    counted.filter(|(_, count)| *count > 0).collect()
}

/// What the user should know before the first step.
pub fn notes(job: &Job<'_>, chosen: &Chosen) -> Vec<String> {
    let notes = [
        chosen.reason.clone(),
        note_on_batch(job),
        job.from.and_then(|from| from.note_on_held_out(&job.summary.corpus)),
        note_on_softmax(job),
        note_on_pitches(job),
        note_on_memory(job, chosen),
    ];
    notes.into_iter().flatten().collect()
}

fn note_on_batch(job: &Job<'_>) -> Option<String> {
    let asked = job.settings.batch;
    (job.layout.batch < asked).then(|| {
        format!(
            "The batch shrank from {asked} to {}, so that an epoch has {}",
            counted(job.layout.batch, "sequence"),
            counted(job.layout.n_steps, "step")
        )
    })
}

fn note_on_softmax(job: &Job<'_>) -> Option<String> {
    let n_chords = job.config.vocabulary();
    let is_small = n_chords < adaptive::USEFUL_FROM;
    (job.settings.softmax == Softmax::Adaptive && is_small).then(|| {
        format!(
            "The adaptive softmax is for vocabularies from about {} thousand chords on; with {} a \
             full one (--softmax full) takes little longer",
            adaptive::USEFUL_FROM / 1_000,
            counted(n_chords, "chord")
        )
    })
}

fn note_on_pitches(job: &Job<'_>) -> Option<String> {
    let n_beyond = match &job.material.reading {
        Reading::Chords(..) => 0,
        Reading::Keys(_) => beyond_the_piano(&job.material.music),
    };
    (n_beyond > 0).then(|| {
        format!(
            "{} of the music {} a pitch that no piano has, which is neither learned nor measured",
            counted(n_beyond, "frame"),
            if n_beyond == 1 { "has" } else { "have" }
        )
    })
}

fn note_on_memory(job: &Job<'_>, chosen: &Chosen) -> Option<String> {
    let wanted = memory::rows_at_a_time(&job.config, &job.layout, chosen.kind);
    (job.micro_batch < wanted).then(|| {
        format!(
            "The memory holds {} at a time, so gradients are gathered over {}",
            counted(job.micro_batch, "sequence"),
            counted(job.layout.batch.div_ceil(job.micro_batch), "such part")
        )
    })
}
