#include "diffusion/noise_schedule.h"
#include "diffusion/schedulers/schedulers.h"
#include "golden/golden_support.h"

namespace livepeer {
namespace {

using Tensors = std::map<std::string, torch::Tensor>;

/// The config as from_config sees it: the x4 upscaler's file with the overrides of the case, which
/// are all that its resolved config has beyond the class's defaults.
Config scheduler_config(const nlohmann::json &entry) {
  nlohmann::json values = entry.at("config");
  values["_class_name"] = entry.at("class_name");
  return Config(values, "cases.json");
}

std::unique_ptr<Scheduler> make(const nlohmann::json &entry) {
  const Config config = scheduler_config(entry);
  if (!entry.at("eta").is_null()) return make_ddim_scheduler(config, entry.at("eta"));
  return make_scheduler(config);
}

/// Runs the toy model of the golden data and compares timesteps and the kept rows.
void compare_run(const nlohmann::json &entry, const Tensors &tensors, const std::string &name,
                 const std::string &steps, double init_noise_sigma) {
  const std::string prefix = name + ".n" + steps + ".";
  SCOPED_TRACE(prefix);
  const auto scheduler = make(entry);
  scheduler->set_timesteps(std::stoi(steps));
  EXPECT_NEAR(scheduler->init_noise_sigma(), init_noise_sigma, 1e-5 * init_noise_sigma);
  const std::vector<double> &timesteps = scheduler->timesteps();
  expect_close(torch::tensor(timesteps), tensors.at(prefix + "timesteps").to(torch::kDouble), 1e-7,
               "timesteps");

  at::Generator generator = at::detail::createCPUGenerator(
      entry.at("noise_seed").is_null() ? 0 : entry.at("noise_seed").get<uint64_t>());
  torch::Tensor x = tensors.at("x0") * scheduler->init_noise_sigma();
  std::vector<torch::Tensor> trajectory{x};
  for (size_t i = 0; i < timesteps.size(); i++) {
    const torch::Tensor output =
        0.3 * scheduler->scale_model_input(x, i) + 0.05 * (timesteps[i] / 1000);
    x = scheduler->step(output, i, x, generator);
    trajectory.push_back(x);
  }
  torch::Tensor rows = torch::stack(trajectory);
  if (tensors.count(prefix + "index")) rows = rows.index_select(0, tensors.at(prefix + "index"));
  expect_close(rows, tensors.at(prefix + "trajectory"), 1e-5, "trajectory");
}

class SchedulerGolden : public testing::TestWithParam<std::pair<const char *, const char *>> {};

TEST_P(SchedulerGolden, TrajectoryEqualsDiffusers) {
  const auto [file, name] = GetParam();
  static std::map<std::string, Tensors> cache;
  if (!cache.count(file))
    cache[file] = golden_tensors("tensors/" + std::string(file) + ".safetensors");
  const nlohmann::json entry = golden_case(file).at("schedulers").at(name);
  for (const auto &[steps, run] : entry.at("runs").items())
    compare_run(entry, cache[file], name, steps, run.at("init_noise_sigma"));
}

std::vector<std::pair<const char *, const char *>> scenarios() {
  std::vector<std::pair<const char *, const char *>> result;
  for (const char *name : {"ddim_v",
                           "ddim_eps",
                           "ddim_sample",
                           "ddim_v_eta1",
                           "ddim_v_alpha_one_offset0",
                           "ddim_eps_clip",
                           "ddim_v_trailing",
                           "ddim_v_linspace",
                           "ddim_v_linear",
                           "ddpm_v",
                           "ddpm_eps",
                           "euler_v",
                           "euler_eps",
                           "euler_v_leading",
                           "euler_v_karras",
                           "euler_a_v",
                           "euler_a_eps",
                           "lms_v",
                           "lms_eps",
                           "pndm_v",
                           "pndm_eps",
                           "pndm_prk_eps",
                           "dpmpp2m_v",
                           "dpmpp2m_eps",
                           "dpmpp2m_v_karras",
                           "dpmpp3m_v",
                           "dpmpp1_v",
                           "dpmpp2m_heun_v"})
    result.emplace_back("schedulers", name);
  for (const char *name :
       {"ddim_v_zero_snr", "ddim_v_zero_snr_alpha_one_offset0", "euler_v_zero_snr",
        "euler_a_v_zero_snr", "dpmpp2m_v_zero_snr", "dpmpp2m_v_zero_snr_final_zero",
        "dpmpp2m_v_trailing", "ddpm_v_zero_snr"})
    result.emplace_back("schedulers_zero_snr", name);
  return result;
}

INSTANTIATE_TEST_SUITE_P(Cases, SchedulerGolden, testing::ValuesIn(scenarios()),
                         [](const auto &info) {
                           return std::string(info.param.first) + "_" + info.param.second;
                         });

TEST(SchedulerGoldens, EveryCaseIsRun) {
  size_t count = 0;
  for (const char *file : {"schedulers", "schedulers_zero_snr"})
    count += golden_case(file).at("schedulers").size();
  EXPECT_EQ(count, scenarios().size());
}

TEST(NoiseScheduleGolden, TablesEqualDiffusers) {
  const Tensors plain = golden_tensors("tensors/schedulers.safetensors");
  const Tensors zero = golden_tensors("tensors/schedulers_zero_snr.safetensors");
  nlohmann::json values = golden_case("schedulers").at("base_config");
  const NoiseSchedule schedule(Config(values, "cases.json"));
  expect_close(schedule.betas, plain.at("betas"), 1e-7, "betas");
  expect_close(schedule.alphas_cumprod, plain.at("alphas_cumprod"), 1e-7, "alphas_cumprod");
  values["rescale_betas_zero_snr"] = true;
  const NoiseSchedule rescaled(Config(values, "cases.json"));
  expect_close(rescaled.betas, zero.at("betas_zero_snr"), 1e-6, "betas");
  expect_close(rescaled.alphas_cumprod, zero.at("alphas_cumprod_zero_snr"), 1e-6, "alphas_cumprod");
  EXPECT_EQ(rescaled.alphas_cumprod[-1].item<float>(), 0.0f);
}

TEST(NoiseScheduleGolden, ddpm_add_noise) {
  const Tensors tensors = golden_tensors("tensors/ddpm_add_noise.safetensors");
  const NoiseSchedule schedule(
      Config::read(golden_path("tiny-upscaler/low_res_scheduler/scheduler_config.json")));
  expect_close(schedule.alphas_cumprod, tensors.at("alphas_cumprod"), 1e-7, "alphas_cumprod");
  const auto noisy = [&](std::vector<int64_t> levels) {
    return schedule.add_noise(tensors.at("image"), tensors.at("noise"), torch::tensor(levels));
  };
  for (int64_t level : {0, 20, 100, 350, 999})
    expect_close(noisy({level}), tensors.at("noisy." + std::to_string(level)), 1e-6,
                 "level " + std::to_string(level));
  expect_close(noisy({20, 100}), tensors.at("noisy.per_sample_20_100"), 1e-6, "level per sample");
}

}  // namespace
}  // namespace livepeer
