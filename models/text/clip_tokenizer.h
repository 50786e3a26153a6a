#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace livepeer {

/// CLIP's byte-pair encoding, as transformers' CLIPTokenizer does it where ftfy is not installed
/// (so in Livepeer's runner). Reads vocab.json and merges.txt of any size, and the special tokens
/// from special_tokens_map.json or else tokenizer_config.json. Added tokens, which are cut out of
/// the text before anything else, are those of tokenizer_config.json or else added_tokens.json.
/// CLIP's own merges imply its vocabulary: beside them vocab.json may be left out.
class ClipTokenizer {
 public:
  /// Throws Error{not_found, open_read} naming the file.
  explicit ClipTokenizer(const std::string &folder);

  /// From now on `token` is cut out of texts, and `ids` stand for it. Throws Error{settings} where
  /// the vocabulary has it already.
  void add_token(const std::string &token, const std::vector<int64_t> &ids);

  struct Encoding {
    std::vector<int64_t> ids;  ///< begin, the prompt's first tokens, end, padding: max_length() ids
    size_t n_tokens;  ///< of the whole prompt with begin and end; above max_length() it was cut
  };
  /// Any bytes are taken: what is not UTF-8 is left out.
  Encoding encode(const std::string &text) const;
  /// The prompt's tokens alone: no begin or end, not cut.
  std::vector<int64_t> tokenize(const std::string &text) const;

  int64_t max_length() const { return max_length_; }
  int64_t pad_id() const { return pad_id_; }
  /// The text encoder's vocabulary must be larger.
  int64_t largest_id() const { return largest_id_; }

 private:
  struct Merge {
    int rank;
    int result;  ///< symbol
  };
  /// A part of a word: a byte or what merges made of several.
  int symbol(const std::string &text);
  void read_vocabulary(const std::string &path);
  void number_tokens(const std::vector<std::pair<std::string, std::string>> &merges);
  void read_added_tokens(const std::string &folder);
  void read_special_tokens(const std::string &folder);
  int64_t special_id(const std::string &token) const;
  void append_plain(const std::string &text, std::vector<int64_t> &ids) const;
  void append_word(const std::string &word, std::vector<int64_t> &ids) const;

  std::string folder_;
  std::unordered_map<std::string, int64_t> vocabulary_;
  std::unordered_map<std::string, int> symbols_;
  std::vector<int64_t> symbol_ids_;             ///< by symbol; -1: not in the vocabulary
  std::unordered_map<uint64_t, Merge> merges_;  ///< by left << 32 | right
  int byte_symbols_[256], last_byte_symbols_[256];
  std::vector<std::pair<std::string, std::vector<int64_t>>> special_tokens_;  ///< added ones, too
  int64_t begin_id_ = 0, end_id_ = 0, unknown_id_ = 0, pad_id_ = 0;
  int64_t max_length_ = 77, largest_id_ = 0;
};

}  // namespace livepeer
