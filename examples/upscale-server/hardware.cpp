#include "hardware.h"

#include <gio/gio.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <sstream>
#include <utility>

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
      gpu[column.member] = std::clamp<gint64>(number, 0, G_MAXINT64 >> 20) << 20;
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
  Json::object_t gpus;
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) {
    const std::vector<std::string> values = split(line, ", ");
    if (values.size() != columns.size()) continue;
    Json gpu = Json::object();
    for (size_t i = 0; i < columns.size(); i++) add_value(columns[i], values[i], gpu);
    gpus.emplace_back(std::to_string(gpus.size()), std::move(gpu));  // not looked for before
  }
  return gpus;
}

constexpr gint64 kFresh = G_USEC_PER_SEC;
constexpr guint kPatienceSeconds = 5;
constexpr size_t kMostText = 64 * 1024;  // some hundred bytes for a GPU

}  // namespace

/// One of the two questions: its latest answer, and who waits for the next.
struct Hardware::Table {
  explicit Table(const Columns &its_columns) : columns(its_columns) {}

  const Columns &columns;
  Json gpus = Json::object();
  gint64 read_at = -kFresh;
  std::vector<Done> waiting;
};

/// A process, in a group with what it starts, and what it says. Owns itself until the process has
/// ended: one that hangs in the driver may not even die, and then no other is started.
struct Hardware::Query {
  Query(Hardware &its_owner, Table &its_table, GSubprocess *its_process)
      : owner(its_owner), table(its_table), process(its_process), group(id_of(process)) {
    g_input_stream_read_all_async(g_subprocess_get_stdout_pipe(process), text.data(), text.size(),
                                  G_PRIORITY_DEFAULT, hurry, has_read, this);
  }
  ~Query() {
    g_object_unref(process);
    g_object_unref(hurry);
  }

  Hardware &owner;
  Table &table;
  GSubprocess *process;
  const pid_t group;
  GCancellable *hurry = g_cancellable_new();
  guint timer = g_timeout_add_seconds(kPatienceSeconds, time_is_up, this);
  std::array<char, kMostText + 1> text;
  gsize size = 0;
  bool good = false;

  static pid_t id_of(GSubprocess *process) {
    const char *text = g_subprocess_get_identifier(process);
    return text ? pid_t(g_ascii_strtoll(text, nullptr, 10)) : 0;  // it has ended already
  }

  void end_group() const {
    if (group > 0) kill(-group, SIGKILL);
  }

  static gboolean time_is_up(gpointer data) {
    auto *self = static_cast<Query *>(data);
    self->timer = 0;
    g_warning("nvidia-smi does not answer within %u s", kPatienceSeconds);
    self->owner.process_ = Process::hangs;
    self->end_group();
    g_cancellable_cancel(self->hurry);
    self->owner.ask_next();
    return G_SOURCE_REMOVE;
  }

  static void has_read(GObject *pipe, GAsyncResult *result, gpointer data) {
    auto *self = static_cast<Query *>(data);
    self->good =
        g_input_stream_read_all_finish(G_INPUT_STREAM(pipe), result, &self->size, nullptr) &&
        self->size <= kMostText;
    if (!self->good && self->timer) self->end_group();
    g_subprocess_wait_async(self->process, nullptr, ended, self);
  }

  static void ended(GObject *, GAsyncResult *, gpointer data) {
    const std::unique_ptr<Query> self(static_cast<Query *>(data));
    if (self->timer) g_source_remove(self->timer);
    self->good = self->good && g_subprocess_get_successful(self->process);
    settle(self->table, self->good
                            ? parse_table({self->text.data(), self->size}, self->table.columns)
                            : Json::object());
    self->owner.process_ = Process::none;
    self->owner.ask_next();
  }
};

Hardware::Hardware()
    : info_(std::make_unique<Table>(kInfo)), stats_(std::make_unique<Table>(kStats)) {}

Hardware::~Hardware() = default;

void Hardware::read(Table &table, Done done) {
  if (g_get_monotonic_time() - table.read_at < kFresh) {
    done(table.gpus);
    return;
  }
  table.waiting.push_back(std::move(done));
  ask_next();
}

void Hardware::ask_next() {
  for (Table *table : {info_.get(), stats_.get()}) {
    if (process_ == Process::hangs) settle(*table, Json::object());
    if (process_ == Process::none && !table->waiting.empty()) ask(*table);
  }
}

void Hardware::ask(Table &table) {
  std::string names;
  for (const Column &column : table.columns)
    names += (names.empty() ? "" : ",") + std::string(column.query);
  g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(
      GSubprocessFlags(G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_SILENCE));
  g_subprocess_launcher_set_child_setup(
      launcher, [](gpointer) { setpgid(0, 0); }, nullptr, nullptr);
  GSubprocess *process =
      g_subprocess_launcher_spawn(launcher, nullptr, "nvidia-smi", ("--query-gpu=" + names).c_str(),
                                  "--format=csv,noheader,nounits", nullptr);
  if (!process) {
    settle(table, Json::object());
    return;
  }
  process_ = Process::runs;
  new Query(*this, table, process);
}

/// Answers all who wait.
void Hardware::settle(Table &table, Json gpus) {
  table.gpus = std::move(gpus);
  table.read_at = g_get_monotonic_time();
  for (const Done &done : std::exchange(table.waiting, {})) done(table.gpus);
}

}  // namespace upscale_server
