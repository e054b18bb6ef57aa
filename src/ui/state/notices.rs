//! Short messages: results and notes pass by themselves, errors stay until they are dismissed. The
//! last one stands in the status line for a while.

use std::collections::HashSet;

use egui::Align2;

use super::TakeId;

/// How a message is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoticeKind {
    Done,
    /// Something the user should know.
    Note,
    /// What failed, why, and what to do.
    Error,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Notice {
    pub kind: NoticeKind,
    pub text: String,
    /// How often it was told while it stood there.
    pub count: usize,
    /// When it goes by itself, in the window's seconds; `None` if it stays until it is dismissed.
    pub until: Option<f64>,
    /// A way out that can be pressed beside the words.
    pub offer: Option<Offer>,
}

/// What a message offers to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offer {
    UseTake(TakeId),
    /// The take that was dropped last comes back.
    UndoDrop,
}

/// The messages on the screen, and the last one, which stands in the status line until it has
/// passed too or something newer is told.
#[derive(Default)]
pub struct Notices {
    pub shown: Vec<Notice>,
    pub last: Option<Notice>,
    /// The pointer is on the messages: none goes while one is read.
    pub are_held: bool,
    /// The corner they stand in, until all of them are gone.
    pub corner: Option<Align2>,
    /// What was told once and need not be shown again.
    told: HashSet<String>,
    /// The window's clock, in seconds since it opened.
    pub now: f64,
}

impl Notices {
    /// How long results and notes stay, in seconds.
    const STAY_SECS: f64 = 6.0;
    /// How long what can be answered stays, and how long the status line tells what failed.
    const STAY_LONG_SECS: f64 = 30.0;
    /// More than this at a time would cover the roll. Errors beyond it wait behind the newer ones.
    pub const MOST: usize = 3;

    pub fn done(&mut self, text: impl Into<String>) {
        self.add(self.notice(NoticeKind::Done, text.into()));
    }

    pub fn note(&mut self, text: impl Into<String>) {
        self.add(self.notice(NoticeKind::Note, text.into()));
    }

    /// A result that only stands in the status line: whoever waits for it sees it elsewhere too.
    pub fn done_quietly(&mut self, text: impl Into<String>) {
        self.last = Some(self.notice(NoticeKind::Done, text.into()));
    }

    /// A note that is shown the first time only; later it just stands in the status line.
    pub fn note_once(&mut self, text: impl Into<String>) {
        let text = text.into();
        if self.told.insert(text.clone()) {
            return self.note(text);
        }
        self.last = Some(self.notice(NoticeKind::Note, text));
    }

    /// A note with a way out beside it.
    pub fn offer(&mut self, text: impl Into<String>, offer: Option<Offer>) {
        let mut notice = self.notice(NoticeKind::Note, text.into());
        if offer.is_some() {
            notice.until = Some(self.now + Self::STAY_LONG_SECS);
        }
        self.add(Notice { offer, ..notice });
    }

    /// What was offered is done, or can't be done any more.
    pub fn withdraw(&mut self, offer: Offer) {
        self.shown.retain(|notice| notice.offer != Some(offer));
    }

    pub fn error(&mut self, text: impl Into<String>) {
        let text = text.into();
        tracing::warn!("{text}");
        self.add(self.notice(NoticeKind::Error, text));
    }

    /// An error that is shown where it happened: here it only stands in the status line.
    pub fn error_elsewhere(&mut self, text: impl Into<String>) {
        let text = text.into();
        tracing::warn!("{text}");
        self.last = Some(self.notice(NoticeKind::Error, text));
    }

    fn notice(&self, kind: NoticeKind, text: String) -> Notice {
        let stay = match kind {
            NoticeKind::Error => Self::STAY_LONG_SECS,
            NoticeKind::Done | NoticeKind::Note => Self::STAY_SECS,
        };
        Notice { kind, text, count: 1, until: Some(self.now + stay), offer: None }
    }

