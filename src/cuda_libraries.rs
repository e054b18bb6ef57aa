//! NVIDIA's run-time compiler and headers, fetched from PyPI when the user asks for it.
//!
//! Most people with an NVIDIA card have its driver and no CUDA toolkit. CUDA kernels are compiled
//! while the program runs, by NVRTC with the CUDA headers; NVIDIA publishes both as Python wheels,
//! which are zip files. Four of them, pinned by version and SHA-256, are unpacked into the
//! program's data folder, where the CUDA backend looks first:
//!
//! ```text
//! <data folder>/cuda/lib/libnvrtc.so.12, libnvrtc-builtins.so.12.8   (DLLs on Windows)
//! <data folder>/cuda/include/cuda_runtime.h, crt/mma.h, cuda/barrier, …
//! ```
//!
//! Nothing here runs by itself, and nothing here knows whether a card is present. Version 12.8 is
//! the one whose interface the program is built against: it knows every card from Maxwell to
//! Blackwell and works with drivers from 570 on. The compiler package is only fetched for its
//! headers `crt/`, without which kernels that use tensor cores don't compile.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::cancel::CancelToken;
use crate::files::{data_dir, plain_reason};

/// The terms the packages come under.
pub const LICENSE_URL: &str = "https://docs.nvidia.com/cuda/eula/index.html";

/// Where packages are looked up; `ETUDE_PYPI_INDEX` names a mirror instead. Whatever it answers,
/// only files with the pinned hashes are used.
const INDEX: &str = "https://pypi.org/simple";

/// Lists of releases are some tens of kilobytes.
const MAX_INDEX_BYTES: u64 = 16 << 20;

/// One wheel to fetch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Package {
    pub name: &'static str,
    pub version: &'static str,
    /// What it is for, in words.
    pub purpose: &'static str,
    file: &'static str,
    sha256: &'static str,
    bytes: u64,
    /// What is unpacked: the start of the names inside the wheel and the folder they go to.
    wanted: &'static [(&'static str, &'static str)],
}

/// What would be fetched, and where it goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    pub folder: PathBuf,
    pub packages: &'static [Package],
}

/// How far fetching is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FetchProgress {
    pub package: &'static str,
    pub done_bytes: u64,
    pub total_bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error(
        "NVIDIA offers no CUDA libraries for this system — use the CPU, or install the CUDA toolkit by hand"
    )]
    Unsupported,
    #[error("{url} can't be reached ({source}) — check the network and try again")]
    Network {
        url: String,
        #[source]
        source: Box<ureq::Error>,
    },
    #[error("{index} doesn't offer {file} any more — install the CUDA toolkit by hand")]
    Gone { index: String, file: &'static str },
    #[error(
        "{file} isn't what was published (its SHA-256 is {found}) — nothing was kept; try again on another network"
    )]
    Tampered { file: &'static str, found: String },
    #[error("{file} can't be unpacked ({source}) — nothing was kept; try again")]
    Unpack {
        file: &'static str,
        #[source]
        source: zip::result::ZipError,
    },
    #[error(
        "{path} can't be written ({}) — free some space or set ETUDE_DATA_DIR to another folder",
        plain_reason(source)
    )]
    Disk {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("fetching was cancelled")]
    Cancelled,
}

/// The folder of the fetched libraries, whether they are there or not.
pub fn folder() -> PathBuf {
    data_dir().join("cuda")
}

/// What [`fetch`] would do here.
///
/// # Errors
/// [`FetchError::Unsupported`] where there are no such libraries.
pub fn plan() -> Result<Plan, FetchError> {
    let packages = packages().ok_or(FetchError::Unsupported)?;
    Ok(Plan { folder: folder(), packages })
}

impl Plan {
    pub fn download_bytes(&self) -> u64 {
        self.packages.iter().map(|package| package.bytes).sum()
    }

    /// Whether exactly these packages are in place.
    pub fn is_installed(&self) -> bool {
        fs::read_to_string(self.folder.join(MARKER)).is_ok_and(|text| text == self.marker())
    }

