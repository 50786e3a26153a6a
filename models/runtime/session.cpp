#include "runtime/session.h"

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "runtime/machine.h"

namespace livepeer {
namespace {

using Clock = std::chrono::steady_clock;

/// What is free is read out of a dozen files: not for every frame that needs no more than others.
constexpr std::chrono::seconds kBetweenMemoryChecks(1);

/// A report that keeps to what was furthest: files are read in parts that may be counted twice.
Progress::Report report_to(const LoadObserver &observer) {
  return
      [progress = observer.progress, furthest = 0.0](double fraction, const std::string &) mutable {
        furthest = std::max(furthest, fraction);
        if (progress) progress(furthest);
      };
}

Error superseded() { return {ErrorKind::cancelled, "The change was cancelled"}; }

}  // namespace

struct Session::Change {
  Change(ModelSpec spec_, LoadObserver observer_)
      : spec(std::move(spec_)), observer(std::move(observer_)), progress(report_to(observer)) {}

  void fail(const Error &error) const {
    if (observer.failed) observer.failed(error);
  }

  const ModelSpec spec;
  const LoadObserver observer;
  Progress progress;
  std::shared_ptr<UpscaleModel> model;
};

Session::Session(ModelSpec spec, Limits limits, CheckedModel checked,
                 std::shared_ptr<ModelLoader> loader, std::shared_ptr<ModelCache> cache,
                 LoadObserver observer)
    : limits_(limits),
      loader_(std::move(loader)),
      cache_(std::move(cache)),
      observer_(std::move(observer)),
      load_progress_(report_to(observer_)),
      spec_(std::move(spec)),
      checked_(std::move(checked)) {}

std::shared_ptr<Job> Session::submit(JobRequest request) {
  auto job = std::make_shared<Job>(std::move(request));
  std::unique_lock<std::mutex> lock(mutex_);
  if (closed_ || load_error_) {
    const std::optional<Error> error = load_error_;
    lock.unlock();
    if (error)
      refuse(job, *error);
    else
      job->cancel();
    return job;
  }
  queue_.push_back(job);
  lock.unlock();
  changed_.notify_all();
  return job;
}

void Session::flush() { cancel_jobs(false); }

void Session::close() {
  cancel_jobs(true);
  load_progress_.cancel();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (wanted_) wanted_->progress.cancel();
  }
  changed_.notify_all();
  cache_->wake();
}

void Session::cancel_jobs(bool closing) {
  std::deque<std::shared_ptr<Job>> jobs;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    closed_ = closed_ || closing;
    reset_ = true;
    jobs.swap(queue_);
    stats_.cancelled += jobs.size();  // the running one is counted by the worker
    if (current_) jobs.push_back(current_);
  }
  for (const auto &job : jobs) job->cancel();
}

SessionStats Session::stats() const {
  std::lock_guard<std::mutex> lock(mutex_);
  SessionStats stats = stats_;
  stats.queue_depth = queue_.size() + (current_ ? 1 : 0);
  return stats;
}

void Session::check_memory(int width, int height, int sample_bytes) const {
  const std::shared_ptr<UpscaleModel> model = this->model();
  if (!model) return;
  const uint64_t needed = model->memory_estimate(width, height, sample_bytes, limits_);
  const uint64_t allowed = limits_.memory_budget
                               ? limits_.memory_budget
                               : (model->device() == "cpu" ? available_memory() : 0);
  if (allowed == 0 || needed <= allowed) return;
  throw Error(ErrorKind::no_space,
              "The frame needs more memory than there is; scale it down in front, lower tile-size, "
              "or raise memory-budget",
              std::to_string(width) + "x" + std::to_string(height) + " needs about " +
                  std::to_string(needed >> 20) + " MiB, " + std::to_string(allowed >> 20) +
                  " MiB are allowed");
}

std::shared_ptr<UpscaleModel> Session::model() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return model_;
}

ModelSpec Session::spec() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return spec_;
}

