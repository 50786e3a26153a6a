#include "safety/safety_checker.h"

#include <filesystem>

#include "io/model_lookup.h"
#include "safety/mobilenet_v2_safety_classifier.h"
#include "safety/stable_diffusion_safety_checker.h"
#include "weights/component_source.h"

namespace livepeer {
namespace {

/// Beside the weights, or in the sibling folder where diffusers' snapshots have it.
Config processor_config(const std::string &folder) {
  try {
    return Config::read(folder + "/preprocessor_config.json");
  } catch (const Error &error) {
    if (error.kind() != ErrorKind::not_found) throw;
    return Config::read(folder + "/../feature_extractor/preprocessor_config.json");
  }
}

}  // namespace

std::string find_safety_checker(const std::string &safety_model, const Snapshot &snapshot) {
  if (!safety_model.empty()) return safety_model;
  if (snapshot.has("safety_checker")) return snapshot.component("safety_checker").folder();
  const std::string built_in = embedded_models_folder() + "/default-safety";
  std::error_code ignored;
  if (!std::filesystem::is_directory(built_in, ignored))
    throw Error(ErrorKind::not_found,
                "There is no safety checker: the built-in one is not installed in " + built_in +
                    ". Install livepeerupscale completely, set safety-model to the folder of a "
                    "checker, or turn safety-check off.",
                built_in);
  return built_in;
}

std::unique_ptr<SafetyChecker> load_safety_checker(const std::string &folder,
                                                   WeightOptions options) {
  const Component component(folder);
  options.dtype = torch::kFloat;
  if (component.class_name() == "MobileNetV2SafetyClassifier") {
    options.take_u8 = true;
    ComponentSource source(component.open_weights(/*prefer_half=*/false), options);
    auto checker =
        std::make_unique<MobileNetV2SafetyClassifier>(component.config(), ParameterScope(source));
    source.finish();
    return checker;
  }
  if (component.class_name() == "StableDiffusionSafetyChecker") {
    ComponentSource source(component.open_weights(/*prefer_half=*/false), options);
    auto checker = std::make_unique<StableDiffusionSafetyChecker>(
        component.config(), processor_config(folder), ParameterScope(source));
    source.finish();
    return checker;
  }
  throw Error(ErrorKind::open_read,
              "Safety checker class \"" + component.class_name() + "\" in " + folder +
                  " is not known; set safety-model to the folder of a StableDiffusionSafetyChecker "
                  "or a MobileNetV2SafetyClassifier.",
              folder);
}

}  // namespace livepeer
