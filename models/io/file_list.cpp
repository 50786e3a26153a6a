#include "io/file_list.h"

#include <charconv>
#include <cmath>
#include <string_view>

#include "runtime/error.h"

namespace livepeer {
namespace {

/// A word, and which of its characters were quoted.
struct Word {
  std::string text;
  std::vector<bool> quoted;

  void add(char c, bool is_quoted) {
    text += c;
    quoted.push_back(is_quoted);
  }
};

[[noreturn]] void refuse(const std::string &property, const std::string &problem,
                         const std::string &text) {
  throw Error(ErrorKind::settings, "The property " + property + " " + problem, text);
}

std::vector<Word> split(const std::string &text, const std::string &property) {
  std::vector<Word> words;
  bool inside = false;
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (!quote && std::string_view(" \t\r\n").find(c) != std::string_view::npos) {
      inside = false;
      continue;
    }
    if (!inside) words.emplace_back();
    inside = true;
    if (c == '\0') refuse(property, "holds a NUL character; correct it", property);
    if (quote ? c == quote : c == '\'' || c == '"') {
      quote = quote ? 0 : c;
    } else if (c == '\\' && quote != '\'') {
      if (++i == text.size()) refuse(property, "ends in a backslash; write \\\\ for one", text);
      words.back().add(text[i], true);
    } else {
      words.back().add(c, quote != 0);
    }
  }
  if (quote)
    refuse(property, std::string("lacks the ") + quote + " that closes the last quotation", text);
  return words;
}

/// Where the @ in front of the weight is: the last one, unless a folder's name holds it.
size_t find_weight(const Word &word) {
  for (size_t i = word.text.size(); i-- > 0 && word.text[i] != '/';)
    if (word.text[i] == '@' && !word.quoted[i]) return i;
  return std::string::npos;
}

double parse_weight(const std::string &digits, const std::string &property,
                    const std::string &text) {
  double weight = 0;
  const char *begin = digits.data(), *end = begin + digits.size();
  if (begin != end && *begin == '+') ++begin;
  const auto [rest, error] = std::from_chars(begin, end, weight);
  if (error != std::errc() || rest != end || !std::isfinite(weight))
    refuse(property,
           "has the weight \"" + digits.substr(0, 40) +
               "\", which is no number; write path@0.8, and quote an @ that belongs to the path",
           text);
  return weight;
}

}  // namespace

std::vector<ListedFile> parse_file_list(const std::string &text, const std::string &property,
                                        bool with_weights) {
  std::vector<ListedFile> files;
  for (const Word &word : split(text, property)) {
    ListedFile file{word.text};
    const size_t at = with_weights ? find_weight(word) : std::string::npos;
    if (at != std::string::npos) {
      file.weight = parse_weight(word.text.substr(at + 1), property, text);
      file.path.resize(at);
    }
    if (file.path.empty()) refuse(property, "names a file without a name; correct it", text);
    files.push_back(std::move(file));
  }
  return files;
}

}  // namespace livepeer
