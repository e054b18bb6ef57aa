//! Checkpoints: what is written is what is read, and whatever else lies there is refused in words.

#[path = "common/tiny.rs"]
mod tiny;

use std::path::Path;

use etude::cancel::CancelToken;
use etude::model::{
    CheckpointError, ComposeRequest, ComposeSettings, Model, ModelCard, Precision, Stage,
    TrainEvent, TrainingSettings, compose, evaluate, train,
};

/// The last model of a short training, and the run's folder.
fn trained(folder: &Path) -> (Model, std::path::PathBuf) {
    let run_dir = folder.join("run");
    let settings = TrainingSettings { epochs: 5, save_every: 2, ..tiny::settings() };
    let request = tiny::request(&tiny::loops(), settings, &run_dir);
    let (_, mut events) = tiny::run(&request).unwrap();
    let Some(TrainEvent::Weights(model)) = events.pop() else { panic!("no weights at the end") };
    (model, run_dir)
}

/// Log-scores after reading a few chords.
fn scores(model: &Model) -> Vec<f32> {
    let mut network = model.next_chord().unwrap();
    network.start(1);
    network.read(&[0]);
    network.step(&[3]).to_vec()
}

#[test]
fn a_run_folder_holds_best_last_three_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (_, run_dir) = trained(folder.path());
    let mut names: Vec<String> = std::fs::read_dir(run_dir.join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected = [
        "best.safetensors",
        "epoch-00003.safetensors",
        "epoch-00004.safetensors",
        "epoch-00005.safetensors",
        "kept-00002.safetensors",
        "kept-00004.safetensors",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_checkpoint_reads_back_as_the_model_that_was_published() {
    let folder = tempfile::tempdir().unwrap();
    let (model, run_dir) = trained(folder.path());
    let last = Model::load(&run_dir.join("checkpoints/epoch-00005.safetensors")).unwrap();
    assert_eq!(scores(&last), scores(&model));
    assert_eq!(last.card(), model.card());
    assert_eq!((last.card().epoch, last.n_parameters()), (5, model.n_parameters()));
    // A run folder means its best epoch.
    let best = Model::load(&run_dir).unwrap();
    let named = Model::load(&run_dir.join("checkpoints/best.safetensors")).unwrap();
    assert_eq!(best.card(), named.card());
}

#[test]
fn the_weights_of_a_stage_are_found_by_it_whatever_is_the_best() {
    let folder = tempfile::tempdir().unwrap();
    let (_, run_dir) = trained(folder.path());
    let of_stage = |run_dir: &Path, epoch, steps_into_epoch| {
        let stage = Stage { epoch, steps_into_epoch };
        Model::load_of_stage(run_dir, stage, &mut |note| panic!("{note}")).unwrap().card().stage()
    };
    for epoch in 2..=5 {
        assert_eq!(of_stage(&run_dir, epoch, 0), Stage { epoch, steps_into_epoch: 0 });
    }
    // Nobody has kept the first: the best stands in for it.
    let best = Model::load(&run_dir).unwrap().card().stage();
    assert_eq!(of_stage(&run_dir, 1, 0), best);

    // Stopped within its second epoch, the run has other weights than after the first.
    let run_dir = folder.path().join("stopped");
    let settings = TrainingSettings { epochs: 1, ..tiny::settings() };
    let mut request = tiny::request(&tiny::loops(), settings, &run_dir);
    tiny::run(&request).unwrap();
    (request.settings.epochs, request.resume) = (2, true);
    let cancel = CancelToken::new();
    let mut newest = None;
    train(&request, &cancel, &mut |event| match event {
        TrainEvent::Step(_) => cancel.cancel(),
        // After these come the best ones, which the run is from then on.
        TrainEvent::Weights(model) if newest.is_none() && cancel.is_cancelled() => {
            newest = Some(model);
        }
        _ => {}
    })
    .unwrap();
    let newest = newest.unwrap();
    let Stage { epoch, steps_into_epoch } = newest.card().stage();
    assert!(epoch == 1 && steps_into_epoch > 0, "{epoch}, {steps_into_epoch}");
    assert!(newest.card().about.contains("for 1 epoch and "), "{}", newest.card().about);
    let found = Model::load_of_stage(&run_dir, newest.card().stage(), &mut |_| {}).unwrap();
    assert_eq!(scores(&found), scores(&newest));
    assert_eq!(of_stage(&run_dir, 1, 0), Stage { epoch: 1, steps_into_epoch: 0 });
}

#[test]
fn an_exported_checkpoint_composes_and_leaves_the_optimizer_out() {
    let folder = tempfile::tempdir().unwrap();
    let (model, run_dir) = trained(folder.path());
    let path = folder.path().join("exported.safetensors");
    model.with_about("loops".to_owned()).export(&path, Precision::Full).unwrap();
    let exported = Model::load(&path).unwrap();
    assert_eq!((scores(&exported), exported.card().about.as_str()), (scores(&model), "loops"));
    let len = |path: &Path| std::fs::metadata(path).unwrap().len();
    assert!(len(&path) < len(&run_dir.join("checkpoints/best.safetensors")));

    let half = model.to_bytes(Precision::Half).unwrap();
    let halved = Model::from_bytes(&half).unwrap();
    for (half, full) in scores(&halved).iter().zip(scores(&model)) {
        assert!((half - full).abs() < 0.02, "{half} for {full}");
    }
    let measure = |model| evaluate(model, &tiny::loops().into(), &CancelToken::new()).unwrap().loss;
    assert!((measure(&halved) - measure(&model)).abs() < 0.01);
}

#[test]
fn cut_off_and_foreign_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (model, _) = trained(folder.path());
    let bytes = model.to_bytes(Precision::Full).unwrap();
    for len in [0, 7, 8, 9, 100, bytes.len() / 2, bytes.len() - 1] {
        let path = folder.path().join("cut.safetensors");
        std::fs::write(&path, &bytes[..len]).unwrap();
        let words = Model::load(&path).expect_err("a cut file").to_string();
        assert!(words.contains("cut.safetensors can't be used"), "{words}");
        assert!(Model::from_bytes(&bytes[..len]).is_err());
    }
    let foreign: [&[u8]; 4] =
        [&[0; 4096], &[255; 4096], b"{}", b"MThd\0\0\0\x06\0\x01\0\x01\0\x60"];
    for bytes in foreign {
        assert!(Model::from_bytes(bytes).is_err());
    }
}

#[test]
fn flipped_bytes_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let (model, _) = trained(folder.path());
    let bytes = model.to_bytes(Precision::Half).unwrap();
    // Every part of the file, coarsely; in the header, finely.
    let coarse = (0..bytes.len()).step_by(bytes.len() / 64);
    for at in (0..600).chain(coarse) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x5a;
        if let Ok(model) = Model::from_bytes(&damaged) {
            assert_eq!(scores(&model).len(), model.card().chords().unwrap().vocabulary.len());
        }
    }
}

