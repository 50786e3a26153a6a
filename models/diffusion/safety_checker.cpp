#include "diffusion/safety_checker.h"

#include "diffusion/mobilenet_v2_safety_classifier.h"
#include "io/config.h"

namespace livepeer {

std::unique_ptr<SafetyChecker> load_safety_checker(const std::string &folder,
                                                   WeightOptions options) {
  const Config config = Config::read(folder + "/config.json");
  const std::string name = config.class_name();
  options.dtype = torch::kFloat;
  if (name == "MobileNetV2SafetyClassifier") {
    options.take_u8 = true;
    WeightSource source({folder + "/model.safetensors"}, options);
    auto checker = std::make_unique<MobileNetV2SafetyClassifier>(config, ParameterScope(source));
    source.finish();
    return checker;
  }
  throw Error(ErrorKind::open_read,
              "Safety checker class \"" + name + "\" in " + folder +
                  " is not known; use a folder with a StableDiffusionSafetyChecker or a "
                  "MobileNetV2SafetyClassifier.",
              folder);
}

}  // namespace livepeer
