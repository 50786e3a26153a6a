#include "train/text_file.h"

#include <fstream>

#include "runtime/error.h"

namespace livepeer::train {

void write_text(const std::string &path, const std::string &text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw Error(ErrorKind::failed, "File " + path + " cannot be written.", path);
}

void write_json(const std::string &path, const nlohmann::ordered_json &values) {
  write_text(path, values.dump(2) + "\n");
}

}  // namespace livepeer::train
