#include "input.h"

#include <gst/pbutils/pbutils.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "failure.h"
#include "packets.h"
#include "picture_bytes.h"
#include "text.h"

namespace upscale_file {
namespace {

using InfoPtr = std::unique_ptr<GstDiscovererInfo, UnrefObject>;
using DiscovererPtr = std::unique_ptr<GstDiscoverer, UnrefObject>;

struct Package {
  const char *part;  ///< of what a missing-plugin message asks for
  const char *name;
};

// In Debian 12 and 13; the first that matches.
const Package kPackages[] = {
    {"video/x-ms-asf", "gstreamer1.0-plugins-ugly"},
    {"application/vnd.rn-realmedia", "gstreamer1.0-plugins-ugly"},
    {"video/mpegts", "gstreamer1.0-plugins-bad"},
    {"video/mpeg-ps", "gstreamer1.0-plugins-bad"},
    {"video/mpeg, systemstream=(boolean)true", "gstreamer1.0-plugins-bad"},
    {"application/mxf", "gstreamer1.0-plugins-bad"},
    {"image/webp", "gstreamer1.0-plugins-bad"},
    {"element-h26", "gstreamer1.0-plugins-bad"},
    {"video/x-flv", "gstreamer1.0-plugins-good"},
    {"video/quicktime", "gstreamer1.0-plugins-good"},
    {"video/x-matroska", "gstreamer1.0-plugins-good"},
    {"video/webm", "gstreamer1.0-plugins-good"},
    {"video/x-msvideo", "gstreamer1.0-plugins-good"},
    {"video/x-vp8", "gstreamer1.0-plugins-good"},
    {"video/x-vp9", "gstreamer1.0-plugins-good"},
    {"decoder-", "gstreamer1.0-libav"},
};

std::string package_of(const std::string &wanted) {
  for (const Package &package : kPackages)
    if (wanted.find(package.part) != std::string::npos) return package.name;
  return "gstreamer1.0-plugins-bad or gstreamer1.0-plugins-ugly";
}

/// What an installer would be asked for, but sound: that is copied. Empty: nothing.
std::string missing_plugin(GstDiscovererInfo *info) {
  const char **details = gst_discoverer_info_get_missing_elements_installer_details(info);
  for (; details && *details; details++) {
    g_auto(GStrv) parts =
        g_strsplit(*details, "|", 5);  // gstreamer|1.0|program|description|request
    if (g_strv_length(parts) < 5 || g_str_has_prefix(parts[4], "decoder-audio/") ||
        g_str_has_prefix(parts[4], "decoder-text/") ||
        g_str_has_prefix(parts[4], "decoder-subpicture/") ||
        g_str_has_prefix(parts[4], "decoder-application/x-"))
      continue;
    return std::string("GStreamer lacks a ") + parts[3] + ": apt-get install " +
           package_of(parts[4]);
  }
  return "";
}

std::string turn_of_tags(const GstTagList *tags) {
  g_autofree char *orientation = nullptr;
  if (!tags || !gst_tag_list_get_string(tags, GST_TAG_IMAGE_ORIENTATION, &orientation)) return "";
  const std::string_view text = orientation;
  constexpr std::array<std::string_view, 8> names = {
      "rotate-0",        "flip-rotate-0", "rotate-180",     "flip-rotate-180",
      "flip-rotate-270", "rotate-90",     "flip-rotate-90", "rotate-270"};
  const auto found = std::find(names.begin(), names.end(), text);
  return found == names.end() ? "" : turn_of(int(found - names.begin()) + 1);
}

std::string_view head_of(const std::string &path, std::array<char, 32> &bytes) {
  const FilePtr file(std::fopen(path.c_str(), "rb"));
  if (!file) throw Failure("'" + shown(path) + "' cannot be read: " + std::strerror(errno));
  const size_t size = std::fread(bytes.data(), 1, bytes.size(), file.get());
  if (size == 0)
    throw Failure("'" + shown(path) + "' " +
                  (std::ferror(file.get()) ? "cannot be read: " + std::string(std::strerror(errno))
                                           : "is empty"));
  return {bytes.data(), size};
}

/// Files of pictures by how they begin; whether they move is another question.
bool begins_as_picture(std::string_view head) {
  using namespace std::string_view_literals;
  for (const auto magic :
       {"\x89PNG\r\n\x1a\n"sv, "\xff\xd8\xff"sv, "GIF8"sv, "BM"sv, "II*\0"sv, "MM\0*"sv})
    if (head.substr(0, magic.size()) == magic) return true;
  if (head.substr(0, 4) == "RIFF" && head.size() >= 12 && head.substr(8, 4) == "WEBP") return true;
  if (head.size() >= 12 && head.substr(4, 4) == "ftyp")
    for (const auto brand : {"avif"sv, "heic"sv, "heix"sv, "mif1"sv})
      if (head.substr(8, 4) == brand) return true;
  return false;
}

void read_video(GstDiscovererInfo *info, Input &input) {
  GList *videos = gst_discoverer_info_get_video_streams(info);
  for (GList *at = videos; at; at = at->next) {
    auto *video = GST_DISCOVERER_VIDEO_INFO(at->data);
    if (gst_discoverer_video_info_is_image(video) && at->next) continue;
    const guint rate = gst_discoverer_video_info_get_framerate_num(video);
    const guint unit = gst_discoverer_video_info_get_framerate_denom(video);
    input.frame_rate = unit ? double(rate) / unit : 0;
    input.turn =
        turn_of_tags(gst_discoverer_stream_info_get_tags(GST_DISCOVERER_STREAM_INFO(video)));
    break;
  }
  gst_discoverer_stream_info_list_free(videos);
}

void discover(Input &input) {
  g_autofree char *full = g_canonicalize_filename(input.path.c_str(), nullptr);
  g_autofree char *uri = g_filename_to_uri(full, nullptr, nullptr);
  g_autoptr(GError) error = nullptr;
  const DiscovererPtr discoverer(gst_discoverer_new(30 * GST_SECOND, &error));
  if (!discoverer) throw Failure(error->message);
  const InfoPtr info(gst_discoverer_discover_uri(discoverer.get(), uri, &error));
  const std::string name = "'" + shown(input.path) + "' ";
  if (!info)
    throw Failure(name + "cannot be read: " + (error ? error->message : "nobody knows why"));
  const std::string missing = missing_plugin(info.get());
  if (!missing.empty()) throw Failure(name + "cannot be decoded: " + missing);
  GList *videos = gst_discoverer_info_get_video_streams(info.get());
  const bool has_video = videos != nullptr;
  gst_discoverer_stream_info_list_free(videos);
  if (!has_video) {
    const bool known = gst_discoverer_info_get_result(info.get()) == GST_DISCOVERER_OK;
    throw Failure(name + (known ? "has no picture in it"
                                : std::string("is not a picture or clip: ") +
                                      (error ? error->message : "it is damaged")));
  }
  read_video(info.get(), input);
  const GstClockTime duration = gst_discoverer_info_get_duration(info.get());
  if (GST_CLOCK_TIME_IS_VALID(duration)) input.duration = duration;
  if (const GstToc *toc = gst_discoverer_info_get_toc(info.get()))
    input.chapters.reset(gst_toc_copy(toc));
  GstDiscovererStreamInfo *top = gst_discoverer_info_get_stream_info(info.get());
  const GstTagList *tags = nullptr;
  if (top && GST_IS_DISCOVERER_CONTAINER_INFO(top))
    tags = gst_discoverer_container_info_get_tags(GST_DISCOVERER_CONTAINER_INFO(top));
  if (input.turn.empty()) input.turn = turn_of_tags(tags);
  if (tags) {
    input.tags.reset(gst_tag_list_copy(tags));
    gst_tag_list_set_scope(input.tags.get(), GST_TAG_SCOPE_GLOBAL);
    // What the new file's own say, or what has been done.
    for (const char *tag : {GST_TAG_CONTAINER_FORMAT, GST_TAG_IMAGE_ORIENTATION, GST_TAG_ENCODER,
                            GST_TAG_APPLICATION_NAME, GST_TAG_LANGUAGE_CODE})
      gst_tag_list_remove_tag(input.tags.get(), tag);
  }
  if (top) gst_discoverer_stream_info_unref(top);
}

}  // namespace

std::string turn_of(int exif_orientation) {
  constexpr std::array<const char *, 9> directions = {"",      "",    "horiz", "180", "vert",
                                                      "ul-lr", "90r", "ur-ll", "90l"};
  return exif_orientation >= 0 && exif_orientation <= 8 ? directions[size_t(exif_orientation)] : "";
}

Kind kind_of_file(const std::string &path) {
  struct stat info;
  if (stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode))
    throw Failure("'" + shown(path) + "' is " +
                  (S_ISDIR(info.st_mode) ? "a folder, not a file"
                                         : "a pipe or device, which cannot be read: give a file"));
  std::array<char, 32> bytes;
  if (!begins_as_picture(head_of(path, bytes))) return Kind::clip;
  return picture_frames(path) > 1 ? Kind::animation : Kind::picture;
}

Input inspect(const std::string &path) {
  Input input;
  input.path = path;
  input.kind = kind_of_file(path);
  if (input.kind == Kind::clip) discover(input);
  return input;
}

std::string file_fingerprint(const std::string &path) {
  struct stat info;
  const FilePtr file(std::fopen(path.c_str(), "rb"));
  if (!file || fstat(fileno(file.get()), &info) != 0)
    throw Failure("'" + shown(path) + "' cannot be read: " + std::strerror(errno));
  constexpr long part = 1 << 20;
  std::string bytes(2 * part, '\0');
  size_t size = std::fread(bytes.data(), 1, part, file.get());
  if (info.st_size > 2 * part && std::fseek(file.get(), -part, SEEK_END) != 0)
    std::rewind(file.get());
  size += std::fread(bytes.data() + size, 1, part, file.get());
  g_autofree char *sum = g_compute_checksum_for_data(
      G_CHECKSUM_SHA256, reinterpret_cast<const guchar *>(bytes.data()), size);
  return std::to_string(info.st_size) + " " + std::to_string(info.st_mtime) + " " + sum;
}

}  // namespace upscale_file
