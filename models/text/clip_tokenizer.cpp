#include "text/clip_tokenizer.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <queue>

#include "io/config.h"
#include "io/file.h"
#include "text/unicode.h"

namespace livepeer {
namespace {

constexpr uint64_t max_file_bytes = 64 << 20;
constexpr const char word_end[] = "</w>";
constexpr int64_t longest_prompt = 1 << 16;
constexpr size_t n_clip_merges = 48894;

using SymbolPair = std::pair<std::string, std::string>;

[[noreturn]] void damaged(const std::string &path, const std::string &problem) {
  throw Error(ErrorKind::open_read,
              "Tokenizer file " + path + " " + problem + "; fetch the snapshot again.", path);
}

/// The printable character that stands for `byte` in the vocabulary, as UTF-8: printable Latin-1
/// for itself, the others by characters from U+0100 on, in order.
std::vector<std::string> byte_characters() {
  std::vector<std::string> characters;
  int next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte != 0xad);
    const int c = printable ? byte : next++;
    characters.push_back(c < 0x80 ? std::string(1, char(c))
                                  : std::string{char(0xc0 | c >> 6), char(0x80 | (c & 0x3f))});
  }
  return characters;
}

uint64_t pair_key(int left, int right) { return uint64_t(left) << 32 | uint32_t(right); }

/// The pairs of merges.txt, by rank.
std::vector<SymbolPair> read_merges(const std::string &path) {
  const std::string text = read_text(path, "Tokenizer file", max_file_bytes);
  std::vector<SymbolPair> merges;
  int line_number = 0;
  for (size_t begin = 0, end; begin < text.size(); begin = end + 1) {
    end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (++line_number == 1 || line.empty()) continue;  // the first line is "#version: ..."
    const size_t space = line.find(' ');
    if (space == std::string::npos || space == 0 || space + 1 == line.size() ||
        line.find(' ', space + 1) != std::string::npos)
      damaged(path, "does not hold two symbols in line " + std::to_string(line_number));
    merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  if (line_number == 0) damaged(path, "is empty");
  return merges;
}

/// A special token's text: a string, or an object with "content".
std::string token_text(const Config &config, const std::string &key) {
  if (!config.has(key)) return {};
  const auto &value = config.json()[key];
  if (value.is_string()) return value.get<std::string>();
  if (value.is_object() && value.contains("content") && value["content"].is_string())
    return value["content"].get<std::string>();
  damaged(config.origin(), "does not say what \"" + key + "\" is");
}

}  // namespace

ClipTokenizer::ClipTokenizer(const std::string &folder) : folder_(folder) {
  const std::vector<SymbolPair> merges = read_merges(folder + "/merges.txt");
  if (merges.size() == n_clip_merges && !std::filesystem::exists(folder + "/vocab.json"))
    number_tokens(merges);
  else
    read_vocabulary(folder + "/vocab.json");
  int rank = 0;
  for (const auto &[left, right] : merges) {
    const uint64_t key = pair_key(symbol(left), symbol(right));
    merges_[key] = {rank++, symbol(left + right)};
  }
  const auto characters = byte_characters();
  for (size_t byte = 0; byte < 256; ++byte) {
    byte_symbols_[byte] = symbol(characters[byte]);
    last_byte_symbols_[byte] = symbol(characters[byte] + word_end);
  }
  read_added_tokens(folder);
  read_special_tokens(folder);
}

void ClipTokenizer::add_token(const std::string &token, const std::vector<int64_t> &ids) {
  const auto is_this = [&](const auto &special) { return special.first == token; };
  if (vocabulary_.count(token) ||
      std::any_of(special_tokens_.begin(), special_tokens_.end(), is_this))
    throw Error(ErrorKind::settings,
                "The token \"" + token +
                    "\" of an embedding is one of the model's own; give it another name.",
                folder_);
  special_tokens_.emplace_back(token, ids);
  for (const int64_t id : ids) largest_id_ = std::max(largest_id_, id);
}

int ClipTokenizer::symbol(const std::string &text) {
  const auto [place, is_new] = symbols_.emplace(text, int(symbol_ids_.size()));
  if (is_new) {
    const auto entry = vocabulary_.find(text);
    symbol_ids_.push_back(entry == vocabulary_.end() ? -1 : entry->second);
  }
  return place->second;
}

