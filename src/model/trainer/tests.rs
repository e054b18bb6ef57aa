//! What happens when the memory runs out, and when a step is cancelled.

use std::path::Path;
use std::sync::Arc;

use burn::backend::Flex;

use super::{Trainer, run_on};
use crate::cancel::CancelToken;
use crate::model::batches::plan_epoch;
use crate::model::device;
use crate::model::material::Material;
use crate::model::run::RunFolder;
use crate::model::train::prepare;
use crate::model::{DeviceChoice, TrainError, TrainEvent, TrainRequest, TrainingSettings};
use crate::tokens::{Chord, Corpus, FramingPlan, Piece, SplitKind};

fn request(run_dir: &Path) -> TrainRequest {
    let chord = |n: u32| if n == 0 { Chord::REST } else { Chord::from_bits(1 << (60 + n)) };
    let chords: Vec<u32> = (0..400).map(|t| 1 + (t * t / 3 + t) % 5).collect();
    let corpus = Corpus {
        plan: FramingPlan::default(),
        chords: (0..6).map(chord).collect(),
        pieces: vec![Piece {
            path: "<piece>".into(),
            sha256: String::new(),
            n_notes: chords.len(),
            duration_secs: 200.0,
            chords,
        }],
        skipped: Vec::new(),
        warnings: Vec::new(),
        own_split: None,
    };
    let settings = TrainingSettings {
        layers: 1,
        hidden: 8,
        epochs: 2,
        sequence: 10,
        dropout: 0.3,
        carry_state: true,
        split: SplitKind::Tail,
        ..TrainingSettings::default()
    };
    let run_dir = run_dir.to_owned();
    let device = DeviceChoice::Cpu;
    TrainRequest { corpus: Arc::new(corpus), settings, run_dir, resume: false, device }
}

/// Trains where more rows at a time than `fails_above` don't fit.
fn trained(fails_above: Option<usize>) -> (Result<f64, TrainError>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let request = request(&folder.path().join("run"));
    let material = Material::new(&request.corpus, &request.settings).unwrap();
    let chosen = device::choose(DeviceChoice::Cpu).unwrap();
    let folder = RunFolder::new(&request.run_dir);
    let cancel = CancelToken::new();
    let mut job = prepare(&request, material, folder, &chosen, None, &cancel).unwrap();
    assert_eq!(job.layout.batch, 4);
    job.fails_above = fails_above;
    let mut notes = Vec::new();
    let summary = run_on(&chosen, job, &mut |event| {
        if let TrainEvent::Note(note) = event {
            notes.push(note);
        }
    });
    (summary.map(|summary| summary.best_valid_perplexity), notes)
}

#[test]
fn out_of_memory_gathers_gradients_over_smaller_parts() {
    let (whole, notes) = trained(None);
    assert!(notes.is_empty());
    let (gathered, notes) = trained(Some(1));
    assert_eq!(notes.len(), 2, "from four rows to two, to one");
    assert!(notes[1].contains("with 1 sequence at a time"), "{}", notes[1]);
    let (whole, gathered) = (whole.unwrap(), gathered.unwrap());
    // The effective batch stays, so only the order of additions differs.
    assert!((whole - gathered).abs() < 1e-3 * whole, "{gathered} for {whole}");
}

#[test]
fn out_of_memory_for_one_row_ends_in_words() {
    let (result, _) = trained(Some(0));
    let error = result.unwrap_err();
    assert!(matches!(error, TrainError::OutOfMemory { .. }));
    assert!(error.to_string().contains("--hidden"), "{error}");
}

#[test]
fn a_step_that_is_cancelled_within_leaves_everything_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let request = request(&folder.path().join("run"));
    let material = Material::new(&request.corpus, &request.settings).unwrap();
    let chosen = device::choose(DeviceChoice::Cpu).unwrap();
    let folder = RunFolder::new(&request.run_dir);
    let cancel = CancelToken::new();
    let mut job = prepare(&request, material, folder, &chosen, None, &cancel).unwrap();
    job.micro_batch = 1;
    let lengths = job.material.train_lengths();
    let plan = plan_epoch(job.settings, &job.layout, &lengths, job.material.n_shifts(), 0);
    let mut trainer = Trainer::<Flex>::begin(&job, Default::default()).unwrap();
    assert!(trainer.step(&plan));
    let before = trainer.checkpoint().unwrap();
    cancel.cancel();
    assert!(!trainer.step(&plan));
    assert_eq!((trainer.state.step, trainer.state.steps_into_epoch), (1, 1));
    assert!(trainer.checkpoint().unwrap() == before);
}
