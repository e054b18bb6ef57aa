//! Reads the events of one track into the score that is being assembled.

use super::assemble::{Assembler, DRUM_CHANNEL};
use super::events::{Event, EventKind, LAST_TICK};
use super::pairing::Keyboard;
use super::pedal_values::{DOWN, PEDAL};
use super::voices::Voice;
use crate::music::{ExtraHome, Note, PedalSpan, Pitch, Tick, Velocity};

/// Reads the events of one track into the assembler.
pub(super) struct TrackReader<'a> {
    assembler: &'a mut Assembler,
    offset: u32,
    /// Where events of no channel belong.
    home: ExtraHome,
    /// Where events of channels that play nothing here belong.
    stray: ExtraHome,
    /// By channel: the part it plays, if it plays one.
    pub parts: [Option<u8>; 16],
    keyboards: [Option<Box<Keyboard>>; 16],
    pedal_down: [Option<u32>; 16],
    /// The number of the track among those with percussion, if it has some.
    drums: Option<u8>,
}

impl<'a> TrackReader<'a> {
    pub fn new(
        assembler: &'a mut Assembler,
        voices: &[Voice],
        has_drums: bool,
        offset: u32,
        stray: ExtraHome,
    ) -> Self {
        let mut parts = [None; 16];
        for voice in voices {
            let part = assembler.part_for(voice.channel);
            parts[usize::from(voice.channel)] = Some(part);
            let draft = &mut assembler.parts[usize::from(part)];
            let first_note = voice.first_note.map(|tick| tick.saturating_add(offset));
            draft.first_note = draft.first_note.or(first_note);
        }
        let drums = has_drums.then(|| assembler.next_drum_track());
        let first = voices.first().and_then(|voice| parts[usize::from(voice.channel)]);
        let home = match (first, drums) {
            (Some(part), _) => ExtraHome::Part(part),
            (None, Some(drums)) => ExtraHome::of_drums(drums),
            (None, None) => stray,
        };
        Self {
            assembler,
            offset,
            home,
            stray,
            parts,
            keyboards: Default::default(),
            pedal_down: [None; 16],
            drums,
        }
    }

    #[inline]
    pub fn event(&mut self, event: &Event<'_>) {
        let tick = self.offset.saturating_add(event.tick).min(LAST_TICK);
        match event.kind {
            EventKind::Channel { status, data } => self.channel_event(tick, status, data),
            EventKind::Meta { number: 0x51, data } => self.assembler.tempo(tick, data),
            EventKind::Meta { number: 0x58, data } => self.assembler.meter(tick, data),
            EventKind::Meta { .. } | EventKind::SysEx(_) | EventKind::Escape(_) => {
                self.assembler.extras.push(tick, self.home, event.kind);
            }
        }
    }

    fn channel_event(&mut self, tick: u32, status: u8, data: [u8; 2]) {
        let channel = status & 0x0f;
        match (status & 0xf0, data) {
            (0x80, [key, _]) | (0x90, [key, 0]) => self.release(tick, channel, key),
            (0x90, [key, velocity]) => self.press(tick, channel, key, velocity),
            // "All sound off" and "all notes off" live on in the lengths of the notes.
            (0xb0, [120 | 123, _]) => self.release_all(tick, channel),
            (0xb0, [PEDAL, value]) if self.part(channel).is_some() => {
                self.pedal(tick, channel, value >= DOWN);
                self.keep(tick, status, data);
            }
            (0xc0, [program, _]) if self.takes_program(tick, channel) => {
                if let Some(part) = self.part(channel) {
                    let draft = &mut self.assembler.parts[usize::from(part)];
                    draft.part.program = program;
                    draft.has_own_program = true;
                }
            }
            _ => self.keep(tick, status, data),
        }
    }

    fn part(&self, channel: u8) -> Option<u8> {
        self.parts[usize::from(channel)]
    }

