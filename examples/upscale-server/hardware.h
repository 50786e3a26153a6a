#pragma once

#include <functional>
#include <string>

#include "answer.h"

namespace upscale_server {

/// Asks the driver's nvidia-smi about the GPUs and calls `done` on the main thread with an object
/// of GPUs by index: {} where there are none.
/// info: what they are (for /hardware/info); stats: how busy they are (for /hardware/stats).
void read_gpu_info(std::function<void(Json gpus)> done);
void read_gpu_stats(std::function<void(Json gpus)> done);

}  // namespace upscale_server
