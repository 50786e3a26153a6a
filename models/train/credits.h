#pragma once

#include <string>

namespace livepeer::train {

/// Markdown that names the sources of a picture folder, by licence, as its manifest.json states
/// them: what attribution licences ask for.
std::string credits(const std::string &folder);

}  // namespace livepeer::train
