#include "text/unicode.h"

#include <glib.h>

#include <memory>

#include "runtime/error.h"

namespace livepeer {
namespace {

struct FreeGlib {
  void operator()(void *memory) const { g_free(memory); }
};
using GlibString = std::unique_ptr<char, FreeGlib>;

constexpr gunichar replacement = 0xfffd;
constexpr gunichar capital_sigma = 0x3a3, sigma = 0x3c3, final_sigma = 0x3c2;
constexpr gunichar capital_dotted_i = 0x130, combining_dot = 0x307;

bool is_space(gunichar c) {
  const GUnicodeType type = g_unichar_type(c);
  return c == '\t' || c == '\n' || c == '\r' || type == G_UNICODE_SPACE_SEPARATOR ||
         type == G_UNICODE_LINE_SEPARATOR || type == G_UNICODE_PARAGRAPH_SEPARATOR;
}

/// Category C: control, format, unassigned, private use, surrogate.
bool is_other(gunichar c) {
  switch (g_unichar_type(c)) {
    case G_UNICODE_CONTROL:
    case G_UNICODE_FORMAT:
    case G_UNICODE_UNASSIGNED:
    case G_UNICODE_PRIVATE_USE:
    case G_UNICODE_SURROGATE:
      return true;
    default:
      return false;
  }
}

/// The blocks of CJK unified and compatibility ideographs that BERT's tokenizer sets apart.
bool is_ideograph(gunichar c) {
  constexpr gunichar blocks[][2] = {{0x4e00, 0x9fff},   {0x3400, 0x4dbf},   {0x20000, 0x2a6df},
                                    {0x2a700, 0x2b73f}, {0x2b740, 0x2b81f}, {0x2b820, 0x2ceaf},
                                    {0xf900, 0xfaff},   {0x2f800, 0x2fa1f}};
  for (const auto &block : blocks)
    if (c >= block[0] && c <= block[1]) return true;
  return false;
}

bool is_cased(gunichar c) {
  return g_unichar_islower(c) || g_unichar_isupper(c) || g_unichar_istitle(c);
}

/// What the rule of the final sigma looks through (Unicode's Case_Ignorable, in the main).
bool is_case_ignorable(gunichar c) {
  switch (g_unichar_type(c)) {
    case G_UNICODE_NON_SPACING_MARK:
    case G_UNICODE_ENCLOSING_MARK:
    case G_UNICODE_FORMAT:
    case G_UNICODE_MODIFIER_LETTER:
    case G_UNICODE_MODIFIER_SYMBOL:
      return true;
    default:
      return c == '\'' || c == '.' || c == ':' || c == 0xb7 || c == 0x2019;
  }
}

/// True where the sigma at `index` ends a word: a letter before it and none behind.
bool ends_word(const std::vector<gunichar> &word, size_t index) {
  size_t before = index;
  while (before > 0 && is_case_ignorable(word[before - 1])) --before;
  if (before == 0 || !is_cased(word[before - 1])) return false;
  size_t after = index + 1;
  while (after < word.size() && is_case_ignorable(word[after])) ++after;
  return after == word.size() || !is_cased(word[after]);
}

void append(std::string &text, gunichar c) {
  char bytes[6];
  text.append(bytes, size_t(g_unichar_to_utf8(c, bytes)));
}

/// One character's lower case. GLib knows letters only; Roman numerals and circled letters are the
/// other characters that have one.
gunichar lower(gunichar c) {
  if (c >= 0x2160 && c <= 0x216f) return c + 16;
  if (c >= 0x24b6 && c <= 0x24cf) return c + 26;
  return g_unichar_tolower(c);
}

/// Full lower case; g_utf8_strdown would follow the locale (in Turkish, "I" becomes dotless).
void append_lower(std::string &text, const std::vector<gunichar> &word) {
  for (size_t i = 0; i < word.size(); ++i) {
    if (word[i] == capital_dotted_i) {
      append(text, 'i');
      append(text, combining_dot);
    } else if (word[i] == capital_sigma) {
      append(text, ends_word(word, i) ? final_sigma : sigma);
    } else {
      append(text, lower(word[i]));
    }
  }
}

const GRegex *word_pattern() {
  static const GRegex *pattern = [] {
    return g_regex_new(
        R"(<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+)",
        GRegexCompileFlags(G_REGEX_CASELESS | G_REGEX_OPTIMIZE), GRegexMatchFlags(0), nullptr);
  }();
  return pattern;
}

}  // namespace

std::string valid_utf8(const std::string &text) {
  return GlibString(g_utf8_make_valid(text.data(), gssize(text.size()))).get();
}

std::string clean_text(const std::string &text) {
  std::string cleaned;
  for (const char *at = text.c_str(); *at; at = g_utf8_next_char(at)) {
    const gunichar c = g_utf8_get_char(at);
    if (is_space(c)) {
      cleaned += ' ';
    } else if (c != replacement && !is_other(c)) {
      if (is_ideograph(c)) cleaned += ' ';
      append(cleaned, c);
      if (is_ideograph(c)) cleaned += ' ';
    }
  }
  const GlibString normal(
      g_utf8_normalize(cleaned.data(), gssize(cleaned.size()), G_NORMALIZE_NFC));

  std::string result;
  std::vector<gunichar> word;
  const auto end_word = [&] {
    if (word.empty()) return;
    if (!result.empty()) result += ' ';
    append_lower(result, word);
    word.clear();
  };
  for (const char *at = normal.get(); *at; at = g_utf8_next_char(at)) {
    const gunichar c = g_utf8_get_char(at);
    c == ' ' ? end_word() : word.push_back(c);
  }
  end_word();
  return result;
}

std::vector<std::string> split_words(const std::string &text) {
  std::vector<std::string> words;
  GMatchInfo *info = nullptr;
  GError *error = nullptr;
  g_regex_match_full(word_pattern(), text.data(), gssize(text.size()), 0, GRegexMatchFlags(0),
                     &info, &error);
  while (!error && g_match_info_matches(info)) {
    int begin = 0, end = 0;
    g_match_info_fetch_pos(info, 0, &begin, &end);
    words.push_back(text.substr(size_t(begin), size_t(end - begin)));
    g_match_info_next(info, &error);
  }
  g_match_info_free(info);
  if (error) {
    const std::string reason = error->message;
    g_error_free(error);
    throw Error(ErrorKind::failed, "The prompt cannot be split into words; shorten it.", reason);
  }
  return words;
}

}  // namespace livepeer
