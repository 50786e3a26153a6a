// Sizes are read before anything is decoded, so that a small file that claims to be a huge picture
// costs nothing. Field positions are those of the formats' specifications.
#include "picture.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <stdexcept>
#include <string>

namespace upscale_server {
namespace {

enum class Order { big, little };

/// Reads numbers out of a file; throws std::out_of_range beyond its end.
class Reader {
 public:
  Reader(std::string_view file, Order order) : file_(file), order_(order) {}

  uint32_t number(size_t at, size_t bytes) const {
    if (at > file_.size() || file_.size() - at < bytes) throw std::out_of_range("end of file");
    uint32_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
      const size_t from = order_ == Order::big ? i : bytes - 1 - i;
      value = value << 8 | uint8_t(file_[at + from]);
    }
    return value;
  }

 private:
  std::string_view file_;
  Order order_;
};

struct Size {
  uint32_t width, height;
};

Size png_size(std::string_view file) {
  const Reader reader(file, Order::big);
  if (file.substr(12, 4) != "IHDR") return {0, 0};
  return {reader.number(16, 4), reader.number(20, 4)};
}

bool is_start_of_frame(uint32_t marker) {
  return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

constexpr uint32_t kStartOfScan = 0xda, kEndOfImage = 0xd9;

/// The next marker of a JPEG that has a segment, which `at` then is at. Throws at the file's end.
uint32_t next_marker(const Reader &reader, std::string_view file, size_t &at) {
  for (;;) {
    at = std::min(file.find('\xff', at), file.size());
    while (reader.number(at, 1) == 0xff) at++;
    const uint32_t marker = reader.number(at++, 1);
    const bool stands_alone = marker <= 1 || (marker >= 0xd0 && marker <= 0xd8);
    if (!stands_alone) return marker;
  }
}

Size jpeg_size(std::string_view file) {
  const Reader reader(file, Order::big);
  for (size_t at = 2;; at += reader.number(at, 2)) {
    const uint32_t marker = next_marker(reader, file, at);
    if (is_start_of_frame(marker)) return {reader.number(at + 5, 2), reader.number(at + 3, 2)};
    if (marker == kStartOfScan || marker == kEndOfImage) return {0, 0};
  }
}

struct Segments {
  int all = 0, scans = 0;
};

Segments count_segments(std::string_view file) {
  const Reader reader(file, Order::big);
  Segments number;
  try {
    for (size_t at = 2;; at += reader.number(at, 2)) {
      const uint32_t marker = next_marker(reader, file, at);
      if (marker == kEndOfImage) break;
      number.all++;
      if (marker == kStartOfScan) number.scans++;
    }
  } catch (const std::out_of_range &) {
  }
  return number;
}

Size gif_size(std::string_view file) {
  const Reader reader(file, Order::little);
  return {reader.number(6, 2), reader.number(8, 2)};
}

Size webp_size(std::string_view file) {
  const Reader reader(file, Order::little);
  const std::string_view chunk = file.substr(12, 4);
  if (chunk == "VP8X") return {reader.number(24, 3) + 1, reader.number(27, 3) + 1};
  if (chunk == "VP8 ") return {reader.number(26, 2) & 0x3fff, reader.number(28, 2) & 0x3fff};
  if (chunk != "VP8L") return {0, 0};
  const uint32_t bits = reader.number(21, 4);
  return {(bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1};
}

Size bmp_size(std::string_view file) {
  const Reader reader(file, Order::little);
  constexpr uint32_t core_header = 12;
  if (reader.number(14, 4) == core_header) return {reader.number(18, 2), reader.number(20, 2)};
  const auto height = int32_t(reader.number(22, 4));  // negative: rows from top to bottom
  return {reader.number(18, 4), height < 0 ? 0 - uint32_t(height) : uint32_t(height)};
}

Size tiff_size(std::string_view file) {
  const Reader reader(file, file[0] == 'I' ? Order::little : Order::big);
  constexpr uint32_t image_width = 256, image_length = 257, compression = 259, strip_offsets = 273,
                     samples_per_pixel = 277, tile_width = 322, tile_length = 323,
                     tile_offsets = 324;
  constexpr uint32_t short_type = 3, long_type = 4;
  constexpr uint32_t most_samples = 5;  // CMYK and alpha
  constexpr uint32_t most_tile = 4096;  // a side: the decoder has room for a whole one
  constexpr uint32_t most_pieces =
      65536;  // strips or tiles, each of which may be a file of its own
  constexpr uint32_t usual[] = {1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946};  // CCITT, LZW, JPEG, deflate
  const size_t directory = reader.number(4, 4);
  const uint32_t entries = reader.number(directory, 2);
  Size size = {0, 0};
  for (size_t i = 0; i < entries; i++) {
    const size_t entry = directory + 2 + 12 * i;
    const uint32_t tag = reader.number(entry, 2), type = reader.number(entry + 2, 2);
    const bool is_side = tag == image_width || tag == image_length;
    const bool is_tile = tag == tile_width || tag == tile_length;
    if ((tag == strip_offsets || tag == tile_offsets) && reader.number(entry + 4, 4) > most_pieces)
      return {0, 0};
    if (!is_side && !is_tile && tag != samples_per_pixel && tag != compression) continue;
    // Decoders take other types, too, which no program writes.
    if ((type != short_type && type != long_type) || reader.number(entry + 4, 4) != 1)
      return {0, 0};
    const uint32_t value = reader.number(entry + 8, type == short_type ? 2 : 4);
    if (tag == samples_per_pixel && value > most_samples) return {0, 0};
    if (is_tile && value > most_tile) return {0, 0};
    if (tag == compression &&
        std::find(std::begin(usual), std::end(usual), value) == std::end(usual))
      return {0, 0};
    // Of a repeated tag any may be the one that the decoder believes.
    if (tag == image_width) size.width = std::max(size.width, value);
    if (tag == image_length) size.height = std::max(size.height, value);
  }
  return size;
}

struct Format {
  const char *name;
  std::string_view magic;
  size_t second_at;  ///< where a second piece of magic lies
  std::string_view second;
  Size (*size)(std::string_view file);
};

using namespace std::string_view_literals;

constexpr Format kFormats[] = {
    {"PNG", "\x89PNG\r\n\x1a\n"sv, 0, ""sv, png_size},
    {"JPEG", "\xff\xd8\xff"sv, 0, ""sv, jpeg_size},
    {"GIF", "GIF87a"sv, 0, ""sv, gif_size},
    {"GIF", "GIF89a"sv, 0, ""sv, gif_size},
    {"WebP", "RIFF"sv, 8, "WEBP"sv, webp_size},
    {"BMP", "BM"sv, 0, ""sv, bmp_size},
    {"TIFF", "II*\0"sv, 0, ""sv, tiff_size},
    {"TIFF", "MM\0*"sv, 0, ""sv, tiff_size},
};

size_t color_table_bytes(uint32_t flags) {
  return flags & 0x80 ? size_t(3) << ((flags & 7) + 1) : 0;
}

/// Where the data blocks that start at `at` end.
size_t end_of_blocks(const Reader &reader, size_t at) {
  while (const uint32_t length = reader.number(at, 1)) at += 1 + length;
  return at + 1;
}

/// Everything up to the end of the first frame. A frame that is cut off is left as it is.
std::string first_gif_frame(std::string_view file) {
  std::string kept(file);
  try {
    const Reader reader(file, Order::little);
    size_t at = 13 + color_table_bytes(reader.number(10, 1));
    constexpr uint32_t extension = 0x21, graphic_control = 0xf9, image = 0x2c;
    while (reader.number(at, 1) == extension) {
      if (reader.number(at + 1, 1) == graphic_control) {
        reader.number(at + 3, 1);
        kept[at + 3] &= ~1;  // the flag that one colour is transparent
      }
      at = end_of_blocks(reader, at + 2);
    }
    if (reader.number(at, 1) != image) return kept;
    constexpr size_t descriptor = 10, code_size = 1;
    at += descriptor + color_table_bytes(reader.number(at + 9, 1)) + code_size;
    kept.resize(end_of_blocks(reader, at));
    kept += ';';
  } catch (const std::out_of_range &) {
  }
  return kept;
}

/// A WebP's first frame and what belongs to it: the decoder begins again at the first one for each
/// of them. What is cut off is left as it is.
std::string first_webp_frame(std::string_view file) {
  constexpr size_t riff_header = 12, chunk_header = 8;
  std::string kept(file.substr(0, riff_header));
  std::set<std::string_view> wanted = {"VP8X", "ICCP", "ANIM", "ALPH", "VP8 ", "VP8L", "ANMF"};
  try {
    const Reader reader(file, Order::little);
    bool has_frame = false;
    for (size_t at = riff_header, length; !has_frame; at += length) {
      const size_t bytes = reader.number(at + 4, 4);
      length = chunk_header + bytes + bytes % 2;
      const std::string_view name = file.substr(at, 4);
      if (wanted.erase(name)) kept += file.substr(at, length);
      has_frame = name == "ANMF" || name == "VP8 " || name == "VP8L";
    }
  } catch (const std::out_of_range &) {
  }
  for (int i = 0; i < 4; i++) kept[4 + size_t(i)] = char((kept.size() - 8) >> 8 * i);
  return kept;
}

/// The chunks that colours are made of. Others may unpack to gigabytes in the decoder, which ends
/// the program where there is no memory, or call the file an animation, which is no PNG to
/// gdk-pixbuf where the MIME database tells the two apart. What is broken or cut off is left as it
/// is.
std::string bare_png(std::string_view file) {
  constexpr size_t signature = 8, name_at = 4, around_data = 12;
  std::string kept(file.substr(0, signature));
  bool has_profile = false;  // the decoder unpacks at most 8 MB of one
  try {
    const Reader reader(file, Order::big);
    for (size_t at = signature, length; at < file.size(); at += length) {
      length = around_data + reader.number(at, 4);
      const std::string_view name = file.substr(at + name_at, 4);
      const bool is_profile = name == "iCCP";
      const bool is_critical = !name.empty() && name[0] >= 'A' && name[0] <= 'Z';
      if (is_critical || name == "tRNS" || (is_profile && !has_profile))
        kept += file.substr(at, length);
      has_profile = has_profile || is_profile;
    }
  } catch (const std::out_of_range &) {
  }
  return kept;
}

}  // namespace

std::optional<PictureHeader> read_picture_header(std::string_view file) {
  for (const Format &format : kFormats) {
    if (file.substr(0, format.magic.size()) != format.magic) continue;
    if (file.size() < format.second_at ||
        file.substr(format.second_at, format.second.size()) != format.second)
      continue;
    try {
      const Size size = format.size(file);
      if (size.width == 0 || size.height == 0) return std::nullopt;
      return PictureHeader{format.name, size.width, size.height};
    } catch (const std::out_of_range &) {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

BytesPtr single_picture(const PictureHeader &header, std::string_view file) {
  const auto bytes = [](std::string_view data) {
    return BytesPtr(g_bytes_new(data.data(), data.size()));
  };
  const std::string_view format = header.format;
  if (format == "GIF") return bytes(first_gif_frame(file));
  if (format == "PNG") return bytes(bare_png(file));
  if (format == "WebP") return bytes(first_webp_frame(file));
  return bytes(file);
}

void check_segments(const PictureHeader &header, std::string_view file) {
  if (header.format != "JPEG"sv) return;
  constexpr int most_scans = 40, most = 2000;  // programs write at most 18, and some hundred
  const Segments number = count_segments(file);
  if (number.scans > most_scans || number.all > most)
    throw std::runtime_error("it has more than " + std::to_string(most_scans) + " scans or " +
                             std::to_string(most) + " segments");
}

}  // namespace upscale_server
