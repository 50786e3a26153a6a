#pragma once

#include <string>

namespace livepeer {

/// The folder, or the one file, of the model that `model` means; nothing is ever downloaded.
/// - "" and "default": the embedded model; "quality": the larger embedded one. They stand in the
///   data folder of the installation, or in $LIVEPEER_UPSCALE_MODELS where that is set.
/// - a folder: itself (a folder of the Hugging Face cache, models--org--name: its main revision);
/// - a file: itself;
/// - a model id ("org/name"): looked up in $MODEL_DIR, in the Hugging Face cache ($HF_HUB_CACHE,
///   $HUGGINGFACE_HUB_CACHE, $HF_HOME/hub, ~/.cache/huggingface/hub) and in the Livepeer runner's
///   folder (~/.lpData/models), each as plain folders or in the cache layout.
/// Throws Error{not_found} that lists the places searched, Error{open_read} for a damaged cache.
std::string find_model(const std::string &model);

/// The folder that holds `default/` and `quality/`.
std::string embedded_models_folder();

/// What to call the model at this path: "org/name" inside the cache layout, else its last name, of
/// a file without the extension.
std::string model_id_of(const std::string &model);

}  // namespace livepeer
