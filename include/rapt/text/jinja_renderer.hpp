/// \file
/// Computes parsed templates in Jinja.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/text/jinja_filters.hpp"
#include "rapt/text/jinja_strings.hpp"
#include "rapt/text/jinja_syntax.hpp"
#include "rapt/text/jinja_text.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// What a template finds outside of itself.
struct JinjaEnvironment {
  JinjaValue::Map variables = {};
  /// The present time in a format of strftime; unset: templates find no strftime_now.
  std::function<std::string(const std::string& format)> now = {};
};

/// One computation of a template.
class JinjaRenderer {
 public:
  /// `work` limits it (see JinjaContext).
  JinjaRenderer(std::string_view name, const JinjaEnvironment& environment, std::int64_t work)
      : environment_(environment), context_{.name = name, .line = 1, .work_left = work} {
    scopes_.emplace_back();
  }

  /// The text that the statements make. Throws ValueError that names the line for what cannot be computed.
  [[nodiscard]] std::string render(const JinjaBody& body) {
    std::string output;
    try {
      run(body, output);
    } catch (const JinjaValueError& error) {
      context_.refuse(std::string_view(error.what()).substr(std::string_view("[jinja] ").size()));
    }
    return output;
  }

 private:
  using Of = JinjaExpression::Kind;
  using Scope = JinjaValue::Map;
  enum class Flow { next, stop, repeat };  ///< whether a loop's body ended, or by {% break %} or {% continue %}

  void append(std::string& output, std::string_view text) {
    context_.charge(std::ssize(text));
    output += text;
  }

  // Names

  [[nodiscard]] JinjaValue look_up(const std::string& name) {
    context_.charge(std::ssize(scopes_));
    for (std::size_t i = scopes_.size(); i-- > 0;) {
      if (i != 0 && i < first_scope_) continue;  // of what has called the macro
      if (const JinjaValue* const found = find(scopes_[i], name)) return *found;
    }
    if (const JinjaValue* const found = find(environment_.variables, name)) return *found;
    static constexpr std::string_view kFunctions[] = {"raise_exception", "namespace", "range", "dict"};
    const bool is_function = std::find(std::begin(kFunctions), std::end(kFunctions), name) != std::end(kFunctions);
    if (is_function || (name == "strftime_now" && environment_.now)) return JinjaValue::Function{name};
    return {};
  }
  [[nodiscard]] const JinjaValue* find(const Scope& scope, std::string_view name) {
    context_.charge_search(scope.size(), name);
    const auto found = std::find_if(scope.begin(), scope.end(), [&](const auto& one) { return one.first == name; });
    return found == scope.end() ? nullptr : &found->second;
  }
  void assign(Scope& scope, std::string_view name, JinjaValue value) {
    context_.charge_search(scope.size(), name);
    const auto found = std::find_if(scope.begin(), scope.end(), [&](const auto& one) { return one.first == name; });
    if (found == scope.end()) {
      scope.emplace_back(name, std::move(value));
    } else {
      found->second = std::move(value);
    }
  }
  /// One name gets the value, several its elements.
  void assign(const std::vector<std::string>& names, JinjaValue value) {
    if (names.size() == 1) return assign(scopes_.back(), names.front(), std::move(value));
    JinjaValue::List elements = elements_of(context_, value);
    if (elements.size() != names.size()) {
      context_.refuse(names.size(), " names for ", elements.size(), " values");
    }
    for (std::size_t i = 0; i < names.size(); ++i) assign(scopes_.back(), names[i], std::move(elements[i]));
  }

  // Statements