    /// What the marker file says: the hashes of what was unpacked.
    fn marker(&self) -> String {
        self.packages
            .iter()
            .map(|package| format!("{} {} {}\n", package.name, package.version, package.sha256))
            .collect()
    }
}

/// Written last, so that its presence means that everything is there.
const MARKER: &str = "PACKAGES.txt";

/// Fetches, checks and unpacks everything; the folder appears whole or not at all.
///
/// # Errors
/// See [`FetchError`]; what was in the folder before is then still there.
pub fn fetch(
    cancel: &CancelToken,
    progress: &mut dyn FnMut(FetchProgress),
) -> Result<(), FetchError> {
    let plan = plan()?;
    let parent = data_dir();
    let disk = |path: &Path| {
        let path = path.to_path_buf();
        move |source| FetchError::Disk { path, source }
    };
    fs::create_dir_all(&parent).map_err(disk(&parent))?;
    let aside =
        tempfile::Builder::new().prefix(".cuda-").tempdir_in(&parent).map_err(disk(&parent))?;
    let tree = aside.path().join("tree");
    let agent = agent();
    let mut before = 0;
    for package in plan.packages {
        let wheel = aside.path().join("wheel");
        let mut report = |bytes: u64| {
            progress(FetchProgress {
                package: package.name,
                done_bytes: before + bytes,
                total_bytes: plan.download_bytes(),
            });
        };
        download(&agent, package, &wheel, cancel, &mut report)?;
        unpack(package, &wheel, &tree, cancel)?;
        before += package.bytes;
    }
    fs::write(tree.join(MARKER), plan.marker()).map_err(disk(&tree))?;
    replace_folder(&tree, &plan.folder, &aside.path().join("old")).map_err(disk(&plan.folder))
}

/// Moves a whole folder into place; the old one goes aside first, and back if that fails.
fn replace_folder(new: &Path, place: &Path, old: &Path) -> io::Result<()> {
    if place.exists() {
        fs::rename(place, old)?;
    }
    fs::rename(new, place).inspect_err(|_| {
        // Best effort: the first error is the one to report.
        let _ = fs::rename(old, place);
    })
}

