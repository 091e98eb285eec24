/// \file
/// Computes the expressions of templates in Jinja.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "rapt/core/index.hpp"
#include "rapt/text/jinja/arguments.hpp"
#include "rapt/text/jinja/arithmetic.hpp"
#include "rapt/text/jinja/comparison.hpp"
#include "rapt/text/jinja/context.hpp"
#include "rapt/text/jinja/dictionaries.hpp"
#include "rapt/text/jinja/filters.hpp"
#include "rapt/text/jinja/functions.hpp"
#include "rapt/text/jinja/scopes.hpp"
#include "rapt/text/jinja/sequences.hpp"
#include "rapt/text/jinja/string_methods.hpp"
#include "rapt/text/jinja/syntax.hpp"
#include "rapt/text/jinja/value.hpp"
#include "rapt/text/jinja/value_tests.hpp"
#include "rapt/text/jinja/written_values.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Computes expressions with the names that a template has set. What macros make is left to whoever runs statements.
class JinjaEvaluator {
 protected:
  /// `work` limits the computation (see JinjaContext).
  JinjaEvaluator(std::string_view name, const JinjaEnvironment& environment, std::int64_t work)
      : environment_(environment), context_{.name = name, .line = 1, .work_left = work}, scopes_(context_) {}
  JinjaEvaluator(const JinjaEvaluator&) = delete;
  JinjaEvaluator& operator=(const JinjaEvaluator&) = delete;
  ~JinjaEvaluator() = default;

  /// The text that a macro makes.
  [[nodiscard]] virtual JinjaValue call_macro(const JinjaMacro& macro, const JinjaArguments& arguments) = 0;

  [[nodiscard]] JinjaValue look_up(const std::string& name) {
    if (const JinjaValue* const found = scopes_.find(name)) return *found;
    if (const JinjaValue* const found = find_entry(context_, environment_.variables, name)) return *found;
    return is_jinja_function(name, environment_) ? JinjaValue(JinjaValue::Function{name}) : JinjaValue();
  }
  void append(std::string& output, std::string_view text) {
    context_.charge(std::ssize(text));
    output += text;
  }

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
          assign_entry(context_, map, string_in(context_, key, "the key of a dictionary"), std::move(value));
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
        return compute_arithmetic(context_, "-", e.kind == Of::negate ? JinjaValue(0) : value,
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
        return compute_arithmetic(context_, e.text, left, right);
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
          if (!compare_values(context_, e.names[i], left, right)) return false;
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

  const JinjaEnvironment& environment_;
  JinjaContext context_;
  JinjaScopes scopes_;

 private:
  using Of = JinjaExpression::Kind;

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
    return call_function(context_, environment_, function.function()->name, arguments);
  }
};

}}}  // namespace rapt::RAPT_ABI::detail
