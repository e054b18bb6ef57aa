//! The run-time libraries that CUDA needs: looked for by dlopen before burn touches them.
//!
//! Needed are the driver (libcuda), which comes with NVIDIA's driver package; NVRTC, which
//! compiles kernels while the program runs; and the CUDA headers that those kernels include.
//! NVRTC and headers are looked for in our own data folder first, where [`crate::cuda_libraries`]
//! puts them, then where a CUDA toolkit does.
//!
//! The CUDA crate below burn loads NVRTC by its bare name and finds the headers below
//! `CUDA_PATH`. So ours is loaded first by its full path, after which the loader answers the bare
//! name with it.

use std::ffi::{CStr, c_char, c_int};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use libloading::Library;

use crate::cuda_libraries as fetched;

const DRIVER_NAMES: &[&str] =
    if cfg!(windows) { &["nvcuda.dll"] } else { &["libcuda.so.1", "libcuda.so"] };

/// The names under which the CUDA crate below burn asks for NVRTC (see `ready`).
const NVRTC_NAMES: &[&str] = if cfg!(windows) {
    &["nvrtc64_120_0.dll", "nvrtc64_12.dll", "nvrtc.dll"]
} else {
    &["libnvrtc.so", "libnvrtc.so.12"]
};

const BUILTINS_PREFIX: &str =
    if cfg!(windows) { "nvrtc-builtins64_" } else { "libnvrtc-builtins.so" };

/// A header that every installation has.
const HEADER: &str = "cuda_runtime.h";

/// Where [`ready`] puts what it loaded: dropping a library would unload it.
static LOADED: Mutex<Vec<Library>> = Mutex::new(Vec::new());

/// Tells the CUDA crate below burn to look for headers in our own folder: if they are there, and
/// also where no toolkit has any, so that the running program can use what it fetches later.
///
/// Called once, at the very start of `main`.
///
/// # Safety
/// It changes the environment, so no other thread may run yet.
pub unsafe fn announce_own_cuda() {
    let own = fetched::folder();
    if prefers_own(&own, toolkit().as_deref()) {
        // SAFETY: the caller promises that this is the only thread.
        unsafe { std::env::set_var("CUDA_PATH", own) };
    }
}

/// The names of the CUDA devices that the driver sees.
///
/// # Errors
/// What is missing, by name.
pub(super) fn devices() -> Result<Vec<String>, String> {
    static DEVICES: OnceLock<Result<Vec<String>, String>> = OnceLock::new();
    DEVICES.get_or_init(ask_driver).clone()
}

/// Whether everything besides the driver is there; loads it.
///
/// # Errors
/// What is missing, by name.
pub(super) fn ready() -> Result<(), String> {
    // Only success is remembered: what is missing now may be fetched while the program runs.
    static READY: OnceLock<()> = OnceLock::new();
    if READY.get().is_none() {
        devices()?;
        load_nvrtc()?;
        find_headers()?;
        let _ = READY.set(());
    }
    Ok(())
}

fn ask_driver() -> Result<Vec<String>, String> {
    let Some(driver) = DRIVER_NAMES.iter().find_map(|name| open(Path::new(name))) else {
        return Err("no NVIDIA driver was found".to_owned());
    };
    // SAFETY: the signatures are those of NVIDIA's driver interface, which has kept them since
    // its first version; the name buffer has the length that is told.
    unsafe {
        let init: Function<unsafe extern "C" fn(u32) -> c_int> = function(&driver, c"cuInit")?;
        let count: Function<unsafe extern "C" fn(*mut c_int) -> c_int> =
            function(&driver, c"cuDeviceGetCount")?;
        let get: Function<unsafe extern "C" fn(*mut c_int, c_int) -> c_int> =
            function(&driver, c"cuDeviceGet")?;
        let name: Function<unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int> =
            function(&driver, c"cuDeviceGetName")?;
        match init(0) {
            0 => {}
            100 => return Err("the NVIDIA driver is there, but sees no card".to_owned()),
            code => return Err(format!("the NVIDIA driver doesn't start (error {code})")),
        }
        let mut n_devices: c_int = 0;
        if count(&mut n_devices) != 0 || n_devices < 1 {
            return Err("the NVIDIA driver is there, but sees no card".to_owned());
        }
        let names = (0..n_devices).map(|index| {
            let mut device: c_int = 0;
            let mut buffer = [0u8; 256];
            let length = buffer.len() as c_int - 1;
            if get(&mut device, index) != 0 || name(buffer.as_mut_ptr().cast(), length, device) != 0
            {
                return format!("CUDA device {index}");
            }
            CStr::from_bytes_until_nul(&buffer)
                .map_or_else(|_| String::new(), |name| name.to_string_lossy().into_owned())
        });
        let names = names.collect();
        // The driver stays loaded: burn will ask for it.
        keep(driver);
        Ok(names)
    }
}

