// Precompiled: parsing libtorch takes longer than compiling what follows.
#include <torch/types.h>
#include <torch/utils.h>
#include <nlohmann/json.hpp>
