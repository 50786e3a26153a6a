#include "hardware.h"

#include <gio/gio.h>

#include <sstream>
#include <vector>

namespace upscale_server {
namespace {

enum class Kind { text, number, mebibytes, version };

/// A column of nvidia-smi's table and the member that it fills.
struct Column {
  const char *query;
  const char *member;
  Kind kind;
};

using Columns = std::vector<Column>;

const Columns kInfo = {{"uuid", "id", Kind::text},
                       {"name", "name", Kind::text},
                       {"memory.total", "memory_total", Kind::mebibytes},
                       {"memory.free", "memory_free", Kind::mebibytes},
                       {"compute_cap", nullptr, Kind::version}};
const Columns kStats = {{"uuid", "id", Kind::text},
                        {"name", "name", Kind::text},
                        {"memory.total", "memory_total", Kind::mebibytes},
                        {"memory.free", "memory_free", Kind::mebibytes},
                        {"utilization.gpu", "utilization_compute", Kind::number},
                        {"utilization.memory", "utilization_memory", Kind::number}};

std::vector<std::string> split(const std::string &text, const char *separator) {
  g_auto(GStrv) pieces = g_strsplit(text.c_str(), separator, -1);
  return {pieces, pieces + g_strv_length(pieces)};
}

void add_value(const Column &column, const std::string &text, Json &gpu) {
  const gint64 number = g_ascii_strtoll(text.c_str(), nullptr, 10);
  switch (column.kind) {
    case Kind::text:
      gpu[column.member] = text;
      break;
    case Kind::number:
      gpu[column.member] = number;
      break;
    case Kind::mebibytes:
      gpu[column.member] = number * 1024 * 1024;
      break;
    case Kind::version:
      gpu["major"] = number;
      gpu["minor"] = 0;
      if (const size_t dot = text.find('.'); dot != std::string::npos)
        gpu["minor"] = g_ascii_strtoll(text.c_str() + dot + 1, nullptr, 10);
      break;
  }
}

/// One line of comma-separated values for each GPU.
Json parse_table(const std::string &table, const Columns &columns) {
  Json gpus = Json::object();
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) {
    const std::vector<std::string> values = split(line, ", ");
    if (values.size() != columns.size()) continue;
    Json gpu = Json::object();
    for (size_t i = 0; i < columns.size(); i++) add_value(columns[i], values[i], gpu);
    gpus[std::to_string(gpus.size())] = std::move(gpu);
  }
  return gpus;
}

struct Query {
  const Columns &columns;
  std::function<void(Json)> done;
};

void answered(GObject *process, GAsyncResult *result, gpointer data) {
  const std::unique_ptr<Query> query(static_cast<Query *>(data));
  g_autofree char *table = nullptr;
  const bool good = g_subprocess_communicate_utf8_finish(G_SUBPROCESS(process), result, &table,
                                                         nullptr, nullptr) &&
                    g_subprocess_get_successful(G_SUBPROCESS(process));
  query->done(good ? parse_table(table, query->columns) : Json::object());
}

void ask(const Columns &columns, std::function<void(Json)> done) {
  std::string names;
  for (const Column &column : columns)
    names += (names.empty() ? "" : ",") + std::string(column.query);
  g_autoptr(GSubprocess) process = g_subprocess_new(
      GSubprocessFlags(G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_SILENCE), nullptr,
      "nvidia-smi", ("--query-gpu=" + names).c_str(), "--format=csv,noheader,nounits", nullptr);
  if (!process) {
    done(Json::object());
    return;
  }
  g_subprocess_communicate_utf8_async(process, nullptr, nullptr, answered,
                                      new Query{columns, std::move(done)});
}

}  // namespace

void read_gpu_info(std::function<void(Json gpus)> done) { ask(kInfo, std::move(done)); }

void read_gpu_stats(std::function<void(Json gpus)> done) { ask(kStats, std::move(done)); }

}  // namespace upscale_server