std::shared_ptr<Session::Change> Session::change_lora(std::string lora, LoadObserver observer) {
  std::unique_lock<std::mutex> lock(mutex_);
  ModelSpec spec = spec_;
  spec.lora = std::move(lora);
  auto change = std::make_shared<Change>(std::move(spec), std::move(observer));
  if (wanted_) wanted_->progress.cancel();
  wanted_ = change;
  const auto forgotten = std::exchange(ready_, nullptr);
  lock.unlock();
  changed_.notify_all();
  cache_->wake();
  if (forgotten) forgotten->fail(superseded());
  return change;
}

void Session::prepare(const std::shared_ptr<Change> &change) {
  const auto is_over = [&] { return closed_ || load_error_ || wanted_ != change; };
  std::unique_lock<std::mutex> lock(mutex_);
  // One at a time, so that there are never three models.
  changed_.wait(lock, [&] { return is_over() || (model_ && !preparing_); });
  if (is_over()) {
    lock.unlock();
    return change->fail(superseded());
  }
  preparing_ = true;
  lock.unlock();
  std::optional<Error> error;
  try {
    const CheckedModel checked = loader_->check(change->spec);
    change->model = cache_->acquire(checked, change->spec, *loader_, change->progress);
  } catch (...) {
    error = current_error("preparing a change of the model");
  }
  lock.lock();
  preparing_ = false;
  if (is_over()) error = superseded();
  if (!error) ready_ = change;
  lock.unlock();
  changed_.notify_all();
  if (!error) return;
  change->model.reset();
  change->fail(*error);
}

void Session::take_over(const std::shared_ptr<Change> &change) {
  std::shared_ptr<UpscaleModel> before = std::exchange(change->model, nullptr);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    std::swap(model_, before);
    spec_ = change->spec;
  }
  // What the other model made does not fit beside what this one makes.
  if (before != model()) temporal_.forget();
  before.reset();
  if (change->observer.loaded) change->observer.loaded(*model());
}

void Session::run() {
  if (!load()) return;
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return closed_ || ready_ || !queue_.empty(); });
    if (closed_) break;
    if (const auto change = std::exchange(ready_, nullptr)) {
      lock.unlock();
      take_over(change);
      lock.lock();
      continue;
    }
    current_ = queue_.front();
    queue_.pop_front();
    const std::shared_ptr<Job> job = current_;
    const bool reset = std::exchange(reset_, false);
    lock.unlock();

    if (reset || job->request().discontinuity) forget_frames_before();
    JobResult result = compute(*job);
    lock.lock();
    // The result counts before anyone who waits for it can ask for the statistics.
    current_.reset();
    if (job->progress().cancelled()) result = {};
    count(result);
    lock.unlock();
    job->finish(std::move(result));
    lock.lock();
  }
  const auto model = std::exchange(model_, nullptr);  // freed without the lock
  const auto forgotten = std::exchange(ready_, nullptr);
  lock.unlock();
  if (forgotten) forgotten->fail(superseded());
  temporal_.forget();
}

bool Session::load() {
  const auto start = Clock::now();
  try {
    // Let go of afterwards: the files need not stay open.
    const CheckedModel checked = std::exchange(checked_, {});
    auto model = cache_->acquire(checked, spec_, *loader_, load_progress_);
    if (load_progress_.cancelled()) return false;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      model_ = model;
      stats_.load_time = Clock::now() - start;
    }
    changed_.notify_all();  // for a change that waits
    if (observer_.loaded) observer_.loaded(*model);
    return true;
  } catch (...) {
    const Error error = current_error("loading the model");
    if (load_progress_.cancelled()) return false;
    // Told first, so that whoever sees a failed job finds the error already reported.
    if (observer_.failed) observer_.failed(error);
    std::deque<std::shared_ptr<Job>> jobs;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      load_error_ = error;
      jobs.swap(queue_);
    }
    changed_.notify_all();
    for (const auto &job : jobs) refuse(job, error);
    return false;
  }
}

