#pragma once

#include <torch/types.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace livepeer::train {

/// An 8-bit RGB picture in memory, [height, width, 3] uint8, with what its manifest says of it.
struct Picture {
  std::string name;
  std::string domain;
  torch::Tensor pixels;
  torch::Tensor video;  ///< the picture shrunk by 4 and sent through a video codec; or undefined
};

/// Reads a JPEG or PNG as [height, width, 3] uint8; throws Error{open_read}.
torch::Tensor read_picture(const std::string &path);
/// The pictures of a folder as its manifest.json lists them. `halve_photos`: shrinks pictures of
/// domain "photo" and "texture" to half their size (antialiased bicubic): large, smooth wallpapers
/// teach little detail per patch otherwise. `video`: folder of their low-resolution versions, as
/// PNG files, or empty.
std::vector<Picture> read_picture_folder(const std::string &folder, bool halve_photos,
                                         const std::string &video = {});
/// `pixels` [height, width, 3] uint8 as [1, 3, height, width] in [0, 1].
torch::Tensor planes(const torch::Tensor &pixels);
/// The path of the PNG that stands for the picture `name` in another folder.
std::string version_path(const std::string &folder, const std::string &name);

/// Square crops for training from pictures held in memory.
class PictureSet {
 public:
  /// Throws Error{settings} where no picture is `side` pixels wide and high.
  PictureSet(std::vector<Picture> pictures, int64_t side);

  struct Crop {
    const Picture *picture;
    int64_t x, y;
  };
  /// A domain by its share, a picture of it by its size, and of `candidates` random places in it
  /// the most detailed one.
  Crop choose(std::mt19937_64 &random, int candidates) const;
  /// The crop as [side, side, 3] uint8, one of its 8 mirrored and turned versions.
  torch::Tensor cut(const Crop &crop, unsigned orientation) const;
  /// The crop, moved to where the picture's `video` has whole pixels of it, and what `video` shows
  /// there, [side / 4, side / 4, 3].
  std::pair<Crop, torch::Tensor> cut_video(const Crop &crop, unsigned orientation) const;

 private:
  struct Domain {
    double share;
    std::vector<const Picture *> pictures;
    std::vector<double> areas;
  };
  int64_t side_;
  std::vector<Picture> pictures_;
  std::vector<Domain> domains_;
};

}  // namespace livepeer::train
