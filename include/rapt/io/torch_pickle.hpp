/// \file
/// The pickles that torch.save writes: a stack machine that makes dictionaries, lists, tuples, numbers, texts and
/// descriptions of tensors, and nothing else. A pickle can ask for any function of Python to be called; here only the
/// names of `is_known` mean something, each to code of this file, and any other name is an error that says it.
///
/// The instructions are those of Python's pickletools (protocols 2 to 5).
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/io/dtype.hpp"
#include "rapt/io/tensor_record.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// PyTorch's element types: torch.float32, and torch.FloatStorage, which is a list of them.
struct TorchDtype {
  std::string_view name, storage;  ///< no storage: the type has only bytes without a type
  Dtype dtype;
  std::uint64_t bytes;
};
inline constexpr auto kTorchDtypes =
    std::to_array<TorchDtype>({{"float64", "DoubleStorage", Dtype::kF64, 8},
                               {"float32", "FloatStorage", Dtype::kF32, 4},
                               {"float16", "HalfStorage", Dtype::kF16, 2},
                               {"bfloat16", "BFloat16Storage", Dtype::kBF16, 2},
                               {"int64", "LongStorage", Dtype::kI64, 8},
                               {"int32", "IntStorage", Dtype::kI32, 4},
                               {"int16", "ShortStorage", Dtype::kI16, 2},
                               {"int8", "CharStorage", Dtype::kI8, 1},
                               {"uint64", "", Dtype::kU64, 8},
                               {"uint32", "", Dtype::kU32, 4},
                               {"uint16", "", Dtype::kU16, 2},
                               {"uint8", "ByteStorage", Dtype::kU8, 1},
                               {"bool", "BoolStorage", Dtype::kBool, 1},
                               {"float8_e5m2", "", Dtype::kF8E5M2, 1},
                               {"float8_e4m3fn", "", Dtype::kF8E4M3, 1},
                               {"float8_e8m0fnu", "", Dtype::kF8E8M0, 1},
                               {"float8_e5m2fnuz", "", Dtype::kF8E5M2FNUZ, 1},
                               {"float8_e4m3fnuz", "", Dtype::kF8E4M3FNUZ, 1},
                               {"complex64", "ComplexFloatStorage", Dtype::kC64, 8},
                               {"complex128", "ComplexDoubleStorage", Dtype::kUnknown, 16}});

/// The type of torch.NAME; null for other names.
[[nodiscard]] inline const TorchDtype* torch_dtype(std::string_view name) {
  const auto found = std::find_if(kTorchDtypes.begin(), kTorchDtypes.end(), [&](const TorchDtype& one) {
    return one.name == name || (!one.storage.empty() && one.storage == name);
  });
  return found == kTorchDtypes.end() ? nullptr : &*found;
}

/// An object of a pickle.
struct PickleObject {
  using Id = std::uint32_t;
  enum class Kind : std::uint8_t {
    none,
    boolean,
    integer,
    number,
    text,
    bytes,
    tuple,
    list,
    dictionary,
    name,     ///< of a function or a class, in `text`
    storage,  ///< the member `text` of the file, of `integer` elements of the type `dtype`, or of bytes without one
    tensor,   ///< a view of the storage items[0]: `integer` elements behind its begin, of the type `dtype`
  };
  Kind kind = Kind::none;
  std::int64_t integer = 0;  ///< 0 or 1 for boolean
  double number = 0;
  std::string_view text = {};  ///< in the bytes of the pickle, or a name that the TorchPickle keeps
  std::vector<Id> items = {};  ///< of tuples and lists; of dictionaries, keys and values by turns
  const TorchDtype* dtype = nullptr;
  std::vector<Index> sizes = {}, strides = {};
};

/// The objects of a pickle; the last one that it made is `root`.
class TorchPickle {
 public:
  using Object = PickleObject;
  using Id = Object::Id;
  using Kind = Object::Kind;

  /// Throws IoError `[where] file: ...` for anything but a pickle of what is listed above. `where`, `file` and `bytes`
  /// must live as long as this.
  TorchPickle(std::string_view where, std::string_view file, std::string_view bytes)
      : where_(where), file_(file), bytes_(bytes) {
    while (!run(next()))
      ;
    memo_.clear();
  }

