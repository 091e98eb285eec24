/// \file
/// The values that templates in Jinja compute with: Python's, as far as templates of dialogues use them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "rapt/core/error.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

struct JinjaMacro;  // of a template's syntax

/// What no value may be, or no value can be written as; it does not know the template's line yet.
class JinjaValueError : public ValueError {
 public:
  using ValueError::ValueError;
};

}  // namespace detail

/// None, a truth value, a number, a string, a list, a dictionary with strings as keys, or something that only a
/// template makes: an undefined value, a namespace, a macro or a function. Strings, lists and dictionaries do not
/// change once they are made, so that copies share them. Lists and dictionaries are nested to a limited depth.
class JinjaValue {
 public:
  using List = std::vector<JinjaValue>;                         ///< the elements of a list or of a tuple
  using Map = std::vector<std::pair<std::string, JinjaValue>>;  ///< in the order of insertion, each key once

  static constexpr int kMostNested = 64;                              ///< lists and dictionaries in one another
  static constexpr std::int64_t kMostWeight = std::int64_t{1} << 26;  ///< see `weight`

  /// The value of a name that nothing has defined.
  struct Undefined {};
  /// The value of `none`.
  struct None {};
  /// A function of the environment, by its name.
  struct Function {
    std::string name;
  };

  JinjaValue() = default;  ///< undefined
  JinjaValue(None) : value_(None()) {}
  JinjaValue(bool value) : value_(value) {}
  JinjaValue(int value) : value_(std::int64_t{value}) {}
  JinjaValue(std::int64_t value) : value_(value) {}
  JinjaValue(double value) : value_(value) {}
  JinjaValue(std::string text)
      : value_(std::make_shared<const std::string>(std::move(text))), weight_(1 + std::ssize(*this->text())) {}
  JinjaValue(std::string_view text) : JinjaValue(std::string(text)) {}
  JinjaValue(const char* text) : JinjaValue(std::string(text)) {}
  /// Throws ValueError for one that is nested too deeply, is too large, or has a namespace in it.
  JinjaValue(List list) {
    for (const JinjaValue& one : list) nest(one);
    value_ = std::make_shared<const List>(std::move(list));
  }
  /// A list that Python calls a tuple: it is written in other brackets, and equal to no list.
  [[nodiscard]] static JinjaValue tuple(List list) {
    JinjaValue value(std::move(list));
    value.is_tuple_ = true;
    return value;
  }
  JinjaValue(Map map) {
    for (const auto& [key, one] : map) {
      nest(one);
      weight_ += std::ssize(key);
    }
    value_ = std::make_shared<const Map>(std::move(map));
  }
  /// The variable `loop` of a loop: a dictionary that has the method cycle.
  [[nodiscard]] static JinjaValue loop(Map variables) {
    JinjaValue value(std::move(variables));
    value.is_loop_ = true;
    return value;
  }
  JinjaValue(Function function) : value_(std::make_shared<const Function>(std::move(function))) {}
  JinjaValue(const detail::JinjaMacro* macro) : value_(macro) {}
  /// A namespace, whose entries a template may set. Copies are the same namespace.
  [[nodiscard]] static JinjaValue make_namespace(Map entries) {
    JinjaValue value;
    value.value_ = std::make_shared<Map>(std::move(entries));
    return value;
  }

  /// True for the value of a name that nothing has defined.
  [[nodiscard]] bool is_undefined() const { return is<Undefined>(); }
  /// True for `none`.
  [[nodiscard]] bool is_none() const { return is<None>(); }
  /// True for a truth value.
  [[nodiscard]] bool is_bool() const { return is<bool>(); }
  /// True for a whole number.
  [[nodiscard]] bool is_integer() const { return is<std::int64_t>(); }
  /// True for a number in double precision.
  [[nodiscard]] bool is_float() const { return is<double>(); }
  /// True for a truth value, a whole number or a double.
  [[nodiscard]] bool is_number() const { return is_bool() || is_integer() || is_float(); }
  /// True for a string.
  [[nodiscard]] bool is_string() const { return text() != nullptr; }
  /// True for a list that was made by `tuple`.
  [[nodiscard]] bool is_tuple() const { return is_tuple_; }
  /// True for the variable `loop` of a loop.
  [[nodiscard]] bool is_loop() const { return is_loop_; }

  /// A pointer to what it holds, or null if it holds something else.
  [[nodiscard]] const std::string* text() const { return shared<const std::string>(); }
  [[nodiscard]] const List* list() const { return shared<const List>(); }
  /// The same of a dictionary; a namespace has `entries`.
  [[nodiscard]] const Map* map() const { return shared<const Map>(); }
  [[nodiscard]] Map* entries() const { return shared<Map>(); }  ///< of a namespace
  [[nodiscard]] const Function* function() const { return shared<const Function>(); }
  [[nodiscard]] const detail::JinjaMacro* macro() const {
    const auto* const found = std::get_if<const detail::JinjaMacro*>(&value_);
    return found == nullptr ? nullptr : *found;
  }
  /// Of a whole number or a truth value, which counts as 0 or 1.
  [[nodiscard]] const std::int64_t* integer() const { return std::get_if<std::int64_t>(&value_); }
  [[nodiscard]] double number() const {
    if (const auto* const truth = std::get_if<bool>(&value_)) return *truth ? 1 : 0;
    if (const auto* const whole = integer()) return static_cast<double>(*whole);
    return std::get<double>(value_);
  }

