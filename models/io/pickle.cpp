#include "io/pickle.h"

#include <algorithm>

namespace livepeer {
namespace {

// A checkpoint has some 25 values a tensor, a training run's some thousand tensors.
constexpr size_t max_values = 1 << 19;
constexpr size_t max_name_bytes = 200;

/// The instructions, by the names that Python's pickletools gives them. Those that are not here,
/// such as extension codes and everything of protocols 0 and 1, are refused.
enum Code : unsigned char {
  MARK = '(',
  STOP = '.',
  POP = '0',
  POP_MARK = '1',
  DUP = '2',
  BINBYTES = 'B',
  SHORT_BINBYTES = 'C',
  BINFLOAT = 'G',
  BININT = 'J',
  BININT1 = 'K',
  BININT2 = 'M',
  NONE = 'N',
  BINPERSID = 'Q',
  REDUCE = 'R',
  BINSTRING = 'T',
  SHORT_BINSTRING = 'U',
  BINUNICODE = 'X',
  EMPTY_LIST = ']',
  APPEND = 'a',
  BUILD = 'b',
  GLOBAL = 'c',
  DICT = 'd',
  APPENDS = 'e',
  BINGET = 'h',
  LONG_BINGET = 'j',
  LIST = 'l',
  BINPUT = 'q',
  LONG_BINPUT = 'r',
  SETITEM = 's',
  TUPLE = 't',
  SETITEMS = 'u',
  EMPTY_DICT = '}',
  EMPTY_TUPLE = ')',
  PROTO = 0x80,
  NEWOBJ = 0x81,
  TUPLE1 = 0x85,
  TUPLE2 = 0x86,
  TUPLE3 = 0x87,
  NEWTRUE = 0x88,
  NEWFALSE = 0x89,
  LONG1 = 0x8a,
  LONG4 = 0x8b,
  SHORT_BINUNICODE = 0x8c,
  BINUNICODE8 = 0x8d,
  BINBYTES8 = 0x8e,
  EMPTY_SET = 0x8f,
  ADDITEMS = 0x90,
  FROZENSET = 0x91,
  NEWOBJ_EX = 0x92,
  STACK_GLOBAL = 0x93,
  MEMOIZE = 0x94,
  FRAME = 0x95,
  BYTEARRAY8 = 0x96,
};

[[noreturn]] void damaged(const std::string &problem) {
  throw FormatError("has a damaged pickle: " + problem);
}

}  // namespace

Pickle::Pickle(ByteReader &bytes) {
  if (bytes.number<unsigned char>() != PROTO) damaged("it does not begin with its protocol");
  const auto protocol = bytes.number<unsigned char>();
  if (protocol < 2 || protocol > 5)
    damaged("protocol " + std::to_string(protocol) + " is not one of 2 to 5");
  while (!step(bytes)) {
  }
  root_ = pop();
}

std::string Pickle::name_of(const Value &value) const {
  const Value &name =
      value.kind == Kind::call ? values_[value.items[0]] : value;  // a call of a call has no name
  if (name.kind != Kind::name) return {};
  std::string text(values_[name.items[0]].text.substr(0, max_name_bytes));
  text.append(".").append(values_[name.items[1]].text.substr(0, max_name_bytes));
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

Pickle::Index Pickle::add(Value value) {
  if (values_.size() >= max_values)
    damaged("it holds more than " + std::to_string(max_values) + " values");
  values_.push_back(std::move(value));
  return Index(values_.size() - 1);
}

Pickle::Index Pickle::pop() {
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back()))
    damaged("it takes more from its stack than it has put there");
  const Index index = stack_.back();
  stack_.pop_back();
  return index;
}

std::vector<Pickle::Index> Pickle::pop_to_mark() {
  if (marks_.empty()) damaged("it goes back to a mark that it has not set");
  const auto begin = stack_.begin() + std::ptrdiff_t(marks_.back());
  std::vector<Index> items(begin, stack_.end());
  stack_.erase(begin, stack_.end());
  marks_.pop_back();
  return items;
}

Pickle::Value &Pickle::top() {
  const Index index = pop();
  stack_.push_back(index);
  return values_[index];
}

void Pickle::fill(Kind kind, const std::vector<Index> &items) {
  Value &value = top();
  if (value.kind == Kind::call) return;
  if (value.kind != kind) damaged("it puts items into something that takes none");
  if (kind == Kind::dict && items.size() % 2 != 0)
    damaged("a dictionary has a key without a value");
  value.items.insert(value.items.end(), items.begin(), items.end());
}

void Pickle::push_tuple(size_t count) {
  std::vector<Index> items(count);
  for (size_t i = count; i-- > 0;) items[i] = pop();
  push({Kind::tuple, 0, {}, std::move(items)});
}

void Pickle::push_call(std::vector<Index> items) {
  // A class of torch's that holds its items as a dict does.
  const Value &called = values_[items[0]], &arguments = values_[items[1]];
  const bool is_dict = called.kind == Kind::name && name_of(called) == "collections.OrderedDict" &&
                       arguments.kind == Kind::tuple && arguments.items.empty();
  push(is_dict ? Value{Kind::dict} : Value{Kind::call, 0, {}, std::move(items)});
}

void Pickle::put(uint64_t number) {
  if (memo_.size() >= max_values && !memo_.count(number))
    damaged("it remembers more than " + std::to_string(max_values) + " values");
  const Index index = pop();
  stack_.push_back(index);
  memo_[number] = index;
}

