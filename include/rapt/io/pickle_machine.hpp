/// \file
/// The stack machine that executes Python's pickles, as far as torch.save's need it. It makes dictionaries, lists,
/// tuples, numbers and texts; what names, references to storages and calls mean says the class that derives from it.
///
/// The instructions are those of Python's pickletools (protocols 2 to 5).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/io/torch_object.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// The objects of a pickle; the last one that it made is `root`.
class PickleMachine {
 public:
  using Object = PickleObject;
  using Id = Object::Id;
  using Kind = Object::Kind;

  [[nodiscard]] Id root() const { return root_; }
  [[nodiscard]] const Object& object(Id id) const { return objects_[id]; }

 protected:
  /// `where`, `file` and `bytes` must live as long as this.
  PickleMachine(std::string_view where, std::string_view file, std::string_view bytes)
      : where_(where), file_(file), bytes_(bytes) {}
  ~PickleMachine() = default;

  /// Executes the pickle. Throws IoError `[where] file: ...` for an instruction that is not known here, for one that
  /// lacks what it works on, and for a pickle that asks for too much memory.
  void execute() {
    while (!run(next()))
      ;
    memo_.clear();
  }

  /// Pushes what the name of a function or a class means.
  virtual void push_name(std::string_view module, std::string_view name) = 0;
  /// Pushes what the object refers to outside of the pickle.
  virtual void push_persistent(Id id) = 0;
  /// Pushes the result of a call.
  virtual void call(std::string_view name, const std::vector<Id>& arguments) = 0;

  template <class... Pieces>
  void check(bool condition, const Pieces&... pieces) const {
    if (!condition) [[unlikely]] {
      fail<IoError>(where_, file_, ": the pickle at byte ", at_, ": ", pieces...);
    }
  }

  void spend(std::size_t bytes) {
    spent_ += bytes;
    check(spent_ <= kMostBytes, "makes objects of more than ", kMostBytes, " bytes");
  }
  Id push(Object object) {
    spend(sizeof(Object) + object.items.size() * sizeof(Id) +
          (object.sizes.size() + object.strides.size()) * sizeof(Index));
    objects_.push_back(std::move(object));
    stack_.push_back(static_cast<Id>(objects_.size() - 1));
    return stack_.back();
  }
  void push_again(Id id) { stack_.push_back(id); }
  void push_text(std::string_view text, Kind kind = Kind::text) { push({.kind = kind, .text = text}); }

 private:
  // Bounds for the memory that a file can ask for, beyond what a checkpoint needs: bytes of the objects and of what is
  // remembered, and marks at a time.
  static constexpr std::size_t kMostBytes = std::size_t{1} << 28, kMostMarks = std::size_t{1} << 16;
  static constexpr std::size_t kBytesOfRemembered = 64;  // about