void ClipTokenizer::read_vocabulary(const std::string &path) {
  const nlohmann::json vocabulary = read_json(path, "Tokenizer file", max_file_bytes);
  for (const auto &[token, id] : vocabulary.items()) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() > uint64_t(INT32_MAX))
      damaged(path, "gives token \"" + token + "\" an id that is not a number from 0");
    vocabulary_.emplace(token, id.get<int64_t>());
    largest_id_ = std::max(largest_id_, id.get<int64_t>());
  }
}

/// As CLIP numbers them: bytes, bytes that end a word, merges, begin and end of text.
void ClipTokenizer::number_tokens(const std::vector<SymbolPair> &merges) {
  const auto add = [this](const std::string &token) {
    largest_id_ = int64_t(vocabulary_.size());
    vocabulary_.emplace(token, largest_id_);
  };
  auto characters = byte_characters();
  std::sort(characters.begin(), characters.end());  // bytes that stand for themselves come first
  for (const std::string &character : characters) add(character);
  for (const std::string &character : characters) add(character + word_end);
  for (const auto &[left, right] : merges) add(left + right);
  add("<|startoftext|>");
  add("<|endoftext|>");
}

void ClipTokenizer::read_added_tokens(const std::string &folder) {
  const auto add = [&](const std::string &path, const std::string &token, uint64_t id) {
    if (token.empty() || id > uint64_t(INT32_MAX))
      damaged(path, "adds a token without text, or with an id that is too large");
    vocabulary_.insert_or_assign(token, int64_t(id));
    special_tokens_.emplace_back(token, std::vector<int64_t>{int64_t(id)});
    largest_id_ = std::max(largest_id_, int64_t(id));
  };
  const Config config = Config::read(folder + "/tokenizer_config.json");
  if (config.has("added_tokens_decoder")) {
    const auto &decoder = config.json()["added_tokens_decoder"];
    if (!decoder.is_object()) damaged(config.origin(), "does not list its added tokens");
    for (const auto &[id, token] : decoder.items()) {
      uint64_t number = 0;
      const auto [rest, error] = std::from_chars(id.data(), id.data() + id.size(), number);
      if (error != std::errc() || rest != id.data() + id.size() || !token.is_object() ||
          !token.contains("content") || !token["content"].is_string())
        damaged(config.origin(), "does not say what the added token " + id + " is");
      add(config.origin(), token["content"].get<std::string>(), number);
    }
    return;
  }
  const std::string path = folder + "/added_tokens.json";
  std::error_code ignored;
  if (!std::filesystem::exists(std::filesystem::symlink_status(path, ignored))) return;
  const nlohmann::json tokens = read_json(path, "Tokenizer file", max_file_bytes);
  for (const auto &[token, id] : tokens.items()) {
    if (!id.is_number_unsigned())
      damaged(path, "gives token \"" + token + "\" an id that is not a number from 0");
    add(path, token, id.get<uint64_t>());
  }
}

void ClipTokenizer::read_special_tokens(const std::string &folder) {
  const Config config = Config::read(folder + "/tokenizer_config.json");
  Config map(nlohmann::json::object(), folder + "/special_tokens_map.json");
  try {
    map = Config::read(map.origin());
  } catch (const Error &error) {
    if (error.kind() != ErrorKind::not_found) throw;  // the map may be left out, but not damaged
  }
  const auto id_of = [&](const std::string &key, const std::string &fallback) {
    std::string token = token_text(map, key);
    if (token.empty()) token = token_text(config, key);
    if (token.empty()) token = fallback;
    const int64_t id = special_id(token);
    special_tokens_.emplace_back(token, std::vector<int64_t>{id});
    return id;
  };
  begin_id_ = id_of("bos_token", "<|startoftext|>");
  end_id_ = id_of("eos_token", "<|endoftext|>");
  unknown_id_ = id_of("unk_token", "<|endoftext|>");
  pad_id_ = id_of("pad_token", "<|endoftext|>");

  // transformers writes 1e30 for "no limit".
  if (config.get<double>("model_max_length", 77.0) <= double(longest_prompt))
    max_length_ = config.get<int64_t>("model_max_length", 77);
  if (max_length_ < 2) damaged(config.origin(), "leaves no room for begin and end of a prompt");
}