void Pickle::get(uint64_t number) {
  const auto found = memo_.find(number);
  if (found == memo_.end()) damaged("it recalls what it has not remembered");
  stack_.push_back(found->second);
}

void Pickle::push_integer(std::string_view little_endian) {
  if (little_endian.size() > sizeof(int64_t)) return push({Kind::number});
  int64_t value = 0;
  for (size_t i = little_endian.size(); i-- > 0;)
    value = int64_t(uint64_t(value) << 8 | static_cast<unsigned char>(little_endian[i]));
  const size_t unused = 64 - 8 * little_endian.size();
  if (unused < 64) value = int64_t(uint64_t(value) << unused) >> unused;  // the sign
  push({Kind::integer, value});
}

bool Pickle::step(ByteReader &bytes) {
  const auto code = bytes.number<unsigned char>();
  switch (code) {
    case STOP:
      return true;
    case FRAME:
      if (bytes.number<uint64_t>() > bytes.remaining()) damaged("it announces more than there is");
      break;
    case NONE:
      push({Kind::none});
      break;
    case NEWTRUE:
    case NEWFALSE:
      push({Kind::boolean, code == NEWTRUE});
      break;
    case BININT:
      push({Kind::integer, bytes.number<int32_t>()});
      break;
    case BININT1:
      push({Kind::integer, bytes.number<uint8_t>()});
      break;
    case BININT2:
      push({Kind::integer, bytes.number<uint16_t>()});
      break;
    case LONG1:
      push_integer(bytes.take(bytes.number<uint8_t>()));
      break;
    case LONG4:
      push_integer(bytes.take(bytes.number<uint32_t>()));
      break;
    case BINFLOAT:
      bytes.take(8);
      push({Kind::number});
      break;
    case SHORT_BINSTRING:
    case SHORT_BINBYTES:
    case SHORT_BINUNICODE:
      push_text(bytes.take(bytes.number<uint8_t>()));
      break;
    case BINSTRING:
    case BINBYTES:
    case BINUNICODE:
      push_text(bytes.take(bytes.number<uint32_t>()));
      break;
    case BINUNICODE8:
    case BINBYTES8:
    case BYTEARRAY8:
      push_text(bytes.take(bytes.number<uint64_t>()));
      break;
    default:
      if (!step_container(code, bytes) && !step_object(code, bytes))
        damaged("instruction " + std::to_string(code) + " is not taken");
  }
  return false;
}

bool Pickle::step_container(unsigned char code, ByteReader &bytes) {
  switch (code) {
    case MARK:
      marks_.push_back(stack_.size());
      break;
    case POP:
      pop();
      break;
    case POP_MARK:
      pop_to_mark();
      break;
    case DUP:
      stack_.push_back(pop());
      stack_.push_back(stack_.back());
      break;
    case EMPTY_TUPLE:
      push_tuple(0);
      break;
    case TUPLE1:
    case TUPLE2:
    case TUPLE3:
      push_tuple(size_t(code - TUPLE1 + 1));
      break;
    case TUPLE:
      push({Kind::tuple, 0, {}, pop_to_mark()});
      break;
    case EMPTY_LIST:
      push({Kind::list});
      break;
    case EMPTY_SET:
      push({Kind::set});
      break;
    case EMPTY_DICT:
      push({Kind::dict});
      break;
    case LIST:
      push({Kind::list, 0, {}, pop_to_mark()});
      break;
    case FROZENSET:
      pop_to_mark();
      push({Kind::set});
      break;
    case DICT: {
      const std::vector<Index> items = pop_to_mark();
      push({Kind::dict});
      fill(Kind::dict, items);
      break;
    }
    case APPEND:
      fill(Kind::list, {pop()});
      break;
    case APPENDS:
      fill(Kind::list, pop_to_mark());
      break;
    case ADDITEMS:
      pop_to_mark();
      top();
      break;
    case SETITEM: {
      const Index value = pop(), key = pop();
      fill(Kind::dict, {key, value});
      break;
    }
    case SETITEMS:
      fill(Kind::dict, pop_to_mark());
      break;
    case BINGET:
      get(bytes.number<uint8_t>());
      break;
    case LONG_BINGET:
      get(bytes.number<uint32_t>());
      break;
    case BINPUT:
      put(bytes.number<uint8_t>());
      break;
    case LONG_BINPUT:
      put(bytes.number<uint32_t>());
      break;
    case MEMOIZE:
      put(memo_.size());
      break;
    default:
      return false;
  }
  return true;
}

bool Pickle::step_object(unsigned char code, ByteReader &bytes) {
  switch (code) {
    case GLOBAL: {
      push_text(bytes.line());
      push_text(bytes.line());
      [[fallthrough]];
    }
    case STACK_GLOBAL: {
      const Index attribute = pop(), module = pop();
      if (values_[module].kind != Kind::text || values_[attribute].kind != Kind::text)
        damaged("it names something by what is no text");
      push({Kind::name, 0, {}, {module, attribute}});
      break;
    }
    case REDUCE:
    case NEWOBJ: {
      const Index arguments = pop(), called = pop();
      push_call({called, arguments});
      break;
    }
    case NEWOBJ_EX: {
      pop();  // arguments by name
      const Index arguments = pop(), called = pop();
      push_call({called, arguments});
      break;
    }
    case BUILD:
      pop();
      top();  // stays without the state that it would be given
      break;
    case BINPERSID:
      push({Kind::persistent, 0, {}, {pop()}});
      break;
    default:
      return false;
  }
  return true;
}

}  // namespace livepeer