/// Where systems keep the root certificates they trust, those of a company's network among them.
const ROOT_CERTIFICATES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// The system's proxies and root certificates are used (or those in `SSL_CERT_FILE`), and
/// Mozilla's where there are none.
fn agent() -> ureq::Agent {
    let asked = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let files = asked.into_iter().chain(ROOT_CERTIFICATES.map(PathBuf::from));
    let roots = files.filter_map(|path| root_certificates(&path)).next();
    let roots = roots.map_or(RootCerts::WebPki, |roots| RootCerts::Specific(Arc::new(roots)));
    ureq::Agent::config_builder()
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .timeout_connect(Some(Duration::from_secs(20)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .build()
        .into()
}

fn root_certificates(path: &Path) -> Option<Vec<Certificate<'static>>> {
    let pem = fs::read(path).ok()?;
    let certificates = parse_pem(&pem).filter_map(Result::ok).filter_map(|item| match item {
        PemItem::Certificate(certificate) => Some(certificate),
        _ => None,
    });
    Some(certificates.collect::<Vec<_>>()).filter(|certificates| !certificates.is_empty())
}

/// The part of an index page (PEP 691) that is needed.
#[derive(Deserialize)]
struct Index {
    files: Vec<IndexFile>,
}

#[derive(Deserialize)]
struct IndexFile {
    filename: String,
    url: String,
}

fn find_url(agent: &ureq::Agent, package: &Package) -> Result<String, FetchError> {
    let base = std::env::var("ETUDE_PYPI_INDEX").ok().filter(|base| !base.is_empty());
    let index =
        format!("{}/{}/", base.as_deref().unwrap_or(INDEX).trim_end_matches('/'), package.name);
    let network =
        |source: ureq::Error| FetchError::Network { url: index.clone(), source: Box::new(source) };
    let mut answer = agent
        .get(&index)
        .header("Accept", "application/vnd.pypi.simple.v1+json")
        .call()
        .map_err(network)?;
    let page =
        answer.body_mut().with_config().limit(MAX_INDEX_BYTES).read_to_vec().map_err(network)?;
    // A page of another form lists nothing that is known.
    let files = serde_json::from_slice(&page).map_or_else(|_| Vec::new(), |page: Index| page.files);
    let found = files.into_iter().find(|file| file.filename == package.file);
    found.map(|file| file.url).ok_or(FetchError::Gone { index, file: package.file })
}

/// Fetches a wheel and checks that it is exactly what was pinned.
fn download(
    agent: &ureq::Agent,
    package: &Package,
    to: &Path,
    cancel: &CancelToken,
    report: &mut dyn FnMut(u64),
) -> Result<(), FetchError> {
    let url = find_url(agent, package)?;
    let network =
        |source: ureq::Error| FetchError::Network { url: url.clone(), source: Box::new(source) };
    let answer = agent.get(&url).call().map_err(network)?;
    let disk = |source| FetchError::Disk { path: to.to_path_buf(), source };
    let mut file = File::create(to).map_err(disk)?;
    // One byte more than expected is enough to know that it is something else.
    let mut body = answer.into_body().into_reader().take(package.bytes + 1);
    let (mut hash, mut buffer, mut done) = (Sha256::new(), vec![0; 1 << 16], 0);
    loop {
        if cancel.is_cancelled() {
            return Err(FetchError::Cancelled);
        }
        let n = body.read(&mut buffer).map_err(|error| network(error.into()))?;
        if n == 0 {
            break;
        }
        hash.update(&buffer[..n]);
        file.write_all(&buffer[..n]).map_err(disk)?;
        done += n as u64;
        report(done);
    }
    let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found == package.sha256 {
        Ok(())
    } else {
        Err(FetchError::Tampered { file: package.file, found })
    }
}

/// Unpacks the wanted members of a wheel below `tree`.
fn unpack(
    package: &Package,
    wheel: &Path,
    tree: &Path,
    cancel: &CancelToken,
) -> Result<(), FetchError> {
    let unpack = |source| FetchError::Unpack { file: package.file, source };
    let disk = |source| FetchError::Disk { path: tree.to_path_buf(), source };
    let mut archive = zip::ZipArchive::new(File::open(wheel).map_err(disk)?).map_err(unpack)?;
    for idx in 0..archive.len() {
        if cancel.is_cancelled() {
            return Err(FetchError::Cancelled);
        }
        let mut member = archive.by_index(idx).map_err(unpack)?;
        // A name that can't be read is none of the wanted ones.
        let place = member.name().ok().and_then(|name| place_of(package, &name));
        let Some(place) = place.filter(|_| member.is_file()) else { continue };
        let place = tree.join(place);
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder).map_err(disk)?;
        }
        let mut file = File::create(&place).map_err(disk)?;
        io::copy(&mut member, &mut file).map_err(disk)?;
    }
    Ok(())
}

/// Where a member goes, relative to the folder; none if it isn't wanted or points elsewhere.
fn place_of(package: &Package, member: &str) -> Option<PathBuf> {
    if member.ends_with("License.txt") {
        return Some(PathBuf::from(format!("LICENSE-{}.txt", package.name)));
    }
    let (start, folder) = package.wanted.iter().find(|(start, _)| member.starts_with(start))?;
    // A wanted folder keeps what is below it; a wanted file keeps its own name.
    let rest = match member.strip_prefix(start)? {
        "" => start.rsplit('/').next()?,
        rest => rest,
    };
    let path = Path::new(folder).join(rest);
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    (is_plain && !rest.ends_with("__init__.py")).then_some(path)
}

/// The folders of headers; the same on every system.
const RUNTIME_HEADERS: &[(&str, &str)] = &[("nvidia/cuda_runtime/include/", "include")];
const CCCL_HEADERS: &[(&str, &str)] = &[("nvidia/cuda_cccl/include/", "include")];
const CRT_HEADERS: &[(&str, &str)] = &[("nvidia/cuda_nvcc/include/crt/", "include/crt")];