  Flow run(const JinjaBody& body, std::string& output) {
    for (const JinjaStatement& statement : body) {
      const Flow flow = run(statement, output);
      if (flow != Flow::next) return flow;
    }
    return Flow::next;
  }
  Flow run(const JinjaStatement& statement, std::string& output) {
    using Kind = JinjaStatement::Kind;
    context_.line = statement.line;
    const JinjaLevel level(context_);
    switch (statement.kind) {
      case Kind::text:
        append(output, statement.text);
        break;
      case Kind::output:
        append(output, jinja_string(context_, evaluate(*statement.expression)));
        break;
      case Kind::choice:
        for (std::size_t i = 0; i < statement.conditions.size(); ++i) {
          if (evaluate(*statement.conditions[i]).truth()) return run(statement.bodies[i], output);
        }
        return run(statement.otherwise, output);
      case Kind::loop:
        return run_loop(statement, output);
      case Kind::set:
        run_set(statement);
        break;
      case Kind::set_block: {
        std::string text;
        scopes_.emplace_back();
        const Flow flow = run(statement.bodies.front(), text);
        scopes_.pop_back();
        if (flow != Flow::next) return flow;
        assign(scopes_.back(), statement.names.front(), std::move(text));
        break;
      }
      case Kind::macro:
        assign(scopes_.back(), statement.macro->name, statement.macro.get());
        break;
      case Kind::body:
        return run(statement.bodies.front(), output);
      case Kind::break_loop:
        return Flow::stop;
      case Kind::continue_loop:
        return Flow::repeat;
    }
    return Flow::next;
  }
  void run_set(const JinjaStatement& statement) {
    JinjaValue value = evaluate(*statement.expression);
    if (statement.text.empty()) return assign(statement.names, std::move(value));
    const JinjaValue target = look_up(statement.names.front());
    if (target.entries() == nullptr) {
      context_.refuse("an attribute can be set of a namespace alone: ", statement.names.front(), " is ", target.kind());
    }
    if (value.entries() != nullptr) context_.refuse("a namespace cannot be part of a namespace");
    assign(*target.entries(), statement.text, std::move(value));
  }
  Flow run_loop(const JinjaStatement& statement, std::string& output) {
    JinjaValue::List elements = elements_of(context_, evaluate(*statement.expression));
    const std::size_t scope = scopes_.size();
    if (statement.condition != nullptr) {
      JinjaValue::List kept;
      for (JinjaValue& one : elements) {
        scopes_.emplace_back();
        assign(statement.names, one);
        if (evaluate(*statement.condition).truth()) kept.push_back(std::move(one));
        scopes_.resize(scope);
      }
      elements = std::move(kept);
    }
    if (elements.empty()) return run(statement.otherwise, output);
    for (std::size_t i = 0; i < elements.size(); ++i) {
      scopes_.emplace_back();
      assign(scopes_.back(), "loop", loop_value(elements, i));
      assign(statement.names, elements[i]);
      const Flow flow = run(statement.bodies.front(), output);
      scopes_.resize(scope);
      if (flow == Flow::stop) break;
    }
    return Flow::next;
  }
  [[nodiscard]] JinjaValue loop_value(const JinjaValue::List& elements, std::size_t i) {
    const auto index = static_cast<std::int64_t>(i), length = std::ssize(elements);
    context_.charge(512);
    JinjaValue::Map loop = {{"index", index + 1},
                            {"index0", index},
                            {"first", index == 0},
                            {"last", index + 1 == length},
                            {"length", length},
                            {"revindex", length - index},
                            {"revindex0", length - index - 1},
                            {"depth", 1},
                            {"depth0", 0}};
    if (i > 0) loop.emplace_back("previtem", elements[i - 1]);
    if (i + 1 < elements.size()) loop.emplace_back("nextitem", elements[i + 1]);
    return JinjaValue::loop(std::move(loop));
  }

  // Expressions

