//! What lies between the click on Compose and the sound, apart from the window's frame and the
//! device's buffer (about 20 ms each): the job is queued, the starter composes, its first frames
//! become a score, and the engine makes sound of it.

use std::sync::Arc;

use crossbeam_channel::Receiver;
use etude::audio::{Engine, EngineControl, Font, FontSource};
use etude::cancel::CancelToken;
use etude::model::{ComposeEvent, ComposeRequest, ComposeSettings, Model};
use etude::studio::{EventKind, Progress, Request, Studio};
use etude::tokens::{Playback, score_from_roll};

pub struct FirstSound {
    model: Model,
    studio: Studio,
    woken: Receiver<()>,
    engine: Engine,
    control: EngineControl,
    seed: u64,
}

impl FirstSound {
    pub fn new() -> Self {
        let font = Font::load(&FontSource::BuiltIn, &CancelToken::new()).expect("it is built in");
        let (wake, woken) = crossbeam_channel::unbounded();
        let wake = Arc::new(move || _ = wake.send(()));
        let (engine, mut control) = Engine::new(44_100, 0.0);
        control.set_font(&font).expect("the rate is a usual one");
        Self {
            model: Model::starter().expect("it is built in"),
            studio: Studio::with_cache_dir(wake, None),
            woken,
            engine,
            control,
            seed: 0,
        }
    }

    /// What was heard last has to fade first.
    pub fn fall_silent(&mut self) {
        self.control.pause();
        self.control.seek(0.0);
        while self.loudest() > 1e-4 {}
    }

    /// Ends with the first sample that is heard.
    pub fn hear(&mut self) {
        self.seed += 1;
        let settings = ComposeSettings { seed: self.seed, ..ComposeSettings::default() };
        let request = ComposeRequest { model: self.model.clone(), settings };
        let job = self.studio.submit(Request::Compose(request));
        let chords = 'frames: loop {
            self.woken.recv().expect("the studio lives");
            for event in self.studio.events().into_iter().filter(|event| event.job == job) {
                match event.kind {
                    EventKind::Progress(Progress::Compose(ComposeEvent::Frames {
                        chords, ..
                    })) => break 'frames chords,
                    EventKind::Finished(_) => return,
                    _ => {}
                }
            }
        };
        self.control.set_score(&score_from_roll(&chords, &Playback::default()));
        self.control.set_open_ended(true);
        self.control.play();
        while self.loudest() < 1e-3 {}
        self.studio.cancel(job);
    }

    fn loudest(&mut self) -> f32 {
        let mut buffer = [0f32; 512];
        self.engine.fill(&mut buffer);
        buffer.iter().fold(0f32, |loudest, sample| loudest.max(sample.abs()))
    }
}
