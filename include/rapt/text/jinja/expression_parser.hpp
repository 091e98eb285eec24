/// \file
/// Parses expressions of templates in Jinja: operators, operands, and what stands behind these.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "rapt/text/jinja/expression_builder.hpp"
#include "rapt/text/jinja/filter_names.hpp"
#include "rapt/text/jinja/numbers.hpp"
#include "rapt/text/jinja/syntax.hpp"
#include "rapt/text/jinja/value.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A recursive-descent parser with Jinja's precedences: conditional; or; and; not; comparisons; + and -; ~; the
/// product's operators * / // %; **; the sign; and last what stands behind an operand: attributes, indices, calls,
/// filters and tests.
class JinjaExpressionParser : protected JinjaExpressionBuilder {
 protected:
  JinjaExpressionParser(std::string_view text, std::string_view name) : JinjaExpressionBuilder(text, name) {}

  /// An expression, or several with commas between them, which are a list.
  Expression parse_with_commas(bool conditional) {
    Expression first = conditional ? parse_expression() : parse_or();
    if (!is_sign(",")) return first;
    Expression list = make_of(Of::list, "tuple", std::move(first));
    while (skip_sign(",")) {
      if (is(Kind::end_statement) || is(Kind::end_output)) break;
      adopt(*list, conditional ? parse_expression() : parse_or());
    }
    return list;
  }
  Expression parse_expression() {
    const Nested nested(*this);
    Expression value = parse_or();
    while (skip_word("if")) {
      Expression condition = parse_or();
      value = make_of(Of::conditional, {}, std::move(value), std::move(condition),
                      skip_word("else") ? parse_expression() : Expression());
    }
    return value;
  }

