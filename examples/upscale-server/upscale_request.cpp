#include "upscale_request.h"

#include <glib.h>

#include <algorithm>
#include <limits>
#include <random>

#include "lora_list.h"

namespace upscale_server {
namespace {

/// A whole number as sent: sign and magnitude, because seeds run from -2^63 to 2^64-1.
struct Integer {
  bool negative = false;
  bool too_large = false;  ///< more than 64 bits
  uint64_t magnitude = 0;
};

enum class Kind { text, file, boolean, integer };

struct FieldRule {
  const char *name;
  Kind kind;
  bool required;
};

/// In the order in which faults are listed.
constexpr FieldRule kRules[] = {
    {"prompt", Kind::text, true},    {"image", Kind::file, true},
    {"model_id", Kind::text, false}, {"safety_check", Kind::boolean, false},
    {"seed", Kind::integer, false},  {"num_inference_steps", Kind::integer, false},
    {"lora", Kind::text, false},
};

struct Fault {
  const char *type;
  const char *message;
};

constexpr Fault kMissingFault = {"missing", "Field required"};
constexpr Fault kNotAFile = {"value_error",
                             "Value error, Expected UploadFile, received: <class 'str'>"};
constexpr Fault kNotText = {"string_type", "Input should be a valid string"};
constexpr Fault kNotBoolean = {"bool_parsing",
                               "Input should be a valid boolean, unable to interpret input"};
constexpr Fault kNotInteger = {
    "int_parsing", "Input should be a valid integer, unable to parse string as an integer"};
constexpr Fault kIntegerTooLong = {
    "int_parsing_size", "Unable to parse input string as an integer, exceeded maximum size"};

constexpr size_t kMaxDigits = 4300;
constexpr size_t kMaxEcho = 256;  // longer values are not repeated in an error

std::string utf8(std::string_view text) {
  if (text.empty()) return {};
  g_autofree char *valid = g_utf8_make_valid(text.data(), gssize(text.size()));
  return valid;
}

std::optional<bool> parse_boolean(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), g_ascii_tolower);
  for (const char *word : {"1", "t", "y", "on", "yes", "true"})
    if (lower == word) return true;
  for (const char *word : {"0", "f", "n", "off", "no", "false"})
    if (lower == word) return false;
  return std::nullopt;
}

std::string_view trim(std::string_view text) {
  constexpr const char *spaces = " \t\n\v\f\r";
  const size_t first = text.find_first_not_of(spaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(spaces) - first + 1);
}

/// Drops a fraction that consists of zeros.
std::string_view without_zero_fraction(std::string_view text) {
  const size_t dot = text.find('.');
  if (dot == std::string_view::npos || dot + 1 == text.size()) return text;
  return text.find_first_not_of('0', dot + 1) == std::string_view::npos ? text.substr(0, dot)
                                                                        : text;
}

/// Takes the spellings that README.md names. Returns what is wrong, or null.
const Fault *parse_integer(std::string_view text, Integer &integer) {
  text = without_zero_fraction(trim(text));
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    integer.negative = text[0] == '-';
    text.remove_prefix(1);
  }
  size_t digits = 0;
  bool after_digit = false;  // an underscore stands between two digits
  for (const char c : text) {
    if (c == '_' && after_digit) {
      after_digit = false;
      continue;
    }
    if (!g_ascii_isdigit(c)) return &kNotInteger;
    after_digit = true;
    digits++;
    const auto digit = uint64_t(c - '0');
    constexpr uint64_t most = std::numeric_limits<uint64_t>::max();
    if (integer.magnitude > (most - digit) / 10)
      integer.too_large = true;
    else
      integer.magnitude = integer.magnitude * 10 + digit;
  }
  if (!after_digit) return &kNotInteger;
  return digits > kMaxDigits ? &kIntegerTooLong : nullptr;
}