  [[nodiscard]] Id root() const { return root_; }
  [[nodiscard]] const Object& object(Id id) const { return objects_[id]; }

 private:
  // Bounds for the memory that a file can ask for, beyond what a checkpoint needs: bytes of the objects and of what is
  // remembered, marks at a time, and the length of a storage's key, which is a number.
  static constexpr std::size_t kMostBytes = std::size_t{1} << 28, kMostMarks = std::size_t{1} << 16, kMostKey = 64;
  static constexpr std::size_t kBytesOfRemembered = 64;  // about
  static constexpr std::size_t kMostSizes = 64;          // of a tensor

  template <class... Pieces>
  void check(bool condition, const Pieces&... pieces) const {
    if (!condition) [[unlikely]] {
      fail<IoError>(where_, file_, ": the pickle at byte ", at_, ": ", pieces...);
    }
  }

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
  void push_text(std::string_view text, Kind kind = Kind::text) { push({.kind = kind, .text = text}); }
  void push_integer(std::int64_t value) { push({.kind = Kind::integer, .integer = value}); }

  void remember(std::uint64_t key) {
    if (memo_.insert_or_assign(key, top()).second) spend(kBytesOfRemembered);
  }
  void recall(std::uint64_t key) {
    const auto found = memo_.find(key);
    check(found != memo_.end(), "nothing is remembered as ", key);
    stack_.push_back(found->second);
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
        return push_storage(pop());
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

  /// True for a name that has a meaning here.
  [[nodiscard]] static bool is_known(std::string_view name) {
    constexpr std::string_view kKnown[] = {"collections.OrderedDict",
                                           "torch._utils._rebuild_tensor",
                                           "torch._utils._rebuild_tensor_v2",
                                           "torch._utils._rebuild_tensor_v3",
                                           "torch._utils._rebuild_parameter",
                                           "torch._utils._rebuild_parameter_with_state",
                                           "torch.Size",
                                           "torch.device",
                                           "torch.storage.UntypedStorage"};
    if (std::find(std::begin(kKnown), std::end(kKnown), name) != std::end(kKnown)) return true;
    return name.starts_with("torch.") && torch_dtype(name.substr(6)) != nullptr;
  }
  void push_name(std::string_view module, std::string_view name) {
    const std::string full = std::string(module) + "." + std::string(name);
    check(is_known(full), "refers to ", quote_name(full),
          ", which is refused: it is none of the names that torch.save writes for dictionaries, lists, numbers, texts "
          "and tensors, and loading it in Python can run code");
    push_text(*names_.insert(full).first, Kind::name);
  }

  [[nodiscard]] const Object& argument(const std::vector<Id>& arguments, std::size_t i, Kind kind,
                                       std::string_view what) const {
    check(i < arguments.size() && objects_[arguments[i]].kind == kind, "argument ", i, " must be ", what);
    return objects_[arguments[i]];
  }
  [[nodiscard]] std::vector<Index> indices(const std::vector<Id>& arguments, std::size_t i) const {
    const std::vector<Id>& items = argument(arguments, i, Kind::tuple, "a tuple of sizes").items;
    check(items.size() <= kMostSizes, "a tensor has ", items.size(), " sizes or strides, at most ", kMostSizes,
          " are read");
    std::vector<Index> values;
    for (const Id id : items) {
      check(objects_[id].kind == Kind::integer && objects_[id].integer >= 0,
            "a size must not be negative: ", objects_[id].integer);
      values.push_back(objects_[id].integer);
    }
    return values;
  }

  /// ('storage', type, key, device, elements).
  void push_storage(Id id) {
    check(objects_[id].kind == Kind::tuple && objects_[id].items.size() == 5, "refers to what is no storage");
    const std::vector<Id>& parts = objects_[id].items;
    check(argument(parts, 0, Kind::text, "\"storage\"").text == "storage", "refers to what is no storage");
    const std::string_view type = argument(parts, 1, Kind::name, "a storage's type").text;
    const TorchDtype* dtype = torch_dtype(type.substr(std::min<std::size_t>(type.size(), 6)));
    const bool is_untyped = type == "torch.storage.UntypedStorage";
    check(is_untyped || (dtype != nullptr && type.substr(6) == dtype->storage), quote_name(type), " is no storage");
    const std::string_view key = argument(parts, 2, Kind::text, "a storage's key").text;
    check(key.size() <= kMostKey, "a storage's key has ", key.size(), " bytes, at most ", kMostKey, " are read");
    const std::int64_t elements = argument(parts, 4, Kind::integer, "a number of elements").integer;
    check(elements >= 0, "a storage must not have a negative number of elements: ", elements);
    push({.kind = Kind::storage, .integer = elements, .text = key, .dtype = is_untyped ? nullptr : dtype});
  }

  void call(std::string_view name, const std::vector<Id>& arguments) {
    if (name == "collections.OrderedDict") {
      check(arguments.empty(), "OrderedDict has ", arguments.size(), " arguments, wanted are none");
      push({.kind = Kind::dictionary});
    } else if (name == "torch.Size") {
      std::ignore = argument(arguments, 0, Kind::tuple, "a tuple");
      stack_.push_back(arguments[0]);
    } else if (name == "torch.device") {
      push_text(argument(arguments, 0, Kind::text, "a device").text);
    } else if (name.starts_with("torch._utils._rebuild_parameter")) {
      std::ignore = argument(arguments, 0, Kind::tensor, "a tensor");
      stack_.push_back(arguments[0]);
    } else if (name.starts_with("torch._utils._rebuild_tensor")) {
      call_rebuild(name, arguments);
    } else {
      check(false, "calls ", quote_name(name), ", which is no function");
    }
  }
  /// The last argument of a tensor whose elements are not as the storage has them: {"conj": True, "neg": True}, say.
  void refuse_flags(const std::vector<Id>& arguments, std::size_t i) const {
    if (i >= arguments.size() || objects_[arguments[i]].kind == Kind::none) return;
    const std::vector<Id>& items = argument(arguments, i, Kind::dictionary, "a dictionary of flags").items;
    for (std::size_t k = 0; k < items.size(); k += 2) {
      const Object& value = objects_[items[k + 1]];
      check(value.kind == Kind::boolean && value.integer == 0, "a tensor has the flag ",
            quote_name(objects_[items[k]].text),
            ", by which its elements are not those that the file has: save tensor.resolve_conj().resolve_neg()");
    }
  }
  /// (storage, offset, sizes, strides, needs a gradient, hooks), the type in v3, and flags where some are set.
  void call_rebuild(std::string_view name, const std::vector<Id>& arguments) {
    const Object& storage = argument(arguments, 0, Kind::storage, "a storage");
    const TorchDtype* dtype = storage.dtype;
    if (name.ends_with("_v3")) {
      const std::string_view type = argument(arguments, 6, Kind::name, "an element type").text;
      dtype = torch_dtype(type.substr(std::min<std::size_t>(type.size(), 6)));
    }
    check(dtype != nullptr, "a tensor has a storage without a type");
    refuse_flags(arguments, name.ends_with("_v3") ? 7 : 6);
    const std::int64_t offset = argument(arguments, 1, Kind::integer, "an offset").integer;
    check(offset >= 0, "an offset must not be negative: ", offset);
    Object tensor{.kind = Kind::tensor,
                  .integer = offset,
                  .items = {arguments[0]},
                  .dtype = dtype,
                  .sizes = indices(arguments, 2),
                  .strides = indices(arguments, 3)};
    check(tensor.sizes.size() == tensor.strides.size(), "a tensor has ", tensor.sizes.size(), " sizes and ",
          tensor.strides.size(), " strides; wanted are as many");
    push(std::move(tensor));
  }

  std::string_view where_, file_, bytes_;
  std::size_t at_ = 0, spent_ = 0;
  std::vector<Object> objects_;
  std::set<std::string> names_;  // texts of names that are known, of which there are few
  std::vector<Id> stack_;
  std::vector<std::size_t> marks_;  // sizes of the stack
  std::unordered_map<std::uint64_t, Id> memo_;
  Id root_ = 0;
};

}}}  // namespace rapt::RAPT_ABI::detail
