#include "element.h"

#include <glib/gstdio.h>

#include <algorithm>
#include <filesystem>

#include "common/property.h"
#include "failure.h"
#include "text.h"

namespace upscale_file {
namespace {

/// The last of `properties` counts where one is given twice, as --seed and --set.
bool is_set(const Options &options, const std::string &name) {
  return std::any_of(options.properties.begin(), options.properties.end(),
                     [&](const auto &property) { return property.first == name; });
}

void set_property(GstElement *upscale, const std::string &name, const std::string &text) {
  if (const auto wrong = livepeer_examples::set_property(upscale, name, text))
    throw Failure(shown(*wrong));
}

void load_preset(GstElement *upscale, const std::string &name) {
  if (GST_IS_PRESET(upscale) && gst_preset_load_preset(GST_PRESET(upscale), name.c_str())) return;
  std::string names;
  if (GST_IS_PRESET(upscale)) {
    g_auto(GStrv) there = gst_preset_get_preset_names(GST_PRESET(upscale));
    for (char **one = there; one && *one; one++)
      names += std::string(names.empty() ? "" : ", ") + *one;
  }
  throw Failure("there is no preset '" + shown(name) + "'; there " +
                (names.empty() ? "are none" : "are " + names));
}

/// Changed by nothing that matters: where and how fast frames are computed, and what is told.
bool decides_how_frames_look(const char *name) {
  for (const char *other : {"name", "parent", "stats", "post-messages", "n-threads",
                            "max-in-flight", "latency", "max-pixels", "qos", "random-seed"})
    if (g_str_equal(name, other)) return false;
  return true;
}

std::map<std::string, std::string> read_properties(GstElement *upscale) {
  std::map<std::string, std::string> result;
  guint count = 0;
  g_autofree GParamSpec **specs =
      g_object_class_list_properties(G_OBJECT_GET_CLASS(upscale), &count);
  for (guint i = 0; i < count; i++) {
    if (!(specs[i]->flags & G_PARAM_READABLE) || !decides_how_frames_look(specs[i]->name)) continue;
    GValue value = G_VALUE_INIT;
    g_value_init(&value, specs[i]->value_type);
    g_object_get_property(G_OBJECT(upscale), specs[i]->name, &value);
    g_autofree char *text =
        G_VALUE_HOLDS_STRING(&value) ? g_value_dup_string(&value) : gst_value_serialize(&value);
    result[specs[i]->name] = text ? text : "";
    g_value_unset(&value);
  }
  return result;
}

std::string files_under(const std::string &path) {
  namespace fs = std::filesystem;
  std::vector<std::string> lines;
  std::error_code none;
  const auto add = [&](const fs::path &file) {
    const auto time = fs::last_write_time(file, none).time_since_epoch().count();
    lines.push_back(file.string() + " " + std::to_string(fs::file_size(file, none)) + " " +
                    std::to_string(time));
  };
  if (fs::is_regular_file(path, none)) add(path);
  if (fs::is_directory(path, none))
    for (const auto &entry : fs::recursive_directory_iterator(path, none))
      if (entry.is_regular_file(none)) add(entry.path());
  std::sort(lines.begin(), lines.end());
  std::string all;
  for (const std::string &line : lines) all += line + "\n";
  g_autofree char *sum =
      g_compute_checksum_for_string(G_CHECKSUM_SHA256, all.c_str(), gssize(all.size()));
  return lines.empty() ? "" : sum;
}

}  // namespace

std::map<std::string, std::string> configure(GstElement *upscale, const Options &options) {
  if (!options.preset.empty()) load_preset(upscale, options.preset);
  for (const auto &[name, value] : options.properties) set_property(upscale, name, value);
  // The next frame waits inside while one is being computed.
  if (!is_set(options, "max-in-flight")) g_object_set(upscale, "max-in-flight", 2, nullptr);
  gboolean random = FALSE;
  g_object_get(upscale, "random-seed", &random, nullptr);
  // Each fragment starts the element anew, and all are to have one seed.
  if (random) g_object_set(upscale, "seed", gint64(g_random_int_range(1, G_MAXINT32)), nullptr);
  return read_properties(upscale);
}

int64_t seed_of(GstElement *upscale) {
  gint64 seed = 0;
  g_object_get(upscale, "seed", &seed, nullptr);
  return seed;
}

std::string model_fingerprint(GstElement *upscale) {
  g_autofree char *model = nullptr;
  g_autoptr(GstStructure) stats = nullptr;
  g_object_get(upscale, "model", &model, "stats", &stats, nullptr);
  std::string text;
  for (const char *name : {"model", "device", "precision", "cpu-level"}) {
    const char *value = stats ? gst_structure_get_string(stats, name) : nullptr;
    text += std::string(value ? value : "") + "|";
  }
  return text + (model ? files_under(model) : "");
}

}  // namespace upscale_file
