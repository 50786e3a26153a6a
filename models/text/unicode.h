#pragma once

#include <string>
#include <vector>

namespace livepeer {

/// The Unicode side of CLIP's tokenizer; GLib does the work and stays behind this header.

/// `text` with everything that is not UTF-8 (and NUL) replaced by U+FFFD.
std::string valid_utf8(const std::string &text);
/// What transformers' BasicTokenizer makes of valid UTF-8: control characters and U+FFFD dropped,
/// ideographs set apart, NFC, lower case, words joined by single spaces.
std::string clean_text(const std::string &text);
/// Cuts cleaned text where CLIP's pattern does: special tokens, contractions, runs of letters,
/// single digits, runs of anything else.
std::vector<std::string> split_words(const std::string &text);

}  // namespace livepeer
