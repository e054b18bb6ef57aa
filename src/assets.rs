//! What is embedded in the binary, so that a copied binary works alone: the built-in pieces, the
//! starter model and the piano.

use std::sync::LazyLock;

use crate::music::Score;
use crate::music::notation::{self, Piece};

/// The piano heard before the user chooses another: an SF3 (see `soundfonts/README.md`).
pub static PIANO_SF3: &[u8] = include_bytes!("../soundfonts/salamander-grand.sf3");

/// A file of `assets/pieces` with its name.
macro_rules! piece {
    ($name:literal) => {
        ($name, include_str!(concat!("../assets/pieces/", $name)))
    };
}

/// The built-in pieces in the project's own notation: file name and text, sorted by name.
pub static PIECES: &[(&str, &str)] = &[
    piece!("bach-gavotte-g-major.txt"),
    piece!("bach-invention-13.txt"),
    piece!("bach-invention-4.txt"),
    piece!("bach-invention-8.txt"),
    piece!("bach-minuet-b-flat-major.txt"),
    piece!("bach-minuet-c-minor.txt"),
    piece!("bach-prelude-c-major.txt"),
    piece!("bach-sarabande-g-major.txt"),
    piece!("beethoven-fur-elise.txt"),
    piece!("brahms-waltz-a-flat-major.txt"),
    piece!("burgmuller-arabesque.txt"),
    piece!("burgmuller-ballade.txt"),
    piece!("burgmuller-innocence.txt"),
    piece!("burgmuller-pastorale.txt"),
    piece!("chopin-prelude-c-minor.txt"),
    piece!("chopin-prelude-e-minor.txt"),
    piece!("clementi-sonatina-op36-1-allegro.txt"),
    piece!("clementi-sonatina-op36-1-andante.txt"),
    piece!("clementi-sonatina-op36-1-vivace.txt"),
    piece!("grieg-ases-death.txt"),
    piece!("grieg-mountain-king.txt"),
    piece!("handel-sonatina-b-flat-major.txt"),
    piece!("kuhlau-sonatina-op20-1-andante.txt"),
    piece!("mendelssohn-venetian-boat-song.txt"),
    piece!("mozart-theme-k331.txt"),
    piece!("rameau-tambourin.txt"),
    piece!("satie-gymnopedie-1.txt"),
    piece!("satie-gymnopedie-3.txt"),
    piece!("schubert-moment-musical-3.txt"),
    piece!("schumann-foreign-lands.txt"),
    piece!("schumann-happy-enough.txt"),
    piece!("schumann-traumerei.txt"),
    piece!("scriabin-prelude-c-major.txt"),
    piece!("tchaikovsky-morning-prayer.txt"),
    piece!("tchaikovsky-old-french-song.txt"),
    piece!("tchaikovsky-wooden-soldiers.txt"),
];

/// The file name of the piece that is in the roll at the first start.
pub const FIRST_PIECE: &str = "schumann-foreign-lands.txt";

/// The built-in model: the bytes of an exported checkpoint (one file). Its card is
/// `assets/models/README.md`.
pub static STARTER: &[u8] = include_bytes!("../assets/models/starter.safetensors");

/// The built-in pieces as scores, each with its composer and title, in the order of [`PIECES`].
pub fn piece_scores() -> Vec<(String, Score)> {
    pieces().to_vec()
}

/// The same without a copy, parsed once: about 20 ms at the first call.
pub fn pieces() -> &'static [(String, Score)] {
    static PARSED: LazyLock<Vec<(String, Score)>> = LazyLock::new(parse_pieces);
    &PARSED
}

fn parse_pieces() -> Vec<(String, Score)> {
    let scores = PIECES.iter().map(|(_, text)| {
        let piece = parsed(text);
        // Without the years.
        let composer = piece.composer.split(" (").next().unwrap_or_default();
        (format!("{composer}: {}", piece.score.title), piece.score)
    });
    scores.collect()
}

/// Whom each built-in piece comes from: composer, title and typesetter, as its header says.
pub fn piece_credits() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    PIECES.iter().map(|(_, text)| {
        let field = |name: &str| {
            let mut values = text.lines().filter_map(|line| line.strip_prefix(name));
            values.next().unwrap_or_default().trim()
        };
        (field("composer "), field("title "), field("typesetter "))
    })
}

/// The piece that is in the roll at the first start.
pub fn first_score() -> Score {
    let first = PIECES.iter().find(|(name, _)| *name == FIRST_PIECE);
    first.map(|(_, text)| parsed(text).score).unwrap_or_default()
}

fn parsed(text: &str) -> Piece {
    notation::parse(text).expect("every built-in piece is parsed in a test")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_piece_parses_and_is_named_once() {
        let scores = piece_scores();
        assert!(scores.len() >= 24);
        let names: std::collections::BTreeSet<&String> =
            scores.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), scores.len());
        assert!(scores.iter().all(|(_, score)| score.notes().len() > 100));
        assert!(PIECES.is_sorted());
        for (composer, title, typesetter) in piece_credits() {
            assert!(!composer.is_empty() && !title.is_empty() && !typesetter.is_empty(), "{title}");
        }
        assert_eq!(first_score().notes().len(), 224);
    }
}