void Session::refuse(const std::shared_ptr<Job> &job, const Error &error) {
  JobResult result;
  result.outcome = JobResult::Outcome::failed;
  result.error = error;
  job->finish(std::move(result));
}

void Session::forget_frames_before() {
  temporal_.forget();
  safety_hold_.forget();
  frame_index_ = 0;
  last_low_res_ = {};
  noise_shift_ = {};
}

JobResult Session::compute(Job &job) {
  const JobRequest &request = job.request();
  JobResult result;
  try {
    if (job.progress().cancelled()) return result;
    result = work(job);
  } catch (...) {
    const Error error = current_error("upscaling a frame");
    if (error.kind() == ErrorKind::cancelled) return {};
    result = {};
    result.outcome = JobResult::Outcome::failed;
    result.error = error;
  }
  const bool unseen = result.outcome == JobResult::Outcome::late && request.drop_if_late;
  if (result.outcome != JobResult::Outcome::done && !unseen)
    check(request, *request.low_res, result);
  return result;
}

JobResult Session::work(Job &job) {
  const JobRequest &request = job.request();
  JobResult result;
  if (request.plain) {
    result.outcome = JobResult::Outcome::plain;
    return result;
  }
  const UpscaleSettings &settings = *request.settings;
  const std::shared_ptr<UpscaleModel> model = this->model();
  Noise noise{request.seed.value_or(settings.seed), {}};
  // A seed of its own for each frame, told in its result; nothing to reuse.
  if (settings.temporal == TemporalMode::off) noise.seed += frame_index_++;
  if (settings.temporal == TemporalMode::motion) noise.shift = follow(request.low_res);
  ReusePlan plan;
  if (settings.temporal != TemporalMode::off)
    plan = temporal_.plan(request, noise, model->receptive_radius(settings));
  result.settings = model->resolve(settings);
  result.inferred = plan.whole_frame || !plan.regions.empty();
  if (result.inferred && too_late(request, result.settings)) {
    JobResult late;
    late.outcome = JobResult::Outcome::late;
    return late;
  }
  infer(job, noise, plan, result);
  return result;
}

Shift Session::follow(const std::shared_ptr<const Frame> &low_res) {
  std::shared_ptr<const Frame> seen = low_res;
  if (low_res->samples.bytes > 1) {
    const auto made = std::make_shared<Frame>();
    in_8_bits(*low_res, *made);
    seen = made;
  }
  const Shift moved = last_low_res_ ? estimate_shift(*last_low_res_, *seen) : Shift{};
  last_low_res_ = std::move(seen);
  noise_shift_ = {(noise_shift_.x + moved.x) % low_res->width,
                  (noise_shift_.y + moved.y) % low_res->height};
  return noise_shift_;
}

bool Session::too_late(const JobRequest &request, const ResolvedSettings &settings) {
  const UpscaleSettings &asked = *request.settings;
  pace_.expect({request.low_res->width, request.low_res->height, settings.steps,
                settings.guidance_scale > 1 && asked.prompt != asked.negative_prompt,
                asked.scheduler});
  if (!request.too_late) return false;
  if (request.too_late(nanoseconds(0))) return true;
  return request.too_late(pace_.demand()) && !pace_.probe(Clock::now());
}

nanoseconds Session::time_of_whole(const ReusePlan &plan, const Frame &low_res,
                                   nanoseconds time) const {
  if (plan.whole_frame) return time;
  double area = 0;
  for (const Rect &region : plan.regions) area += double(region.width) * region.height;
  const double share = area / (double(low_res.width) * low_res.height);
  return std::clamp(pace_.mean(), time, nanoseconds(int64_t(double(time.count()) / share)));
}

