//! What each request does once its turn has come.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::lane::Work;
use super::outbox::Reporter;
use super::{Finish, LibrarySource, Progress, Request, background};
use crate::assets;
use crate::audio::{self, Font, RenderSettings};
use crate::cancel::CancelToken;
use crate::model::{self, ComposeRequest, TrainRequest};
use crate::music::Score;
use crate::tokens::{CorpusError, Music, MusicPlan, ReadProgress};

pub(super) fn work_of(request: Request, cache_dir: Option<PathBuf>) -> Work {
    match request {
        Request::ReadLibrary { source, plan } => Box::new(move |cancel, reporter| {
            read(&source, &plan, cache_dir.as_deref(), cancel, reporter)
        }),
        Request::Train(request) => {
            Box::new(move |cancel, reporter| train(&request, cancel, reporter))
        }
        Request::Compose(request) => {
            Box::new(move |cancel, reporter| compose(&request, cancel, reporter))
        }
        Request::Render { score, font, settings, out } => Box::new(move |cancel, reporter| {
            render(&score, &font, &settings, &out, cancel, reporter)
        }),
        Request::ListDevices => Box::new(|_, _| Finish::Devices(model::compute_devices())),
    }
}

fn read(
    source: &LibrarySource,
    plan: &MusicPlan,
    cache_dir: Option<&Path>,
    cancel: &CancelToken,
    reporter: &mut Reporter,
) -> Finish {
    let music = match source {
        LibrarySource::BuiltIn => plan.read_sources(&assets::piece_scores()),
        LibrarySource::Paths(paths) => read_paths(paths, plan, cache_dir, cancel, reporter),
    };
    match music {
        Ok(music) => Finish::Read(music),
        Err(CorpusError::Cancelled) => Finish::Cancelled,
        Err(error) => Finish::Failed(error.to_string()),
    }
}

fn read_paths(
    paths: &[PathBuf],
    plan: &MusicPlan,
    cache_dir: Option<&Path>,
    cancel: &CancelToken,
    reporter: &mut Reporter,
) -> Result<Music, CorpusError> {
    // Files are read on many threads: whoever is first tells, and nobody goes back.
    let reporter = Mutex::new((reporter, 0));
    let progress = |progress: ReadProgress| {
        let mut guard = reporter.lock().unwrap_or_else(PoisonError::into_inner);
        let (reporter, n_told) = &mut *guard;
        if progress.n_done >= *n_told {
            *n_told = progress.n_done;
            reporter.newest(Progress::Read(progress));
        }
    };
    background::run("etude-reader", || plan.read(paths, cache_dir, cancel, &progress))
}

fn train(request: &TrainRequest, cancel: &CancelToken, reporter: &mut Reporter) -> Finish {
    let summary = background::run("etude-trainer", || {
        model::train(request, cancel, &mut |event| reporter.train(event))
    });
    match summary {
        Ok(summary) => Finish::Trained(summary),
        Err(error) => Finish::Failed(error.to_string()),
    }
}

fn compose(request: &ComposeRequest, cancel: &CancelToken, reporter: &mut Reporter) -> Finish {
    match model::compose(request, cancel, &mut |event| reporter.compose(event)) {
        Ok(takes) => Finish::Composed(takes),
        Err(error) => Finish::Failed(error.to_string()),
    }
}

fn render(
    score: &Score,
    font: &Font,
    settings: &RenderSettings,
    out: &Path,
    cancel: &CancelToken,
    reporter: &mut Reporter,
) -> Finish {
    let progress = &mut |share| reporter.newest(Progress::Render(share));
    match audio::render(score, font, settings, out, cancel, progress) {
        Ok(report) => Finish::Rendered(report),
        Err(_) if cancel.is_cancelled() => Finish::Cancelled,
        Err(error) => Finish::Failed(error.to_string()),
    }
}
