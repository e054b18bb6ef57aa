//! What can compute here, and why the rest can't.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What the user asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceChoice {
    /// The fastest that works.
    #[default]
    Auto,
    Cpu,
    Cuda(usize),
    Vulkan(usize),
}

/// `auto`, `cpu`, `cuda`, `cuda:1`, `vulkan:0`.
impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let _ = text;
        todo!()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    Cpu,
    Cuda,
    Vulkan,
}

/// One line of `etude devices`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DeviceReport {
    /// `CPU, 8 cores`, `NVIDIA H200`, …
    pub name: String,
    pub kind: DeviceKind,
    pub available: bool,
    /// Why not, naming the missing piece; none if it is available.
    pub reason: Option<String>,
}

/// Looks for what can compute, without letting burn touch a driver that isn't there.
pub fn compute_devices() -> Vec<DeviceReport> {
    todo!()
}
