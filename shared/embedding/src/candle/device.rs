//! The choice of a device, and the meaning of its errors.

use candle_core::Device;

use super::LoadError;
use crate::{DeviceChoice, DeviceKind};

/// Returns the device for `choice`; the log says why it is not the GPU.
pub(super) fn choose(choice: DeviceChoice) -> Result<Device, LoadError> {
    if choice == DeviceChoice::Cpu {
        return Ok(Device::Cpu);
    }
    match Device::new_cuda(0) {
        Ok(device) => Ok(device),
        Err(error) if choice == DeviceChoice::Auto => {
            if cfg!(feature = "cuda") {
                tracing::warn!(%error, "no usable GPU: embedding on the cpu");
            } else {
                tracing::info!("this binary was built without CUDA: embedding on the cpu");
            }
            Ok(Device::Cpu)
        }
        Err(error) => Err(LoadError::Device { device: DeviceKind::Cuda, source: error.into() }),
    }
}

/// Returns whether the device had no memory left. On the CPU the operating system ends the process instead.
pub(super) fn is_out_of_memory(error: &candle_core::Error) -> bool {
    match error {
        candle_core::Error::WithBacktrace { inner, .. }
        | candle_core::Error::Context { inner, .. }
        | candle_core::Error::WithPath { inner, .. } => is_out_of_memory(inner),
        candle_core::Error::Cuda(error) => is_cuda_out_of_memory(error.as_ref()),
        _ => false,
    }
}

#[cfg(feature = "cuda")]
fn is_cuda_out_of_memory(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    use candle_core::cuda_backend::CudaError;
    use candle_core::cuda_backend::cudarc::cublas::sys::cublasStatus_t;
    use candle_core::cuda_backend::cudarc::driver::sys::CUresult;

    match error.downcast_ref::<CudaError>() {
        Some(CudaError::Cuda(error)) => error.0 == CUresult::CUDA_ERROR_OUT_OF_MEMORY,
        Some(CudaError::Cublas(error)) => error.0 == cublasStatus_t::CUBLAS_STATUS_ALLOC_FAILED,
        _ => false,
    }
}

#[cfg(not(feature = "cuda"))]
fn is_cuda_out_of_memory(_: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    false
}
