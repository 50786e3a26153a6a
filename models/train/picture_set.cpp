#include "train/picture_set.h"

#include <stb/stb_image.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>

#include "io/config.h"
#include "train/degradation.h"

namespace livepeer::train {
namespace {

/// Shares of the domains in a batch. Screens, drawings and maps are sharp everywhere; photographs
/// are what most people upscale.
const std::map<std::string, double> domain_shares = {{"photo", 0.62},  {"illustration", 0.16},
                                                     {"screen", 0.13}, {"texture", 0.05},
                                                     {"map", 0.02},    {"pixel-art", 0.02}};

torch::Tensor halved(const torch::Tensor &pixels) {
  const auto planes = pixels.permute({2, 0, 1}).unsqueeze(0).to(torch::kFloat);
  const auto half = at::_upsample_bicubic2d_aa(planes, {pixels.size(0) / 2, pixels.size(1) / 2},
                                               /*align_corners=*/false);
  return half[0].round().clamp(0, 255).to(torch::kByte).permute({1, 2, 0}).contiguous();
}

/// Mean absolute Laplacian of the green channel, on every second pixel.
double detail(const Picture &picture, int64_t x0, int64_t y0, int64_t side) {
  const int64_t width = picture.pixels.size(1), row = width * 3;
  const uint8_t *pixels = picture.pixels.data_ptr<uint8_t>();
  int64_t sum = 0;
  for (int64_t y = y0 + 1; y < y0 + side - 1; y += 2)
    for (int64_t x = x0 + 1; x < x0 + side - 1; x += 2) {
      const uint8_t *p = pixels + y * row + x * 3 + 1;
      sum += std::abs(4 * int(*p) - p[-3] - p[3] - p[-row] - p[row]);
    }
  return double(sum);
}

/// The square at x, y as one of its 8 mirrored and turned versions.
torch::Tensor square(const torch::Tensor &pixels, int64_t x, int64_t y, int64_t side,
                     unsigned orientation) {
  auto view = pixels.narrow(0, y, side).narrow(1, x, side);
  if (orientation & 1) view = view.transpose(0, 1);
  std::vector<int64_t> flips;
  if (orientation & 2) flips.push_back(0);
  if (orientation & 4) flips.push_back(1);
  return flips.empty() ? view : view.flip(flips);
}

}  // namespace

torch::Tensor read_picture(const std::string &path) {
  int width = 0, height = 0, channels = 0;
  const std::unique_ptr<uint8_t, decltype(&stbi_image_free)> data(
      stbi_load(path.c_str(), &width, &height, &channels, 3), stbi_image_free);
  if (!data)
    throw Error(ErrorKind::open_read,
                "Picture " + path + " cannot be read: " + stbi_failure_reason() + ".", path);
  return torch::from_blob(data.get(), {height, width, 3}, torch::kByte).clone();
}

torch::Tensor planes(const torch::Tensor &pixels) {
  return pixels.permute({2, 0, 1}).unsqueeze(0).to(torch::kFloat) / 255;
}

std::string version_path(const std::string &folder, const std::string &name) {
  return folder + "/" + name.substr(0, name.rfind('.')) + ".png";
}

std::vector<Picture> read_picture_folder(const std::string &folder, bool halve_photos,
                                         const std::string &video) {
  const Config manifest = Config::read(folder + "/manifest.json");
  std::vector<Picture> pictures;
  for (const nlohmann::json &entry : manifest.require<nlohmann::json>("files")) {
    const Config file(entry, manifest.origin());
    Picture picture{file.require<std::string>("file"), file.require<std::string>("domain"), {}, {}};
    picture.pixels = read_picture(folder + "/" + picture.name);
    if (halve_photos && (picture.domain == "photo" || picture.domain == "texture"))
      picture.pixels = halved(picture.pixels);
    if (!video.empty()) picture.video = read_picture(version_path(video, picture.name));
    pictures.push_back(std::move(picture));
  }
  return pictures;
}

PictureSet::PictureSet(std::vector<Picture> pictures, int64_t side)
    : side_(side), pictures_(std::move(pictures)) {
  std::map<std::string, Domain> domains;
  for (const Picture &picture : pictures_) {
    const int64_t height = picture.pixels.size(0), width = picture.pixels.size(1);
    const auto share = domain_shares.find(picture.domain);
    if (height < side || width < side || share == domain_shares.end()) continue;
    // A codec wants even sides, so its version may be a little smaller.
    const torch::Tensor &video = picture.video;
    if (video.defined() && std::min(video.size(0), video.size(1)) < side / scale) continue;
    Domain &domain = domains[picture.domain];
    domain.share = share->second;
    domain.pictures.push_back(&picture);
    domain.areas.push_back(double(height) * double(width));
  }
  if (domains.empty())
    throw Error(ErrorKind::settings,
                "No picture of a known domain is large enough to train on; "
                "use a larger data set or smaller patches.");
  for (auto &[name, domain] : domains) domains_.push_back(std::move(domain));
}

PictureSet::Crop PictureSet::choose(std::mt19937_64 &random, int candidates) const {
  std::vector<double> shares;
  for (const Domain &domain : domains_) shares.push_back(domain.share);
  const Domain &domain =
      domains_[std::discrete_distribution<size_t>(shares.begin(), shares.end())(random)];
  const Picture *picture = domain.pictures[std::discrete_distribution<size_t>(
      domain.areas.begin(), domain.areas.end())(random)];
  Crop best{picture, 0, 0};
  double best_detail = -1;
  for (int i = 0; i < candidates; ++i) {
    std::uniform_int_distribution<int64_t> across(0, picture->pixels.size(1) - side_),
        down(0, picture->pixels.size(0) - side_);
    const int64_t x = across(random), y = down(random);
    const double found = detail(*picture, x, y, side_);
    if (found > best_detail) {
      best_detail = found;
      best = {picture, x, y};
    }
  }
  return best;
}

torch::Tensor PictureSet::cut(const Crop &crop, unsigned orientation) const {
  return square(crop.picture->pixels, crop.x, crop.y, side_, orientation);
}

std::pair<PictureSet::Crop, torch::Tensor> PictureSet::cut_video(const Crop &crop,
                                                                 unsigned orientation) const {
  const torch::Tensor &video = crop.picture->video;
  const int64_t side = side_ / scale;
  const int64_t x = std::min(crop.x / scale, video.size(1) - side);
  const int64_t y = std::min(crop.y / scale, video.size(0) - side);
  return {{crop.picture, x * scale, y * scale}, square(video, x, y, side, orientation)};
}

}  // namespace livepeer::train
