#include "matroska_tags.h"

#include <algorithm>
#include <cstdio>

#include "packets.h"

namespace upscale_file {
namespace {

constexpr long kTail = 4 << 20;  ///< tags are what comes last

void replace_all(std::string &text, const std::string &quoted, const std::string &plain) {
  for (size_t at = text.find(quoted); at != std::string::npos; at = text.find(quoted, at)) {
    std::copy(plain.begin(), plain.end(), text.begin() + long(at));
    std::fill_n(text.begin() + long(at + plain.size()), quoted.size() - plain.size(), '\0');
    at += quoted.size();
  }
}

void unquote(const GstTagList *tags, const char *tag, gpointer data) {
  auto &tail = *static_cast<std::string *>(data);
  for (guint i = 0; i < gst_tag_list_get_tag_size(tags, tag); i++) {
    const GValue *value = gst_tag_list_get_value_index(tags, tag, i);
    if (!G_VALUE_HOLDS_STRING(value)) continue;
    g_autofree char *quoted = gst_value_serialize(value);
    const std::string plain = g_value_get_string(value);
    if (quoted && quoted[0] == '"' && plain[0] != '"') replace_all(tail, quoted, plain);
  }
}

}  // namespace

void unquote_matroska_tags(const std::string &path, const std::vector<const GstTagList *> &tags) {
  const FilePtr file(std::fopen(path.c_str(), "r+b"));
  if (!file || std::fseek(file.get(), 0, SEEK_END) != 0) return;
  const long size = std::ftell(file.get());
  const long begin = std::max(size - kTail, 0L);
  std::string tail(size_t(size - begin), '\0');
  if (std::fseek(file.get(), begin, SEEK_SET) != 0) return;
  if (std::fread(tail.data(), 1, tail.size(), file.get()) != tail.size()) return;
  const std::string before = tail;
  for (const GstTagList *list : tags) gst_tag_list_foreach(list, unquote, &tail);
  if (tail == before || std::fseek(file.get(), begin, SEEK_SET) != 0) return;
  std::fwrite(tail.data(), 1, tail.size(), file.get());
}

}  // namespace upscale_file
