#include "clip_job.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>

#include "copied_streams.h"
#include "element.h"
#include "failure.h"
#include "fragment_encoder.h"
#include "frame_source.h"
#include "job_file.h"
#include "job_folder.h"
#include "output_file.h"
#include "output_size.h"
#include "text.h"

namespace upscale_file {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr double kFragmentSeconds = 120;  ///< of work that may be lost
constexpr uint64_t kLongestFragment = 250;
constexpr uint64_t kMeasured = 3;  ///< frames by which the time of one is known

/// Options that decide how frames look; where the job ends is left open.
std::map<std::string, std::string> job_options(const Options &options) {
  return {{"--scale", std::to_string(options.scale)},
          {"--size", std::to_string(options.width) + "x" + std::to_string(options.height)},
          {"--start", std::to_string(options.start)}};
}

class ClipJob {
 public:
  ClipJob(Wake &wake, const Options &options, const Input &input, const Container &container,
          const std::string &output, Progress &progress)
      : wake_(wake),
        options_(options),
        input_(input),
        container_(container),
        output_(output),
        progress_(progress),
        folder_(output, options),
        file_(wake, container, folder_.path() + "/unfinished", output),
        frames_(open_frames(wake, input, options)),
        streams_(wake, input, container, options, folder_.path()) {}

  void run() {
    first_frame();
    start_job();
    skip_done_frames();
    while (pending_ && !wake_.signal()) make_fragment();
    while (!wake_.signal() && !streams_.finished()) wake_.wait(std::chrono::milliseconds(50));
    if (wake_.signal()) interrupted();
    check_whole();
    finish_file(!options_.frames);
    folder_.remove();
    progress_.done(output_, job_.seed);
  }

 private:
  /// Takes the next frame once the one before has been used; null at the end.
  void next_frame() {
    pending_.reset();
    while (!wake_.signal() && !poll_frame()) wake_.wait(std::chrono::milliseconds(50));
  }

  /// Whether it is known what comes next.
  bool poll_frame() {
    if (!pending_ && !frames_->ended()) pending_ = frames_->next();
    return pending_ || frames_->ended();
  }

  void first_frame() {
    next_frame();
    if (wake_.signal()) throw Interrupted();
    if (!pending_)
      throw Failure(options_.start ? "--start lies behind the end of '" + shown(input_.path) + "'"
                                   : "'" + shown(input_.path) + "' has no frames");
    if (frames_->deinterlaces()) progress_.note("interlaced: fields are made into frames");
  }

  void start_job() {
    GstCaps *caps = gst_sample_get_caps(pending_.get());
    const Encoder &encoder = choose_encoder(options_.encoder, container_, is_deep(caps));
    if (is_deep(caps) && !encoder.deep_format)
      progress_.note(std::string(encoder.name) + " knows 8 bits only: the input's depth is lost");
    encoder_ = std::make_unique<FragmentEncoder>(wake_, encoder, container_, caps, options_,
                                                 [this](GstMessage *message) { look(message); });
    Options chosen = options_;
    Job before;
    if (folder_.resumes()) {
      before = read_job(folder_.job_file());
      chosen.properties.insert(chosen.properties.begin(), {"seed", std::to_string(before.seed)});
    }
    job_.settings = configure(encoder_->upscale(), chosen);
    for (const auto &[name, value] : job_options(options_)) job_.settings[name] = value;
    job_.input = file_fingerprint(input_.path);
    job_.encoder = encoder.name;
    job_.seed = seed_of(encoder_->upscale());
    job_.fragment_frames = options_.fragment;
    if (folder_.resumes()) {
      check_same(before, job_);
      job_.model = before.model;
      job_.partial_output = before.partial_output;
      if (before.fragment_frames) job_.fragment_frames = before.fragment_frames;
    }
    write_job(folder_.job_file(), job_);
  }

