#include "train/shrunk_folder.h"

#include <stb/stb_image_write.h>

#include <filesystem>

#include "runtime/error.h"
#include "train/degradation.h"
#include "train/validation.h"

namespace livepeer::train {

void write_shrunk_folder(const std::vector<Picture> &pictures, const std::string &folder) {
  std::filesystem::create_directories(folder);
  for (const Picture &picture : pictures) {
    const auto low_res = quantised(shrink(reference_planes(picture), Kernel::cubic))[0];
    const int64_t height = low_res.size(1) / 2 * 2, width = low_res.size(2) / 8 * 8;
    const auto pixels = (low_res.narrow(1, 0, height).narrow(2, 0, width) * 255)
                            .round()
                            .to(torch::kByte)
                            .permute({1, 2, 0})
                            .contiguous();
    const std::string path = version_path(folder, picture.name);
    if (!stbi_write_png(path.c_str(), int(width), int(height), 3, pixels.data_ptr(), 0))
      throw Error(ErrorKind::failed, "Picture " + path + " cannot be written.", path);
  }
}

}  // namespace livepeer::train
