"""The whole StableDiffusionUpscalePipeline, pictures in and out, and the noise it draws."""

import contextlib
import hashlib
import itertools

import diffusers
import numpy
import torch
from DeepCache import DeepCacheSDHelper
from diffusers import StableDiffusionUpscalePipeline
from diffusers.image_processor import VaeImageProcessor
from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion_upscale
from diffusers.schedulers import scheduling_ddim
from PIL import Image

from record import generator
from text import load_text_encoder, load_tokenizer

CAT, WHITE_CAT = "a photo of a cat", "a white cat"
# name, height and width, prompt, negative prompt, guidance, noise level, steps, pictures, scheduler
PIPELINE_CASES = [
    ("pipe_16x16_g9_n20", (16, 16), CAT, None, 9.0, 20, 5, 1, "DDIM"),
    (
        "pipe_20x24_g9_n20_neg",
        (20, 24),
        "an astronaut riding a horse on mars, wow!",
        "blurry, low quality",
        9.0,
        20,
        5,
        1,
        "DDIM",
    ),
    ("pipe_16x16_g1_n20", (16, 16), CAT, None, 1.0, 20, 5, 1, "DDIM"),
    ("pipe_16x16_g9_n100", (16, 16), CAT, None, 9.0, 100, 5, 1, "DDIM"),
    ("pipe_20x24_g1_n100", (20, 24), CAT, None, 1.0, 100, 5, 1, "DDIM"),
    ("pipe_23x18_resize", (23, 18), "", None, 9.0, 20, 5, 1, "DDIM"),
    ("pipe_20x24_g9_s20", (20, 24), WHITE_CAT, "jpeg artifacts", 9.0, 20, 20, 1, "DDIM"),
    ("pipe_16x16_g9_s75_default", (16, 16), WHITE_CAT, None, 9.0, 20, 75, 1, "DDIM"),
    ("pipe_16x16_num2", (16, 16), WHITE_CAT, None, 7.5, 20, 5, 2, "DDIM"),
    ("pipe_16x16_n0", (16, 16), WHITE_CAT, None, 9.0, 0, 3, 1, "DDIM"),
    ("pipe_16x16_n350_s1", (16, 16), WHITE_CAT, None, 9.0, 350, 1, 1, "DDIM"),
    ("pipe_16x16_euler", (16, 16), WHITE_CAT, None, 9.0, 20, 5, 1, "EulerDiscrete"),
    ("pipe_16x16_dpmpp", (16, 16), WHITE_CAT, None, 9.0, 20, 5, 1, "DPMSolverMultistep"),
    ("pipe_16x16_pndm", (16, 16), WHITE_CAT, None, 9.0, 20, 5, 1, "PNDM"),
    ("pipe_16x16_lms", (16, 16), WHITE_CAT, None, 9.0, 20, 5, 1, "LMSDiscrete"),
    ("pipe_16x16_eta", (16, 16), WHITE_CAT, None, 9.0, 20, 5, 1, "DDIM"),
    ("pipe_8x8_cache", (8, 8), WHITE_CAT, None, 9.0, 20, 5, 1, "DDIM"),
    ("pipe_8x8_cache_inner", (8, 8), WHITE_CAT, None, 9.0, 20, 7, 1, "PNDM"),
    ("pipe_8x8_interval", (8, 8), WHITE_CAT, None, 9.0, 20, 7, 1, "DDIM"),
]
# What only some cases are called with.
EXTRA = {
    "pipe_16x16_eta": {"eta": 0.6},
    "pipe_8x8_cache": {"cache_interval": 2, "cache_branch_id": 0},
    "pipe_8x8_cache_inner": {"cache_interval": 3, "cache_branch_id": 4},
    "pipe_8x8_interval": {"guidance_start": 0.2, "guidance_stop": 0.7},
}
FIRST_SEED = 1001
# The cases whose every step is kept.
IN_DETAIL = ["pipe_16x16_g9_n20", "pipe_20x24_g9_n20_neg", "pipe_16x16_g1_n20"]