type Function<'a, F> = libloading::Symbol<'a, F>;

/// A function of the driver.
///
/// # Safety
/// `F` must be the function's signature.
unsafe fn function<'a, F>(library: &'a Library, name: &CStr) -> Result<Function<'a, F>, String> {
    // SAFETY: the caller promises the signature.
    unsafe { library.get(name.to_bytes_with_nul()) }
        .map_err(|_| format!("the NVIDIA driver is too old: {} is missing", name.to_string_lossy()))
}

/// Loads NVRTC and its built-ins from our own folder or a toolkit's.
fn load_nvrtc() -> Result<(), String> {
    for folder in library_folders() {
        let found =
            NVRTC_NAMES.iter().rev().map(|name| folder.join(name)).find(|path| path.is_file());
        let Some(nvrtc) = found else { continue };
        // NVRTC opens its built-ins by their bare name while it compiles: they must be there.
        for builtins in files_starting_with(&folder, BUILTINS_PREFIX) {
            if let Some(builtins) = open(&builtins) {
                keep(builtins);
            }
        }
        if open(&nvrtc).map(keep).is_some() && loads_by_name() {
            return Ok(());
        }
    }
    if loads_by_name() {
        return Ok(());
    }
    Err("the NVIDIA driver is there, but NVRTC 12 is not: run ./run --cuda to fetch it".to_owned())
}

/// Whether the bare names that the CUDA crate will ask for lead to NVRTC.
fn loads_by_name() -> bool {
    let library = NVRTC_NAMES.iter().find_map(|name| open(Path::new(name)));
    library.map(keep).is_some()
}

/// The headers must be where the CUDA crate will look.
fn find_headers() -> Result<(), String> {
    match toolkit() {
        Some(root) if has_headers(&root) => Ok(()),
        _ => Err("the NVIDIA driver and NVRTC are there, but the CUDA headers are not: run \
                  ./run --cuda to fetch them"
            .to_owned()),
    }
}

/// Where the CUDA crate looks for headers: below `CUDA_PATH`, or else below the first of the usual
/// folders that exists.
fn toolkit() -> Option<PathBuf> {
    let usual = || {
        let folders = ["/usr/local/cuda", "/opt/cuda"].map(PathBuf::from).into_iter();
        let distribution = Path::new("/usr/bin/nvcc").exists().then(|| PathBuf::from("/usr"));
        folders.filter(|folder| folder.exists()).chain(distribution).next()
    };
    std::env::var_os("CUDA_PATH").map(PathBuf::from).or_else(usual)
}

fn has_headers(root: &Path) -> bool {
    root.join("include").join(HEADER).is_file()
}

/// Whether headers are to be taken from our own folder, which may be yet to appear.
fn prefers_own(own: &Path, toolkit: Option<&Path>) -> bool {
    has_headers(own) || !toolkit.is_some_and(has_headers)
}

fn library_folders() -> Vec<PathBuf> {
    let mut folders = vec![fetched::folder().join("lib")];
    let toolkit = std::env::var_os("CUDA_PATH").map(PathBuf::from);
    for root in toolkit.into_iter().chain(["/usr/local/cuda", "/opt/cuda"].map(PathBuf::from)) {
        folders.extend(["lib64", "lib", "bin"].map(|name| root.join(name)));
    }
    folders
}

fn files_starting_with(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let fits = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(prefix))
    };
    let mut found: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(fits).collect();
    found.sort();
    found
}

/// Loads a library with its symbols visible to those loaded later.
fn open(path: &Path) -> Option<Library> {
    // SAFETY: these are NVIDIA's own libraries, whose initializers may run at any time; nothing
    // else is loaded here.
    #[cfg(unix)]
    unsafe {
        use libloading::os::unix;
        let flags = unix::RTLD_NOW | unix::RTLD_GLOBAL;
        unix::Library::open(Some(path), flags).ok().map(Library::from)
    }
    #[cfg(not(unix))]
    unsafe {
        Library::new(path).ok()
    }
}

fn keep(library: Library) {
    LOADED.lock().unwrap_or_else(PoisonError::into_inner).push(library);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_headers_are_announced_before_they_are_fetched_unless_a_toolkit_has_some() {
        let folder = tempfile::tempdir().unwrap();
        let [own, toolkit, empty] =
            ["own", "toolkit", "empty"].map(|name| folder.path().join(name));
        let add_headers = |root: &Path| {
            std::fs::create_dir_all(root.join("include")).unwrap();
            std::fs::write(root.join("include").join(HEADER), "").unwrap();
        };
        add_headers(&toolkit);
        std::fs::create_dir(&empty).unwrap();
        assert!(prefers_own(&own, None));
        assert!(prefers_own(&own, Some(&empty)));
        assert!(!prefers_own(&own, Some(&toolkit)));
        add_headers(&own);
        assert!(prefers_own(&own, Some(&toolkit)));
    }
}