void Session::infer(Job &job, const Noise &noise, const ReusePlan &plan, JobResult &result) {
  const auto start = Clock::now();
  const JobRequest &request = job.request();
  const Frame &low_res = *request.low_res;
  result.seed = noise.seed;
  result.reused = !plan.whole_frame;
  if (result.inferred) {
    std::shared_ptr<Frame> high_res;
    if (plan.whole_frame) {
      watch_memory(low_res);
      temporal_.forget();  // before the next picture takes as much memory
      high_res = std::make_shared<Frame>(
          Frame::unset(low_res.width * 4, low_res.height * 4, low_res.samples));
      const Rect all{0, 0, low_res.width, low_res.height};
      result.retried = upscale(job, noise, all, *high_res);
    } else {
      high_res = std::make_shared<Frame>(*temporal_.high_res());
      for (const Rect &r : plan.regions)
        if (upscale(job, noise, r, {*high_res, {r.x * 4, r.y * 4, r.width * 4, r.height * 4}}))
          result.retried = true;
    }
    temporal_.remember(request, noise, plan, std::move(high_res));
  }
  result.high_res = temporal_.high_res();
  result.outcome = JobResult::Outcome::done;
  check(request, *result.high_res, result);
  const auto end = Clock::now();
  result.time = end - start;
  if (result.inferred) pace_.ran(time_of_whole(plan, low_res, result.time), end);
}

void Session::watch_memory(const Frame &low_res) {
  const auto now = Clock::now();
  const size_t size = low_res.pixels.size();
  if (size <= memory_checked_for_ && now - memory_checked_ < kBetweenMemoryChecks) return;
  check_memory(low_res.width, low_res.height, low_res.samples.bytes);
  memory_checked_for_ = size;
  memory_checked_ = now;
}

void Session::check(const JobRequest &request, const Frame &picture, JobResult &result) {
  if (!request.settings->safety_check) return;
  try {
    const std::shared_ptr<UpscaleModel> model = this->model();
    if (!model->has_safety_checker())
      throw Error(ErrorKind::settings,
                  "safety-check was turned on while running, but the model was opened without a "
                  "checker; turn it on before the start");
    const bool known = result.outcome == JobResult::Outcome::done && !result.inferred;
    Frame made;
    const SafetyVerdict verdict =
        known ? last_safety_ : model->check_safety(in_8_bits(picture, made));
    if (result.outcome == JobResult::Outcome::done) last_safety_ = verdict;
    result.safety = safety_hold_.apply(verdict, in_8_bits(*request.low_res, made), request.time);
  } catch (...) {
    result.unchecked = current_error("checking a frame");
    // What was made is not reused: it would have to be checked first.
    temporal_.forget();
  }
}

bool Session::upscale(Job &job, const Noise &noise, const Rect &region, const FramePart &high_res) {
  const std::shared_ptr<UpscaleModel> model = this->model();
  const Frame &low_res = *job.request().low_res;
  const auto run = [&](const Limits &limits) {
    model->upscale_into(high_res, low_res, region, *job.request().settings, noise, limits,
                        job.progress());
  };
  try {
    run(limits_);
    return false;
  } catch (const std::bad_alloc &) {
  } catch (const Error &error) {
    if (error.kind() != ErrorKind::no_space) throw;
  }
  // Memory ran out: once more with tiles for half of what this took.
  Limits smaller = limits_;
  smaller.tile_size = 0;
  smaller.memory_budget = std::max<uint64_t>(
      1, model->memory_estimate(low_res.width, low_res.height, low_res.samples.bytes, limits_) / 2);
  run(smaller);
  return true;
}

void Session::count(const JobResult &result) {
  if (result.outcome == JobResult::Outcome::cancelled) {
    ++stats_.cancelled;
    return;
  }
  if (result.safety.nsfw) ++stats_.flagged;
  if (result.outcome == JobResult::Outcome::late) ++stats_.late;
  if (result.outcome != JobResult::Outcome::done) return;
  if (!result.inferred) {
    ++stats_.reused;
    return;
  }
  ++stats_.inferred;
  stats_.last_time = result.time;
  stats_.mean_time = pace_.mean();
  stats_.demand = pace_.demand();
}

}  // namespace livepeer