/// What is wrong with the type of a field, or null. An empty optional field counts as absent.
const Fault *check(const FieldRule &rule, const FormField *field) {
  if (!field) return rule.required ? &kMissingFault : nullptr;
  if (rule.kind == Kind::file) return field->is_file ? nullptr : &kNotAFile;
  if (field->is_file) return &kNotText;
  if (field->value.empty()) return nullptr;
  Integer ignored;
  switch (rule.kind) {
    case Kind::boolean:
      return parse_boolean(field->value) ? nullptr : &kNotBoolean;
    case Kind::integer:
      return parse_integer(field->value, ignored);
    default:
      return nullptr;
  }
}

Json describe(const FieldRule &rule, const Fault &fault, const FormField *field) {
  Json input = nullptr;
  if (field && !field->is_file && field->value.size() <= kMaxEcho) input = utf8(field->value);
  return {{"type", fault.type},
          {"loc", {"body", rule.name}},
          {"msg", fault.message},
          {"input", std::move(input)}};
}

const FormField *find(const Form &form, const char *name) {
  const auto at = form.find(name);
  return at == form.end() ? nullptr : &at->second;
}

std::string_view text_of(const Form &form, const char *name) {
  const FormField *field = find(form, name);
  return field ? field->value : std::string_view();
}

uint64_t draw_seed() {
  static std::mt19937_64 generator{std::random_device{}()};
  return std::uniform_int_distribution<uint64_t>(1, 0xffffffffu)(generator);
}

std::optional<Answer> read_seed(std::string_view text, UpscaleRequest &request) {
  if (text.empty()) {
    request.seed = draw_seed();
    return std::nullopt;
  }
  Integer integer;
  parse_integer(text, integer);
  constexpr uint64_t half = uint64_t(1) << 63;
  if (integer.too_large || (integer.negative && integer.magnitude > half))
    return http_error(400, "seed is out of range: it must be from -2^63 to 2^64-1.");
  request.seed = integer.negative ? 0 - integer.magnitude : integer.magnitude;
  request.seed_is_signed = integer.negative || integer.magnitude < half;
  return std::nullopt;
}

std::optional<Answer> read_steps(std::string_view text, unsigned max_steps,
                                 UpscaleRequest &request) {
  if (text.empty()) return std::nullopt;
  Integer integer;
  parse_integer(text, integer);
  // What the runner's interface has as its default, which every SDK sends whether asked to or not.
  constexpr unsigned unasked = 75;
  if (integer.negative || integer.magnitude == unasked) return std::nullopt;
  if (integer.too_large || integer.magnitude > max_steps)
    return http_error(400, "num_inference_steps is out of range: this server takes at most " +
                               std::to_string(max_steps) + ".");
  request.steps = unsigned(integer.magnitude);
  return std::nullopt;
}

}  // namespace

Json UpscaleRequest::seed_as_json() const {
  return seed_is_signed ? Json(int64_t(seed)) : Json(seed);
}

std::optional<Answer> read_request(const Form &form, const std::string &loaded_model,
                                   unsigned max_steps, const std::string &lora_dir,
                                   UpscaleRequest &request) {
  Json faults = Json::array();
  for (const FieldRule &rule : kRules) {
    const FormField *field = find(form, rule.name);
    if (const Fault *fault = check(rule, field)) faults.push_back(describe(rule, *fault, field));
  }
  if (!faults.empty()) return validation_error(std::move(faults));

  request.prompt = utf8(text_of(form, "prompt"));
  request.image = text_of(form, "image");
  const std::string model = utf8(text_of(form, "model_id"));
  if (!model.empty() && model != loaded_model)
    return http_error(
        400, "pipeline configured with " + loaded_model + " but called with " + model + ".");
  request.safety_check = parse_boolean(text_of(form, "safety_check")).value_or(true);
  if (auto refused = read_loras(text_of(form, "lora"), lora_dir, request.lora)) return refused;
  if (auto refused = read_seed(text_of(form, "seed"), request)) return refused;
  return read_steps(text_of(form, "num_inference_steps"), max_steps, request);
}

}  // namespace upscale_server