  [[nodiscard]] JinjaValue evaluate(const JinjaExpression& e) {
    context_.line = e.line;
    const JinjaLevel level(context_);
    switch (e.kind) {
      case Of::constant:
        return e.value;
      case Of::name:
        return look_up(e.text);
      case Of::list: {
        context_.charge(32 * std::ssize(e.children));
        JinjaValue::List list;
        for (const auto& one : e.children) list.push_back(evaluate(*one));
        return e.text.empty() ? JinjaValue(std::move(list)) : JinjaValue::tuple(std::move(list));
      }
      case Of::map: {
        context_.charge(64 * std::ssize(e.children));
        JinjaValue::Map map;
        for (std::size_t i = 0; i < e.children.size(); i += 2) {
          const JinjaValue key = evaluate(*e.children[i]);
          JinjaValue value = evaluate(*e.children[i + 1]);
          assign(map, string_in(context_, key, "the key of a dictionary"), std::move(value));
        }
        return map;
      }
      case Of::attribute:
        return attribute(e);
      case Of::item:
        return item(e);
      case Of::slice: {
        const JinjaValue object = evaluate(*e.children[0]);
        const auto part = [&](std::size_t i) -> std::optional<std::int64_t> {
          if (e.children[i] == nullptr) return std::nullopt;
          const JinjaValue value = evaluate(*e.children[i]);
          if (value.is_none()) return std::nullopt;
          return integer_in(context_, value, "a part of a slice");
        };
        const auto from = part(1), to = part(2), step = part(3);
        return slice_of(context_, object, from, to, step.value_or(1));
      }
      case Of::call:
        return call(e);
      case Of::filter:
      case Of::test: {
        const JinjaValue value = evaluate(*e.children.front());
        const JinjaArguments arguments = arguments_of(e);
        context_.line = e.line;
        if (e.kind == Of::filter) return apply_jinja_filter(context_, e.text, value, arguments);
        return apply_jinja_test(context_, e.text, value, arguments);
      }
      case Of::negate:
      case Of::plus: {
        const JinjaValue value = evaluate(*e.children.front());
        if (value.is_float()) return e.kind == Of::negate ? -value.number() : value.number();
        return arithmetic("-", e.kind == Of::negate ? JinjaValue(0) : value,
                          e.kind == Of::negate ? value : JinjaValue(0));
      }
      case Of::logical_not:
        return !evaluate(*e.children.front()).truth();
      case Of::logical_and: {
        JinjaValue left = evaluate(*e.children[0]);
        return left.truth() ? evaluate(*e.children[1]) : left;
      }
      case Of::logical_or: {
        JinjaValue left = evaluate(*e.children[0]);
        return left.truth() ? left : evaluate(*e.children[1]);
      }
      case Of::arithmetic: {
        const JinjaValue left = evaluate(*e.children[0]), right = evaluate(*e.children[1]);
        context_.line = e.line;
        return arithmetic(e.text, left, right);
      }
      case Of::join: {
        std::string text;
        for (const auto& one : e.children) append(text, jinja_string(context_, evaluate(*one)));
        return text;
      }
      case Of::compare: {
        JinjaValue left = evaluate(*e.children.front());
        for (std::size_t i = 0; i < e.names.size(); ++i) {
          JinjaValue right = evaluate(*e.children[i + 1]);
          if (!compare(e.names[i], left, right)) return false;
          left = std::move(right);
        }
        return true;
      }
      case Of::conditional:
        if (evaluate(*e.children[1]).truth()) return evaluate(*e.children[0]);
        return e.children[2] == nullptr ? JinjaValue() : evaluate(*e.children[2]);
    }
    return {};
  }

