//! Small corpora and settings that train in a moment.
#![allow(dead_code, reason = "each test binary uses its own part of this module")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use etude::cancel::CancelToken;
use etude::model::{
    DeviceChoice, Model, Schedule, TrainError, TrainEvent, TrainRequest, TrainSummary,
    TrainingSettings, train,
};
use etude::tokens::{Chord, ChordId, Corpus, FramingPlan, Music, Piece, SplitKind};

/// A corpus of pieces given as chord numbers; chord `n` is the one pitch `59 + n`, 0 the rest.
pub fn corpus(pieces: &[Vec<ChordId>]) -> Arc<Corpus> {
    let n_chords = pieces.iter().flatten().max().map_or(1, |&max| max + 1);
    let chord = |n: u32| if n == 0 { Chord::REST } else { Chord::from_bits(1 << (59 + n)) };
    let piece = |(idx, chords): (usize, &Vec<ChordId>)| Piece {
        path: PathBuf::from(format!("<piece {idx}>")),
        sha256: format!("{idx:08x}{:056x}", 0),
        chords: chords.clone(),
        n_notes: chords.len(),
        duration_secs: chords.len() as f64 / 2.0,
    };
    Arc::new(Corpus {
        plan: FramingPlan::default(),
        chords: (0..n_chords).map(chord).collect(),
        pieces: pieces.iter().enumerate().map(piece).collect(),
        skipped: Vec::new(),
        warnings: Vec::new(),
        own_split: None,
    })
}

/// Pieces that go round and round in six chords.
pub fn loops() -> Arc<Corpus> {
    let piece = |start: u32| (0..60).map(|t| 1 + (start + t) % 6).collect();
    corpus(&(0..4).map(piece).collect::<Vec<_>>())
}

pub fn settings() -> TrainingSettings {
    TrainingSettings {
        layers: 1,
        hidden: 12,
        epochs: 3,
        batch: 4,
        sequence: 10,
        learning_rate: 0.01,
        weight_decay: 0.0,
        dropout: 0.2,
        schedule: Schedule::Constant,
        warm_up: 0,
        early_stop: None,
        split: SplitKind::Tail,
        ..TrainingSettings::chords()
    }
}

pub fn request<M: Clone + Into<Music>>(
    music: &M,
    settings: TrainingSettings,
    run_dir: &Path,
) -> TrainRequest {
    TrainRequest {
        music: music.clone().into(),
        settings,
        run_dir: run_dir.to_owned(),
        from: None,
        resume: false,
        device: DeviceChoice::Cpu,
    }
}

/// A model of the first family that has learned next to nothing: 60 chords, two layers.
pub fn chord_model() -> Model {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = folder.path().join("run");
    let music = corpus(&[(0..240).map(|t| t * 7 % 60).collect()]);
    let settings = TrainingSettings { layers: 2, epochs: 1, ..settings() };
    run(&request(&music, settings, &run_dir)).unwrap();
    Model::load(&run_dir).unwrap()
}

/// Trains to the end and collects what was told.
pub fn run(request: &TrainRequest) -> Result<(TrainSummary, Vec<TrainEvent>), TrainError> {
    let mut events = Vec::new();
    let summary = train(request, &CancelToken::new(), &mut |event| events.push(event))?;
    Ok((summary, events))
}

/// The weights of the newest whole epoch of a run, as the file's bytes after its manifest.
pub fn last_weights(run_dir: &Path) -> Vec<u8> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(run_dir.join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("epoch-"))
        .collect();
    files.sort();
    let bytes = std::fs::read(files.last().expect("a checkpoint")).unwrap();
    let n_header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[8 + n_header..].to_vec()
}
