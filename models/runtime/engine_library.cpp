#include "runtime/engine_library.h"

#include <dlfcn.h>
#include <link.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "runtime/error.h"
#include "runtime/runtime.h"

#define LIVEPEER_NAME_OF(symbol) #symbol
#define LIVEPEER_EXPANDED_NAME_OF(macro) LIVEPEER_NAME_OF(macro)

namespace livepeer {
namespace {

std::string file_name(const std::string &path) { return path.substr(path.rfind('/') + 1); }

/// The paths of each libtorch that the process has mapped.
std::vector<std::string> mapped_libtorches() {
  std::vector<std::string> paths;
  dl_iterate_phdr(
      [](dl_phdr_info *info, size_t, void *found) {
        if (file_name(info->dlpi_name).rfind("libtorch_cpu.so", 0) == 0)
          static_cast<std::vector<std::string> *>(found)->push_back(info->dlpi_name);
        return 0;
      },
      &paths);
  return paths;
}

/// A library file holds the names of those it needs between zeros. The one that is mapped under
/// such a name is what the dynamic linker takes for it.
bool needs(const std::string &library, const std::string &needed) {
  std::ifstream file(library, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  return bytes.find('\0' + needed + '\0') != std::string::npos;
}

Error cannot(const std::string &what, std::string detail = {}) {
  return Error(ErrorKind::init,
               "The engine library " + what +
                   "; install livepeerupscale completely, or set LIVEPEER_UPSCALE_ENGINE to the "
                   "engine library of this version",
               std::move(detail));
}

}  // namespace

std::optional<Error> EngineLibrary::prepare() {
  const std::lock_guard lock(mutex_);
  if (loader_) return std::nullopt;
  std::error_code unused;
  if (!std::filesystem::is_regular_file(path_, unused) || !std::ifstream(path_))
    return cannot(path_ + " cannot be read, or is no file");
  for (const std::string &mapped : mapped_libtorches())
    if (!needs(path_, file_name(mapped)))
      return Error(ErrorKind::init,
                   "This process has already loaded " + mapped + ", and the engine " + path_ +
                       " needs another libtorch; run the pipeline in a process of its own, or use "
                       "an engine that is built for that one");
  void *library = dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) return cannot(path_ + " cannot be opened", dlerror());
  const char *name = LIVEPEER_EXPANDED_NAME_OF(LIVEPEER_MAKE_MODEL_LOADER);
  void *make = dlsym(library, name);
  if (!make) return cannot(path_ + " is not of this plugin's version", dlerror());
  reinterpret_cast<MakeModelLoader *>(make)({log, [] { Runtime::instance().stop(); }}, &loader_);
  return std::nullopt;
}

ModelLoader &EngineLibrary::loader() {
  if (const std::optional<Error> error = prepare()) throw *error;
  return *loader_;
}

CheckedModel EngineLibrary::check(const ModelSpec &spec) { return loader().check(spec); }

std::shared_ptr<UpscaleModel> EngineLibrary::load(const ModelSpec &spec,
                                                  const std::shared_ptr<const void> &opened,
                                                  Progress &progress) {
  return loader().load(spec, opened, progress);
}

}  // namespace livepeer
