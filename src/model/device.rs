//! What can compute here, and why the rest can't.
//!
//! Burn's CUDA backend panics where a library is missing, so this file looks first, with dlopen,
//! and lets burn touch a device only when everything it needs is there. See `cuda_probe`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::cuda_probe;

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
        let refusal =
            || format!("“{text}” is no device — give auto, cpu, cuda, cuda:1, vulkan or vulkan:1");
        let lower = text.trim().to_ascii_lowercase();
        let (kind, index) = match lower.split_once(':') {
            Some((kind, index)) => (kind, Some(index.parse().map_err(|_| refusal())?)),
            None => (lower.as_str(), None),
        };
        match (kind, index) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::Cpu),
            ("cuda", index) => Ok(Self::Cuda(index.unwrap_or(0))),
            ("vulkan", index) => Ok(Self::Vulkan(index.unwrap_or(0))),
            _ => Err(refusal()),
        }
    }
}

/// As [`DeviceChoice::from_str`] reads it.
impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Vulkan(index) => write!(f, "vulkan:{index}"),
        }
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

/// The device that a job runs on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Chosen {
    pub kind: DeviceKind,
    pub index: usize,
    pub name: String,
    /// Why the CPU is used although it wasn't asked for.
    pub reason: Option<String>,
}

/// Looks for what can compute, without letting burn touch a driver that isn't there.
pub fn compute_devices() -> Vec<DeviceReport> {
    let mut reports = vec![DeviceReport {
        name: cpu_name(),
        kind: DeviceKind::Cpu,
        available: true,
        reason: None,
    }];
    match cuda_probe::devices() {
        Ok(names) => reports.extend(names.into_iter().enumerate().map(|(index, name)| {
            let reason = probe_apart(DeviceChoice::Cuda(index)).err();
            DeviceReport { name, kind: DeviceKind::Cuda, available: reason.is_none(), reason }
        })),
        Err(reason) => reports.push(DeviceReport {
            name: "CUDA".to_owned(),
            kind: DeviceKind::Cuda,
            available: false,
            reason: Some(reason),
        }),
    }
    reports.push(vulkan_report());
    reports
}

/// Settles on a device. `auto` takes the first CUDA device that works, then Vulkan, then the CPU;
/// a device asked for by name that doesn't work is an error, in words.
pub(super) fn choose(choice: DeviceChoice) -> Result<Chosen, String> {
    let cpu = |reason| Chosen { kind: DeviceKind::Cpu, index: 0, name: cpu_name(), reason };
    match choice {
        DeviceChoice::Cpu => Ok(cpu(None)),
        DeviceChoice::Cuda(index) => cuda(index).map_err(|reason| refusal(choice, &reason)),
        DeviceChoice::Vulkan(index) => vulkan(index).map_err(|reason| refusal(choice, &reason)),
        DeviceChoice::Auto => Ok(match cuda(0) {
            Ok(chosen) => chosen,
            Err(reason) => {
                vulkan(0).unwrap_or_else(|_| cpu(Some(format!("Using the CPU: {reason}"))))
            }
        }),
    }
}

/// Computes one small product on a device and compares it with the right answer.
///
/// Meant for a short process of its own (`etude devices --probe cuda:0`): a broken driver can
/// end the process it is loaded into.
///
/// # Errors
/// What doesn't work, in words.
pub fn probe(choice: DeviceChoice) -> Result<(), String> {
    match choice {
        DeviceChoice::Auto | DeviceChoice::Cpu => {
            small_product::<burn::backend::Flex>(&Default::default())
        }
        DeviceChoice::Cuda(index) => {
            cuda_probe::ready()?;
            small_product::<super::cube::Cuda>(&burn::backend::cuda::CudaDevice::new(index))
        }
        #[cfg(feature = "vulkan")]
        DeviceChoice::Vulkan(index) => small_product::<super::cube::Vulkan>(&vulkan_device(index)),
        #[cfg(not(feature = "vulkan"))]
        DeviceChoice::Vulkan(_) => Err(NO_VULKAN.to_owned()),
    }
}

/// A panic inside burn is held and told in words.
fn small_product<B: burn::tensor::backend::Backend>(device: &B::Device) -> Result<(), String> {
    use burn::tensor::Tensor;
    let product = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let ones = Tensor::<B, 2>::ones([16, 16], device);
        ones.clone().matmul(ones).try_into_data().map(super::weights::numbers)
    }));
    match product {
        Ok(Ok(values)) if values.iter().all(|&value| value == 16.0) => Ok(()),
        Ok(Ok(_)) => Err("it computes wrong results".to_owned()),
        Ok(Err(error)) => Err(format!("it failed to compute ({error})")),
        Err(_) => Err("its driver failed while it was tried".to_owned()),
    }
}

