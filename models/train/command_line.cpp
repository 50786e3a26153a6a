#include "train/command_line.h"

#include <cstdio>
#include <functional>
#include <map>
#include <sstream>

#include "train/credits.h"
#include "train/evaluation.h"
#include "train/shrunk_folder.h"
#include "train/snapshot_export.h"
#include "train/text_file.h"
#include "train/trainer.h"

namespace livepeer::train {
namespace {

/// Everything that can be said on the command line.
struct CommandLine {
  Options options;
  SnapshotDefaults defaults;
  std::string snapshot;  ///< folder to export to or to evaluate
  EvaluationSettings evaluation;
  Precision precision = Precision::automatic;  ///< of the evaluated snapshot
  std::string first, second;                   ///< folders of the runs to combine
  std::vector<std::string> runs;               ///< folders of the runs to average
};

using Setters = std::map<std::string, std::function<void(const std::string &)>>;

Setters setters(CommandLine &line) {
  const auto text = [](std::string &into) {
    return [&into](const std::string &value) { into = value; };
  };
  const auto integer = [](auto &into) {
    return [&into](const std::string &value) {
      into = std::decay_t<decltype(into)>(std::stoll(value));
    };
  };
  const auto number = [](double &into) {
    return [&into](const std::string &value) { into = std::stod(value); };
  };
  const auto list = [](auto &into) {
    return [&into](const std::string &value) {
      into.clear();
      std::istringstream items(value);
      for (std::string item; std::getline(items, item, ',');)
        if constexpr (std::is_same_v<typename std::decay_t<decltype(into)>::value_type,
                                     std::string>)
          into.push_back(item);
        else
          into.push_back(std::stoi(item));
    };
  };
  Options &o = line.options;
  return {{"--data", text(o.data)},
          {"--validation", text(o.validation)},
          {"--video", text(o.video)},
          {"--out", text(o.out)},
          {"--snapshot", text(line.snapshot)},
          {"--channels", integer(o.channels)},
          {"--blocks", list(o.blocks)},
          {"--batch", integer(o.batch)},
          {"--patch", integer(o.patch)},
          {"--candidates", integer(o.candidates)},
          {"--learning-rate", number(o.learning_rate)},
          {"--minutes", number(o.minutes)},
          {"--iterations", integer(o.iterations)},
          {"--stop-after", integer(o.stop_after)},
          {"--fidelity-share", number(o.fidelity_share)},
          {"--clean-share", number(o.clean_share)},
          {"--word-share", number(o.word_share)},
          {"--noise-free-share", number(o.noise_free_share)},
          {"--distinct-batches", integer(o.distinct_batches)},
          {"--checkpoint-minutes", number(o.checkpoint_minutes)},
          {"--validation-minutes", number(o.validation_minutes)},
          {"--seed", integer(o.seed)},
          {"--device", text(o.device)},
          {"--precision",
           [&line](const std::string &value) {
             line.options.bfloat16 = value != "float32";
             line.precision = line.options.bfloat16 ? Precision::bfloat16 : Precision::float32;
           }},
          {"--default-steps", integer(line.defaults.steps)},
          {"--prompt", text(line.evaluation.sampler.prompt)},
          {"--inputs", text(line.evaluation.inputs)},
          {"--negative-prompt", text(line.evaluation.sampler.negative_prompt)},
          {"--guidance-scale", number(line.evaluation.sampler.guidance_scale)},
          {"--noise-level", integer(line.evaluation.sampler.noise_level)},
          {"--table",
           [&line](const std::string &value) {
             const std::map<std::string, EvaluationTable> tables = {
                 {"steps", EvaluationTable::steps},
                 {"faults", EvaluationTable::faults},
                 {"words", EvaluationTable::words}};
             const auto table = tables.find(value);
             if (table == tables.end())
               throw Error(ErrorKind::settings, "--table is steps, faults or words.");
             line.evaluation.table = table->second;
           }},
          {"--noise-temperature", number(line.defaults.noise_temperature)},
          {"--first", text(line.first)},
          {"--second", text(line.second)},
          {"--runs", list(line.runs)},
          {"--text-encoder", [&o](const std::string &value) { o.text_learns = value != "fixed"; }},
          {"--steps", list(line.evaluation.steps)}};
}

void require(const std::string &value, const char *option) {
  if (value.empty()) throw Error(ErrorKind::settings, std::string("Give ") + option + ".");
}

void run_training(const CommandLine &line) {
  const Options &options = line.options;
  require(options.data, "--data");
  if (options.minutes <= 0 && options.iterations <= 0)
    throw Error(ErrorKind::settings, "Give --minutes or --iterations.");
  Trainer trainer(options, read_picture_folder(options.data, /*halve_photos=*/true, options.video),
                  options.validation.empty()
                      ? std::vector<Picture>()
                      : read_picture_folder(options.validation, /*halve_photos=*/false));
  trainer.run();
}

void save_as_start(const EmbeddedModel &model) {
  EmbeddedModel::Position start;
  start.texture = true;
  model.save(start);
}

void run_combination(const CommandLine &line) {
  require(line.first, "--first");
  require(line.second, "--second");
  EmbeddedModel model(line.options);
  model.combine(line.first, line.second);
  save_as_start(model);
}

void run_averaging(const CommandLine &line) {
  if (line.runs.empty()) throw Error(ErrorKind::settings, "Give --runs.");
  EmbeddedModel model(line.options);
  model.average(line.runs);
  save_as_start(model);
}

void run_export(const CommandLine &line) {
  require(line.snapshot, "--snapshot");
  EmbeddedModel model(line.options);
  EmbeddedModel::Position position;
  if (!model.load(position))
    throw Error(ErrorKind::not_found, "No checkpoint in " + line.options.out + "; train first.");
  export_snapshot(line.snapshot, model, line.defaults);
  std::printf("exported iteration %lld to %s\n", (long long)position.iteration,
              line.snapshot.c_str());
}

void run_evaluation(const CommandLine &line) {
  require(line.snapshot, "--snapshot");
  require(line.options.validation, "--validation");
  EvaluationSettings settings = line.evaluation;
  settings.sampler.noise_temperature = line.defaults.noise_temperature;
  Sampler sampler(line.snapshot, line.precision);
  std::printf("%-20s %8s %10s %8s %12s\n", "", "PSNR-Y", "sharpness", "texture", "consistency");
  for (const EvaluationRow &row :
       evaluate(sampler, read_picture_folder(line.options.validation, false), settings))
    std::printf("%-20s %8.3f %10.3f %8.3f %12.2f\n", row.name.c_str(), row.quality.psnr_y,
                row.quality.sharpness, row.quality.texture, row.quality.consistency);
}

/// Of the training pictures, or else of the validation pictures.
void run_shrinking(const CommandLine &line) {
  const Options &options = line.options;
  const bool training = !options.data.empty();
  if (!training) require(options.validation, "--data or --validation");
  write_shrunk_folder(read_picture_folder(training ? options.data : options.validation, training),
                      options.out);
}

void run_credits(const CommandLine &line) {
  require(line.options.data, "--data");
  require(line.snapshot, "--snapshot");
  write_text(line.snapshot + "/CREDITS.md", credits(line.options.data));
}

const std::map<std::string, void (*)(const CommandLine &)> commands = {
    {"train", run_training},   {"combine", run_combination}, {"average", run_averaging},
    {"export", run_export},    {"evaluate", run_evaluation}, {"credits", run_credits},
    {"shrink", run_shrinking},
};

}  // namespace

int run_command(int argc, char **argv) try {
  const auto command = commands.find(argc > 1 ? argv[1] : "");
  if (command == commands.end())
    throw Error(ErrorKind::settings,
                "Say what to do: train, combine, average, export, evaluate, credits or shrink; "
                "models/train/README.md "
                "explains the options.");
  CommandLine line;
  const Setters known = setters(line);
  for (int i = 2; i < argc; i += 2) {
    const auto setter = known.find(argv[i]);
    if (setter == known.end() || i + 1 == argc)
      throw Error(ErrorKind::settings,
                  "Option " + std::string(argv[i]) + " is unknown or has no value.");
    setter->second(argv[i + 1]);
  }
  command->second(line);
  return 0;
} catch (const std::exception &error) {
  std::fprintf(stderr, "livepeer-train: %s\n", error.what());
  return 1;
}

}  // namespace livepeer::train
