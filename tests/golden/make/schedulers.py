"""Schedulers of diffusers on a toy model, in float32 as the engine computes them."""

import inspect

import diffusers
import torch
from torch.overrides import TorchFunctionMode

from record import read_json

EPSILON = {"prediction_type": "epsilon"}
ALPHA_ONE = {"set_alpha_to_one": True, "steps_offset": 0}
KARRAS = {"use_karras_sigmas": True}
TRAILING = {"timestep_spacing": "trailing"}
ZERO_SNR = {"rescale_betas_zero_snr": True, **TRAILING}

DDIM, DDPM, PNDM = "DDIMScheduler", "DDPMScheduler", "PNDMScheduler"
EULER, EULER_A = "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler"
LMS, DPM = "LMSDiscreteScheduler", "DPMSolverMultistepScheduler"

PLAIN_STEPS = [5, 20, 75]
PLAIN = {
    "ddim_v": (DDIM, {}),
    "ddim_eps": (DDIM, EPSILON),
    "ddim_sample": (DDIM, {"prediction_type": "sample"}),
    "ddim_v_eta1": (DDIM, {}),
    "ddim_v_alpha_one_offset0": (DDIM, ALPHA_ONE),
    "ddim_eps_clip": (DDIM, {"clip_sample": True, **EPSILON}),
    "ddim_v_trailing": (DDIM, TRAILING),
    "ddim_v_linspace": (DDIM, {"timestep_spacing": "linspace"}),
    "ddim_v_linear": (DDIM, {"beta_schedule": "linear"}),
    "ddpm_v": (DDPM, {}),
    "ddpm_eps": (DDPM, {"clip_sample": True, **EPSILON}),
    "euler_v": (EULER, {}),
    "euler_eps": (EULER, EPSILON),
    "euler_v_leading": (EULER, {"timestep_spacing": "leading"}),
    "euler_v_karras": (EULER, KARRAS),
    "euler_a_v": (EULER_A, {}),
    "euler_a_eps": (EULER_A, EPSILON),
    "lms_v": (LMS, {}),
    "lms_eps": (LMS, EPSILON),
    "pndm_v": (PNDM, {}),
    "pndm_eps": (PNDM, EPSILON),
    "pndm_prk_eps": (PNDM, {"skip_prk_steps": False, **EPSILON}),
    "dpmpp2m_v": (DPM, {}),
    "dpmpp2m_eps": (DPM, EPSILON),
    "dpmpp2m_v_karras": (DPM, KARRAS),
    "dpmpp3m_v": (DPM, {"solver_order": 3}),
    "dpmpp1_v": (DPM, {"solver_order": 1}),
    "dpmpp2m_heun_v": (DPM, {"solver_type": "heun"}),
}
ZERO_SNR_STEPS = [1, 2, 4, 8, 20]
ZERO_SNR_CASES = {
    "ddim_v_zero_snr": (DDIM, ZERO_SNR),
    "ddim_v_zero_snr_alpha_one_offset0": (DDIM, {**ZERO_SNR, **ALPHA_ONE}),
    "euler_v_zero_snr": (EULER, ZERO_SNR),
    "euler_a_v_zero_snr": (EULER_A, ZERO_SNR),
    "dpmpp2m_v_zero_snr": (DPM, ZERO_SNR),
    "dpmpp2m_v_zero_snr_final_zero": (DPM, {**ZERO_SNR, "final_sigmas_type": "zero"}),
    "dpmpp2m_v_trailing": (DPM, TRAILING),
    "ddpm_v_zero_snr": (DDPM, ZERO_SNR),
}
ETA = {"ddim_v_eta1": 1.0}
NOISE_SEED = 4242


class CorrectSqrt(TorchFunctionMode):
    """MKL, in torch's wheels, does not round float32 square roots as IEEE 754 asks for and as torch
    without MKL does; in the table of zero terminal SNR that grows to 3e-6."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in (torch.sqrt, torch.Tensor.sqrt) and args[0].dtype == torch.float32:
            return function(args[0].double()).float()
        return function(*args, **(kwargs or {}))


def base_config(record):
    return read_json(record.model("tiny-upscaler/scheduler/scheduler_config.json"))


def create(record, class_name, overrides):
    """As a pipeline changes its scheduler: what the file does not say is the new class's default."""
    config = {**base_config(record), **overrides}
    return getattr(diffusers, class_name).from_config(config)


