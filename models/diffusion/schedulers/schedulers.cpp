#include "diffusion/schedulers/schedulers.h"

#include <list>
#include <mutex>
#include <tuple>
#include <utility>

namespace livepeer {
namespace {

constexpr size_t cached_schedulers = 8;

struct Entry {
  const char *class_name;
  SchedulerKind kind;
  std::unique_ptr<Scheduler> (*make)(const Config &, double eta);
};

template <std::unique_ptr<Scheduler> (*make)(const Config &)>
std::unique_ptr<Scheduler> without_eta(const Config &config, double) {
  return make(config);
}

constexpr Entry table[] = {
    {"DDIMScheduler", SchedulerKind::ddim, make_ddim_scheduler},
    {"DDPMScheduler", SchedulerKind::ddpm, without_eta<make_ddpm_scheduler>},
    {"EulerDiscreteScheduler", SchedulerKind::euler, without_eta<make_euler_discrete_scheduler>},
    {"EulerAncestralDiscreteScheduler", SchedulerKind::euler_ancestral,
     without_eta<make_euler_ancestral_discrete_scheduler>},
    {"LMSDiscreteScheduler", SchedulerKind::lms, without_eta<make_lms_discrete_scheduler>},
    {"PNDMScheduler", SchedulerKind::pndm, without_eta<make_pndm_scheduler>},
    {"DPMSolverMultistepScheduler", SchedulerKind::dpmpp_2m,
     without_eta<make_dpm_solver_multistep_scheduler>},
};

}  // namespace

std::unique_ptr<Scheduler> make_scheduler(const Config &config, SchedulerKind kind, double eta) {
  const std::string class_name = config.class_name();
  std::string supported;
  for (const Entry &entry : table) {
    if (kind == SchedulerKind::model ? class_name == entry.class_name : kind == entry.kind)
      return entry.make(config, eta);
    supported += (supported.empty() ? "" : ", ") + std::string(entry.class_name);
  }
  throw Error(ErrorKind::open_read, "The scheduler class '" + class_name + "' of " +
                                        config.origin() + " is not supported; supported are " +
                                        supported + ".");
}

struct SchedulerCache::Kept {
  using Key = std::tuple<SchedulerKind, unsigned, double>;
  explicit Kept(Config c) : config(std::move(c)) {}

  const Config config;
  std::mutex mutex;
  std::list<std::pair<Key, std::shared_ptr<const Scheduler>>> schedulers;  ///< the newest first
  size_t computed = 0;
};

SchedulerCache::SchedulerCache(Config config) : kept_(std::make_shared<Kept>(std::move(config))) {}

std::shared_ptr<const Scheduler> SchedulerCache::get(SchedulerKind kind, unsigned steps,
                                                     double eta) const {
  const Kept::Key key{kind, steps, eta};
  const std::lock_guard<std::mutex> lock(kept_->mutex);
  auto &schedulers = kept_->schedulers;
  for (auto entry = schedulers.begin(); entry != schedulers.end(); ++entry) {
    if (entry->first != key) continue;
    schedulers.splice(schedulers.begin(), schedulers, entry);
    return schedulers.front().second;
  }
  std::shared_ptr<Scheduler> scheduler = make_scheduler(kept_->config, kind, eta);
  scheduler->set_timesteps(int(steps));
  ++kept_->computed;
  schedulers.emplace_front(key, scheduler);
  if (schedulers.size() > cached_schedulers) schedulers.pop_back();
  return scheduler;
}

size_t SchedulerCache::computed() const {
  const std::lock_guard<std::mutex> lock(kept_->mutex);
  return kept_->computed;
}

}  // namespace livepeer
