//! What is embedded in the binary, so that a copied binary works alone: the built-in pieces, the
//! starter model and the piano.

/// The piano heard before the user chooses another: an SF3 (see `soundfonts/README.md`).
pub static PIANO_SF3: &[u8] = include_bytes!("../soundfonts/salamander-grand.sf3");

/// The built-in pieces in the project's own notation: file name and text, sorted by name.
pub static PIECES: &[(&str, &str)] = &[];

/// The built-in model: the bytes of an exported checkpoint (one file); empty until it is trained.
pub static STARTER: &[u8] = &[];

/// The built-in pieces as scores, with their titles. (The music owner parses [`PIECES`].)
pub fn piece_scores() -> Vec<(String, crate::music::Score)> {
    Vec::new()
}
