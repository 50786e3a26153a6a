#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace upscale_server {

/// What the server has counted since it started.
struct Metrics {
  std::map<unsigned, uint64_t> post_requests;  ///< POST requests answered, by status
  uint64_t cancelled = 0;                      ///< pictures given up because of the client or time
  uint64_t connections_shed = 0;               ///< closed to make room, or for want of it
  uint64_t pictures = 0;                       ///< pictures made
  double seconds = 0;                          ///< time spent on them
  uint64_t input_pixels = 0;                   ///< of them
  size_t uploading = 0;                        ///< requests taken whose body is not complete
  size_t running = 0;
  size_t waiting = 0;

  /// In Prometheus' text format.
  std::string text() const;
};

}  // namespace upscale_server