  /// The expression as a text, for messages.
  [[nodiscard]] static std::string written(const JinjaExpression& e) {
    if (e.kind == Of::name) return e.text;
    if (e.kind == Of::attribute) return written(*e.children.front()) + "." + e.text;
    if (e.kind == Of::item && e.children[1]->value.text() != nullptr) {
      return written(*e.children.front()) + "." + *e.children[1]->value.text();
    }
    return "a value";
  }
  void require_defined(const JinjaValue& value, const JinjaExpression& e) {
    if (value.is_undefined()) context_.refuse(written(e), " is undefined");
  }
  [[nodiscard]] JinjaValue attribute(const JinjaExpression& e) {
    const JinjaValue object = evaluate(*e.children.front());
    require_defined(object, *e.children.front());
    if (object.map() != nullptr && !object.is_loop()) {
      if (changes_map(e.text)) return {};
      if (JinjaValue method = map_method(e.text); !method.is_undefined()) return method;
    }
    return entry(object, e.text);
  }
  [[nodiscard]] JinjaValue entry(const JinjaValue& object, std::string_view name) {
    if (object.map() != nullptr) context_.charge_search(object.map()->size(), name);
    if (object.entries() != nullptr) context_.charge_search(object.entries()->size(), name);
    const JinjaValue* const found = object.find(name);
    if (found != nullptr) return *found;
    return object.map() != nullptr && !object.is_loop() ? map_method(name) : JinjaValue();
  }
  [[nodiscard]] JinjaValue item(const JinjaExpression& e) {
    const JinjaValue object = evaluate(*e.children[0]), index = evaluate(*e.children[1]);
    require_defined(object, *e.children[0]);
    if (const auto* const key = index.text()) return entry(object, *key);
    if ((object.list() == nullptr && object.text() == nullptr) || (!index.is_integer() && !index.is_bool())) return {};
    return element_at(context_, object, integer_in(context_, index, "an index"));
  }
  [[nodiscard]] JinjaArguments arguments_of(const JinjaExpression& e) {
    JinjaArguments arguments{.names = e.names};
    for (std::size_t i = 1; i < e.children.size(); ++i) arguments.values.push_back(evaluate(*e.children[i]));
    return arguments;
  }

  [[nodiscard]] JinjaValue call(const JinjaExpression& e) {
    const JinjaExpression& callee = *e.children.front();
    if (callee.kind == Of::attribute) {
      const JinjaValue object = evaluate(*callee.children.front());
      require_defined(object, *callee.children.front());
      const JinjaArguments arguments = arguments_of(e);
      context_.line = e.line;
      if (const auto* const text = object.text()) return call_string_method(context_, *text, callee.text, arguments);
      if (object.map() != nullptr) {
        if (object.is_loop() && callee.text == "cycle") {
          if (arguments.positional() == 0 || !arguments.names.empty())
            context_.refuse("cycle takes values, and no names");
          const std::int64_t index = integer_in(context_, entry(object, "index0"), "the index of a loop");
          return at(arguments.values, index % std::ssize(arguments.values));
        }
        return call_map_method(context_, object, callee.text, arguments);
      }
      context_.refuse("the method ", callee.text, " of ", object.kind(), " is not supported");
    }
    const JinjaValue function = evaluate(callee);
    const JinjaArguments arguments = arguments_of(e);
    context_.line = e.line;
    if (const JinjaMacro* const macro = function.macro()) return call_macro(*macro, arguments);
    if (function.function() == nullptr) context_.refuse(written(callee), " is ", function.kind(), ", no function");
    return call_function(function.function()->name, arguments);
  }
  [[nodiscard]] JinjaValue call_function(const std::string& name, const JinjaArguments& arguments) {
    if (name == "raise_exception") {
      arguments.expect(context_, name, {"message"});
      context_.refuse(jinja_string(context_, arguments.get(0, "message")));
    }
    if (name == "namespace" || name == "dict") {
      context_.charge(64 * std::ssize(arguments.values));
      if (arguments.positional() > 1) context_.refuse(name, " takes one dictionary, and names");
      JinjaValue::Map map;
      if (arguments.positional() == 1) {
        if (arguments.values[0].map() == nullptr) context_.refuse(name, " takes one dictionary, and names");
        context_.charge(arguments.values[0].weight() + 64 * std::ssize(*arguments.values[0].map()));
        map = *arguments.values[0].map();
      }
      for (std::size_t i = 0; i < arguments.names.size(); ++i) {
        const JinjaValue& value = arguments.values[arguments.positional() + i];
        if (value.entries() != nullptr) context_.refuse("a namespace cannot be part of a namespace");
        assign(map, arguments.names[i], value);
      }
      return name == "dict" ? JinjaValue(std::move(map)) : JinjaValue::make_namespace(std::move(map));
    }
    if (name == "strftime_now") {
      arguments.expect(context_, name, {"format"});
      std::string now = environment_.now(string_in(context_, arguments.get(0, "format"), "a format of the time"));
      context_.charge(std::ssize(now));
      return now;
    }
    if (name != "range") context_.refuse(name, " of dictionaries can only be called where it is named");
    arguments.expect(context_, name, {"start", "stop", "step"});
    std::vector<std::int64_t> numbers;
    for (const JinjaValue& one : arguments.values) numbers.push_back(integer_in(context_, one, "a limit of a range"));
    if (numbers.empty()) context_.refuse("range needs a limit");
    const std::int64_t begin = numbers.size() > 1 ? numbers[0] : 0, end = numbers.size() > 1 ? numbers[1] : numbers[0];
    const std::int64_t step = numbers.size() > 2 ? numbers[2] : 1;
    if (step == 0) context_.refuse("the step of a range is 0");
    JinjaValue::List range;
    for (std::int64_t i = begin; step > 0 ? i < end : i > end;) {
      context_.charge(32);
      range.emplace_back(i);
      if (__builtin_add_overflow(i, step, &i)) break;
    }
    return range;
  }
  [[nodiscard]] JinjaValue call_macro(const JinjaMacro& macro, const JinjaArguments& arguments) {
    const std::size_t count = macro.parameters.size(), plain = count - macro.defaults.size();
    if (arguments.positional() > count)
      context_.refuse("the macro ", macro.name, " takes at most ", count, " arguments");
    for (const std::string& name : arguments.names) {
      context_.charge_search(2 * count, name);  // and once more for the argument's value
      if (std::find(macro.parameters.begin(), macro.parameters.end(), name) == macro.parameters.end()) {
        context_.refuse("the macro ", macro.name, " has no argument ", name);
      }
    }
    // Macros stand at the top of a template: they see its names, and none of where they are called.
    const std::size_t first_scope = std::exchange(first_scope_, scopes_.size()), scopes = scopes_.size();
    scopes_.emplace_back();
    for (std::size_t i = 0; i < count; ++i) {
      JinjaValue value = arguments.get(i, macro.parameters[i]);
      if (value.is_undefined() && i >= plain) value = evaluate(*macro.defaults[i - plain]);
      assign(scopes_.back(), macro.parameters[i], std::move(value));
    }
    std::string text;
    run(macro.body, text);
    scopes_.resize(scopes);
    first_scope_ = first_scope;
    return text;
  }