/// Set in the process that tries a device.
const APART: &str = "ETUDE_PROBE";

/// [`probe`] in a process of its own when this program is `etude`, otherwise here.
fn probe_apart(choice: DeviceChoice) -> Result<(), String> {
    // The process that tries a device never starts another one.
    let is_apart = std::env::var_os(APART).is_some();
    let own = std::env::current_exe().ok().filter(|_| !is_apart);
    let own = own.filter(|path| path.file_stem().is_some_and(|stem| stem == "etude"));
    let Some(own) = own else { return probe(choice) };
    let run = std::process::Command::new(own)
        .args(["devices", "--probe", &choice.to_string()])
        .env(APART, "1")
        .stdin(std::process::Stdio::null())
        .output();
    match run {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let words = String::from_utf8_lossy(&output.stderr);
            let line = words.lines().rev().find_map(|line| line.strip_prefix("error: "));
            Err(line.unwrap_or("its driver failed while it was tried").to_owned())
        }
        Err(_) => probe(choice),
    }
}

fn cuda(index: usize) -> Result<Chosen, String> {
    let names = cuda_probe::devices()?;
    let count = names.len();
    let name = names.into_iter().nth(index);
    let name = name.ok_or_else(|| format!("there is no CUDA device {index}, only {count}"))?;
    probe_apart(DeviceChoice::Cuda(index))?;
    // Found ready in the other process; here the libraries must be loaded, too.
    cuda_probe::ready()?;
    Ok(Chosen { kind: DeviceKind::Cuda, index, name, reason: None })
}

#[cfg(not(feature = "vulkan"))]
const NO_VULKAN: &str = "this build has no Vulkan (build it with --features vulkan)";

#[cfg(feature = "vulkan")]
fn vulkan(index: usize) -> Result<Chosen, String> {
    probe_apart(DeviceChoice::Vulkan(index))?;
    Ok(Chosen {
        kind: DeviceKind::Vulkan,
        index,
        name: format!("Vulkan device {index}"),
        reason: None,
    })
}

#[cfg(not(feature = "vulkan"))]
fn vulkan(_index: usize) -> Result<Chosen, String> {
    Err(NO_VULKAN.to_owned())
}

#[cfg(feature = "vulkan")]
pub(super) fn vulkan_device(index: usize) -> burn::backend::wgpu::WgpuDevice {
    match index {
        0 => burn::backend::wgpu::WgpuDevice::DefaultDevice,
        index => burn::backend::wgpu::WgpuDevice::DiscreteGpu(index),
    }
}

fn vulkan_report() -> DeviceReport {
    let reason = vulkan(0).err();
    DeviceReport {
        name: "Vulkan".to_owned(),
        kind: DeviceKind::Vulkan,
        available: reason.is_none(),
        reason,
    }
}

fn refusal(choice: DeviceChoice, reason: &str) -> String {
    format!("{choice} can't be used: {reason} — use --device auto or cpu")
}

fn cpu_name() -> String {
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("CPU, {n_cores} {}", if n_cores == 1 { "core" } else { "cores" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names_are_read_and_written() {
        for choice in [
            DeviceChoice::Auto,
            DeviceChoice::Cpu,
            DeviceChoice::Cuda(0),
            DeviceChoice::Cuda(3),
            DeviceChoice::Vulkan(1),
        ] {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        assert_eq!("CUDA".parse(), Ok(DeviceChoice::Cuda(0)));
        for wrong in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "cpu:0", "auto:1", "vulkan:1.5"] {
            let refused = wrong.parse::<DeviceChoice>().expect_err(wrong);
            assert!(refused.contains("give auto"), "{refused}");
        }
    }

    #[test]
    fn the_cpu_always_works_and_what_is_missing_is_named() {
        let reports = compute_devices();
        assert_eq!(reports[0].kind, DeviceKind::Cpu);
        assert!(reports[0].available);
        for report in &reports {
            assert_eq!(report.available, report.reason.is_none(), "{report:?}");
        }
        assert!(choose(DeviceChoice::Auto).is_ok());
        assert!(probe(DeviceChoice::Cpu).is_ok());
    }

    #[test]
    fn a_device_that_is_asked_for_and_missing_is_refused_in_words() {
        let refused = choose(DeviceChoice::Cuda(900)).expect_err("there are never so many");
        assert!(refused.starts_with("cuda:900 can't be used: "), "{refused}");
        assert!(refused.ends_with(" — use --device auto or cpu"), "{refused}");
    }
}
