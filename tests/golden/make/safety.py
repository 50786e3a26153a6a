"""diffusers' StableDiffusionSafetyChecker on transformers' CLIP vision model, from the PNG on."""

import contextlib
import hashlib

import numpy
import torch
from diffusers.pipelines.stable_diffusion import safety_checker
from transformers import CLIPImageProcessor

from pipeline import draw_picture

FOLDER = "tiny-safety-checker"
SIZES = [(56, 56), (64, 64), (100, 80), (60, 131), (30, 20), (57, 200)]
# What is far above every cosine.
NEVER = 2.0
# name, row of the crafted embeddings, margins of cosines over thresholds: special, concepts
ALL = range(17)
UNITS = [
    ("clean", 0, {}, {}),
    ("concept_only", 1, {}, {5: 0.05}),
    ("just_below_no_adjust", 2, {}, {4: -0.008}),
    ("adjust_by_special_0", 2, {0: 0.02}, {4: -0.008}),
    ("adjust_by_special_2", 3, {2: 0.001}, {16: -0.008}),
    ("special_chain", 4, {0: 0.03, 1: -0.006}, {0: -0.02}),
    ("special_rounds_to_zero", 5, {0: 0.0004}, {0: -0.005}),
    ("concept_rounds_to_zero", 6, {}, {0: 0.0004}),
    ("concept_rounds_up", 7, {}, {0: 0.0006}),
    ("adjust_not_enough", 8, {1: 0.1}, {3: -0.011}),
    ("several_bad", 9, {}, {i: 0.03 * (i + 1) for i in ALL}),
    ("negative_cos", 10, {i: 1.2 for i in range(3)}, {i: 0.9 for i in ALL}),
]


@contextlib.contextmanager
def recorded_scores(scores):
    """The checker returns flags alone; its scores are what it rounds, in that order."""

    def round_and_keep(value, digits):
        scores.append(float(round(value, digits)))
        return scores[-1]

    safety_checker.round = round_and_keep
    try:
        yield
    finally:
        del safety_checker.round


def judge(checker, clip_input):
    """One entry per picture, as the real class decides."""
    n_special, n_concepts = len(checker.special_care_embeds), len(checker.concept_embeds)
    scores = []
    images = [numpy.ones((1, 1, 3)) for _ in range(len(clip_input))]
    with recorded_scores(scores):
        _, flags = checker(clip_input=clip_input, images=images)
    result = []
    for flag in flags:
        special, scores = scores[:n_special], scores[n_special:]
        concepts, scores = scores[:n_concepts], scores[n_concepts:]
        result.append(
            {
                "special_scores": special,
                "special_care": [i for i, score in enumerate(special) if score > 0],
                "concept_scores": concepts,
                "bad_concepts": [i for i, score in enumerate(concepts) if score > 0],
                "nsfw": bool(flag),
            }
        )
    return result


class Pooled(torch.nn.Module):
    """Stands for the vision model where embeddings are given instead of pictures."""

    def forward(self, embeddings):
        return None, embeddings


def craft_thresholds(cosines, margins):
    values = torch.full_like(cosines, NEVER)
    for i, margin in margins.items():
        values[i] = cosines[i] - margin
    return values