    /// An equal one that is still shown is counted; of the others the oldest make room.
    fn add(&mut self, mut notice: Notice) {
        self.last = Some(notice.clone());
        if notice.kind == NoticeKind::Error {
            notice.until = None;
        }
        if let Some(idx) = self.shown.iter().position(|other| other.text == notice.text) {
            notice.count += self.shown.remove(idx).count;
        }
        self.shown.push(notice);
        let passes = |notice: &Notice| notice.until.is_some();
        while self.shown.len() > Self::MOST
            && let Some((_, earlier)) = self.shown.split_last()
            && let Some(oldest) = earlier.iter().position(passes)
        {
            self.shown.remove(oldest);
        }
    }

    /// Lets what has passed go; returns the seconds until the next one goes.
    pub fn tick(&mut self, now: f64) -> Option<f64> {
        let passed = now - std::mem::replace(&mut self.now, now);
        if self.are_held {
            let all = self.shown.iter_mut().chain(&mut self.last);
            all.filter_map(|notice| notice.until.as_mut()).for_each(|until| *until += passed);
        }
        let has_passed = |notice: &Notice| notice.until.is_some_and(|until| until <= now);
        self.shown.retain(|notice| !has_passed(notice));
        self.last.take_if(|notice| has_passed(notice));
        if self.shown.is_empty() {
            self.corner = None;
        }
        let next = self.shown.iter().chain(&self.last).filter_map(|notice| notice.until);
        next.min_by(f64::total_cmp).map(|until| until - now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(notices: &Notices) -> Vec<&str> {
        notices.shown.iter().map(|notice| notice.text.as_str()).collect()
    }

    #[test]
    fn results_pass_soon_and_errors_stay_until_they_are_dismissed() {
        let mut notices = Notices::default();
        notices.done("Saved");
        notices.error("“x” can't be read — it is empty. Choose another file");
        assert_eq!(notices.tick(1.0), Some(Notices::STAY_SECS - 1.0));
        assert_eq!(notices.tick(10.0), Some(Notices::STAY_LONG_SECS - 10.0));
        assert_eq!(notices.shown.len(), 1);
        assert_eq!(notices.tick(1e6), None);
        assert!(notices.last.is_none());
        assert_eq!(notices.shown[0].kind, NoticeKind::Error);
        for idx in 0..9 {
            notices.note(idx.to_string());
        }
        assert_eq!(texts(&notices)[1..], ["7", "8"], "the newest beside the error");
        for idx in 0..4 {
            notices.error(idx.to_string());
        }
        assert_eq!(texts(&notices)[1..], ["0", "1", "2", "3"], "no error is lost");
        notices.note("new");
        assert_eq!(texts(&notices).last(), Some(&"new"), "errors don't hide what is new");
    }

    #[test]
    fn the_status_line_has_the_newest_word_until_it_has_passed() {
        let mut notices = Notices::default();
        notices.error_elsewhere("“x” holds no MIDI files — choose another folder");
        notices.done_quietly("Read 8 pieces");
        assert_eq!(notices.last.as_ref().unwrap().text, "Read 8 pieces");
        assert!(notices.shown.is_empty());
        assert_eq!(notices.tick(1.0), Some(Notices::STAY_SECS - 1.0));
        assert_eq!(notices.tick(Notices::STAY_SECS), None);
        assert!(notices.last.is_none());
    }

    #[test]
    fn none_goes_while_the_pointer_is_on_them() {
        let mut notices = Notices::default();
        notices.note("Playing without sound");
        notices.are_held = true;
        notices.tick(60.0);
        assert_eq!(notices.shown.len(), 1);
        notices.are_held = false;
        assert_eq!(notices.tick(60.0 + Notices::STAY_SECS), None);
    }

    #[test]
    fn the_same_again_takes_the_place_of_the_first_or_is_not_shown_at_all() {
        let mut notices = Notices::default();
        notices.note("one");
        notices.note("two");
        notices.note("one");
        assert_eq!(texts(&notices), ["two", "one"]);
        assert_eq!(notices.shown[1].count, 2);
        notices.note_once("The batch shrank");
        notices.tick(100.0);
        notices.note_once("The batch shrank");
        assert!(notices.shown.is_empty());
        assert_eq!(notices.last.as_ref().unwrap().text, "The batch shrank");
    }
}
