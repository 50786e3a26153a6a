#include "job_file.h"

#include <glib.h>

#include <nlohmann/json.hpp>

#include "failure.h"
#include "text.h"

namespace upscale_file {
namespace {

constexpr int kFormat = 1;

}  // namespace

void write_job(const std::string &path, const Job &job) {
  nlohmann::json json = {{"format", kFormat},
                         {"input", job.input},
                         {"settings", nlohmann::json::object()},
                         {"model", job.model},
                         {"encoder", job.encoder},
                         {"seed", job.seed},
                         {"fragment_frames", job.fragment_frames},
                         {"partial_output", job.partial_output}};
  for (const auto &[name, value] : job.settings) json["settings"][name] = shown(value);
  const std::string text = json.dump(2) + "\n";
  g_autoptr(GError) error = nullptr;
  if (!g_file_set_contents_full(path.c_str(), text.c_str(), gssize(text.size()),
                                G_FILE_SET_CONTENTS_DURABLE, 0666, &error))
    throw Failure(shown(error->message));
}

Job read_job(const std::string &path) {
  g_autofree char *text = nullptr;
  gsize size = 0;
  g_autoptr(GError) error = nullptr;
  if (!g_file_get_contents(path.c_str(), &text, &size, &error))
    throw Failure("there is nothing to resume: " + shown(error->message));
  try {
    const nlohmann::json json = nlohmann::json::parse(text, text + size);
    if (json.at("format") != kFormat)
      throw Failure("'" + shown(path) + "' is of another version of this program");
    Job job;
    job.input = json.at("input");
    job.settings = json.at("settings").get<std::map<std::string, std::string>>();
    job.model = json.at("model");
    job.encoder = json.at("encoder");
    job.seed = json.at("seed");
    job.fragment_frames = json.at("fragment_frames");
    job.partial_output = json.at("partial_output");
    return job;
  } catch (const nlohmann::json::exception &) {
    throw Failure("'" + shown(path) + "' is damaged: begin anew with --overwrite");
  }
}

void check_same(const Job &before, const Job &now) {
  if (before.input != now.input)
    throw Failure("the input has changed since: begin anew with --overwrite");
  std::string names;
  const auto differs = [&](const std::string &name, const std::string &was, const std::string &is) {
    if (was != is)
      names += (names.empty() ? "" : "; ") + name + " was '" + was + "' and is '" + is + "'";
  };
  for (const auto &[name, value] : before.settings) {
    const auto found = now.settings.find(name);
    differs(name, value, found == now.settings.end() ? "" : shown(found->second));
  }
  for (const auto &[name, value] : now.settings)
    if (!before.settings.count(name)) differs(name, "", shown(value));
  differs("encoder", before.encoder, now.encoder);
  if (!before.model.empty() && !now.model.empty()) differs("model", before.model, now.model);
  if (before.fragment_frames && now.fragment_frames)
    differs("fragment", std::to_string(before.fragment_frames),
            std::to_string(now.fragment_frames));
  if (!names.empty())
    throw Failure("the job was begun otherwise: " + names +
                  ". Give the same options, or begin anew with --overwrite");
}

}  // namespace upscale_file
