#include "train/vocabulary.h"

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "train/text_file.h"

namespace livepeer::train {
namespace {

const std::string end_of_word = "</w>", start_of_text = "<|startoftext|>",
                  end_of_text = "<|endoftext|>";

std::string utf8(unsigned code) {
  if (code < 0x80) return {char(code)};
  return {char(0xC0 | (code >> 6)), char(0x80 | (code & 0x3F))};
}

/// GPT-2's printable stand-ins for the 256 bytes, in its order: printable Latin-1 stands for
/// itself, the rest follows from U+0100 on.
std::vector<std::string> byte_symbols() {
  std::vector<std::string> printable, rest;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool visible = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
    if (visible)
      printable.push_back(utf8(byte));
    else
      rest.push_back(utf8(unsigned(0x100 + rest.size())));
  }
  printable.insert(printable.end(), rest.begin(), rest.end());
  return printable;
}

/// `word` cut by the merges, the earliest first.
std::vector<std::string> pieces(const std::string &word,
                                const std::vector<std::pair<std::string, std::string>> &merges) {
  std::vector<std::string> result;
  for (const char letter : word) result.push_back({letter});
  result.back() += end_of_word;
  for (;;) {
    size_t best_rank = merges.size(), best_place = 0;
    for (size_t i = 0; i + 1 < result.size(); ++i) {
      const auto rank =
          size_t(std::find(merges.begin(), merges.end(), std::pair(result[i], result[i + 1])) -
                 merges.begin());
      if (rank < best_rank) {
        best_rank = rank;
        best_place = i;
      }
    }
    if (best_rank == merges.size()) return result;
    result[best_place] += result[best_place + 1];
    result.erase(result.begin() + std::ptrdiff_t(best_place) + 1);
  }
}

nlohmann::ordered_json special_token(const std::string &content) {
  return {{"content", content},
          {"lstrip", false},
          {"normalized", true},
          {"rstrip", false},
          {"single_word", false}};
}

}  // namespace

Vocabulary make_vocabulary(const std::vector<std::string> &words) {
  Vocabulary result;
  result.tokens = byte_symbols();
  const size_t bytes = result.tokens.size();
  for (size_t i = 0; i < bytes; ++i) result.tokens.push_back(result.tokens[i] + end_of_word);
  // A later merge has a lower priority, so it never spoils a word that is one token already.
  for (const std::string &word : words)
    for (auto parts = pieces(word, result.merges); parts.size() > 1;
         parts = pieces(word, result.merges)) {
      result.merges.emplace_back(parts[0], parts[1]);
      result.tokens.push_back(parts[0] + parts[1]);
    }
  result.tokens.push_back(start_of_text);
  result.tokens.push_back(end_of_text);
  return result;
}

std::vector<int64_t> Vocabulary::encode(const std::string &prompt) const {
  const auto id = [this](const std::string &token) {
    return int64_t(std::find(tokens.begin(), tokens.end(), token) - tokens.begin());
  };
  std::string spaced;
  for (const char letter : prompt) spaced += letter == ',' ? " ," : std::string(1, letter);
  std::vector<int64_t> ids = {id(start_of_text)};
  std::istringstream words(spaced);
  for (std::string word; words >> word;)
    for (const std::string &piece : pieces(word, merges)) ids.push_back(id(piece));
  ids.push_back(id(end_of_text));
  return ids;
}

void Vocabulary::write(const std::string &folder) const {
  std::filesystem::create_directories(folder);
  nlohmann::ordered_json ids;
  for (size_t id = 0; id < tokens.size(); ++id) ids[tokens[id]] = id;
  write_json(folder + "/vocab.json", ids);
  std::string lines = "#version: 0.2\n";
  for (const auto &[left, right] : merges) lines += left + " " + right + "\n";
  write_text(folder + "/merges.txt", lines);
  write_json(folder + "/special_tokens_map.json", {{"bos_token", special_token(start_of_text)},
                                                   {"eos_token", special_token(end_of_text)},
                                                   {"pad_token", end_of_text},
                                                   {"unk_token", special_token(end_of_text)}});
  write_json(folder + "/tokenizer_config.json", {{"add_prefix_space", false},
                                                 {"bos_token", start_of_text},
                                                 {"do_lower_case", true},
                                                 {"eos_token", end_of_text},
                                                 {"errors", "replace"},
                                                 {"model_max_length", 77},
                                                 {"pad_token", end_of_text},
                                                 {"tokenizer_class", "CLIPTokenizer"},
                                                 {"unk_token", end_of_text}});
}

}  // namespace livepeer::train
