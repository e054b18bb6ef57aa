//! Small SoundFonts made in code, for tests that need sound but no piano.

/// Sample rate of the waves.
const WAVE_RATE: u32 = 22_050;

/// A looped sine of one second for each zone: one preset, one instrument, two zones that meet at
/// middle C, about 90 KB. Every key sounds at its pitch; the sound stops 50 ms after the key.
pub fn sine_font() -> Vec<u8> {
    sine_font_of(&[("Sine", 0, 0)])
}

/// The same sines under several presets: name, bank and program of each.
pub fn sine_font_of(presets: &[(&str, u16, u16)]) -> Vec<u8> {
    // 220 and 880 Hz: whole periods in a second, so that the loop is seamless.
    let zones = [(0u8, 59u8, 57u8, 220.0), (60, 127, 81, 880.0)];
    let (mut smpl, mut shdr, mut igen, mut ibag) = (vec![], vec![], vec![], vec![]);
    for (idx, (low, high, root, hertz)) in zones.into_iter().enumerate() {
        let start = smpl.len() as u32 / 2;
        for n in 0..WAVE_RATE {
            let phase = std::f64::consts::TAU * hertz * f64::from(n) / f64::from(WAVE_RATE);
            smpl.extend(((phase.sin() * 16_000.0) as i16).to_le_bytes());
        }
        let end = start + WAVE_RATE;
        smpl.extend([0; 92]);
        name(&mut shdr, "sine");
        for number in [start, end, start, end, WAVE_RATE] {
            shdr.extend(number.to_le_bytes());
        }
        shdr.extend([root, 0, 0, 0, 1, 0]);
        ibag.extend((igen.len() as u16 / 4).to_le_bytes());
        ibag.extend([0, 0]);
        // Key range, release of the volume envelope (−5,186 timecents are 50 ms), loop, sample.
        igen.extend([43, 0, low, high]);
        igen.extend([38, 0]);
        igen.extend((-5_186i16).to_le_bytes());
        igen.extend([54, 0, 1, 0, 53, 0, idx as u8, 0]);
    }
    name(&mut shdr, "EOS");
    shdr.extend([0; 26]);
    ibag.extend((igen.len() as u16 / 4).to_le_bytes());
    ibag.extend([0, 0]);
    igen.extend([0; 4]);

    let (mut phdr, mut pbag, mut pgen) = (vec![], vec![], vec![]);
    for (idx, (title, bank, program)) in presets.iter().enumerate() {
        name(&mut phdr, title);
        for number in [*program, *bank, idx as u16] {
            phdr.extend(number.to_le_bytes());
        }
        phdr.extend([0; 12]);
        pbag.extend([idx as u8, 0, 0, 0]);
        pgen.extend([41, 0, 0, 0]);
    }
    name(&mut phdr, "EOP");
    phdr.extend([0; 4]);
    phdr.extend((presets.len() as u16).to_le_bytes());
    phdr.extend([0; 12]);
    pbag.extend([presets.len() as u8, 0, 0, 0]);
    pgen.extend([0; 4]);

    let mut inst = vec![];
    name(&mut inst, "Sines");
    inst.extend([0, 0]);
    name(&mut inst, "EOI");
    inst.extend((zones.len() as u16).to_le_bytes());

    let info = [b"INFO".to_vec(), chunk(b"ifil", &[2, 0, 1, 0]), chunk(b"INAM", b"Two sines\0")];
    let sdta = [b"sdta".to_vec(), chunk(b"smpl", &smpl)];
    let pdta = [
        b"pdta".to_vec(),
        chunk(b"phdr", &phdr),
        chunk(b"pbag", &pbag),
        chunk(b"pmod", &[0; 10]),
        chunk(b"pgen", &pgen),
        chunk(b"inst", &inst),
        chunk(b"ibag", &ibag),
        chunk(b"imod", &[0; 10]),
        chunk(b"igen", &igen),
        chunk(b"shdr", &shdr),
    ];
    let lists = [&info[..], &sdta[..], &pdta[..]].map(|parts| chunk(b"LIST", &parts.concat()));
    chunk(b"RIFF", &[b"sfbk".to_vec(), lists.concat()].concat())
}

fn chunk(id: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut bytes = id.to_vec();
    bytes.extend((content.len() as u32).to_le_bytes());
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    bytes
}

/// A name of exactly 20 bytes.
fn name(out: &mut Vec<u8>, text: &str) {
    out.extend(text.bytes().chain(std::iter::repeat(0)).take(20));
}