def unit_cases(record, checker, tensors):
    """The rule on crafted embeddings and thresholds, in the real class."""
    embeddings = {}
    for name, count in [("image_embeds", 12), ("concept_embeds", 17), ("special_care_embeds", 3)]:
        embeddings[name] = tensors.given_randn(f"unit.{name}", count, 20)
    cosines = {}
    for name, key in [("concept_embeds", "cos"), ("special_care_embeds", "special_cos")]:
        getattr(checker, name).data = embeddings[name].double()
        cosines[key] = safety_checker.cosine_distance(
            embeddings["image_embeds"].double(), embeddings[name].double()
        ).float()
        tensors[f"unit.{key}"] = cosines[key]
    checker.vision_model, checker.visual_projection = Pooled(), torch.nn.Identity()
    given = record.given_case("safety_checker")
    given = {unit["name"]: unit for unit in given["unit_cases"]} if given else {}
    result = []
    for name, row, special, concepts in UNITS:
        if given:
            thresholds = {
                key: torch.tensor(given[name][f"{key}_weights"]) for key in ["special", "concept"]
            }
        else:
            thresholds = {
                "special": craft_thresholds(cosines["special_cos"][row], special),
                "concept": craft_thresholds(cosines["cos"][row], concepts),
            }
        checker.special_care_embeds_weights.data = thresholds["special"]
        checker.concept_embeds_weights.data = thresholds["concept"]
        entry = judge(checker, embeddings["image_embeds"][row : row + 1].double())[0]
        weights = {f"{key}_weights": value.tolist() for key, value in thresholds.items()}
        result.append({"name": name, "row": row, **weights, **entry})
    return result


def preprocess(processor, picture, **options):
    return processor(picture, **options).pixel_values[0]


def resized(processor, picture):
    """The pixels between the resizing and the crop."""
    off = dict.fromkeys(["do_center_crop", "do_rescale", "do_normalize"], False)
    pixels = numpy.asarray(preprocess(processor, picture, data_format="channels_last", **off))
    return torch.from_numpy(pixels.astype(numpy.uint8))


def keep_vision_stages(tensors, vision, pixels):
    result = vision(pixels, output_hidden_states=True)
    tensors["vision.pooler_output"] = result.pooler_output
    # transformers 5 has no model inside of the model.
    tensors["vision.embeddings"] = getattr(vision, "vision_model", vision).embeddings(pixels[:1])
    *states, last = result.hidden_states
    for i, state in enumerate(states):
        tensors[f"vision.row0.hidden_states.{i}"] = state[:1]
    tensors["vision.last_hidden_state.row0"] = last[:1]


def make(record):
    checker = safety_checker.StableDiffusionSafetyChecker.from_pretrained(
        record.model(FOLDER), torch_dtype=torch.float64
    ).eval()
    processor = CLIPImageProcessor.from_pretrained(record.model(FOLDER))
    with record.tensors("safety_checker") as tensors:
        images = []
        for size in SIZES:
            name = "%dx%d" % size
            png, picture = record.picture(
                f"clip_{name}", lambda: draw_picture(f"clip {name}", *size)
            )
            pixels = torch.from_numpy(preprocess(processor, picture))
            tensors[f"clip.{name}.resized"] = resized(processor, picture)
            tensors[f"clip.{name}.pixel_values"] = pixels
            images.append((pixels, {"input_png": png, "tensor": f"clip.{name}"}))
        pixels = torch.stack([pixels for pixels, _ in images]).double()
        keep_vision_stages(tensors, checker.vision_model, pixels)
        embeds = checker.visual_projection(checker.vision_model(pixels)[1])
        tensors["image_embeds"] = embeds
        tensors["cos"] = safety_checker.cosine_distance(embeds, checker.concept_embeds)
        tensors["special_cos"] = safety_checker.cosine_distance(embeds, checker.special_care_embeds)
        per_image = judge(checker, pixels)
        # Once at the size of the published checker.
        real = CLIPImageProcessor.from_pretrained(
            record.model(FOLDER),
            size={"shortest_edge": 224},
            crop_size={"height": 224, "width": 224},
        )
        png, picture = record.picture("clip224_96x150", lambda: draw_picture("clip224", 96, 150))
        values = preprocess(real, picture).astype(numpy.float16)
        record.add(
            "safety_checker",
            "safety_checker",
            tensors.path,
            model=FOLDER,
            images=[entry for _, entry in images],
            per_image=per_image,
            unit_cases=unit_cases(record, checker, tensors),
            clip224_input=png,
            clip224_sha256=hashlib.sha256(values.tobytes()).hexdigest(),
        )
