#include "picture_bytes.h"

#include <glib.h>

#include <string_view>

namespace upscale_file {
namespace {

/// Reads numbers out of a file in memory; beyond its end there are zeros.
class Bytes {
 public:
  explicit Bytes(std::string_view data) : data_(data) {}
  unsigned at(size_t place) const {
    return place < data_.size() ? static_cast<unsigned char>(data_[place]) : 0;
  }
  unsigned big(size_t place) const {
    return at(place) << 24 | at(place + 1) << 16 | at(place + 2) << 8 | at(place + 3);
  }
  unsigned little(size_t place) const {
    return at(place + 3) << 24 | at(place + 2) << 16 | at(place + 1) << 8 | at(place);
  }
  std::string_view word(size_t place) const {
    return place < data_.size() ? data_.substr(place, 4) : "";
  }
  size_t size() const { return data_.size(); }

 private:
  const std::string_view data_;
};

size_t gif_colours(unsigned flags) { return flags & 0x80 ? size_t(3) << ((flags & 7) + 1) : 0; }

unsigned gif_frames(const Bytes &file) {
  unsigned frames = 0;
  size_t place = 13 + gif_colours(file.at(10));
  while (place < file.size() && file.at(place) != 0x3b) {
    const bool image = file.at(place) == 0x2c;
    place += image ? 11 + gif_colours(file.at(place + 9)) : 2;
    while (place < file.size() && file.at(place) != 0) place += file.at(place) + 1;
    place++;
    if (image) frames++;
  }
  return frames;
}

unsigned webp_frames(const Bytes &file) {
  unsigned frames = 0;
  for (size_t place = 12; place + 8 <= file.size();
       place += 8 + (size_t(file.little(place + 4)) + 1) / 2 * 2)
    if (file.word(place) == "ANMF") frames++;
  return frames;
}

/// A file in memory, for as long as this lives.
class Mapped {
 public:
  explicit Mapped(const std::string &path)
      : file_(g_mapped_file_new(path.c_str(), FALSE, nullptr)) {}
  Mapped(const Mapped &) = delete;
  Mapped &operator=(const Mapped &) = delete;
  ~Mapped() {
    if (file_) g_mapped_file_unref(file_);
  }
  std::string_view text() const {
    if (!file_) return "";
    return {g_mapped_file_get_contents(file_), g_mapped_file_get_length(file_)};
  }

 private:
  GMappedFile *const file_;
};

bool is_png(std::string_view file) { return file.substr(0, 4) == "\x89PNG"; }

/// Whether a chunk of this name comes before the pixels.
bool has_png_chunk(const Bytes &file, std::string_view name) {
  for (size_t place = 8; place + 8 <= file.size() && file.word(place + 4) != "IDAT";
       place += 12 + size_t(file.big(place)))
    if (file.word(place + 4) == name) return true;
  return false;
}

}  // namespace

unsigned picture_frames(const std::string &path) {
  const Mapped mapped(path);
  const Bytes file(mapped.text());
  if (file.word(0) == "GIF8") return gif_frames(file);
  return file.word(0) == "RIFF" ? webp_frames(file) : 1;
}

bool is_png_with_alpha(const std::string &path) {
  const Mapped mapped(path);
  const Bytes file(mapped.text());
  constexpr unsigned kAlpha = 4;  // of the colour type
  return is_png(mapped.text()) && !has_png_chunk(file, "iCCP") &&
         ((file.at(25) & kAlpha) || has_png_chunk(file, "tRNS"));
}

bool is_animated_png(const std::string &path) {
  const Mapped mapped(path);
  return is_png(mapped.text()) && has_png_chunk(Bytes(mapped.text()), "acTL");
}

bool is_cut_off(const std::string &path) {
  const Mapped mapped(path);
  const std::string_view file = mapped.text();
  if (is_png(file)) return file.rfind("IEND") == std::string_view::npos;
  return file.substr(0, 3) == "\xff\xd8\xff" && file.rfind("\xff\xd9") == std::string_view::npos;
}

}  // namespace upscale_file
