//! Named tensors as plain numbers, and their safetensors file with a manifest.
//!
//! A file read here is untrusted: its header is bounded, every length is checked before anything
//! of that size is allocated, and shapes are compared with what the manifest promises.

use std::collections::HashMap;
use std::io::{Read as _, Seek as _};
use std::path::Path;

use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor, TensorData};
use half::f16;
use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};

use crate::files::read_reason;

/// Longest manifest and table of tensors that is read: far above what the largest vocabulary needs.
const MAX_HEADER_BYTES: u64 = 64 << 20;
/// Key of the manifest in the file's metadata.
const MANIFEST: &str = "etude";

/// How finely numbers are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Precision {
    Full,
    /// Sixteen bits: half the size, about three decimal digits.
    Half,
}

/// In what the weights are kept while composing. Fewer bits are fetched from memory sooner, and
/// are not exactly what was learned: other notes may come of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WeightFormat {
    /// As they were learned: single precision.
    #[default]
    F32,
    /// Sixteen bits, about three decimal digits.
    F16,
    /// Whole numbers from −127 to 127, with a scale for each output of a layer.
    Int8,
}

#[derive(Clone, PartialEq, Debug)]
pub struct NamedTensor {
    pub name: String,
    pub shape: [usize; 2],
    pub values: Vec<f32>,
}

#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    #[error("it can't be read ({})", read_reason(.0))]
    Io(#[from] std::io::Error),
    #[error("it is no checkpoint or is damaged ({0})")]
    Damaged(String),
    #[error("“{name}” is missing in it")]
    Missing { name: String },
    #[error("its weights are those of a model of the other family than its manifest says")]
    OtherFamily,
    #[error(
        "an early version made it, whose models with touch didn't say how long nothing changes"
    )]
    NoLengths,
    #[error("“{name}” has the shape {found:?} where its manifest needs {expected:?}")]
    Shape { name: String, found: Vec<usize>, expected: [usize; 2] },
}

impl WeightsError {
    /// What to do about a file that can't be used.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::NoLengths => "compose with that version, or train a new model",
            _ => "choose another checkpoint of the run",
        }
    }
}

impl NamedTensor {
    /// Copies a tensor from its device.
    pub fn read<B: Backend>(name: String, tensor: Tensor<B, 2>) -> Self {
        let shape = tensor.dims();
        Self { name, shape, values: numbers(tensor.into_data()) }
    }
}

/// The numbers of a tensor of floats, whatever float type its backend computes in.
pub fn numbers(data: TensorData) -> Vec<f32> {
    let data = if data.dtype == DType::F32 { data } else { data.convert_dtype(DType::F32) };
    data.into_vec().expect("the data was just converted to f32")
}

/// Tensors by name.
#[derive(Debug, Default)]
pub struct TensorMap(HashMap<String, NamedTensor>);

impl TensorMap {
    /// The tensor `prefix` + `name` on a device, its shape checked.
    pub fn tensor<B: Backend>(
        &self,
        prefix: &str,
        name: &str,
        expected: [usize; 2],
        device: &B::Device,
    ) -> Result<Tensor<B, 2>, WeightsError> {
        let name = format!("{prefix}{name}");
        let Some(tensor) = self.0.get(&name) else { return Err(WeightsError::Missing { name }) };
        if tensor.shape != expected {
            return Err(WeightsError::Shape { name, found: tensor.shape.to_vec(), expected });
        }
        let data = TensorData::new(tensor.values.clone(), expected);
        Ok(Tensor::from_data(data, device))
    }
}

impl TensorMap {
    /// Refuses weights that aren't numbers: a rectifier takes them for 0, so that nobody who
    /// composes or measures would notice. A training that goes on rolls back by itself.
    pub fn check_numbers(&self, names: impl Iterator<Item = String>) -> Result<(), WeightsError> {
        for name in names {
            let is_number = |value: &f32| value.is_finite();
            if self.0.get(&name).is_some_and(|tensor| !tensor.values.iter().all(is_number)) {
                return Err(WeightsError::Damaged(format!("“{name}” holds what is no number")));
            }
        }
        Ok(())
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The tensors `prefix` + name of a list of shapes, in its order.
    pub fn all<B: Backend>(
        &self,
        prefix: &str,
        shapes: &[(String, [usize; 2])],
        device: &B::Device,
    ) -> Result<Vec<Tensor<B, 2>>, WeightsError> {
        let tensor =
            |(name, shape): &(String, [usize; 2])| self.tensor(prefix, name, *shape, device);
        shapes.iter().map(tensor).collect()
    }
}

impl FromIterator<NamedTensor> for TensorMap {
    fn from_iter<I: IntoIterator<Item = NamedTensor>>(tensors: I) -> Self {
        Self(tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect())
    }
}

/// A tensor as safetensors writes it.
struct Written<'a> {
    tensor: &'a NamedTensor,
    precision: Precision,
}

impl View for Written<'_> {
    fn dtype(&self) -> Dtype {
        match self.precision {
            Precision::Full => Dtype::F32,
            Precision::Half => Dtype::F16,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.tensor.shape
    }

    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        let values = &self.tensor.values;
        match self.precision {
            Precision::Full => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Precision::Half => {
                values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect()
            }
        }
    }

    fn data_len(&self) -> usize {
        let width = match self.precision {
            Precision::Full => 4,
            Precision::Half => 2,
        };
        self.tensor.values.len() * width
    }
}

