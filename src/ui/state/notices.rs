//! Short messages: results that pass by themselves, errors that stay until they are read.

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
    /// When it goes by itself, in the window's seconds; errors stay.
    pub until: Option<f64>,
}

/// The messages on the screen and the last one, for the status line.
#[derive(Default)]
pub struct Notices {
    pub shown: Vec<Notice>,
    pub last: Option<Notice>,
    /// The window's clock, in seconds since it opened.
    pub now: f64,
}

impl Notices {
    /// How long results and notes stay, in seconds.
    const STAY_SECS: f64 = 6.0;
    /// More than this at a time would cover the roll.
    const MOST: usize = 3;

    pub fn done(&mut self, text: impl Into<String>) {
        self.add(NoticeKind::Done, text.into());
    }

    pub fn note(&mut self, text: impl Into<String>) {
        self.add(NoticeKind::Note, text.into());
    }

    pub fn error(&mut self, text: impl Into<String>) {
        let text = text.into();
        tracing::warn!("{text}");
        self.add(NoticeKind::Error, text);
    }

    /// An error that is shown where it happened: here it only stands in the status line.
    pub fn error_elsewhere(&mut self, text: impl Into<String>) {
        let text = text.into();
        tracing::warn!("{text}");
        self.last = Some(Notice { kind: NoticeKind::Error, text, until: None });
    }

    fn add(&mut self, kind: NoticeKind, text: String) {
        let until = (kind != NoticeKind::Error).then_some(self.now + Self::STAY_SECS);
        let notice = Notice { kind, text, until };
        self.shown.retain(|other| other.text != notice.text);
        self.last = Some(notice.clone());
        self.shown.push(notice);
        if self.shown.len() > Self::MOST {
            self.shown.remove(0);
        }
    }

    /// Lets what has passed go; returns the seconds until the next one goes.
    pub fn tick(&mut self, now: f64) -> Option<f64> {
        self.now = now;
        self.shown.retain(|notice| notice.until.is_none_or(|until| until > now));
        let next = self.shown.iter().filter_map(|notice| notice.until);
        next.min_by(f64::total_cmp).map(|until| until - now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_pass_and_errors_stay() {
        let mut notices = Notices::default();
        notices.done("Saved");
        notices.error("“x” can't be read — it is empty. Choose another file");
        assert_eq!(notices.tick(1.0), Some(Notices::STAY_SECS - 1.0));
        assert_eq!(notices.tick(100.0), None);
        assert_eq!(notices.shown.len(), 1);
        assert_eq!(notices.shown[0].kind, NoticeKind::Error);
        for idx in 0..9 {
            notices.note(idx.to_string());
        }
        assert_eq!(notices.shown.len(), Notices::MOST);
    }
}
