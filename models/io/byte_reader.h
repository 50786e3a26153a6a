#pragma once

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string_view>

namespace livepeer {

/// A file breaks the rules of its format; the text goes on a sentence that begins with the file.
class FormatError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Walks over bytes in memory, and never beyond them: throws FormatError instead. Numbers are
/// little-endian, as this machine's.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}

  size_t position() const { return position_; }
  size_t remaining() const { return bytes_.size() - position_; }
  std::string_view take(uint64_t count) {
    if (count > remaining()) throw FormatError("is truncated: it ends in the middle of a record");
    const std::string_view part = bytes_.substr(position_, size_t(count));
    position_ += size_t(count);
    return part;
  }
  template <typename Number>
  Number number() {
    Number value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  /// Up to the next line feed, which is passed over.
  std::string_view line() {
    const size_t end = bytes_.find('\n', position_);
    if (end == std::string_view::npos) throw FormatError("is truncated: it ends within a line");
    const std::string_view text = take(end - position_);
    ++position_;
    return text;
  }

 private:
  std::string_view bytes_;
  size_t position_ = 0;
};

}  // namespace livepeer