int64_t ClipTokenizer::special_id(const std::string &token) const {
  const auto entry = vocabulary_.find(token);
  if (entry == vocabulary_.end())
    damaged(folder_ + "/vocab.json", "lacks the special token \"" + token + "\"");
  return entry->second;
}

ClipTokenizer::Encoding ClipTokenizer::encode(const std::string &text) const {
  std::vector<int64_t> tokens = tokenize(text);
  Encoding encoding{{begin_id_}, tokens.size() + 2};
  tokens.resize(std::min(tokens.size(), size_t(max_length_ - 2)));
  encoding.ids.insert(encoding.ids.end(), tokens.begin(), tokens.end());
  encoding.ids.push_back(end_id_);
  encoding.ids.resize(size_t(max_length_), pad_id_);
  return encoding;
}

std::vector<int64_t> ClipTokenizer::tokenize(const std::string &text) const {
  const std::string valid = valid_utf8(text);
  std::vector<int64_t> ids;
  size_t plain = 0;
  for (size_t at = 0; at < valid.size();) {
    // Special tokens are cut out before anything else; the longest one wins.
    const std::pair<std::string, std::vector<int64_t>> *found = nullptr;
    for (const auto &special : special_tokens_)
      if (valid.compare(at, special.first.size(), special.first) == 0 &&
          (!found || special.first.size() > found->first.size()))
        found = &special;
    if (!found) {
      ++at;
      continue;
    }
    append_plain(valid.substr(plain, at - plain), ids);
    ids.insert(ids.end(), found->second.begin(), found->second.end());
    plain = at += found->first.size();
  }
  append_plain(valid.substr(plain), ids);
  return ids;
}

void ClipTokenizer::append_plain(const std::string &text, std::vector<int64_t> &ids) const {
  for (const std::string &word : split_words(clean_text(text))) {
    // Typed in capitals, these two are found only now.
    if (word == "<|startoftext|>" || word == "<|endoftext|>")
      ids.push_back(special_id(word));
    else
      append_word(word, ids);
  }
}

void ClipTokenizer::append_word(const std::string &word, std::vector<int64_t> &ids) const {
  struct Part {
    int symbol;
    int previous, next;  // -1: none
  };
  std::vector<Part> parts;
  for (size_t i = 0; i < word.size(); ++i) {
    const auto byte = static_cast<unsigned char>(word[i]);
    const bool last = i + 1 == word.size();
    parts.push_back({last ? last_byte_symbols_[byte] : byte_symbols_[byte], int(i) - 1,
                     last ? -1 : int(i) + 1});
  }

  // The best merge first, the leftmost among equals. Candidates whose parts were merged meanwhile
  // are recognised by their symbols and passed over.
  struct Candidate {
    int rank, at, left, right;
    bool operator>(const Candidate &other) const {
      return std::pair(rank, at) > std::pair(other.rank, other.at);
    }
  };
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto consider = [&](int at) {
    if (at < 0 || parts[size_t(at)].next < 0) return;
    const int left = parts[size_t(at)].symbol;
    const int right = parts[size_t(parts[size_t(at)].next)].symbol;
    const auto merge = merges_.find(pair_key(left, right));
    if (merge != merges_.end()) queue.push({merge->second.rank, at, left, right});
  };
  for (size_t i = 0; i < parts.size(); ++i) consider(int(i));
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Part &left = parts[size_t(best.at)];
    if (left.symbol != best.left || left.next < 0) continue;
    Part &right = parts[size_t(left.next)];
    if (right.symbol != best.right) continue;
    left.symbol = merges_.at(pair_key(best.left, best.right)).result;
    right.symbol = -1;
    left.next = right.next;
    if (left.next >= 0) parts[size_t(left.next)].previous = best.at;
    consider(left.previous);
    consider(best.at);
  }
  for (int at = parts.empty() ? -1 : 0; at >= 0; at = parts[size_t(at)].next) {
    const int64_t id = symbol_ids_[size_t(parts[size_t(at)].symbol)];
    ids.push_back(id < 0 ? unknown_id_ : id);
  }
}

}  // namespace livepeer