  // Reading.
  [[nodiscard]] std::uint8_t next() {
    check(at_ < bytes_.size(), "is cut off");
    return static_cast<std::uint8_t>(bytes_[at_++]);
  }
  [[nodiscard]] std::uint64_t number(std::size_t count) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < count; ++i) value |= static_cast<std::uint64_t>(next()) << 8 * i;
    return value;
  }
  [[nodiscard]] std::string_view take(std::uint64_t count) {
    check(count <= bytes_.size() - at_, count, " bytes are announced, ", bytes_.size() - at_, " are left");
    const std::string_view taken = bytes_.substr(at_, count);
    at_ += count;
    return taken;
  }
  [[nodiscard]] std::string_view line() {
    const std::size_t end = bytes_.find('\n', at_);
    check(end != bytes_.npos, "a line has no end");
    const std::string_view taken = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return taken;
  }

  // The stack.
  [[nodiscard]] std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  [[nodiscard]] Id top() const {
    check(stack_.size() > floor(), "wants an object of an empty stack");
    return stack_.back();
  }
  [[nodiscard]] Id pop() {
    const Id id = top();
    stack_.pop_back();
    return id;
  }
  /// The objects behind the last mark, which goes with them.
  [[nodiscard]] std::vector<Id> pop_to_mark() {
    check(!marks_.empty(), "wants a mark that is not there");
    const std::vector<Id> items(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }
  [[nodiscard]] Object& top_of(Kind kind, std::string_view what) {
    Object& object = objects_[top()];
    check(object.kind == kind, "wants ", what);
    return object;
  }
  void push_tuple(std::size_t count) {
    std::vector<Id> items(count);
    for (std::size_t i = count; i-- > 0;) items[i] = pop();
    push({.kind = Kind::tuple, .items = std::move(items)});
  }
  void push_integer(std::int64_t value) { push({.kind = Kind::integer, .integer = value}); }

  void remember(std::uint64_t key) {
    if (memo_.insert_or_assign(key, top()).second) spend(kBytesOfRemembered);
  }
  void recall(std::uint64_t key) {
    const auto found = memo_.find(key);
    check(found != memo_.end(), "nothing is remembered as ", key);
    push_again(found->second);
  }

  void add(Object& object, const std::vector<Id>& items) {
    spend(items.size() * sizeof(Id));
    object.items.insert(object.items.end(), items.begin(), items.end());
  }
  void set_items(const std::vector<Id>& items) {
    check(items.size() % 2 == 0, "sets items without values");
    Object& dictionary = top_of(Kind::dictionary, "a dictionary");
    for (std::size_t i = 0; i < items.size(); i += 2) {
      const Kind key = objects_[items[i]].kind;
      check(key == Kind::text || key == Kind::integer, "a key must be a text or an integer");
    }
    add(dictionary, items);
  }

  /// Executes an instruction; true for the last one.
  [[nodiscard]] bool run(std::uint8_t instruction) {
    switch (instruction) {
      case 0x80: {  // PROTO
        const std::uint64_t protocol = number(1);
        check(protocol >= 2 && protocol <= 5, "is of protocol ", protocol, "; 2 to 5 are read");
        return false;
      }
      case 0x95:  // FRAME
        std::ignore = number(8);
        return false;
      case '.':  // STOP
        root_ = pop();
        return true;
      case '(':  // MARK
        check(marks_.size() < kMostMarks, "sets more than ", kMostMarks, " marks");
        marks_.push_back(stack_.size());
        return false;
      case '0':  // POP
        std::ignore = pop();
        return false;
      case '1':  // POP_MARK
        std::ignore = pop_to_mark();
        return false;
      case 'N':
        push({});
        return false;
      case 0x88:  // NEWTRUE
      case 0x89:  // NEWFALSE
        push({.kind = Kind::boolean, .integer = instruction == 0x88 ? 1 : 0});
        return false;
      case 'J':  // BININT
        push_integer(static_cast<std::int32_t>(static_cast<std::uint32_t>(number(4))));
        return false;
      case 'K':  // BININT1
        push_integer(static_cast<std::int64_t>(number(1)));
        return false;
      case 'M':  // BININT2
        push_integer(static_cast<std::int64_t>(number(2)));
        return false;
      case 0x8a:  // LONG1
        push_long();
        return false;
      case 'G': {  // BINFLOAT, big-endian
        std::uint64_t bits = 0;
        for (int i = 0; i < 8; ++i) bits = bits << 8 | next();
        push({.kind = Kind::number, .number = std::bit_cast<double>(bits)});
        return false;
      }
      default:
        run_text_or_container(instruction);
        return false;
    }
  }
  void run_text_or_container(std::uint8_t instruction) {
    switch (instruction) {
      case 'X':  // BINUNICODE
        return push_text(take(number(4)));
      case 0x8c:  // SHORT_BINUNICODE
        return push_text(take(number(1)));
      case 0x8d:  // BINUNICODE8
        return push_text(take(number(8)));
      case 'U':  // SHORT_BINSTRING, of Python 2
        return push_text(take(number(1)));
      case 'T':  // BINSTRING
        return push_text(take(number(4)));
      case 'C':  // SHORT_BINBYTES
        return push_text(take(number(1)), Kind::bytes);
      case 'B':  // BINBYTES
        return push_text(take(number(4)), Kind::bytes);
      case 0x8e:  // BINBYTES8
        return push_text(take(number(8)), Kind::bytes);
      case '}':
        return static_cast<void>(push({.kind = Kind::dictionary}));
      case ']':
        return static_cast<void>(push({.kind = Kind::list}));
      case ')':
        return push_tuple(0);
      case 0x85:  // TUPLE1
      case 0x86:
      case 0x87:
        return push_tuple(instruction - 0x84u);
      case 't':  // TUPLE
        return static_cast<void>(push({.kind = Kind::tuple, .items = pop_to_mark()}));
      case 's': {  // SETITEM
        const Id value = pop(), key = pop();
        return set_items({key, value});
      }
      case 'u':  // SETITEMS
        return set_items(pop_to_mark());
      case 'a': {  // APPEND
        const Id value = pop();
        return add(top_of(Kind::list, "a list"), {value});
      }
      case 'e': {  // APPENDS
        const std::vector<Id> items = pop_to_mark();
        return add(top_of(Kind::list, "a list"), items);
      }
      default:
        run_reference_or_call(instruction);
    }
  }
  void run_reference_or_call(std::uint8_t instruction) {
    switch (instruction) {
      case 'q':  // BINPUT
        return remember(number(1));
      case 'r':  // LONG_BINPUT
        return remember(number(4));
      case 0x94:  // MEMOIZE
        return remember(memo_.size());
      case 'h':  // BINGET
        return recall(number(1));
      case 'j':  // LONG_BINGET
        return recall(number(4));
      case 'c': {  // GLOBAL
        const std::string_view module = line();
        return push_name(module, line());
      }
      case 0x93: {  // STACK_GLOBAL
        const std::string_view name = top_of(Kind::text, "a name").text;
        std::ignore = pop();
        const std::string_view module = top_of(Kind::text, "a module's name").text;
        std::ignore = pop();
        return push_name(module, name);
      }
      case 'Q':  // BINPERSID
        return push_persistent(pop());
      case 'R': {  // REDUCE
        const Id arguments = pop();
        check(objects_[arguments].kind == Kind::tuple, "calls without a tuple of arguments");
        const std::string_view name = top_of(Kind::name, "the name of a function").text;
        std::ignore = pop();
        return call(name, objects_[arguments].items);
      }
      case 'b': {  // BUILD: the attributes of a dictionary (state_dict's "_metadata") say nothing of the tensors
        const Id state = pop();
        check(objects_[state].kind == Kind::dictionary, "sets attributes that are no dictionary");
        std::ignore = top_of(Kind::dictionary, "a dictionary that gets attributes");
        return;
      }
      default:
        constexpr std::string_view kDigits = "0123456789abcdef";
        check(false, "the instruction 0x", kDigits[instruction >> 4], kDigits[instruction & 15u],
              " is refused: torch.save writes none such for dictionaries, lists, numbers, texts and tensors");
    }
  }

  void push_long() {
    const std::string_view digits = take(number(1));
    check(digits.size() <= 8, "an integer of ", digits.size(), " bytes is too large");
    std::uint64_t value = !digits.empty() && static_cast<signed char>(digits.back()) < 0 ? ~std::uint64_t{0} : 0;
    for (std::size_t i = digits.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(digits[i]);
    push_integer(static_cast<std::int64_t>(value));
  }

  std::string_view where_, file_, bytes_;
  std::size_t at_ = 0, spent_ = 0;
  std::vector<Object> objects_;
  std::vector<Id> stack_;
  std::vector<std::size_t> marks_;  // sizes of the stack
  std::unordered_map<std::uint64_t, Id> memo_;
  Id root_ = 0;
};

}}}  // namespace rapt::RAPT_ABI::detail
