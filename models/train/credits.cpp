#include "train/credits.h"

#include <map>
#include <set>
#include <tuple>

#include "io/config.h"

namespace livepeer::train {

std::string credits(const std::string &folder) {
  const Config manifest = Config::read(folder + "/manifest.json");
  // Licence, then attribution and source, then the works.
  std::map<std::string, std::map<std::pair<std::string, std::string>, std::set<std::string>>> works;
  size_t count = 0;
  for (const nlohmann::json &entry : manifest.require<nlohmann::json>("files")) {
    const Config file(entry, manifest.origin());
    works[file.require<std::string>("licence")]
         [{file.require<std::string>("attribution"), file.require<std::string>("source")}]
             .insert(file.require<std::string>("path"));
    ++count;
  }
  std::string text =
      "# Credits\n\nThe weights in this folder were learnt from " + std::to_string(count) +
      " pictures, shrunk and cut to patches. Made by `livepeer-train credits` from the training "
      "set's manifest.\n";
  for (const auto &[licence, sources] : works) {
    text += "\n## " + licence + "\n\n";
    for (const auto &[origin, paths] : sources) {
      text += "- **" + origin.first + "** (" + origin.second + "): ";
      const char *separator = "";
      for (const std::string &path : paths) {
        text += separator + ("`" + path + "`");
        separator = ", ";
      }
      text += "\n";
    }
  }
  return text;
}

}  // namespace livepeer::train