const NVRTC_PURPOSE: &str = "compiles the kernels while the program runs";
const RUNTIME_PURPOSE: &str = "headers for the kernels";
const CCCL_PURPOSE: &str = "more headers";
const NVCC_PURPOSE: &str = "headers for tensor cores; the compiler in it is not kept";

macro_rules! package {
    ($name:literal, $version:literal, $tag:literal, $bytes:literal, $sha256:literal, $purpose:expr, $wanted:expr) => {
        Package {
            name: concat!("nvidia-cuda-", $name, "-cu12"),
            version: $version,
            purpose: $purpose,
            file: concat!("nvidia_cuda_", $name, "_cu12-", $version, "-py3-none-", $tag, ".whl"),
            sha256: $sha256,
            bytes: $bytes,
            wanted: $wanted,
        }
    };
}

/// The packages for this system, if NVIDIA has them.
fn packages() -> Option<&'static [Package]> {
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        Some(LINUX_X86_64)
    } else if cfg!(all(target_os = "linux", target_arch = "aarch64")) {
        Some(LINUX_AARCH64)
    } else if cfg!(all(target_os = "windows", target_arch = "x86_64")) {
        Some(WINDOWS_X86_64)
    } else {
        None
    }
}

const LINUX_NVRTC: &[(&str, &str)] = &[
    ("nvidia/cuda_nvrtc/lib/libnvrtc.so.12", "lib"),
    ("nvidia/cuda_nvrtc/lib/libnvrtc-builtins.so.12.8", "lib"),
];
const WINDOWS_NVRTC: &[(&str, &str)] = &[
    ("nvidia/cuda_nvrtc/bin/nvrtc64_120_0.dll", "lib"),
    ("nvidia/cuda_nvrtc/bin/nvrtc-builtins64_128.dll", "lib"),
];

#[rustfmt::skip]
static LINUX_X86_64: &[Package] = &[
    package!("nvrtc", "12.8.93", "manylinux2010_x86_64.manylinux_2_12_x86_64", 88_040_029,
        "a7756528852ef889772a84c6cd89d41dfa74667e24cca16bb31f8f061e3e9994", NVRTC_PURPOSE, LINUX_NVRTC),
    package!("runtime", "12.8.90", "manylinux2014_x86_64.manylinux_2_17_x86_64", 954_765,
        "adade8dcbd0edf427b7204d480d6066d33902cab2a4707dcfc48a2d0fd44ab90", RUNTIME_PURPOSE, RUNTIME_HEADERS),
    package!("cccl", "12.8.90", "manylinux2014_x86_64.manylinux_2_17_x86_64", 2_939_012,
        "575bc5cfb0fe4a1956c539215c0f1e6718821b95a68ef6b7abf226aa87e3a5ad", CCCL_PURPOSE, CCCL_HEADERS),
    package!("nvcc", "12.8.93", "manylinux2010_x86_64.manylinux_2_12_x86_64", 40_128_098,
        "2d6dc36fb7cb5ac9c0b8825bc13d193c35487a315664007287d0126531238011", NVCC_PURPOSE, CRT_HEADERS),
];

#[rustfmt::skip]
static LINUX_AARCH64: &[Package] = &[
    package!("nvrtc", "12.8.93", "manylinux2014_aarch64.manylinux_2_17_aarch64", 43_106_076,
        "fc1fec1e1637854b4c0a65fb9a8346b51dd9ee69e61ebaccc82058441f15bce8", NVRTC_PURPOSE, LINUX_NVRTC),
    package!("runtime", "12.8.90", "manylinux2014_aarch64.manylinux_2_17_aarch64", 965_265,
        "52bf7bbee900262ffefe5e9d5a2a69a30d97e2bc5bb6cc866688caa976966e3d", RUNTIME_PURPOSE, RUNTIME_HEADERS),
    package!("cccl", "12.8.90", "manylinux2014_aarch64.manylinux_2_17_aarch64", 2_939_013,
        "1e4b0d0ea7577cc0ccef6ebf9639380d3d30869f0f774b020380d288a49273c2", CCCL_PURPOSE, CCCL_HEADERS),
    package!("nvcc", "12.8.93", "manylinux2014_aarch64.manylinux_2_17_aarch64", 38_021_796,
        "2b35ada240938d19398119ca596faaf626ba5e729511be9715842a29d112926d", NVCC_PURPOSE, CRT_HEADERS),
];