  [[nodiscard]] bool compare(std::string_view sign, const JinjaValue& left, const JinjaValue& right) {
    if (sign == "==" || sign == "!=") return equal_values(context_, left, right) == (sign == "==");
    if (sign == "in" || sign == "not in") return contains_value(context_, right, left) == (sign == "in");
    if (sign == "<" || sign == ">=") return less_value(context_, left, right) == (sign == "<");
    return less_value(context_, right, left) == (sign == ">");
  }

  [[nodiscard]] JinjaValue arithmetic(std::string_view sign, const JinjaValue& a, const JinjaValue& b) {
    if (a.is_number() && b.is_number()) {
      const bool is_float = a.is_float() || b.is_float() || sign == "/";
      return is_float ? floating(sign, a.number(), b.number())
                      : whole(sign, integer_in(context_, a, "a number"), integer_in(context_, b, "a number"));
    }
    if (sign == "+" && a.text() != nullptr && b.text() != nullptr) {
      context_.charge(a.weight() + b.weight());
      return *a.text() + *b.text();
    }
    if (sign == "+" && a.list() != nullptr && b.list() != nullptr) {
      context_.charge(32 * (std::ssize(*a.list()) + std::ssize(*b.list())));
      JinjaValue::List list = *a.list();
      list.insert(list.end(), b.list()->begin(), b.list()->end());
      return a.is_tuple() && b.is_tuple() ? JinjaValue::tuple(std::move(list)) : JinjaValue(std::move(list));
    }
    if (sign == "*" && (b.is_integer() || b.is_bool())) {
      if (a.text() != nullptr || a.list() != nullptr) return repeated(a, integer_in(context_, b, "a number"));
    } else if (sign == "*" && (a.is_integer() || a.is_bool())) {
      if (b.text() != nullptr || b.list() != nullptr) return repeated(b, integer_in(context_, a, "a number"));
    }
    context_.refuse(a.kind(), " ", sign, " ", b.kind(), " is not possible");
  }
  /// A string or a list so many times behind itself.
  [[nodiscard]] JinjaValue repeated(const JinjaValue& value, std::int64_t times) {
    times = std::max<std::int64_t>(0, times);
    const std::int64_t of_each = value.weight() + (value.list() == nullptr ? 0 : 32 * std::ssize(*value.list()));
    if (times > context_.work_left / of_each) context_.charge(context_.work_left + 1);
    context_.charge(times * of_each);
    std::string text;
    JinjaValue::List list;
    for (std::int64_t i = 0; i < times; ++i) {
      if (value.text() != nullptr) text += *value.text();
      if (value.list() != nullptr) list.insert(list.end(), value.list()->begin(), value.list()->end());
    }
    if (value.text() != nullptr) return text;
    return value.is_tuple() ? JinjaValue::tuple(std::move(list)) : JinjaValue(std::move(list));
  }
  [[nodiscard]] JinjaValue floating(std::string_view sign, double a, double b) {
    if (sign == "+") return a + b;
    if (sign == "-") return a - b;
    if (sign == "*") return a * b;
    if (sign == "**") {
      const double power = std::pow(a, b);
      if (!std::isfinite(power) && std::isfinite(a) && std::isfinite(b)) {
        context_.refuse("there is no number ", a, " ** ", b);
      }
      return power;
    }
    if (b == 0) context_.refuse("division by zero");
    if (sign == "/") return a / b;
    // As Python: the remainder has the sign of b, and the quotient follows from it.
    double remainder = std::fmod(a, b);
    double quotient = (a - remainder) / b;
    if (remainder == 0) {
      remainder = std::copysign(0.0, b);
    } else if ((b < 0) != (remainder < 0)) {
      remainder += b;
      quotient -= 1;
    }
    if (sign == "%") return remainder;
    if (quotient == 0) return std::copysign(0.0, a / b);
    return std::floor(quotient) + (quotient - std::floor(quotient) > 0.5 ? 1 : 0);
  }
  [[nodiscard]] JinjaValue whole(std::string_view sign, std::int64_t a, std::int64_t b) {
    std::int64_t result = 0;
    bool overflows = false;
    if (sign == "+") {
      overflows = __builtin_add_overflow(a, b, &result);
    } else if (sign == "-") {
      overflows = __builtin_sub_overflow(a, b, &result);
    } else if (sign == "*") {
      overflows = __builtin_mul_overflow(a, b, &result);
    } else if (sign == "**") {
      if (b < 0) return std::pow(static_cast<double>(a), static_cast<double>(b));
      result = 1;
      for (std::int64_t i = 0; i < b && !overflows && result != 0 && (a != 1 && a != -1); ++i) {
        overflows = __builtin_mul_overflow(result, a, &result);
      }
      if (a == -1 && b % 2 != 0) result = -1;
    } else {
      if (b == 0) context_.refuse("division by zero");
      if (b == -1) return sign == "//" ? whole("-", 0, a) : JinjaValue(0);
      result = a / b - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0);  // rounded down
      if (sign == "%") result = a - result * b;
    }
    if (overflows) context_.refuse("a number is too large: ", a, " ", sign, " ", b);
    return result;
  }

  const JinjaEnvironment& environment_;
  JinjaContext context_;
  std::vector<Scope> scopes_;    // the template's own, then those of loops, blocks and macros
  std::size_t first_scope_ = 0;  // of the macro that is computed
};

}}}  // namespace rapt::RAPT_ABI::detail
