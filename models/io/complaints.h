#pragma once

#include <string>
#include <vector>

namespace livepeer {

/// What is wrong with a file, to be said at once: the first few for a sentence, ending in how many
/// more there are.
std::string in_a_sentence(const std::vector<std::string> &complaints);
/// All of them, a line each, for an error's detail.
std::string in_lines(const std::vector<std::string> &complaints);

}  // namespace livepeer
