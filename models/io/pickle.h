#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "io/byte_reader.h"

namespace livepeer {

/// What a pickle holds, read without doing what it asks for: a pickle is a program, and this
/// reader knows no callables, imports nothing and calls nothing. Where the program names a class
/// or function, the name is noted; where it would call one, a `call` that holds name and arguments
/// takes the place of the result, and what the program does to that afterwards is left out.
///
/// Values refer to each other by index and may go in circles; texts point into the bytes that were
/// read, which must outlive this. Nothing is copied that a pickle can refer to more than once, and
/// values are counted, so memory is bounded.
class Pickle {
 public:
  enum class Kind {
    none,
    boolean,  ///< integer 0 or 1
    integer,
    number,      ///< a float, or an integer beyond 64 bits: no value
    text,        ///< bytes, too
    tuple,       ///< items
    list,        ///< items
    set,         ///< no items
    dict,        ///< items: key, value, key, value ...
    name,        ///< items: module, attribute; both texts
    call,        ///< items: what would be called, its arguments
    persistent,  ///< items: the id of something that is stored elsewhere
  };
  using Index = uint32_t;
  struct Value {
    Kind kind;
    int64_t integer = 0;
    std::string_view text = {};
    std::vector<Index> items = {};
  };

  /// Reads one pickle of protocol 2 to 5 up to its end. Throws FormatError.
  explicit Pickle(ByteReader &bytes);

  const Value &root() const { return (*this)[root_]; }
  const Value &operator[](Index index) const { return values_[index]; }
  const std::vector<Value> &values() const { return values_; }
  /// "module.attribute" of a name, or of the name that a call would call, for messages and
  /// comparisons; "" for other values. Printable characters only.
  std::string name_of(const Value &value) const;

 private:
  Index add(Value value);
  void push(Value value) { stack_.push_back(add(std::move(value))); }
  Index pop();
  /// Takes everything above the last mark off the stack, and the mark.
  std::vector<Index> pop_to_mark();
  Value &top();
  /// Adds items to a list or dict; those for a call are left out.
  void fill(Kind kind, const std::vector<Index> &items);
  void push_tuple(size_t count);
  void push_text(std::string_view text) { push({Kind::text, 0, text}); }
  void push_call(std::vector<Index> items);
  void put(uint64_t number);
  void get(uint64_t number);
  void push_integer(std::string_view little_endian);
  /// One instruction; true at the last.
  bool step(ByteReader &bytes);
  bool step_container(unsigned char code, ByteReader &bytes);
  bool step_object(unsigned char code, ByteReader &bytes);

  std::vector<Value> values_;
  std::vector<Index> stack_;
  std::vector<size_t> marks_;  ///< heights of the stack
  std::unordered_map<uint64_t, Index> memo_;
  Index root_ = 0;
};

}  // namespace livepeer
