#pragma once

#include <torch/types.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "io/lora.h"
#include "io/weights_file.h"
#include "weights/parameter_source.h"
#include "weights/shared_parameters.h"

namespace livepeer {

/// True for the parameters of our own networks that are tables of exact values rather than trained
/// weights (the embedded model's gate and text origin).
bool is_exact_constant(const std::string &name);

/// How parameters are wanted.
struct WeightOptions {
  torch::Device device = torch::kCPU;
  torch::Dtype dtype = torch::kFloat;
  /// Parameters for which this says yes stay float32, whatever `dtype` is.
  std::function<bool(const std::string &name)> keep_float32 = is_exact_constant;
  /// Quantised weights: U8 tensors are taken too, as the numbers 0 .. 255.
  bool take_u8 = false;
  /// 4-D weights in channels-last layout (what the CPU's convolutions like best).
  bool channels_last = false;
  /// Layers that are changed while they are loaded; must live as long. Null: none.
  const LoraSet::Layers *lora = nullptr;
  /// Where other networks have parameters of the same name and origin, these are taken.
  std::optional<SharedOrigin> shared;
  /// Called with the number of bytes just read, every 8 MB at the latest; may throw to cancel.
  std::function<void(uint64_t bytes)> on_read;
};

/// Parameters out of one file of weights, or several (shards). Each is read into its place,
/// or converted in pieces where it is stored in another type or order: loading never holds a second
/// copy.
/// Usage: build the modules, then call finish().
class WeightSource : public ParameterSource {
 public:
  /// Opens the files; throws Error{not_found, open_read}, also for a name in two of them.
  explicit WeightSource(std::vector<std::shared_ptr<const WeightsFile>> files,
                        WeightOptions options = {});
  explicit WeightSource(const std::vector<std::string> &paths, WeightOptions options = {});

  /// A tensor of its own in the wanted type. A missing, misshapen, NaN-filled or mistyped parameter
  /// is noted for finish(), and zeros without memory stand in for it. Linear weights stored as 1x1
  /// convolutions ([n, m, 1, 1], old VAE attention) are taken as [n, m], and the other way round.
  torch::Tensor get(std::initializer_list<std::string> names, at::IntArrayRef shape) override;
  /// Throws one Error{open_read} that lists every parameter that was missing or unfit. Tensors that
  /// nobody asked for are logged at debug level.
  void finish();
  /// Names in the files that nobody asked for so far.
  std::vector<std::string> unused() const;

 private:
  /// The first file, for messages.
  std::string origin() const;
  torch::Tensor refuse(const std::string &complaint, at::IntArrayRef shape);
  torch::Tensor convert(const std::string &name, const WeightsFile &file, const TensorEntry &entry,
                        at::IntArrayRef shape);

  std::vector<std::shared_ptr<const WeightsFile>> files_;
  std::map<std::string, std::pair<const WeightsFile *, const TensorEntry *>> entries_;
  std::set<std::string> used_;
  std::vector<std::string> complaints_;
  WeightOptions options_;
  /// What is read on the way to another type or order. One for all tensors: freed between them, it
  /// would leave holes in the heap that no tensor fits.
  torch::Tensor scratch_;
};

/// A tensor of a file as it is stored, on the CPU. Throws Error{open_read}, also for types that
/// this libtorch lacks.
torch::Tensor read_tensor(const WeightsFile &file, const TensorEntry &entry);

using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;

/// read_tensor() of all tensors of a file.
std::map<std::string, torch::Tensor> read_tensors(const std::string &path);
/// Writes tensors (any device, any layout) in the given order. Throws Error{failed}.
void write_tensors(const std::string &path, const NamedTensors &tensors,
                   const std::map<std::string, std::string> &metadata = {{"format", "pt"}});

torch::Dtype torch_dtype(Dtype dtype);  ///< Throws Error{open_read} where torch has no such type.
Dtype safetensors_dtype(torch::Dtype dtype);  ///< Throws Error{failed} where the format has none.

}  // namespace livepeer