def run(scheduler, n_steps, x0, eta):
    """The states of the toy model 0.3 x + 0.05 t/1000, the first one before any step."""
    scheduler.set_timesteps(n_steps)
    arguments = {}
    if "generator" in inspect.signature(scheduler.step).parameters:
        arguments["generator"] = torch.Generator().manual_seed(NOISE_SEED)
    if eta is not None:
        arguments["eta"] = eta
    x = x0 * scheduler.init_noise_sigma
    states = [x]
    for timestep in scheduler.timesteps:
        output = 0.3 * scheduler.scale_model_input(x, timestep) + 0.05 * (timestep / 1000)
        x = scheduler.step(output, timestep, x, **arguments).prev_sample
        states.append(x)
    return torch.stack(states)


def scheduler_entry(record, tensors, name, steps, x0):
    class_name, overrides = (PLAIN | ZERO_SNR_CASES)[name]
    runs = {}
    for n_steps in steps:
        scheduler = create(record, class_name, overrides)
        states = run(scheduler, n_steps, x0, ETA.get(name))
        prefix = f"{name}.n{n_steps}"
        tensors[f"{prefix}.timesteps"] = scheduler.timesteps
        if n_steps > 20:
            kept = sorted({*range(0, len(states), 5), len(states) - 1})
            tensors[f"{prefix}.index"] = torch.tensor(kept)
            states = states[kept]
        tensors[f"{prefix}.trajectory"] = states
        runs[str(n_steps)] = {"init_noise_sigma": float(scheduler.init_noise_sigma)}
    draws = ETA.get(name) or class_name in (DDPM, EULER_A)
    return {
        "class_name": class_name,
        # The resolved one, with the -Infinity that Python writes for a default of DPM-Solver.
        "config": {k: v for k, v in scheduler.config.items() if not k.startswith("_")},
        "eta": ETA.get(name),
        "noise_seed": NOISE_SEED if draws else None,
        "runs": runs,
    }


def scheduler_cases(record, name, cases, steps, tables):
    with record.tensors(name) as tensors:
        x0 = tensors.given_randn("x0", 1, 4, 4, 4)
        for key, value in tables.items():
            tensors[key] = value
        entries = {case: scheduler_entry(record, tensors, case, steps, x0) for case in cases}
        record.add(
            name, "schedulers", tensors.path, base_config=base_config(record), schedulers=entries
        )


def add_noise_case(record):
    name = "ddpm_add_noise"
    scheduler = diffusers.DDPMScheduler.from_config(
        read_json(record.model("tiny-upscaler/low_res_scheduler/scheduler_config.json"))
    )
    with record.tensors(name) as tensors:
        image = tensors.given_randn("image", 2, 3, 6, 5, scale=0.7).clamp(-1, 1)
        noise = tensors.given_randn("noise", 2, 3, 6, 5)
        tensors["image"] = image
        tensors["alphas_cumprod"] = scheduler.alphas_cumprod
        for level in [0, 20, 100, 350, 999]:
            tensors[f"noisy.{level}"] = scheduler.add_noise(image, noise, torch.tensor([level]))
        levels = torch.tensor([20, 100])
        tensors["noisy.per_sample_20_100"] = scheduler.add_noise(image, noise, levels)
        record.add(name, "add_noise", tensors.path)


def make(record):
    with CorrectSqrt():
        make_all(record)


def make_all(record):
    plain = create(record, DDIM, {})
    tables = {"betas": plain.betas, "alphas_cumprod": plain.alphas_cumprod}
    scheduler_cases(record, "schedulers", PLAIN, PLAIN_STEPS, tables)
    zero = create(record, DDIM, ZERO_SNR)
    tables = {"betas_zero_snr": zero.betas, "alphas_cumprod_zero_snr": zero.alphas_cumprod}
    scheduler_cases(record, "schedulers_zero_snr", ZERO_SNR_CASES, ZERO_SNR_STEPS, tables)
    add_noise_case(record)