  void skip_done_frames() {
    const uint64_t done =
        job_.fragment_frames ? folder_.complete_fragments(job_.fragment_frames) : 0;
    const uint64_t frames = done * job_.fragment_frames;
    uint64_t skipped = 0;
    for (; skipped < frames && pending_; skipped++) next_frame();
    if (wake_.signal()) throw Interrupted();
    if (skipped < frames)
      throw Failure(std::to_string(frames) +
                    " frames are done already, which is more than --frames or --duration allow");
    for (; fragment_ < done; fragment_++) finished_.push_back(folder_.fragment(fragment_));
    if (options_.resume && !folder_.resumes())
      progress_.note("there is nothing to resume: it is begun");
    if (folder_.resumes()) progress_.note(std::to_string(frames) + " frames are done already");
    progress_.expect(frames, expected_frames());
  }

  uint64_t expected_frames() const {
    uint64_t all = options_.frames.value_or(0);
    if (input_.duration > options_.start && input_.frame_rate > 0) {
      const uint64_t length =
          std::min(input_.duration - options_.start, options_.duration.value_or(~uint64_t(0)));
      const auto frames = uint64_t(std::llround(double(length) / 1e9 * input_.frame_rate));
      all = all ? std::min(all, frames) : frames;
    }
    return all;
  }

