#include "io/complaints.h"

#include <algorithm>

namespace livepeer {

std::string in_a_sentence(const std::vector<std::string> &complaints) {
  constexpr size_t shown = 5;
  std::string list;
  for (size_t i = 0; i < std::min(complaints.size(), shown); ++i)
    list += (i ? "; " : "") + complaints[i];
  if (complaints.size() > shown)
    list += "; and " + std::to_string(complaints.size() - shown) + " more (see the details)";
  return list;
}

std::string in_lines(const std::vector<std::string> &complaints) {
  std::string all;
  for (const std::string &complaint : complaints) all += complaint + "\n";
  return all;
}

}  // namespace livepeer