#[rustfmt::skip]
static WINDOWS_X86_64: &[Package] = &[
    package!("nvrtc", "12.8.93", "win_amd64", 73_586_838,
        "7a4b6b2904850fe78e0bd179c4b655c404d4bb799ef03ddc60804247099ae909", NVRTC_PURPOSE, WINDOWS_NVRTC),
    package!("runtime", "12.8.90", "win_amd64", 944_318,
        "c0c6027f01505bfed6c3b21ec546f69c687689aad5f1a377554bc6ca4aa993a8", RUNTIME_PURPOSE, RUNTIME_HEADERS),
    package!("cccl", "12.8.90", "win_amd64", 2_938_943,
        "33c87915430299b024f5c1426e757dd24ba497094caae7a6c3398b81d921e3ec", CCCL_PURPOSE, CCCL_HEADERS),
    package!("nvcc", "12.8.93", "win_amd64", 33_424_101,
        "bb9dc7c291cd105d14f9b220bdcdf6ce6063c2d6ff01a505e358471530a8d226", NVCC_PURPOSE, CRT_HEADERS),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn wheel(folder: &Path, members: &[(&str, &str)]) -> PathBuf {
        let path = folder.join("wheel");
        let mut writer = zip::ZipWriter::new(File::create(&path).unwrap());
        for (name, text) in members {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        writer.finish().unwrap();
        path
    }

    #[test]
    fn only_wanted_members_are_unpacked_and_none_outside() {
        let folder = tempfile::tempdir().unwrap();
        let members = [
            ("nvidia/cuda_runtime/include/cuda_runtime.h", "header"),
            ("nvidia/cuda_runtime/include/__init__.py", ""),
            ("nvidia/cuda_runtime/include/../../../../evil.h", "evil"),
            ("nvidia/cuda_runtime/lib/libcudart.so.12", "library"),
            ("nvidia_cuda_runtime_cu12-12.8.90.dist-info/License.txt", "terms"),
        ];
        let wheel = wheel(folder.path(), &members);
        let tree = folder.path().join("tree");
        unpack(&LINUX_X86_64[1], &wheel, &tree, &CancelToken::new()).unwrap();
        assert_eq!(fs::read_to_string(tree.join("include/cuda_runtime.h")).unwrap(), "header");
        assert_eq!(fs::read_dir(tree.join("include")).unwrap().count(), 1);
        assert_eq!(fs::read_dir(&tree).unwrap().count(), 2, "headers and licence");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing outside");
    }

    #[test]
    fn a_library_keeps_its_name_and_its_variants_stay_away() {
        let place = |member| place_of(&LINUX_X86_64[0], member);
        assert_eq!(
            place("nvidia/cuda_nvrtc/lib/libnvrtc.so.12").unwrap(),
            Path::new("lib/libnvrtc.so.12")
        );
        assert_eq!(place("nvidia/cuda_nvrtc/lib/libnvrtc.alt.so.12"), None);
        assert_eq!(place_of(&LINUX_X86_64[3], "nvidia/cuda_nvcc/bin/ptxas"), None);
    }

    #[test]
    fn a_damaged_wheel_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wheel");
        fs::write(&path, "not a zip").unwrap();
        let unpacked =
            unpack(&LINUX_X86_64[0], &path, &folder.path().join("tree"), &CancelToken::new());
        assert!(matches!(unpacked, Err(FetchError::Unpack { .. })));
    }

    #[test]
    fn a_new_folder_replaces_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["new", "place"] {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join("file"), name).unwrap();
        }
        replace_folder(&at("new"), &at("place"), &at("old")).unwrap();
        assert_eq!(fs::read_to_string(at("place/file")).unwrap(), "new");
        assert!(replace_folder(&at("none"), &at("place"), &at("older")).is_err());
        assert_eq!(fs::read_to_string(at("place/file")).unwrap(), "new", "it is put back");
    }
}
