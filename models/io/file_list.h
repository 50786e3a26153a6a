#pragma once

#include <string>
#include <vector>

namespace livepeer {

struct ListedFile {
  std::string path;
  double weight = 1;
};

/// The files that a property's text lists, between spaces, each with @ and a number behind it where
/// it has a weight. As in a shell, what stands in quotes, ' or ", or behind a backslash is part of
/// the path, a space or an @ too. `property` and `with_weights` are for the messages, and for
/// properties whose files have none: there an @ is part of the path. Throws Error{settings}.
std::vector<ListedFile> parse_file_list(const std::string &text, const std::string &property,
                                        bool with_weights);

}  // namespace livepeer
