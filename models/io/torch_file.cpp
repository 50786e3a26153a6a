#include "io/torch_file.h"

#include <algorithm>
#include <optional>

#include "io/pickle.h"
#include "io/zip.h"

namespace livepeer {
namespace {

using Kind = Pickle::Kind;
using Value = Pickle::Value;

constexpr uint64_t max_pickle_bytes = 16 << 20;
constexpr size_t max_dimensions = 8;
// {"state_dict": {...}}, and what trainers of other networks, and of words, wrap theirs in.
constexpr const char *wrappers[] = {"state_dict", "params_ema", "params", "string_to_param"};
constexpr int max_wrappers = 4;

/// torch.save's first pickle before PyTorch 1.6, behind its protocol: a number of ten bytes.
constexpr std::string_view magic = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
constexpr std::string_view zip_magic = "PK\3\4";

struct StorageType {
  const char *name;
  uint64_t bytes;  ///< of an element
  std::optional<Dtype> dtype;
};
const StorageType storage_types[] = {
    {"torch.FloatStorage", 4, Dtype::f32},
    {"torch.HalfStorage", 2, Dtype::f16},
    {"torch.BFloat16Storage", 2, Dtype::bf16},
    {"torch.DoubleStorage", 8, Dtype::f64},
    {"torch.LongStorage", 8, Dtype::i64},
    {"torch.IntStorage", 4, Dtype::i32},
    {"torch.ShortStorage", 2, Dtype::i16},
    {"torch.CharStorage", 1, Dtype::i8},
    {"torch.ByteStorage", 1, Dtype::u8},
    {"torch.BoolStorage", 1, Dtype::boolean},
    {"torch.ComplexFloatStorage", 8, {}},
    {"torch.ComplexDoubleStorage", 16, {}},
    {"torch.QInt8Storage", 1, {}},
    {"torch.QUInt8Storage", 1, {}},
    {"torch.QInt32Storage", 4, {}},
    {"torch.storage.UntypedStorage", 1, {}},
};

[[noreturn]] void damaged(const std::string &problem) {
  throw FormatError("is damaged: " + problem);
}

/// What a tensor's numbers lie in; tensors may share one.
struct Storage {
  std::string type;
  uint64_t element_bytes;  ///< 0: unknown
  std::optional<Dtype> dtype;
  uint64_t count;
  uint64_t offset = 0;
};
using Storages = std::map<std::string, Storage, std::less<>>;

/// A name that a parameter may have and a message can show.
bool is_parameter_name(std::string_view name) {
  return name.size() <= 512 &&
         std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

/// The key of a storage from its id: ("storage", type, key, device, number of elements).
std::string_view storage_key(const Pickle &pickle, const Value &persistent) {
  const Value &id = pickle[persistent.items[0]];
  if (id.kind != Kind::tuple || id.items.size() < 5 || pickle[id.items[0]].text != "storage" ||
      pickle[id.items[2]].kind != Kind::text)
    damaged("it refers to something that is no storage");
  return pickle[id.items[2]].text;
}

/// All storages that the pickle refers to, used or not; the old format lays them out in a row.
Storages find_storages(const Pickle &pickle) {
  Storages storages;
  for (const Value &value : pickle.values()) {
    if (value.kind != Kind::persistent) continue;
    const std::string_view key = storage_key(pickle, value);
    const std::vector<Pickle::Index> &id = pickle[value.items[0]].items;
    const std::string class_name = pickle.name_of(pickle[id[1]]);
    const auto type = std::find_if(std::begin(storage_types), std::end(storage_types),
                                   [&](const auto &row) { return class_name == row.name; });
    const Value &count = pickle[id[4]];
    if (count.kind != Kind::integer || count.integer < 0) damaged("it has a storage of no size");
    if (id.size() > 5 && pickle[id[5]].kind != Kind::none)
      damaged("it has a storage that is a part of another");
    Storage storage{class_name, 0, {}, uint64_t(count.integer)};
    if (type != std::end(storage_types)) {
      storage.element_bytes = type->bytes;
      storage.dtype = type->dtype;
    }
    const auto [place, is_new] = storages.emplace(key, storage);
    if (!is_new && (place->second.type != storage.type || place->second.count != storage.count))
      damaged("it says two things of one storage");
  }
  return storages;
}

/// The numbers of a tuple; false where it holds anything else.
bool read_sizes(const Pickle &pickle, const Value &tuple, std::vector<int64_t> &sizes) {
  if (tuple.kind != Kind::tuple || tuple.items.size() > max_dimensions) return false;
  for (const Pickle::Index index : tuple.items) {
    const Value &side = pickle[index];
    if (side.kind != Kind::integer || side.integer < 0) return false;
    sizes.push_back(side.integer);
  }
  return true;
}

/// Reads tensors of a pickle whose storages have places.
class TensorReader {
 public:
  TensorReader(const Pickle &pickle, const Storages &storages)
      : pickle_(pickle), storages_(storages) {}

  /// The tensor that `value` stands for; without one `reason` says what it is.
  std::optional<TensorEntry> read(const Value &value, std::string &reason) const {
    const Value *call = &value;
    if (pickle_.name_of(*call) == "torch._utils._rebuild_parameter") {
      const Value &arguments = arguments_of(*call);
      if (arguments.items.empty()) damaged("it has a parameter without a tensor");
      call = &pickle_[arguments.items[0]];
    }
    const std::string name = pickle_.name_of(*call);
    if (call->kind != Kind::call) {
      reason = "is no tensor";
      return {};
    }
    if (name != "torch._utils._rebuild_tensor_v2" && name != "torch._utils._rebuild_tensor") {
      reason = "is an object made by \"" + name + "\", which is not run";
      return {};
    }
    return tensor(arguments_of(*call).items, reason);
  }

 private:
  const Value &arguments_of(const Value &call) const {
    if (call.kind != Kind::call || pickle_[call.items[1]].kind != Kind::tuple)
      damaged("it has a tensor without arguments");
    return pickle_[call.items[1]];
  }

  /// From (storage, offset, sizes, strides, ...).
  std::optional<TensorEntry> tensor(const std::vector<Pickle::Index> &arguments,
                                    std::string &reason) const {
    std::vector<int64_t> sizes, strides;
    if (arguments.size() < 4 || pickle_[arguments[0]].kind != Kind::persistent ||
        pickle_[arguments[1]].kind != Kind::integer || pickle_[arguments[1]].integer < 0 ||
        !read_sizes(pickle_, pickle_[arguments[2]], sizes) ||
        !read_sizes(pickle_, pickle_[arguments[3]], strides) || sizes.size() != strides.size())
      damaged("it describes a tensor by something other than storage, offset, sizes and strides");
    const Storage &storage = storages_.find(storage_key(pickle_, pickle_[arguments[0]]))->second;
    const uint64_t offset = uint64_t(pickle_[arguments[1]].integer);

    // The last element must lie in the storage; strides of one row each count nothing.
    uint64_t elements = 1, last = offset;
    bool in_order = true, fits = true;
    for (size_t i = sizes.size(); i-- > 0;) {
      const uint64_t size = uint64_t(sizes[i]), stride = uint64_t(strides[i]);
      uint64_t reach;
      in_order = in_order && (size == 1 || stride == elements);
      fits = fits && !__builtin_mul_overflow(size ? size - 1 : 0, stride, &reach) &&
             !__builtin_add_overflow(last, reach, &last) &&
             !__builtin_mul_overflow(elements, size, &elements);
    }
    if (!fits || (elements > 0 ? last >= storage.count : offset > storage.count))
      damaged("it has a tensor of shape " + to_string(sizes) + " that leaves its storage of " +
              std::to_string(storage.count) + " elements");
    if (!storage.dtype) {
      reason = "is of the type \"" + storage.type + "\", which is not taken";
      return {};
    }
    if (elements > 0 && !in_order) {
      reason = "is stored with strides " + to_string(strides) + " for the shape " +
               to_string(sizes) + "; save it after contiguous()";
      return {};
    }
    const uint64_t bytes = storage.element_bytes;
    return TensorEntry{*storage.dtype, sizes, storage.offset + offset * bytes, elements * bytes};
  }

  const Pickle &pickle_;
  const Storages &storages_;
};

/// The dictionary of tensors: the root, or what stands in it under a known name.
const Value &state_dict(const Pickle &pickle) {
  const Value *dict = &pickle.root();
  for (int depth = 0; depth < max_wrappers; ++depth) {
    if (dict->kind != Kind::dict) {
      const std::string name = pickle.name_of(*dict);
      throw FormatError("holds no dictionary of tensors" +
                        (name.empty() ? name : " but an object made by \"" + name + "\""));
    }
    const Value *inner = nullptr;
    for (const char *wrapper : wrappers)
      for (size_t i = 0; i + 1 < dict->items.size() && !inner; i += 2) {
        const Value &key = pickle[dict->items[i]], &value = pickle[dict->items[i + 1]];
        if (key.kind == Kind::text && key.text == wrapper && value.kind == Kind::dict)
          inner = &value;
      }
    if (!inner) return *dict;
    dict = inner;
  }
  damaged("it holds a state_dict in a state_dict without end");
}

/// The printable text under "name" in the root.
std::string find_title(const Pickle &pickle) {
  const Value &root = pickle.root();
  if (root.kind != Kind::dict) return {};
  for (size_t i = 0; i + 1 < root.items.size(); i += 2) {
    const Value &key = pickle[root.items[i]], &value = pickle[root.items[i + 1]];
    if (key.kind == Kind::text && key.text == "name" && value.kind == Kind::text &&
        is_parameter_name(value.text))
      return std::string(value.text);
  }
  return {};
}

std::string read_head(const RegularFile &file, uint64_t offset, uint64_t bytes) {
  std::string text(size_t(bytes), '\0');
  text.resize(file.read(text.data(), text.size(), offset));
  return text;
}

/// Gives storages their places in an archive: entry "data/KEY", of just their size.
void place_storages(const std::map<std::string, ZipEntry> &entries, const std::string &folder,
                    Storages &storages) {
  for (auto &[key, storage] : storages) {
    const auto entry = entries.find(folder + "data/" + key);
    if (entry == entries.end()) damaged("its archive lacks a storage");
    uint64_t bytes;
    if (storage.element_bytes > 0 &&
        (__builtin_mul_overflow(storage.count, storage.element_bytes, &bytes) ||
         bytes != entry->second.bytes))
      damaged("a storage of " + std::to_string(storage.count) + " elements has " +
              std::to_string(entry->second.bytes) + " bytes");
    storage.offset = entry->second.offset;
  }
}

/// Gives storages their places behind the pickles: a list of keys, then for each the number of
/// elements and the elements.
void place_storages(const RegularFile &file, ByteReader &bytes, Storages &storages) {
  const Pickle keys(bytes);
  if (keys.root().kind != Kind::list) damaged("it does not list its storages");
  uint64_t position = bytes.position();
  const uint64_t size = file.size();
  std::map<std::string_view, bool> seen;
  for (const Pickle::Index index : keys.root().items) {
    const auto storage = storages.find(keys[index].text);
    if (storage == storages.end() || seen[storage->first])
      damaged("it lists a storage twice, or one that nothing refers to");
    seen[storage->first] = true;
    const std::string field = read_head(file, position, sizeof(uint64_t));
    const uint64_t count = ByteReader(field).number<uint64_t>();
    if (count != storage->second.count)
      damaged("a storage of " + std::to_string(storage->second.count) + " elements has " +
              std::to_string(count));
    position += sizeof count;
    const uint64_t element = storage->second.element_bytes;
    if (element == 0)
      damaged("it has a storage of the unknown type \"" + storage->second.type + "\"");
    if (count > (size - position) / element)
      throw FormatError("is truncated: a storage ends beyond it");
    storage->second.offset = position;
    position += count * element;
  }
  if (seen.size() != storages.size()) damaged("it does not list all of its storages");
  if (position != size) damaged(std::to_string(size - position) + " bytes belong to no storage");
}

struct Contents {
  std::string bytes;  ///< what the pickle points into
  std::optional<Pickle> pickle;
  Storages storages;
};

void read_archive(const RegularFile &file, Contents &contents) {
  const auto entries = read_zip(file);
  std::string folder;
  for (const auto &[name, entry] : entries) {
    const size_t slash = name.find('/');
    if (slash == std::string::npos || name.substr(slash) != "/data.pkl") continue;
    if (!folder.empty()) damaged("its archive holds two pickles");
    folder = name.substr(0, slash + 1);
    if (entry.bytes > max_pickle_bytes)
      damaged("its pickle has " + std::to_string(entry.bytes) + " bytes (at most " +
              std::to_string(max_pickle_bytes) + " are taken)");
    contents.bytes = read_head(file, entry.offset, entry.bytes);
  }
  if (folder.empty()) throw FormatError("is a zip archive without a data.pkl");
  if (const auto order = entries.find(folder + "byteorder"); order != entries.end())
    if (read_head(file, order->second.offset, std::min<uint64_t>(order->second.bytes, 8)) !=
        "little")
      throw FormatError("was written on a machine of another byte order");
  ByteReader bytes(contents.bytes);
  contents.pickle.emplace(bytes);
  contents.storages = find_storages(*contents.pickle);
  place_storages(entries, folder, contents.storages);
}

void read_old_format(const RegularFile &file, Contents &contents) {
  contents.bytes = read_head(file, 0, std::min(file.size(), max_pickle_bytes));
  ByteReader bytes(contents.bytes);
  if (bytes.take(2 + magic.size()).substr(2) != magic)
    throw FormatError("is a pickle, but not one of torch.save's");
  const Pickle version(bytes);
  if (version.root().kind != Kind::integer || version.root().integer != 1001)
    damaged("it is of an unknown version");
  const Pickle system(bytes);
  for (size_t i = 0; i + 1 < system.root().items.size(); i += 2)
    if (system[system.root().items[i]].text == "little_endian" &&
        system[system.root().items[i + 1]].integer == 0)
      throw FormatError("was written on a machine of another byte order");
  contents.pickle.emplace(bytes);
  contents.storages = find_storages(*contents.pickle);
  place_storages(file, bytes, contents.storages);
}

}  // namespace

bool is_torch_file(std::string_view head) {
  // A safetensors file may begin with any number, but then has its JSON.
  if (head.size() > 8 && head[8] == '{') return false;
  return head.substr(0, zip_magic.size()) == zip_magic || head.substr(0, 1) == "\x80";
}

TorchFile::TorchFile(const std::string &path) : WeightsFile(path, "a file of torch.save") {
  try {
    Contents contents;
    if (read_head(file(), 0, zip_magic.size()) == zip_magic)
      read_archive(file(), contents);
    else
      read_old_format(file(), contents);
    const Pickle &pickle = *contents.pickle;
    const TensorReader reader(pickle, contents.storages);
    const Value &dict = state_dict(pickle);
    if (const std::string title = find_title(pickle); !title.empty()) metadata_["name"] = title;
    for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
      const Value &key = pickle[dict.items[i]];
      if (key.kind != Kind::text || !is_parameter_name(key.text)) continue;
      const std::string name(key.text);
      std::string reason;
      const auto entry = reader.read(pickle[dict.items[i + 1]], reason);
      // Of a key that comes twice the last value counts, as in Python.
      tensors_.erase(name);
      unfit_.erase(name);
      if (entry)
        tensors_.emplace(name, *entry);
      else
        unfit_.emplace(name, reason);
    }
  } catch (const FormatError &error) {
    fail(error.what());
  }
}

}  // namespace livepeer