/// The bytes of an exported model after a change to its manifest.
fn with_manifest(model: &Model, change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let bytes = model.to_bytes(Precision::Full).unwrap();
    let n_header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + n_header]).unwrap();
    let text = header["__metadata__"]["etude"].as_str().unwrap();
    let mut manifest: serde_json::Value = serde_json::from_str(text).unwrap();
    change(&mut manifest);
    header["__metadata__"]["etude"] = manifest.to_string().into();
    let header = header.to_string().into_bytes();
    let mut changed = (header.len() as u64).to_le_bytes().to_vec();
    changed.extend(header);
    changed.extend(&bytes[8 + n_header..]);
    changed
}

#[test]
fn a_newer_version_and_other_sizes_are_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let (model, _) = trained(folder.path());
    assert!(Model::from_bytes(&with_manifest(&model, |_| {})).is_ok());

    let newer = with_manifest(&model, |manifest| {
        manifest["card"]["format_version"] = 99.into();
        manifest["card"]["what nobody knows yet"] = true.into();
    });
    let error = Model::from_bytes(&newer).unwrap_err();
    assert!(matches!(error, CheckpointError::Newer { found: 99, .. }));
    assert!(error.to_string().contains("update the program"), "{error}");

    for (field, value) in [("hidden", 13), ("layers", 2), ("hidden", 1_000_000), ("layers", 0)] {
        let other = with_manifest(&model, |manifest| manifest["card"][field] = value.into());
        let words = Model::from_bytes(&other).expect_err(field).to_string();
        assert!(words.contains("can't be used"), "{words}");
    }
}

#[test]
fn an_early_model_with_touch_is_refused_in_words() {
    // As it was before it was said how long nothing changes.
    let early = without_tensors(&Model::starter().unwrap(), "length.");
    let words = Model::from_bytes(&early).unwrap_err().to_string();
    assert!(words.contains("an early version made it"), "{words}");
    assert!(words.contains(" — compose with that version, or train a new model"), "{words}");
    // What is damaged otherwise is still called so.
    let damaged = without_tensors(&Model::starter().unwrap(), "pedal.");
    let words = Model::from_bytes(&damaged).unwrap_err().to_string();
    assert!(words.contains("“pedal.classes” is missing"), "{words}");
    assert!(words.contains(" — choose another checkpoint of the run"), "{words}");
}

