#include "weights/weight_source.h"

#include <algorithm>

#include "io/complaints.h"
#include "io/safetensors.h"
#include "runtime/error.h"
#include "runtime/log.h"

namespace livepeer {
namespace {

constexpr size_t piece_bytes = 8 << 20;
// Above this a configuration is damaged (the largest layer of the x4 upscaler has 5e7 elements).
constexpr int64_t max_elements = int64_t(1) << 32;

constexpr std::pair<Dtype, torch::Dtype> dtype_pairs[] = {
    {Dtype::boolean, torch::kBool}, {Dtype::u8, torch::kByte},   {Dtype::i8, torch::kChar},
    {Dtype::i16, torch::kShort},    {Dtype::f16, torch::kHalf},  {Dtype::bf16, torch::kBFloat16},
    {Dtype::i32, torch::kInt},      {Dtype::f32, torch::kFloat}, {Dtype::i64, torch::kLong},
    {Dtype::f64, torch::kDouble},
};

/// [n, m, 1, 1] and [n, m] hold the same weights.
std::vector<int64_t> without_kernel(std::vector<int64_t> shape) {
  if (shape.size() == 4 && shape[2] == 1 && shape[3] == 1) shape.resize(2);
  return shape;
}

/// Reads a tensor of a file into `target`, piece by piece along the first axis where types or
/// orders differ, through `scratch`; `inspect` sees each piece as it is stored, and in its place.
template <typename Inspect>
void read_in_pieces(const WeightsFile &file, const TensorEntry &entry, torch::Tensor target,
                    torch::Tensor &scratch, Inspect &&inspect) {
  if (entry.bytes == 0) return;
  if (target.dim() == 0) target = target.unsqueeze(0);
  const auto type = torch_dtype(entry.dtype);
  const bool in_place = target.is_cpu() && target.is_contiguous() && target.scalar_type() == type;
  const int64_t rows = target.size(0);
  const size_t row_bytes = entry.bytes / size_t(rows);
  const int64_t rows_at_once = std::clamp<int64_t>(int64_t(piece_bytes / row_bytes), 1, rows);
  auto sizes = target.sizes().vec();
  sizes[0] = rows_at_once;
  const auto needed = int64_t(std::max(size_t(rows_at_once) * row_bytes, piece_bytes));
  if (!in_place && (!scratch.defined() || scratch.numel() < needed))
    scratch = torch::empty({needed}, torch::kByte);
  const auto buffer =
      in_place ? torch::Tensor() : torch::from_blob(scratch.data_ptr(), sizes, type);
  for (int64_t row = 0; row < rows; row += rows_at_once) {
    const int64_t count = std::min(rows_at_once, rows - row);
    const auto part = target.narrow(0, row, count);
    const auto stored = in_place ? part : buffer.narrow(0, 0, count);
    const size_t bytes = size_t(count) * row_bytes;
    file.read(entry, uint64_t(row) * row_bytes, stored.data_ptr(), bytes);
    if (!in_place) part.copy_(stored);
    inspect(stored.data_ptr(), bytes, part);
  }
}

std::vector<std::shared_ptr<const WeightsFile>> open_all(const std::vector<std::string> &paths) {
  std::vector<std::shared_ptr<const WeightsFile>> files;
  for (const std::string &path : paths) files.push_back(open_weights(path));
  return files;
}

}  // namespace

bool is_exact_constant(const std::string &name) {
  const std::string last = name.substr(name.rfind('.') + 1);
  return last == "gate" || last == "text_origin";
}

torch::Dtype torch_dtype(Dtype dtype) {
  for (const auto &[stored, type] : dtype_pairs)
    if (stored == dtype) return type;
  throw Error(ErrorKind::open_read, std::string("Tensors of type ") + name_of(dtype) +
                                        " are not taken; convert them to float32 or float16.");
}

Dtype safetensors_dtype(torch::Dtype dtype) {
  for (const auto &[stored, type] : dtype_pairs)
    if (type == dtype) return stored;
  throw Error(ErrorKind::failed, std::string("Tensors of type ") + c10::toString(dtype) +
                                     " cannot be stored; convert them first.");
}

WeightSource::WeightSource(std::vector<std::shared_ptr<const WeightsFile>> files,
                           WeightOptions options)
    : files_(std::move(files)), options_(std::move(options)) {
  for (const auto &file : files_)
    for (const auto &[name, entry] : file->tensors())
      if (!entries_.emplace(name, std::pair(file.get(), &entry)).second)
        throw Error(ErrorKind::open_read,
                    "Tensor \"" + name + "\" is in two weights files, the second is " +
                        file->path() + "; remove the file that does not belong to this model.",
                    file->path());
}

WeightSource::WeightSource(const std::vector<std::string> &paths, WeightOptions options)
    : WeightSource(open_all(paths), std::move(options)) {}

torch::Tensor WeightSource::refuse(const std::string &complaint, at::IntArrayRef shape) {
  complaints_.push_back(complaint);
  // Of the right shape, so that constructors can go on to the next complaint, but without memory.
  return torch::zeros({1}).expand(shape);
}

torch::Tensor WeightSource::get(std::initializer_list<std::string> names, at::IntArrayRef shape) {
  const std::string &current = *names.begin();
  int64_t elements = 1;
  for (const int64_t side : shape)
    if (side < 0 || __builtin_mul_overflow(elements, side, &elements) || elements > max_elements)
      throw Error(ErrorKind::open_read,
                  "The configuration beside " + origin() + " asks for a parameter " + current +
                      " of shape " + to_string(shape.vec()) +
                      ", which cannot be right. Fetch the snapshot again.",
                  current + " " + to_string(shape.vec()));

  for (const std::string &name : names) {
    const auto found = entries_.find(name);
    if (found == entries_.end()) continue;
    used_.insert(name);
    const auto &[file, entry] = found->second;
    if (without_kernel(entry->shape) != without_kernel(shape.vec()))
      return refuse(
          name + ": has shape " + to_string(entry->shape) + ", expected " + to_string(shape.vec()),
          shape);
    if (!is_floating(entry->dtype) && !(options_.take_u8 && entry->dtype == Dtype::u8))
      return refuse(
          name + ": has type " + name_of(entry->dtype) + ", expected F16, BF16, F32 or F64", shape);
    return convert(name, *file, *entry, shape);
  }
  for (const auto &file : files_)
    for (const std::string &name : names)
      if (const auto other = file->unfit().find(name); other != file->unfit().end())
        return refuse(name + ": " + other->second, shape);
  return refuse(current + ": is missing", shape);
}

torch::Tensor WeightSource::convert(const std::string &name, const WeightsFile &file,
                                    const TensorEntry &entry, at::IntArrayRef shape) {
  // What a LoRA changes is rounded afterwards (LoraSource).
  const bool stays_float = (options_.keep_float32 && options_.keep_float32(name)) ||
                           (options_.lora && options_.lora->count(name));
  const auto dtype = stays_float ? torch::kFloat : options_.dtype;
  const bool channels_last = options_.channels_last && shape.size() == 4;
  const auto target =
      torch::empty(shape, torch::dtype(dtype).device(options_.device),
                   channels_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
  bool finite = true, fits = true;
  read_in_pieces(file, entry, target, scratch_,
                 [&](const void *data, size_t bytes, const torch::Tensor &part) {
                   finite = finite && all_finite(entry.dtype, data, bytes);
                   // Values beyond 65504 become infinite in float16.
                   if (dtype == torch::kHalf && entry.dtype != Dtype::f16)
                     fits = fits && torch::isfinite(part).all().item<bool>();
                   if (options_.on_read) options_.on_read(bytes);
                 });
  if (!finite) return refuse(name + ": holds values that are not numbers or infinite", shape);
  if (!fits)
    return refuse(name + ": holds values too large for float16; use bfloat16 or float32", shape);
  return target;
}

std::vector<std::string> WeightSource::unused() const {
  std::vector<std::string> names;
  for (const auto &[name, place] : entries_)
    if (!used_.count(name)) names.push_back(name);
  return names;
}

std::string WeightSource::origin() const {
  return files_.empty() ? "no file" : files_.front()->path();
}

void WeightSource::finish() {
  if (!complaints_.empty()) {
    throw Error(ErrorKind::open_read,
                "Weights file " + origin() +
                    " does not fit the model's configuration: " + in_a_sentence(complaints_) +
                    ". Fetch the snapshot again, or correct its config.json.",
                origin() + ":\n" + in_lines(complaints_));
  }
  for (const std::string &name : unused())
    log(LogLevel::debug, origin() + ": tensor " + name + " is not used by this model");
}

torch::Tensor read_tensor(const WeightsFile &file, const TensorEntry &entry) {
  const auto target = torch::empty(entry.shape, torch_dtype(entry.dtype));
  torch::Tensor unused;  // read in place
  read_in_pieces(file, entry, target, unused, [](const void *, size_t, const torch::Tensor &) {});
  return target;
}

std::map<std::string, torch::Tensor> read_tensors(const std::string &path) {
  const auto file = open_weights(path);
  std::map<std::string, torch::Tensor> tensors;
  for (const auto &[name, entry] : file->tensors())
    tensors.emplace(name, read_tensor(*file, entry));
  return tensors;
}

void write_tensors(const std::string &path, const NamedTensors &tensors,
                   const std::map<std::string, std::string> &metadata) {
  std::vector<SafetensorsWriter::Tensor> header;
  for (const auto &[name, tensor] : tensors)
    header.push_back({name, safetensors_dtype(tensor.scalar_type()), tensor.sizes().vec()});
  SafetensorsWriter writer(path, header, metadata);
  for (const auto &[name, tensor] : tensors) {
    const auto plain = tensor.detach().to(torch::kCPU).contiguous();
    writer.append(plain.data_ptr(), plain.nbytes());
  }
  writer.finish();
}

}  // namespace livepeer
