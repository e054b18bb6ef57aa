//! A file as the original experiment heard it: the first instrument that pretty_midi 0.2 makes of
//! it, with the events that its piano roll depends on.
//!
//! This stands beside the ordinary reading because a [`Score`](crate::music::Score) has mended
//! what pretty_midi leaves as it is: notes and pedals that nothing ends, tempo outside the first
//! track. Comparing with the original needs them unmended.

use super::assemble::DRUM_CHANNEL;
use super::container::Timing;
use super::events::{Event, EventKind, Track};
use crate::music::{Pitch, TempoChange, TempoMap, Tick, TicksPerQuarter};

/// One channel of one track under one program, the first that has a whole note.
#[derive(Clone, PartialEq, Debug)]
pub struct FirstInstrument {
    pub is_percussion: bool,
    pub ticks_per_quarter: TicksPerQuarter,
    /// Of the first track, in the order of the file. Before the first: 120 quarters a minute.
    pub tempos: Vec<TempoChange>,
    /// Pitch, start and end, in the order in which they end.
    pub notes: Vec<(Pitch, Tick, Tick)>,
    pub controls: Controls,
}

/// Controllers that an instrument gets.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Controls {
    /// Controller 64 and its value.
    pub sustain: Vec<(Tick, u8)>,
    /// Pitch bends, −8,192 to 8,191.
    pub bends: Vec<(Tick, i16)>,
    /// Of any controller or bend.
    pub last: Tick,
}

/// The first instrument of these tracks. `None` when no note in them has an end.
pub(super) fn first_instrument(tracks: &[Track<'_>], timing: Timing) -> Option<FirstInstrument> {
    let tempos = tracks.first().map_or_else(Vec::new, |first| tempos_in(first, timing));
    for track in tracks {
        let mut listener = Listener::default();
        for event in &track.events {
            listener.hear(Tick(event.tick), event.kind);
        }
        let Listener { instruments, mut controls, .. } = listener;
        if let Some(first) = instruments.into_iter().next() {
            return Some(FirstInstrument {
                is_percussion: first.channel == DRUM_CHANNEL,
                ticks_per_quarter: timing.ticks_per_quarter(),
                tempos,
                notes: first.notes,
                controls: controls.swap_remove(first.controls),
            });
        }
    }
    None
}

fn tempos_in(track: &Track<'_>, timing: Timing) -> Vec<TempoChange> {
    if let Timing::Clock { micros_per_quarter, .. } = timing {
        return vec![TempoChange { tick: Tick::ZERO, micros_per_quarter }];
    }
    let tempo = |event: &Event<'_>| match event.kind {
        EventKind::Meta { number: 0x51, data: &[high, middle, low] } => {
            let micros = u32::from_be_bytes([0, high, middle, low]);
            let micros_per_quarter = if micros == 0 { TempoMap::DEFAULT_MICROS } else { micros };
            Some(TempoChange { tick: Tick(event.tick), micros_per_quarter })
        }
        _ => None,
    };
    track.events.iter().filter_map(tempo).collect()
}

/// An instrument of one track, made when its first note ends.
struct Instrument {
    channel: u8,
    program: u8,
    notes: Vec<(Pitch, Tick, Tick)>,
    /// Index into [`Listener::controls`]; several instruments may share them.
    controls: usize,
}

/// Hears one track as pretty_midi does.
struct Listener {
    programs: [u8; 16],
    /// Starts of the notes that are down, by channel and key.
    open: Vec<Vec<Tick>>,
    instruments: Vec<Instrument>,
    controls: Vec<Controls>,
    /// Where a channel's controllers go that come under a program without an instrument. An
    /// instrument made later on that channel takes them over, and goes on sharing them.
    stragglers: [Option<usize>; 16],
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            programs: [0; 16],
            open: vec![Vec::new(); 16 * 128],
            instruments: Vec::new(),
            controls: Vec::new(),
            stragglers: [None; 16],
        }
    }
}

impl Listener {
    fn hear(&mut self, now: Tick, kind: EventKind<'_>) {
        let EventKind::Channel { status, data: [first, second] } = kind else { return };
        let channel = status & 0x0f;
        match (status & 0xf0, second) {
            (0x90, 1..) => self.open[key(channel, first)].push(now),
            (0x80 | 0x90, _) => self.release(now, channel, first),
            (0xb0, value) => {
                let controls = self.controls(channel);
                controls.last = now;
                if first == 64 {
                    controls.sustain.push((now, value));
                }
            }
            (0xc0, _) => self.programs[usize::from(channel)] = first,
            (0xe0, _) => {
                let bend = i16::from(second & 127) << 7 | i16::from(first & 127);
                let controls = self.controls(channel);
                controls.last = now;
                controls.bends.push((now, bend - 8_192));
            }
            _ => {}
        }
    }

    /// A note-off ends every note of its key that began on an earlier tick. One that began on
    /// this very tick goes on if there was an earlier one, and else is forgotten.
    fn release(&mut self, now: Tick, channel: u8, number: u8) {
        let open = &mut self.open[key(channel, number)];
        let n_ended = open.partition_point(|start| *start < now);
        let ended: Vec<Tick> = open.drain(..n_ended).collect();
        if ended.is_empty() {
            open.clear();
            return;
        }
        let Some(pitch) = Pitch::new(number) else { return };
        let instrument = self.instrument(channel);
        instrument.notes.extend(ended.into_iter().map(|start| (pitch, start, now)));
    }

    /// The instrument of a channel's present program, made if there is none.
    fn instrument(&mut self, channel: u8) -> &mut Instrument {
        let idx = self.find(channel).unwrap_or_else(|| {
            let controls = match self.stragglers[usize::from(channel)] {
                Some(controls) => controls,
                None => self.new_controls(),
            };
            let program = self.programs[usize::from(channel)];
            self.instruments.push(Instrument { channel, program, notes: Vec::new(), controls });
            self.instruments.len() - 1
        });
        &mut self.instruments[idx]
    }

    fn find(&self, channel: u8) -> Option<usize> {
        let sought = (channel, self.programs[usize::from(channel)]);
        let same = |instrument: &Instrument| (instrument.channel, instrument.program) == sought;
        self.instruments.iter().position(same)
    }

    fn controls(&mut self, channel: u8) -> &mut Controls {
        let straggler = self.stragglers[usize::from(channel)];
        let idx = match (self.find(channel), straggler) {
            (Some(instrument), _) => self.instruments[instrument].controls,
            (None, Some(controls)) => controls,
            (None, None) => {
                let controls = self.new_controls();
                self.stragglers[usize::from(channel)] = Some(controls);
                controls
            }
        };
        &mut self.controls[idx]
    }

    fn new_controls(&mut self) -> usize {
        self.controls.push(Controls::default());
        self.controls.len() - 1
    }
}

fn key(channel: u8, number: u8) -> usize {
    usize::from(channel) * 128 + usize::from(number & 127)
}
