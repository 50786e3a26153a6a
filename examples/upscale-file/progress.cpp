#include "progress.h"

#include <glib.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "text.h"

namespace upscale_file {
namespace {

using Seconds = std::chrono::duration<double>;
constexpr int kBar = 24;

std::string bar(double fraction) {
  const int full = int(std::clamp(fraction, 0.0, 1.0) * kBar);
  return "[" + std::string(size_t(full), '#') + std::string(size_t(kBar - full), '.') + "] ";
}

void emit(const nlohmann::json &event) {
  std::fprintf(stdout, "%s\n", event.dump().c_str());
  std::fflush(stdout);
}

}  // namespace

Progress::Progress(const Options &options)
    : quiet_(options.quiet),
      json_(options.json),
      terminal_(isatty(STDERR_FILENO)),
      began_(Clock::now()) {}

void Progress::begin(const std::string &input, const std::string &output) {
  began_ = first_ = Clock::now();
  before_ = all_ = done_ = 0;
  loaded_ = -1;
  if (json_)
    emit({{"event", "begin"}, {"input", shown(input)}, {"output", shown(output)}});
  else if (!quiet_)
    std::fprintf(stderr, "%s -> %s\n", shown(input).c_str(), shown(output).c_str());
}

void Progress::load(int percent) {
  if (percent == loaded_ || loaded_ == 100) return;
  loaded_ = percent;
  if (json_) {
    if (is_time(percent == 100)) emit({{"event", "load"}, {"percent", percent}});
  } else if (is_time(false)) {
    show("loading the model: " + std::to_string(percent) + " %");
  }
}

void Progress::expect(uint64_t before, uint64_t all) {
  before_ = before;
  all_ = all;
}

void Progress::frames(uint64_t done) {
  if (done == done_) {
    // Time goes on all the same, and a terminal shows it.
    if (done < 2 || json_ || !is_time(false)) return;
  } else {
    if (done_ == 0) first_ = Clock::now();
    const bool first = done_ == 0;
    done_ = done;
    const bool last = all_ && before_ + done == all_;
    if (!is_time(last || (first && json_))) return;
  }
  // From the first finished frame on: what came before was loading.
  const double seconds = Seconds(Clock::now() - first_).count();
  const double rate = done > 1 && seconds > 0 ? double(done - 1) / seconds : 0;
  const uint64_t now = before_ + done;
  const double left = rate > 0 && all_ > now ? double(all_ - now) / rate : 0;
  if (json_) {
    nlohmann::json event = {{"event", "progress"}, {"frames", now}, {"fps", rate}};
    if (all_) event["of"] = all_;
    if (all_ && rate > 0) event["seconds_left"] = left;
    emit(event);
    return;
  }
  g_autofree char *speed = g_strdup_printf("%.*f fps", rate < 1 ? 3 : 1, rate);
  std::string line = terminal_ && all_ ? bar(double(now) / double(all_)) : "";
  line += std::to_string(now) + (all_ ? " of " + std::to_string(all_) : "") + " frames, " + speed;
  if (all_ && rate > 0) line += ", " + clock_text(uint64_t(left * 1e9)) + " left";
  show(line);
}

void Progress::picture(double fraction) {
  if (!is_time(false)) return;
  if (json_)
    emit({{"event", "progress"}, {"fraction", fraction}});
  else
    show((terminal_ ? bar(fraction) : "") + std::to_string(int(fraction * 100)) + " %");
}

void Progress::note(const std::string &text) {
  if (json_) {
    emit({{"event", "note"}, {"text", shown(text)}});
  } else if (!quiet_) {
    clear();
    std::fprintf(stderr, "%s\n", shown(text).c_str());
  }
}

void Progress::done(const std::string &output, int64_t seed) {
  const double seconds = Seconds(Clock::now() - began_).count();
  if (json_) {
    emit({{"event", "done"}, {"output", shown(output)}, {"seconds", seconds}, {"seed", seed}});
  } else if (!quiet_) {
    clear();
    std::fprintf(stderr, "%s: done in %s, seed %lld\n", shown(output).c_str(),
                 clock_text(uint64_t(seconds * 1e9)).c_str(), static_cast<long long>(seed));
  }
}

void Progress::error(const std::string &text) {
  if (json_) emit({{"event", "error"}, {"message", shown(text)}});
  clear();
  std::fprintf(stderr, "livepeer-upscale: %s\n", shown(text).c_str());
}

/// What is written too often is not read.
bool Progress::is_time(bool last) {
  if (quiet_ && !json_) return false;
  const auto now = Clock::now();
  const auto pause =
      terminal_ || json_ ? std::chrono::milliseconds(200) : std::chrono::milliseconds(10000);
  if (!last && now - shown_ < pause) return false;
  shown_ = now;
  return true;
}

void Progress::show(const std::string &line) {
  if (terminal_) {
    std::fprintf(stderr, "\r\033[K%s", line.c_str());
    line_shown_ = true;
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
}

void Progress::clear() {
  if (line_shown_) std::fputs("\r\033[K", stderr);
  line_shown_ = false;
}

}  // namespace upscale_file