    /// Whether a program change is one a part begins with. The last of several counts; those
    /// before it sound nothing.
    fn takes_program(&self, tick: u32, channel: u8) -> bool {
        self.part(channel).is_some_and(|part| {
            let draft = &self.assembler.parts[usize::from(part)];
            draft.first_note.is_none_or(|first| tick <= first)
        })
    }

    fn keep(&mut self, tick: u32, status: u8, data: [u8; 2]) {
        let channel = status & 0x0f;
        let home = match (self.part(channel), self.drums) {
            (Some(part), _) => ExtraHome::Part(part),
            (None, Some(drums)) if channel == DRUM_CHANNEL => ExtraHome::of_drums(drums),
            (None, _) => self.stray,
        };
        if status & 0xf0 == 0xc0 && home == self.stray {
            self.assembler.loose_programs.push((tick, channel, data[0]));
        }
        self.assembler.extras.push(tick, home, EventKind::Channel { status, data });
        if status & 0xf0 == 0xb0 && data[0] == 121 {
            // "Reset all controllers" lets the pedal up.
            self.pedal(tick, channel, false);
        }
    }

    /// The keyboard of a channel and the list its notes go to.
    #[inline]
    fn keyboard(&mut self, channel: u8) -> (&mut Keyboard, &mut Vec<Note>) {
        let own = if channel == DRUM_CHANNEL { self.drums } else { self.part(channel) };
        let part = own.unwrap_or_default();
        let notes = if channel == DRUM_CHANNEL {
            &mut self.assembler.drums
        } else {
            &mut self.assembler.notes
        };
        let keyboard = self.keyboards[usize::from(channel)]
            .get_or_insert_with(|| Box::new(Keyboard::new(part)));
        (keyboard, notes)
    }

    #[inline]
    fn press(&mut self, tick: u32, channel: u8, key: u8, velocity: u8) {
        let (Some(pitch), Some(velocity)) = (Pitch::new(key), Velocity::new(velocity)) else {
            return;
        };
        self.assembler.counts.n_note_ons += 1;
        if channel == DRUM_CHANNEL {
            self.assembler.counts.n_drum_note_ons += 1;
        }
        let (keyboard, notes) = self.keyboard(channel);
        keyboard.press(tick, pitch, velocity, notes);
    }

    #[inline]
    fn release(&mut self, tick: u32, channel: u8, key: u8) {
        let Some(pitch) = Pitch::new(key) else { return };
        let (keyboard, notes) = self.keyboard(channel);
        keyboard.release(tick, pitch, notes);
    }

    fn release_all(&mut self, tick: u32, channel: u8) {
        let (keyboard, notes) = self.keyboard(channel);
        keyboard.release_all(tick, notes);
    }

    #[inline]
    fn pedal(&mut self, tick: u32, channel: u8, is_down: bool) {
        let Some(part) = self.part(channel) else { return };
        let down = &mut self.pedal_down[usize::from(channel)];
        match (*down, is_down) {
            (None, true) => *down = Some(tick),
            (Some(start), false) => {
                *down = None;
                if start < tick {
                    let span = PedalSpan { start: Tick(start), end: Tick(tick), part };
                    self.assembler.pedal.push(span);
                }
            }
            (None, false) | (Some(_), true) => {}
        }
    }

    /// Ends the notes that are still down with the track, and the pedal with all that sounds
    /// together with it.
    pub fn finish(&mut self, track_end: u32, sequence_end: u32) {
        for channel in 0..16u8 {
            if let Some(mut keyboard) = self.keyboards[usize::from(channel)].take() {
                let notes = if channel == DRUM_CHANNEL {
                    &mut self.assembler.drums
                } else {
                    &mut self.assembler.notes
                };
                keyboard.finish(track_end, notes);
                self.assembler.counts.n_never_let_go += keyboard.n_never_let_go;
            }
            if self.pedal_down[usize::from(channel)].is_some() {
                self.pedal(sequence_end, channel, false);
                self.keep(sequence_end, 0xb0 | channel, [PEDAL, 0]);
            }
        }
    }
}
