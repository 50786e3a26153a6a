#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace livepeer::train {

/// A byte-pair vocabulary in the manner of CLIP's: the 256 bytes, the same at the end of a word,
/// one token per merge, <|startoftext|>, <|endoftext|>. Any text can be written in it; the words it
/// is made for are one token each.
struct Vocabulary {
  std::vector<std::string> tokens;  ///< the index is the id
  std::vector<std::pair<std::string, std::string>> merges;

  /// Begin, the prompt's tokens, end. For prompts of lower-case ASCII words and commas; any other
  /// text is the tokenizer's business.
  std::vector<int64_t> encode(const std::string &prompt) const;
  /// Writes vocab.json, merges.txt and the tokenizer's two configurations into `folder`.
  void write(const std::string &folder) const;
};

/// `words` in lower-case ASCII letters and digits.
Vocabulary make_vocabulary(const std::vector<std::string> &words);

}  // namespace livepeer::train