/// The bytes of a checkpoint from whose table some tensors were taken, with their numbers.
fn without_tensors(model: &Model, prefix: &str) -> Vec<u8> {
    let bytes = model.to_bytes(Precision::Full).unwrap();
    let n_header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + n_header]).unwrap();
    let numbers = &bytes[8 + n_header..];
    let mut kept = serde_json::Map::new();
    let mut kept_numbers = Vec::new();
    for (name, entry) in header.as_object().unwrap() {
        let mut entry = entry.clone();
        if name != "__metadata__" {
            if name.starts_with(prefix) {
                continue;
            }
            let [from, to] =
                [0, 1].map(|idx| entry["data_offsets"][idx].as_u64().unwrap() as usize);
            entry["data_offsets"] =
                serde_json::json!([kept_numbers.len(), kept_numbers.len() + to - from]);
            kept_numbers.extend_from_slice(&numbers[from..to]);
        }
        kept.insert(name.clone(), entry);
    }
    let header = serde_json::Value::from(kept).to_string().into_bytes();
    let mut changed = (header.len() as u64).to_le_bytes().to_vec();
    changed.extend(header);
    changed.extend(kept_numbers);
    changed
}

#[test]
fn a_damaged_best_epoch_gives_way_to_the_best_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let (_, run_dir) = trained(folder.path());
    let best = run_dir.join("checkpoints/best.safetensors");
    let epoch = Model::load(&run_dir).unwrap().card().epoch;
    std::fs::remove_file(&best).unwrap();
    std::fs::write(&best, "damaged").unwrap();
    let mut notes = Vec::new();
    let found = Model::load_noting(&run_dir, &mut |note| notes.push(note.to_owned())).unwrap();
    assert_eq!(found.card().epoch, epoch);
    assert_eq!(notes.len(), 1);
    assert!(notes[0].contains("best.safetensors can't be used"), "{}", notes[0]);
    assert!(notes[0].contains("is used instead"), "{}", notes[0]);
    // The file itself, asked for by name, has nothing that stands in for it.
    assert!(matches!(Model::load(&best), Err(CheckpointError::Unusable { .. })));
    for entry in std::fs::read_dir(run_dir.join("checkpoints")).unwrap() {
        std::fs::write(entry.unwrap().path(), "damaged").unwrap();
    }
    assert!(matches!(Model::load(&run_dir), Err(CheckpointError::NoneUsable { .. })));
}

#[test]
fn what_isn_t_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("nowhere")] {
        assert!(matches!(Model::load(&path), Err(CheckpointError::Missing(_))));
    }
}

#[test]
fn hypotheses_don_t_hear_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (model, _) = trained(folder.path());
    // Wide enough, too, that products are cut into blocks.
    let wide = ModelCard { layers: 2, hidden: 320, ..model.card().clone() };
    for model in [model, Model::untrained(wide, 1).unwrap()] {
        check_hypotheses(&model);
    }
}

fn check_hypotheses(model: &Model) {
    let n_chords = model.card().chords().unwrap().vocabulary.len();
    let mut network = model.next_chord().unwrap();
    let mut alone = |tokens: &[u32]| {
        network.start(1);
        let (&last, before) = tokens.split_last().unwrap();
        before.iter().for_each(|&token| network.read(&[token]));
        network.step(&[last]).to_vec()
    };
    let histories: Vec<Vec<u32>> =
        (0..11).map(|row| (0..6).map(|t| (row * 5 + t * 3) % 7).collect()).collect();
    let expected: Vec<Vec<f32>> = histories.iter().map(|history| alone(history)).collect();
    for n in [1, 2, 3, 4, 8, 11] {
        let mut network = model.next_chord().unwrap();
        network.start(n);
        let mut last = Vec::new();
        for t in 0..6 {
            let tokens: Vec<u32> = histories[..n].iter().map(|history| history[t]).collect();
            last = network.step(&tokens).to_vec();
        }
        for (row, expected) in expected[..n].iter().enumerate() {
            // Bit for bit: a take sounds the same alone and among others.
            assert!(&last[row * n_chords..(row + 1) * n_chords] == expected, "row {row} of {n}");
        }
    }
    // After selecting, a row goes on as its parent would.
    let mut network = model.next_chord().unwrap();
    network.start(2);
    network.step(&[1, 2]);
    network.select(&[1, 1, 0]);
    let selected = network.step(&[3, 3, 3]).to_vec();
    assert_eq!(selected[..n_chords], selected[n_chords..2 * n_chords]);
    assert!(selected[n_chords..2 * n_chords] != selected[2 * n_chords..]);
}

#[test]
fn the_starter_loads_composes_and_stays_small() {
    let model = Model::starter().unwrap();
    assert!(etude::assets::STARTER.len() <= 12_000_000);
    assert!(model.card().about.contains("Bernd Krueger"), "the data is credited");
    let settings = ComposeSettings { frames: 40, ..ComposeSettings::default() };
    let request = ComposeRequest { model, settings };
    let takes = compose(&request, &CancelToken::new(), &mut |_| {}).unwrap();
    assert_eq!(takes[0].roll.len(), 40);
    assert!(takes[0].roll.iter().any(|chord| !chord.is_rest()));
}
