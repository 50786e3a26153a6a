// Precompiled: a libtorch translation unit takes ~15 s to parse without it.
#include <torch/torch.h>
#include <nlohmann/json.hpp>