  /// The number of values in it, itself and the bytes of strings included, where a value that stands in it twice counts
  /// twice: what it costs to compare or to write it.
  [[nodiscard]] std::int64_t weight() const { return weight_; }

  /// What Python takes for true: everything but undefined, None, zero and what is empty.
  [[nodiscard]] bool truth() const {
    if (is_undefined() || is_none()) return false;
    if (is_number()) return number() != 0;
    if (text() != nullptr) return !text()->empty();
    if (list() != nullptr) return !list()->empty();
    return map() == nullptr || !map()->empty();
  }

  /// The entry of a dictionary or a namespace, or null.
  [[nodiscard]] const JinjaValue* find(std::string_view key) const {
    const Map* const found = entries() != nullptr ? entries() : map();
    if (found == nullptr) return nullptr;
    const auto at = std::find_if(found->begin(), found->end(), [&](const auto& entry) { return entry.first == key; });
    return at == found->end() ? nullptr : &at->second;
  }

  /// The name of the value's kind, for messages.
  [[nodiscard]] std::string_view kind() const {
    static constexpr std::string_view kKinds[] = {"an undefined value", "None",       "a truth value", "a whole number",
                                                  "a number",           "a string",   "a list",        "a dictionary",
                                                  "a namespace",        "a function", "a macro"};
    return kKinds[value_.index()];
  }

  /// Equal as in Python: numbers by their values, whatever their type.
  [[nodiscard]] friend bool operator==(const JinjaValue& a, const JinjaValue& b) {
    if (a.is_number() && b.is_number()) {
      if (a.integer() != nullptr && b.integer() != nullptr) return *a.integer() == *b.integer();
      return a.number() == b.number();
    }
    if (a.value_.index() != b.value_.index()) return false;
    if (a.text() != nullptr) return *a.text() == *b.text();
    if (a.list() != nullptr) return a.is_tuple_ == b.is_tuple_ && *a.list() == *b.list();
    if (a.map() != nullptr) return equal_maps(*a.map(), *b.map());
    if (a.entries() != nullptr) return a.entries() == b.entries();
    if (a.function() != nullptr) return a.function()->name == b.function()->name;
    return a.macro() == b.macro();  // null for undefined values and None
  }

 private:
  /// The same keys with equal values, in whatever order: sorted, so that it does not cost the square of their number.
  [[nodiscard]] static bool equal_maps(const Map& a, const Map& b) {
    if (a.size() != b.size()) return false;
    const auto sorted = [](const Map& map) {
      std::vector<const std::pair<std::string, JinjaValue>*> entries;
      for (const auto& entry : map) entries.push_back(&entry);
      std::sort(entries.begin(), entries.end(), [](auto* x, auto* y) { return x->first < y->first; });
      return entries;
    };
    const auto of_a = sorted(a), of_b = sorted(b);
    return std::equal(of_a.begin(), of_a.end(), of_b.begin(), [](auto* x, auto* y) { return x->first == y->first; }) &&
           std::equal(of_a.begin(), of_a.end(), of_b.begin(), [](auto* x, auto* y) { return x->second == y->second; });
  }

  template <class T>
  [[nodiscard]] bool is() const {
    return std::holds_alternative<T>(value_);
  }
  template <class T>
  [[nodiscard]] T* shared() const {
    const auto* const found = std::get_if<std::shared_ptr<T>>(&value_);
    return found == nullptr ? nullptr : found->get();
  }
  void nest(const JinjaValue& one) {
    using Refusal = detail::JinjaValueError;
    require<Refusal>(one.entries() == nullptr, "jinja", "a namespace cannot be part of a list or a dictionary");
    nested_ = std::max(nested_, one.nested_ + 1);
    weight_ += one.weight_;
    require<Refusal>(nested_ <= kMostNested, "jinja", "lists and dictionaries are nested too deeply: at most ",
                     kMostNested);
    require<Refusal>(weight_ <= kMostWeight, "jinja", "a list or a dictionary is too large: at most ", kMostWeight,
                     " bytes");
  }

  std::variant<Undefined, None, bool, std::int64_t, double, std::shared_ptr<const std::string>,
               std::shared_ptr<const List>, std::shared_ptr<const Map>, std::shared_ptr<Map>,
               std::shared_ptr<const Function>, const detail::JinjaMacro*>
      value_;
  std::int64_t weight_ = 1;
  bool is_tuple_ = false, is_loop_ = false;
  int nested_ = 0;  // the depth of lists and dictionaries below this one
};

}}  // namespace rapt::RAPT_ABI
