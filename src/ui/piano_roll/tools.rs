//! The tools: what a press and a drag mean.

use egui::CursorIcon;

use crate::ui::command::Command;

/// What the pointer does in the roll. Moving, resizing, the rubber band with its keys and the
/// double-click are the same with all of them where they don't contradict the tool.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Tool {
    #[default]
    Select,
    Draw,
    Erase,
    Split,
}

impl Tool {
    pub const ALL: [Self; 4] = [Self::Select, Self::Draw, Self::Erase, Self::Split];

    /// The command that takes it up, which knows its key and explains it.
    pub fn command(self) -> Command {
        match self {
            Self::Select => Command::SelectTool,
            Self::Draw => Command::DrawTool,
            Self::Erase => Command::EraseTool,
            Self::Split => Command::SplitTool,
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            Self::Select => "Select",
            Self::Draw => "Draw",
            Self::Erase => "Erase",
            Self::Split => "Split",
        }
    }

    pub fn icon(self) -> &'static str {
        match self {
            Self::Select => "⛶",
            Self::Draw => "✏",
            Self::Erase => "✖",
            Self::Split => "✂",
        }
    }

    /// The pointer where there is no note.
    pub(super) fn cursor(self) -> CursorIcon {
        match self {
            Self::Select => CursorIcon::Default,
            Self::Draw => CursorIcon::Crosshair,
            Self::Erase => CursorIcon::NoDrop,
            // A thin upright line: where the cut will be.
            Self::Split => CursorIcon::Text,
        }
    }

    /// The pointer over a note, when that isn't the one for moving and resizing.
    pub(super) fn cursor_on_note(self) -> Option<CursorIcon> {
        match self {
            Self::Select | Self::Draw => None,
            Self::Erase | Self::Split => Some(self.cursor()),
        }
    }
}
