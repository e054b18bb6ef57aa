//! One named thread that works through its queue, a job at a time.
//!
//! Whatever happens inside a job, its events are exactly one `Started`, its progress, and exactly
//! one `Finished`; a panic becomes `Failed` and the thread goes on with the next job.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};

use super::outbox::{Outbox, Reporter};
use super::{Finish, JobId};
use crate::cancel::CancelToken;

/// What a job does. The reporter takes its progress.
pub(super) type Work = Box<dyn FnOnce(&CancelToken, &mut Reporter) -> Finish + Send>;

pub(super) struct Job {
    pub id: JobId,
    pub cancel: CancelToken,
    /// What it is in a sentence: `training`, `composing`.
    pub activity: &'static str,
    pub work: Work,
}

/// The handle of a thread and the end of its queue that takes jobs.
pub(super) struct Lane {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    outbox: Arc<Outbox>,
}

impl Lane {
    pub fn new(name: &str, outbox: Arc<Outbox>) -> Self {
        let (sender, receiver) = crossbeam_channel::unbounded();
        let for_thread = Arc::clone(&outbox);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work_through(&receiver, &for_thread));
        match thread {
            Ok(thread) => Self { jobs: Some(sender), thread: Some(thread), outbox },
            Err(error) => {
                tracing::error!("the thread {name} can't be started: {error}");
                Self { jobs: None, thread: None, outbox }
            }
        }
    }

    /// Queues a job; it is refused in words if there is no thread to do it.
    pub fn submit(&self, job: Job) {
        let refused = match &self.jobs {
            Some(jobs) => jobs.send(job).err().map(|error| error.into_inner()),
            None => Some(job),
        };
        if let Some(job) = refused {
            let reason = format!(
                "{} can't begin — the system gave no thread for it; close other programs and \
                 start Etude again",
                job.activity
            );
            self.outbox.start(job.id);
            self.outbox.finish(job.id, Finish::Failed(reason));
        }
    }

    /// Takes no more jobs; the thread ends when its queue is empty.
    pub fn close(&mut self) {
        self.jobs = None;
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a worker thread panicked outside its jobs");
        }
    }
}

fn work_through(jobs: &Receiver<Job>, outbox: &Outbox) {
    for Job { id, cancel, activity, work } in jobs {
        if !outbox.start(id) {
            continue;
        }
        let mut reporter = Reporter::new(id, outbox);
        // Nothing a job could leave half-changed outlives it: it owns what it works on, and the
        // reporter only forwards.
        let finish = catch_unwind(AssertUnwindSafe(|| work(&cancel, &mut reporter)))
            .unwrap_or_else(|panic| Finish::Failed(words_of(activity, panic.as_ref())));
        reporter.flush();
        outbox.finish(id, finish);
    }
}

/// One line about a panic, which is a bug of ours.
fn words_of(activity: &str, panic: &(dyn Any + Send)) -> String {
    let message = panic
        .downcast_ref::<&str>()
        .map(|message| (*message).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    tracing::error!("{activity} panicked: {message}");
    format!(
        "{activity} stopped because of a fault inside Etude ({message}) — you can go on working \
         and try again; please report it with the log from the Help menu"
    )
}
