#pragma once

#include <memory>

#include "diffusion/upscale_pipeline.h"
#include "io/snapshot.h"
#include "io/textual_inversion.h"
#include "weights/weight_source.h"

namespace livepeer {

/// From class names in a snapshot to the networks of this engine: the one place that knows them
/// (schedulers: schedulers/schedulers.h, safety checkers: safety_checker.h). All throw
/// Error{open_read} that names a class which is not supported, and those that are.

std::shared_ptr<Denoiser> load_denoiser(const Component &component, const WeightOptions &options);
std::shared_ptr<Vae> load_vae(const Component &component, const WeightOptions &options);
/// Tokenizer and text encoder in one, with the words that `inversions` teach them. Throws
/// Error{settings} for words that are the tokenizer's own.
struct PromptEncoder {
  StableDiffusionUpscalePipeline::EncodePrompt encode;
  StableDiffusionUpscalePipeline::MeasurePrompt measure;
};
PromptEncoder load_prompt_encoder(const Component &tokenizer, const Component &text_encoder,
                                  const WeightOptions &options,
                                  const TextualInversions &inversions = {});
/// Whether every component of an upscaling pipeline is there and of a supported class.
void check_classes(const Snapshot &snapshot);

}  // namespace livepeer
