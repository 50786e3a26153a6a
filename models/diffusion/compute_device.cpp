#include "diffusion/compute_device.h"

#include <torch/cuda.h>

#include <regex>

#include "kernels/cpu_level.h"
#include "runtime/error.h"

namespace livepeer {
torch::Device find_device(const std::string &name) {
  if (name == "cpu") return torch::kCPU;
  if (name == "auto" || name.empty())
    return torch::cuda::is_available() ? torch::Device(torch::kCUDA, 0)
                                       : torch::Device(torch::kCPU);
  std::smatch match;
  if (!std::regex_match(name, match, std::regex("cuda(?::([0-9]{1,3}))?")))
    throw Error(ErrorKind::settings,
                "The device '" + name + "' is not known; set device to auto, cpu, cuda or cuda:1.");
  const int index = match[1].matched ? std::stoi(match[1]) : 0;
  if (index >= int(torch::cuda::device_count()))
    throw Error(ErrorKind::init,
                "The device '" + name +
                    "' is not there; set device=cpu, or use a libtorch with "
                    "CUDA on a machine with an NVIDIA GPU.",
                std::to_string(torch::cuda::device_count()) + " CUDA devices found");
  return {torch::kCUDA, c10::DeviceIndex(index)};
}

torch::Dtype find_dtype(Precision precision, const torch::Device &device) {
  switch (precision) {
    case Precision::float32:
      return torch::kFloat32;
    case Precision::bfloat16:
      return torch::kBFloat16;
    case Precision::float16:
      if (device.is_cpu())
        throw Error(ErrorKind::settings,
                    "The CPU does not compute in float16; set precision to auto, bfloat16 or "
                    "float32.");
      return torch::kFloat16;
    case Precision::automatic:
      break;
  }
  if (!device.is_cpu()) return torch::kFloat16;
  const bool has_bfloat16 = kernels::cpu_level() >= kernels::CpuLevel::avx512_bf16;
  return has_bfloat16 ? torch::kBFloat16 : torch::kFloat32;
}

std::string dtype_name(torch::Dtype dtype) {
  if (dtype == torch::kBFloat16) return "bfloat16";
  return dtype == torch::kFloat16 ? "float16" : "float32";
}

}  // namespace livepeer
