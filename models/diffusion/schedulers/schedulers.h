#pragma once

#include <memory>

#include "diffusion/schedulers/scheduler.h"
#include "io/config.h"
#include "runtime/upscale_settings.h"

namespace livepeer {

/// The sampler for one job. `config` is the snapshot's scheduler_config.json; `kind` other than
/// `model` replaces its class and keeps its keys, as diffusers' from_config does: keys that are
/// missing take the new class's defaults, keys it does not know are ignored. `eta`, DDIM's share of
/// fresh noise in every step (diffusers' argument), means nothing to the others. Throws
/// Error{open_read} for a class or a value that is not supported.
std::unique_ptr<Scheduler> make_scheduler(const Config &config,
                                          SchedulerKind kind = SchedulerKind::model,
                                          double eta = 0);

/// The samplers of a snapshot, ready to sample: what settings alone decide (alphas, timesteps,
/// sigmas) is computed once for them, and not for each frame and tile. Copies are the same cache;
/// thread-safe.
class SchedulerCache {
 public:
  SchedulerCache(Config config);
  /// One to clone(). Throws as make_scheduler() and set_timesteps() do.
  std::shared_ptr<const Scheduler> get(SchedulerKind kind, unsigned steps, double eta) const;
  /// How many were computed.
  size_t computed() const;

 private:
  struct Kept;
  std::shared_ptr<Kept> kept_;
};

/// One maker a class.
std::unique_ptr<Scheduler> make_ddim_scheduler(const Config &config, double eta = 0);
std::unique_ptr<Scheduler> make_ddpm_scheduler(const Config &config);
std::unique_ptr<Scheduler> make_euler_discrete_scheduler(const Config &config);
std::unique_ptr<Scheduler> make_euler_ancestral_discrete_scheduler(const Config &config);
std::unique_ptr<Scheduler> make_lms_discrete_scheduler(const Config &config);
std::unique_ptr<Scheduler> make_pndm_scheduler(const Config &config);
std::unique_ptr<Scheduler> make_dpm_solver_multistep_scheduler(const Config &config);

}  // namespace livepeer
