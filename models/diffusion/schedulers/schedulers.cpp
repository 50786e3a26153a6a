#include "diffusion/schedulers/schedulers.h"

namespace livepeer {
namespace {

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

}  // namespace livepeer