 private:
  Expression parse_or() {
    Expression left = parse_and();
    while (skip_word("or")) {
      left = make_of(Of::logical_or, {}, std::move(left), parse_and());
    }
    return left;
  }
  Expression parse_and() {
    Expression left = parse_not();
    while (skip_word("and")) {
      left = make_of(Of::logical_and, {}, std::move(left), parse_not());
    }
    return left;
  }
  Expression parse_not() {
    const Nested nested(*this);
    if (skip_word("not")) return make_of(Of::logical_not, {}, parse_not());
    return parse_comparison();
  }
  Expression parse_comparison() {
    Expression first = parse_sum(), comparison;
    for (;;) {
      std::string name;
      for (const char* const one : {"==", "!=", "<=", ">=", "<", ">"}) {
        if (name.empty() && skip_sign(one)) name = one;
      }
      if (name.empty() && skip_word("in")) name = "in";
      if (name.empty() && is_word("not") && is_followed_by(Kind::name, "in")) {
        skip_word("not");
        skip_word("in");
        name = "not in";
      }
      if (name.empty()) break;
      if (comparison == nullptr) comparison = make_of(Of::compare, {}, std::move(first));
      comparison->names.push_back(std::move(name));
      adopt(*comparison, parse_sum());
    }
    return comparison == nullptr ? std::move(first) : std::move(comparison);
  }
  Expression parse_sum() {
    Expression left = parse_join();
    while (is_sign("+") || is_sign("-")) {
      std::string sign = take();
      left = make_of(Of::arithmetic, std::move(sign), std::move(left), parse_join());
    }
    return left;
  }
  Expression parse_join() {
    Expression first = parse_product();
    if (!is_sign("~")) return first;
    Expression join = make_of(Of::join, {}, std::move(first));
    while (skip_sign("~")) adopt(*join, parse_product());
    return join;
  }
  Expression parse_product() {
    Expression left = parse_power();
    while (is_sign("*") || is_sign("/") || is_sign("//") || is_sign("%")) {
      std::string sign = take();
      left = make_of(Of::arithmetic, std::move(sign), std::move(left), parse_power());
    }
    return left;
  }
  Expression parse_power() {
    Expression left = parse_signed(/*with_filters=*/true);
    while (skip_sign("**")) {
      left = make_of(Of::arithmetic, "**", std::move(left), parse_signed(/*with_filters=*/true));
    }
    return left;
  }
  Expression parse_signed(bool with_filters) {
    const Nested nested(*this);
    Expression value;
    if (is_sign("-") || is_sign("+")) {
      const Of kind = take() == "-" ? Of::negate : Of::plus;
      value = make_of(kind, {}, parse_signed(/*with_filters=*/false));
    } else {
      value = parse_operand();
    }
    value = parse_behind(std::move(value));
    return with_filters ? parse_filters(std::move(value)) : std::move(value);
  }
  Expression parse_operand() {
    if (at_end()) refuse("wanted is an expression, there is ", found());
    if (is(Kind::string)) {
      std::string text;  // strings behind one another are one
      while (is(Kind::string)) text += take();
      return constant(std::move(text));
    }
    if (is(Kind::integer)) {
      const std::string& digits = token().text;
      std::int64_t value = 0;
      const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value);
      if (read.ec != std::errc()) refuse("the number ", digits, " is too large");
      skip(Kind::integer);
      return constant(value);
    }
    if (is(Kind::number)) return constant(read_decimal(take()));
    if (is(Kind::name)) return parse_name();
    if (skip_sign("(")) {
      if (skip_sign(")")) return make(Of::list, "tuple");
      Expression inner = parse_expression();
      if (is_sign(",")) {
        inner = make_of(Of::list, "tuple", std::move(inner));
        while (skip_sign(",") && !is_sign(")")) adopt(*inner, parse_expression());
      }
      expect_sign(")");
      return inner;
    }
    if (skip_sign("[")) {
      Expression list = make(Of::list);
      while (!skip_sign("]")) {
        if (!list->children.empty()) expect_sign(",");
        if (skip_sign("]")) break;
        adopt(*list, parse_expression());
      }
      return list;
    }
    if (skip_sign("{")) {
      Expression map = make(Of::map);
      while (!skip_sign("}")) {
        if (!map->children.empty()) expect_sign(",");
        if (skip_sign("}")) break;
        adopt(*map, parse_expression());
        expect_sign(":");
        adopt(*map, parse_expression());
      }
      return map;
    }
    refuse("wanted is an expression, there is ", found());
  }
  Expression parse_name() {
    std::string name = expect_name();
    if (name == "true" || name == "True") return constant(true);
    if (name == "false" || name == "False") return constant(false);
    if (name == "none" || name == "None") return constant(JinjaValue::None());
    for (const std::string_view word : {"and", "or", "not", "in", "is", "if", "else"}) {
      if (name == word) refuse("wanted is an expression, there is \"", name, "\"");
    }
    return make(Of::name, std::move(name));
  }
  /// Attributes, indices and calls behind an operand.
  Expression parse_behind(Expression value) {
    for (;;) {
      if (skip_sign(".")) {
        if (is(Kind::integer)) {
          value = make_of(Of::item, {}, std::move(value), parse_operand());
        } else {
          std::string name = expect_name();
          value = make_of(Of::attribute, std::move(name), std::move(value));
        }
      } else if (skip_sign("[")) {
        value = parse_index(std::move(value));
      } else if (is_sign("(")) {
        value = make_of(Of::call, {}, std::move(value));
        parse_arguments(*value);
      } else {
        return value;
      }
    }
  }
  Expression parse_index(Expression object) {
    Expression parts[3];
    int colons = 0;
    for (;;) {
      if (skip_sign(":")) {
        if (++colons > 2) refuse("a slice has at most two colons");
      } else if (skip_sign("]")) {
        break;
      } else if (parts[colons] != nullptr) {
        refuse("wanted is ], there is ", found());
      } else {
        parts[colons] = parse_expression();
      }
    }
    if (colons > 0) {
      return make_of(Of::slice, {}, std::move(object), std::move(parts[0]), std::move(parts[1]), std::move(parts[2]));
    }
    if (parts[0] == nullptr) refuse("an index is missing");
    return make_of(Of::item, {}, std::move(object), std::move(parts[0]));
  }
  void parse_arguments(JinjaExpression& call) {
    expect_sign("(");
    for (bool is_first = true; !skip_sign(")"); is_first = false) {
      if (!is_first) expect_sign(",");
      if (skip_sign(")")) break;
      if (is_sign("*") || is_sign("**")) refuse("lists and dictionaries in place of arguments are not supported");
      if (is(Kind::name) && is_followed_by(Kind::sign, "=")) {
        call.names.push_back(expect_name());
        expect_sign("=");
      } else if (!call.names.empty()) {
        refuse("an argument without a name stands behind one with a name");
      }
      adopt(call, parse_expression());
    }
  }
  /// Filters and tests behind an operand, and calls of what they give.
  Expression parse_filters(Expression value) {
    for (;;) {
      if (skip_sign("|")) {
        std::string name = expect_name();
        if (!is_jinja_filter(name)) refuse("the filter ", name, " is not supported");
        value = make_of(Of::filter, std::move(name), std::move(value));
        if (is_sign("(")) parse_arguments(*value);
      } else if (skip_word("is")) {
        const bool is_negated = skip_word("not");
        std::string name = expect_name();
        if (!is_jinja_test(name)) refuse("the test ", name, " is not supported");
        value = make_of(Of::test, std::move(name), std::move(value));
        if (is_sign("(")) {
          parse_arguments(*value);
        } else if (has_test_argument()) {
          adopt(*value, parse_behind(parse_operand()));
        }
        if (is_negated) value = make_of(Of::logical_not, {}, std::move(value));
      } else if (is_sign("(")) {
        value = make_of(Of::call, {}, std::move(value));
        parse_arguments(*value);
      } else {
        return value;
      }
    }
  }
  /// True if an argument of a test follows without brackets.
  [[nodiscard]] bool has_test_argument() const {
    if (is(Kind::string) || is(Kind::integer) || is(Kind::number) || is_sign("[") || is_sign("{")) return true;
    if (!is(Kind::name)) return false;
    for (const std::string_view word : {"else", "or", "and", "if", "is", "in", "not"}) {
      if (is_word(word)) return false;
    }
    return true;
  }
};

}}}  // namespace rapt::RAPT_ABI::detail