def draw_picture(name, height, width):
    """Soft colours, a box with hard edges, a little noise."""
    draw = generator(name)
    noise, phase = draw.random((height, width, 3)), 6 * draw.random(3)
    y, x = numpy.mgrid[0:height, 0:width]
    waves = numpy.stack(
        [numpy.sin(3.5 * x / width + 2.5 * y / height * (1 + i) + phase[i]) for i in range(3)], -1
    )
    values = 128 + 95 * waves + 40 * (noise - 0.5)
    values[height // 3 : height // 2 + 1, width // 4 : width // 2 + 1] = [235, 30, 45]
    return Image.fromarray(values.clip(0, 255).astype(numpy.uint8))


def load(record):
    folder = record.model("tiny-upscaler")
    return StableDiffusionUpscalePipeline.from_pretrained(
        folder,
        tokenizer=load_tokenizer(record),
        text_encoder=load_text_encoder(record),
        torch_dtype=torch.float64,
    )


@contextlib.contextmanager
def float32_noise(draws):
    """The networks compute in double, but noise is drawn as for float32: a double draw differs."""
    modules = [pipeline_stable_diffusion_upscale, scheduling_ddim]
    original = modules[0].randn_tensor

    def draw(shape, generator=None, device=None, dtype=None, **rest):
        value = original(shape, generator=generator, device=device, dtype=torch.float32, **rest)
        draws.append(value)
        return value.to(dtype)

    for module in modules:
        module.randn_tensor = draw
    try:
        yield
    finally:
        for module in modules:
            module.randn_tensor = original


def observe(module, seen):
    """Appends inputs and outputs of `module` to `seen` until the handle is removed."""

    def keep(module, args, kwargs, output):
        seen.append((args[0], output[0] if isinstance(output, tuple) else output))

    return module.register_forward_hook(keep, with_kwargs=True)


@contextlib.contextmanager
def deep_cache(pipe, cache_interval=1, cache_branch_id=0, **_):
    """The deep layers computed in some steps only, by the package of the paper's authors."""
    if cache_interval == 1:
        yield
        return
    helper = DeepCacheSDHelper(pipe)
    helper.set_params(cache_interval, cache_branch_id)
    helper.enable()
    try:
        yield
    finally:
        helper.disable()


@contextlib.contextmanager
def guidance_interval(pipe, guidance_start=0, guidance_stop=1, **_):
    """Guides a part of the steps only, which this pipeline cannot be asked for: in the others the
    unconditional half of the prediction is made equal to the conditional one."""
    count = itertools.count()

    def equalize(module, args, output):
        steps = len(pipe.scheduler.timesteps)
        if int(guidance_start * steps) <= next(count) < int(guidance_stop * steps):
            return output
        return (output[0].chunk(2)[1].repeat(2, 1, 1, 1),)

    hook = pipe.unet.register_forward_hook(equalize)
    try:
        yield
    finally:
        hook.remove()


def pipeline_case(record, pipe, number, case):
    name, size, prompt, negative, guidance, level, steps, count, scheduler = case
    pipe.scheduler = getattr(diffusers, f"{scheduler}Scheduler").from_config(pipe.scheduler.config)
    png, picture = record.picture(f"{name}_in", lambda: draw_picture(name, *size))
    extra = EXTRA.get(name, {})
    draws, unet_calls, decoder_calls, latents, embeddings = [], [], [], [], []
    hooks = [
        observe(pipe.unet, unet_calls),
        observe(pipe.vae.decoder, decoder_calls),
        pipe.text_encoder.register_forward_hook(lambda *call: embeddings.append(call[2][0])),
    ]
    with (
        float32_noise(draws),
        deep_cache(pipe, **extra),
        guidance_interval(pipe, **extra),
    ):
        images = pipe(
            prompt,
            image=picture,
            negative_prompt=negative,
            guidance_scale=guidance,
            noise_level=level,
            num_inference_steps=steps,
            num_images_per_prompt=count,
            eta=extra.get("eta", 0.0),
            generator=torch.Generator().manual_seed(FIRST_SEED + number),
            callback=lambda step, timestep, values: latents.append(values),
        ).images
    for hook in hooks:
        hook.remove()
    with record.tensors(name) as tensors:
        tensors["preprocessed"] = pipe.image_processor.preprocess(picture)
        tensors["lowres_noise"], tensors["init_noise"] = draws[:2]
        tensors["noisy_lowres"] = unet_calls[0][0][:1, 4:]
        tensors["final_latents"] = latents[-1]
        tensors["decoded_raw"] = decoder_calls[0][1]
        if name in IN_DETAIL:
            # The prompt is encoded first, here it comes second.
            tensors["prompt_embeds"] = torch.cat(embeddings[::-1])
            tensors["unet_in_step0"] = unet_calls[0][0]
            tensors["unet_out_per_step"] = torch.stack([output for _, output in unet_calls])
            tensors["latents_per_step"] = torch.stack(latents)
        outputs = [f"images/{name}_out{i}.png" for i in range(count)]
        for path, image in zip(outputs, images, strict=True):
            record.save_picture(path, image)
        record.add(
            name,
            "pipeline",
            tensors.path,
            prompt=prompt,
            negative_prompt=negative,
            guidance_scale=guidance,
            noise_level=level,
            num_inference_steps=steps,
            num_images_per_prompt=count,
            **extra,
            seed=FIRST_SEED + number,
            scheduler=type(pipe.scheduler).__name__,
            input_png=png,
            output_png=outputs,
        )


def preprocess_case(record):
    processor = VaeImageProcessor(vae_scale_factor=4, resample="bicubic")
    images = []
    with record.tensors("preprocess") as tensors:
        for size in [(16, 16), (17, 16), (18, 23), (5, 7), (31, 50), (40, 4)]:
            key = "%dx%d" % size
            png, picture = record.picture(f"pre_{key}", lambda: draw_picture(key, *size))
            tensors[key] = processor.preprocess(picture)
            images.append({"input_png": png, "tensor": key})
        record.add("preprocess", "preprocess", tensors.path, images=images)


def postprocess_inputs():
    """Values between two levels, where rounding has to decide, and values out of range."""
    ties = (torch.arange(256) + 0.5) / 255 * 2 - 1
    return torch.stack([ties, torch.linspace(-1.5, 1.5, 256)]).expand(1, 3, 2, 256).contiguous()


def postprocess_case(record):
    processor = VaeImageProcessor(vae_scale_factor=4, resample="bicubic")
    with record.tensors("postprocess") as tensors:
        x = tensors.given("x", postprocess_inputs)
        picture = processor.postprocess(x, output_type="pil")[0]
        tensors["uint8"] = torch.from_numpy(numpy.array(picture))
        record.add("postprocess", "postprocess", tensors.path)


def noise_case(record):
    """torch's own generator, which both sides use; the engine's libtorch is another version."""
    shapes = [[n] for n in [1, 2, 5, 15, 16, 17, 31, 32, 33, 64, 100]]
    shapes += [[1, 3, 16, 16], [1, 4, 16, 16], [1, 3, 20, 24], [2, 4, 13, 7]]
    sequence = [[5], [16], [3], [4], [1, 3, 16, 16], [7], [1, 4, 16, 16], [15], [17]]
    entries = {"single": [], "consecutive": [], "randint": []}
    with record.tensors("torch_randn") as tensors:

        def draw(kind, name, seed, shape, source):
            values = torch.randn(shape, generator=source)
            tensors[name] = values.flatten()[:64]
            digest = hashlib.sha256(values.numpy().tobytes()).hexdigest()
            entries[kind].append({"name": name, "seed": seed, "shape": shape, "sha256": digest})

        for seed in [0, 1, 42, 1234, 2**31, 2**32 - 1, 2**53 - 1]:
            for shape in shapes:
                name = f"seed{seed}.shape{'x'.join(map(str, shape))}"
                draw("single", name, seed, shape, torch.Generator().manual_seed(seed))
        for seed in [0, 42]:
            source = torch.Generator().manual_seed(seed)
            for i, shape in enumerate(sequence):
                draw("consecutive", f"consecutive.seed{seed}.{i}", seed, shape, source)
            source = torch.Generator().manual_seed(seed)
            values = torch.randint(2**32, (8,), generator=source).tolist()
            entries["randint"].append({"seed": seed, "randint_2_32": values})
        for count in [7, 40]:
            source = torch.Generator().manual_seed(42)
            values = torch.randn(count, generator=source, dtype=torch.float64)
            tensors.keep(f"dtype.f64.seed42.n{count}", values)
        record.add("torch_randn", "torch_randn", tensors.path, **entries)


def make(record):
    noise_case(record)
    pipe = load(record)
    pipe.set_progress_bar_config(disable=True)
    for number, case in enumerate(PIPELINE_CASES):
        pipeline_case(record, pipe, number, case)
    preprocess_case(record)
    postprocess_case(record)