/// The bytes of a file with these tensors and this manifest (JSON).
pub fn to_bytes(
    manifest: String,
    tensors: &[NamedTensor],
    precision: Precision,
) -> Result<Vec<u8>, WeightsError> {
    let metadata = HashMap::from([(MANIFEST.to_owned(), manifest)]);
    let views = tensors.iter().map(|tensor| (tensor.name.clone(), Written { tensor, precision }));
    safetensors::serialize(views, Some(metadata))
        .map_err(|error| WeightsError::Damaged(error.to_string()))
}

/// The manifest alone, without reading the numbers.
pub fn read_manifest(path: &Path) -> Result<String, WeightsError> {
    let mut file = std::fs::File::open(path)?;
    let header = read_header(&mut file)?;
    manifest_of(&header)
}

/// A whole file. Nothing larger than its own size is allocated, and nothing of one that begins with
/// no header.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, WeightsError> {
    let mut file = std::fs::File::open(path)?;
    read_header(&mut file)?;
    file.rewind()?;
    let n_bytes = file.metadata()?.len();
    let mut bytes = Vec::new();
    let n_reserved = usize::try_from(n_bytes)
        .map_err(|_| WeightsError::Damaged("it is too large".to_owned()))?;
    bytes
        .try_reserve_exact(n_reserved)
        .map_err(|_| WeightsError::Damaged("it is larger than the memory".to_owned()))?;
    file.take(n_bytes).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The tensors of a file's bytes.
pub fn tensors_of(bytes: &[u8]) -> Result<TensorMap, WeightsError> {
    let damaged = |error: safetensors::SafeTensorError| WeightsError::Damaged(error.to_string());
    let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
    file.iter()
        .map(|(name, view)| {
            let values = numbers_from(name, view.dtype(), view.data())?;
            let shape = <[usize; 2]>::try_from(view.shape()).map_err(|_| WeightsError::Shape {
                name: name.to_owned(),
                found: view.shape().to_vec(),
                expected: [0, 0],
            })?;
            Ok(NamedTensor { name: name.to_owned(), shape, values })
        })
        .collect()
}

fn numbers_from(name: &str, dtype: Dtype, bytes: &[u8]) -> Result<Vec<f32>, WeightsError> {
    match dtype {
        Dtype::F32 => {
            let (chunks, _) = bytes.as_chunks::<4>();
            Ok(chunks.iter().map(|&chunk| f32::from_le_bytes(chunk)).collect())
        }
        Dtype::F16 => {
            let (chunks, _) = bytes.as_chunks::<2>();
            Ok(chunks.iter().map(|&chunk| f16::from_le_bytes(chunk).to_f32()).collect())
        }
        other => Err(WeightsError::Damaged(format!("“{name}” holds {other}, not floats"))),
    }
}

/// The length of the header, then the header, bounded.
fn read_header(file: &mut std::fs::File) -> Result<Vec<u8>, WeightsError> {
    let mut length = [0u8; 8];
    file.read_exact(&mut length)
        .map_err(|_| WeightsError::Damaged("it is shorter than a header".to_owned()))?;
    let n_header = u64::from_le_bytes(length);
    let n_file = file.metadata()?.len();
    if n_header > MAX_HEADER_BYTES || n_header.saturating_add(8) > n_file {
        return Err(WeightsError::Damaged("its header has an impossible length".to_owned()));
    }
    let mut header = length.to_vec();
    file.take(n_header).read_to_end(&mut header)?;
    Ok(header)
}

/// Reads the manifest out of a header (the numbers may follow).
pub fn manifest_of(bytes: &[u8]) -> Result<String, WeightsError> {
    let damaged = |reason: &str| WeightsError::Damaged(reason.to_owned());
    let (length, rest) =
        bytes.split_first_chunk::<8>().ok_or_else(|| damaged("it is shorter than a header"))?;
    let n_header = usize::try_from(u64::from_le_bytes(*length))
        .ok()
        .filter(|&n| n as u64 <= MAX_HEADER_BYTES)
        .ok_or_else(|| damaged("its header has an impossible length"))?;
    let header = rest.get(..n_header).ok_or_else(|| damaged("it is cut off"))?;

    /// Of the header only the metadata matters here; the tensors are checked by safetensors.
    #[derive(serde::Deserialize)]
    struct Header {
        #[serde(rename = "__metadata__")]
        metadata: Option<HashMap<String, String>>,
    }
    let header: Header =
        serde_json::from_slice(header).map_err(|_| damaged("its header is no JSON"))?;
    header
        .metadata
        .and_then(|mut metadata| metadata.remove(MANIFEST))
        .ok_or_else(|| damaged("it has no manifest of this program"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_that_are_no_numbers_are_refused() {
        let map = |value: f32| -> TensorMap {
            let (name, shape) = ("bias".to_owned(), [1, 2]);
            [NamedTensor { name, shape, values: vec![0.5, value] }].into_iter().collect()
        };
        let check = |value| map(value).check_numbers(["bias".to_owned()].into_iter());
        assert!(check(1.0).is_ok());
        for value in [f32::NAN, f32::INFINITY] {
            let error = check(value).unwrap_err().to_string();
            assert!(error.contains("“bias” holds what is no number"), "{error}");
        }
    }
}