  /// In a thread of the pipeline's.
  void look(GstMessage *message) {
    int percent = 0;
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_PROGRESS &&
        gst_structure_get_int(gst_message_get_structure(message), "percent", &percent))
      loaded_ = percent;
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_WARNING) keep_warning(message);
  }

  void keep_warning(GstMessage *message) {
    g_autoptr(GError) error = nullptr;
    gst_message_parse_warning(message, &error, nullptr);
    std::lock_guard<std::mutex> lock(warnings_mutex_);
    if (std::find(warnings_.begin(), warnings_.end(), error->message) == warnings_.end())
      warnings_.push_back(error->message);
  }

  void tell() {
    if (loaded_ >= 0 && encoder_->frames_done() == 0) progress_.load(loaded_);
    progress_.frames(encoder_->frames_done());
    std::lock_guard<std::mutex> lock(warnings_mutex_);
    for (; warnings_told_ < warnings_.size(); warnings_told_++)
      progress_.note(warnings_[warnings_told_]);
  }

  void make_fragment() {
    const std::string path = folder_.fragment(fragment_);
    encoder_->begin(path);
    uint64_t pushed = 0;
    bool ended = false;
    while (!encoder_->finished() && !wake_.signal()) {
      measure();
      const uint64_t length = job_.fragment_frames;
      const bool full = length && pushed == length;
      // Until the length is known, no more frames go in than tell it.
      const bool wanted = length || pushed < std::min(encoder_->frames_done() + 1, kMeasured);
      const bool known = full || poll_frame();
      if (!ended && known && (full || !pending_)) {
        encoder_->end();
        ended = true;
      } else if (!ended && pending_ && wanted && encoder_->has_room()) {
        encoder_->push(pending_.get());
        pending_.reset();
        pushed++;
        continue;
      }
      encoder_->drain();
      tell();
      if (!encoder_->finished()) wake_.wait(std::chrono::milliseconds(20));
    }
    if (wake_.signal()) return;
    tell();
    finished_.push_back(path);
    fragment_++;
    add_finished();
    if (!pending_) next_frame();
  }

  /// Fixes the length of fragments by the first frames, and tells the model by them.
  void measure() {
    const uint64_t done = encoder_->frames_done();
    if (done != measured_ && measured_ == 0) model_known();
    if (done == measured_) return;
    const auto now = Clock::now();
    const double one = Seconds(now - measured_at_).count() / double(done - measured_);
    measured_at_ = now;
    const bool first = measured_ == 0;
    measured_ = done;
    if (job_.fragment_frames || first) return;
    if (done >= kMeasured || one > kFragmentSeconds / 4) {
      const auto frames = uint64_t(kFragmentSeconds / std::max(one, 1e-6));
      job_.fragment_frames = std::clamp(frames, kMeasured, kLongestFragment);
      write_job(folder_.job_file(), job_);
    }
  }

  void model_known() {
    Job now = job_;
    now.model = model_fingerprint(encoder_->upscale());
    check_same(job_, now);
    job_.model = now.model;
    write_job(folder_.job_file(), job_);
  }

  /// What is finished goes into the file, once the sound has been read.
  void add_finished() {
    if (!file_.has_begun()) {
      if (!streams_.finished()) return;
      begin_file();
    }
    for (; added_ < finished_.size(); added_++) file_.append(finished_[added_]);
  }

  void begin_file() {
    std::vector<std::string> notes;
    std::vector<CopiedStream> copied = streams_.take(notes);
    if (input_.chapters && !container_.chapters)
      notes.push_back(std::string("a .") + container_.extension +
                      " file gets no chapters here; .mkv does");
    for (const std::string &note : notes) progress_.note(note);
    file_.begin(std::move(copied), input_.tags.get(), input_.chapters.get());
  }

  void finish_file(bool whole) {
    if (!file_.has_begun()) begin_file();
    add_finished();
    file_.finish(whole);
    if (whole && file_.silence() >= GST_SECOND)
      progress_.note("the sound that could be read ends " + clock_text(file_.silence()) +
                     " before the pictures");
    // Known before it has its name, so that --resume knows it at any moment.
    job_.partial_output = file_fingerprint(file_.unfinished());
    write_job(folder_.job_file(), job_);
    file_.publish();
  }

  /// An input that is shorter than it says was cut off.
  void check_whole() {
    if (options_.duration || options_.frames || input_.duration == 0) return;
    const uint64_t end = std::max(frames_->position(), streams_.position());
    if (end + std::max<uint64_t>(GST_SECOND, input_.duration / 50) >= input_.duration) return;
    const uint64_t frames = fragment_frames();
    throw Failure("'" + shown(input_.path) + "' ends at " + clock_text(end) +
                  ", although it says that it is " + clock_text(input_.duration) +
                  " long: it was cut off. What is done is kept; --resume --frames " +
                  std::to_string(frames) + " makes a file of it");
  }

  uint64_t fragment_frames() const {
    uint64_t frames = 0;
    for (const std::string &path : finished_) frames += PacketReader(path).frames();
    return frames;
  }

  [[noreturn]] void interrupted() {
    if (encoder_->interrupt()) {
      std::filesystem::rename(folder_.fragment(fragment_), folder_.partial_fragment());
      finished_.push_back(folder_.partial_fragment());
    }
    if (finished_.empty()) {
      if (!folder_.resumes()) folder_.remove();
      throw Interrupted();
    }
    finish_file(false);
    progress_.note("interrupted: '" + output_ +
                   "' ends here; the same command with --resume goes on");
    throw Interrupted();
  }

  Wake &wake_;
  const Options &options_;
  const Input &input_;
  const Container &container_;
  const std::string output_;
  Progress &progress_;
  JobFolder folder_;
  OutputFile file_;
  std::unique_ptr<FrameSource> frames_;
  CopiedStreams streams_;
  std::unique_ptr<FragmentEncoder> encoder_;
  Job job_;
  SamplePtr pending_;                  ///< decoded, and not yet pushed
  uint64_t fragment_ = 0;              ///< the one that is made
  std::vector<std::string> finished_;  ///< fragments, in order
  size_t added_ = 0;                   ///< of them, in the file
  uint64_t measured_ = 0;
  Clock::time_point measured_at_ = Clock::now();
  std::atomic<int> loaded_{-1};
  std::mutex warnings_mutex_;
  std::vector<std::string> warnings_;
  size_t warnings_told_ = 0;
};

}  // namespace

void run_clip(Wake &wake, const Options &options, const Input &input, const Container &container,
              const std::string &output, Progress &progress) {
  ClipJob(wake, options, input, container, output, progress).run();
}

}  // namespace upscale_file
