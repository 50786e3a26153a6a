#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace upscale_server {

/// What the operator chose: command line first, then the environment that a go-livepeer node sets.
struct Options {
  std::string host = "127.0.0.1";
  uint16_t port = 8000;  ///< 0: any free port, printed when listening
  std::string model;     ///< the element's property `model`; empty: the embedded default
  std::string model_id;  ///< what /version reports and the form field model_id must equal
  std::vector<std::string> allowed_origins;  ///< of web pages: scheme, host and port; or *
  std::string auth_token;                    ///< empty: none asked for
  int workers = 1;                           ///< pictures worked on at once
  int queue = 16;                            ///< pictures that may wait
  int busy_status = 500;                     ///< or 503: where no slot is free
  int64_t max_pixels = 3840 * 2160;          ///< of the picture sent
  int64_t max_body = 32 * 1024 * 1024;       ///< bytes of a request
  int max_steps = 1000;
  int max_seconds = 0;           ///< wall time of one picture, waiting included; 0: no limit
  int max_connections = 1024;    ///< fewer where there are not enough descriptors
  int receive_seconds = 30;      ///< for a request's head, and for its body beyond 8 KiB a second
  int idle_seconds = 120;        ///< a connection on which nothing moves for so long is closed
  int drain_seconds = 30;        ///< how long SIGTERM waits for pictures being worked on
  bool private_metrics = false;  ///< /metrics asks for auth_token, too
  bool safety_checker = true;
  std::string lora_dir;  ///< where requests name LoRAs from; empty: they may not
  /// Further properties of the element, as text.
  std::vector<std::pair<std::string, std::string>> properties;
  bool verbose = false;
};

enum class OptionsResult { run, quit, fail };

/// Fills `options`. `quit`: --version was asked for and answered (--help ends the program itself).
/// `fail`: the reason was printed to stderr.
OptionsResult read_options(int argc, char **argv, Options &options);

}  // namespace upscale_server
