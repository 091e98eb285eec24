/// \file
/// Parses templates in Jinja into statements and expressions.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/text/jinja_filters.hpp"
#include "rapt/text/jinja_lexer.hpp"
#include "rapt/text/jinja_syntax.hpp"
#include "rapt/text/jinja_text.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A recursive-descent parser with Jinja's precedences: conditional, or, and, not, comparison, + and -, ~, then * / //
/// %,
/// **, the sign, and last what stands behind an operand: attributes, indices, calls, filters and tests.
class JinjaParser {
 public:
  /// The statements of a template. Throws IoError that names the line for what is no Jinja, and for a statement, a
  /// filter or a test that rapt does not have.
  [[nodiscard]] static JinjaBody parse(std::string_view text, std::string_view name) {
    JinjaParser parser(text, name);
    JinjaBody body;
    const std::string end = parser.parse_body(body, {});
    if (!end.empty()) parser.refuse("{% ", end, " %} ends nothing");
    return body;
  }

 private:
  using Kind = JinjaToken::Kind;
  using Expression = std::unique_ptr<JinjaExpression>;
  using Of = JinjaExpression::Kind;

  static constexpr int kMostNested = 100;  // tags or brackets in one another
  static constexpr int kMostDeep = 200;    // levels of an expression

  JinjaParser(std::string_view text, std::string_view name) : name_(name), tokens_(JinjaLexer::tokens(text, name)) {}

  template <class... Pieces>
  [[noreturn]] void refuse(const Pieces&... pieces) const {
    const int line = tokens_.empty() ? 1 : tokens_[std::min(at_, tokens_.size() - 1)].line;
    fail_in_template(name_, line, pieces...);
  }
  /// Counts what is nested as long as it lives.
  class Nested {
   public:
    explicit Nested(JinjaParser& parser) : parser_(parser) {
      if (++parser_.nested_ > kMostNested) parser_.refuse("nested too deeply: at most ", kMostNested);
    }
    ~Nested() { --parser_.nested_; }
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;

   private:
    JinjaParser& parser_;
  };

  // Tokens
  [[nodiscard]] bool at_end() const { return at_ == tokens_.size(); }
  [[nodiscard]] bool is(Kind kind, std::string_view text = {}) const {
    return !at_end() && tokens_[at_].kind == kind && (text.empty() || tokens_[at_].text == text);
  }
  [[nodiscard]] bool is_sign(std::string_view text) const { return is(Kind::sign, text); }
  [[nodiscard]] bool is_word(std::string_view text) const { return is(Kind::name, text); }
  bool skip(Kind kind, std::string_view text = {}) {
    const bool found = is(kind, text);
    if (found) ++at_;
    return found;
  }
  bool skip_sign(std::string_view text) { return skip(Kind::sign, text); }
  bool skip_word(std::string_view text) { return skip(Kind::name, text); }
  [[nodiscard]] std::string found() const {
    if (at_end()) return "the end of the template";
    const JinjaToken& token = tokens_[at_];
    if (token.kind == Kind::end_statement || token.kind == Kind::end_output) return "the end of the tag";
    return "\"" + token.text + "\"";
  }
  void expect(Kind kind, std::string_view text, std::string_view wanted) {
    if (!skip(kind, text)) refuse("wanted is ", wanted, ", there is ", found());
  }
  void expect_sign(std::string_view text) { expect(Kind::sign, text, text); }
  void expect_end() { expect(Kind::end_statement, {}, "the end of the tag"); }
  std::string expect_name() {
    if (!is(Kind::name)) refuse("wanted is a name, there is ", found());
    return tokens_[at_++].text;
  }

  // Statements

  /// Parses statements up to one of these, whose name it returns, or "" at the end of the template. The parser then
  /// stands behind the name.
  std::string parse_body(JinjaBody& body, std::initializer_list<std::string_view> ends) {
    const Nested nested(*this);
    while (!at_end()) {
      const int line = tokens_[at_].line;
      if (is(Kind::text)) {
        body.push_back({.kind = JinjaStatement::Kind::text, .line = line, .text = tokens_[at_++].text});
      } else if (skip(Kind::begin_output)) {
        body.push_back({.kind = JinjaStatement::Kind::output,
                        .line = line,
                        .expression = parse_with_commas(/*conditional=*/true)});
        expect(Kind::end_output, {}, "the end of the tag");
      } else {
        expect(Kind::begin_statement, {}, "a tag");
        std::string name = expect_name();
        if (name.starts_with("end") || name == "else" || name == "elif") {
          if (std::find(ends.begin(), ends.end(), name) == ends.end()) {
            refuse("{% ", name, " %} stands where it ends nothing");
          }
          return name;
        }
        body.push_back(parse_statement(name, line));
      }
    }
    if (ends.size() > 0) refuse("the template ends within a statement: {% ", *(ends.end() - 1), " %} is missing");
    return {};
  }

  JinjaStatement parse_statement(const std::string& name, int line) {
    using Statement = JinjaStatement::Kind;
    JinjaStatement statement{.line = line};
    if (name == "if") {
      parse_if(statement);
    } else if (name == "for") {
      parse_for(statement);
    } else if (name == "set") {
      parse_set(statement);
    } else if (name == "macro") {
      parse_macro(statement);
    } else if (name == "generation") {
      statement.kind = Statement::body;
      expect_end();
      parse_body(statement.bodies.emplace_back(), {"endgeneration"});
      expect_end();
    } else if (name == "break" || name == "continue") {
      if (loops_ == 0) refuse("{% ", name, " %} stands outside of a loop");
      statement.kind = name == "break" ? Statement::break_loop : Statement::continue_loop;
      expect_end();
    } else {
      refuse("the statement {% ", name, " %} is not supported");
    }
    return statement;
  }
  void parse_if(JinjaStatement& statement) {
    statement.kind = JinjaStatement::Kind::choice;
    for (std::string end = "elif"; end == "elif";) {
      statement.conditions.push_back(parse_with_commas(/*conditional=*/false));
      expect_end();
      end = parse_body(statement.bodies.emplace_back(), {"elif", "else", "endif"});
      if (end == "else") {
        expect_end();
        parse_body(statement.otherwise, {"endif"});
      }
    }
    expect_end();
  }
  void parse_for(JinjaStatement& statement) {
    statement.kind = JinjaStatement::Kind::loop;
    parse_targets(statement.names);
    if (!skip_word("in")) refuse("wanted is in, there is ", found());
    statement.expression = parse_with_commas(/*conditional=*/false);
    if (skip_word("if")) statement.condition = parse_expression();
    if (is_word("recursive")) refuse("recursive loops are not supported");
    expect_end();
    ++loops_;
    const std::string end = parse_body(statement.bodies.emplace_back(), {"else", "endfor"});
    --loops_;
    if (end == "else") {
      expect_end();
      parse_body(statement.otherwise, {"endfor"});
    }
    expect_end();
  }
  void parse_targets(std::vector<std::string>& names) {
    const bool has_bracket = skip_sign("(");
    do names.push_back(expect_name());
    while (skip_sign(","));
    if (has_bracket) expect_sign(")");
  }
  void parse_set(JinjaStatement& statement) {
    statement.kind = JinjaStatement::Kind::set;
    parse_targets(statement.names);
    if (statement.names.size() == 1 && skip_sign(".")) statement.text = expect_name();
    if (skip_sign("=")) {
      statement.expression = parse_with_commas(/*conditional=*/true);
    } else if (is_sign("|")) {
      refuse("a filter of a block {% set %} is not supported");
    } else {
      if (statement.names.size() > 1 || !statement.text.empty()) refuse("a block {% set %} sets one name");
      statement.kind = JinjaStatement::Kind::set_block;
      expect_end();
      parse_body(statement.bodies.emplace_back(), {"endset"});
    }
    expect_end();
  }
  void parse_macro(JinjaStatement& statement) {
    if (loops_ > 0 || in_macro_) refuse("a macro in a loop or in a macro is not supported");
    statement.kind = JinjaStatement::Kind::macro;
    statement.macro = std::make_unique<JinjaMacro>();
    JinjaMacro& macro = *statement.macro;
    macro.name = expect_name();
    expect_sign("(");
    while (!skip_sign(")")) {
      if (!macro.parameters.empty()) expect_sign(",");
      macro.parameters.push_back(expect_name());
      if (skip_sign("=")) {
        macro.defaults.push_back(parse_expression());
      } else if (!macro.defaults.empty()) {
        refuse("a parameter without a default stands behind one with a default");
      }
    }
    expect_end();
    in_macro_ = true;
    parse_body(macro.body, {"endmacro"});
    in_macro_ = false;
    expect_end();
  }

  // Expressions

  [[nodiscard]] Expression make(Of kind, std::string text = {}) const {
    auto made = std::make_unique<JinjaExpression>();
    made->kind = kind;
    made->line = tokens_[at_ > 0 ? at_ - 1 : 0].line;
    made->text = std::move(text);
    return made;
  }
  template <class... Children>
  [[nodiscard]] Expression make_of(Of kind, std::string text, Children... children) const {
    Expression made = make(kind, std::move(text));
    (adopt(*made, std::move(children)), ...);
    return made;
  }
  [[nodiscard]] Expression constant(JinjaValue value) const {
    Expression made = make(Of::constant);
    made->value = std::move(value);
    return made;
  }
  /// Adds a child, which may be null. Operators behind one another make a tree as deep as there are.
  void adopt(JinjaExpression& parent, Expression child) const {
    if (child != nullptr) parent.depth = std::max(parent.depth, child->depth + 1);
    if (parent.depth > kMostDeep) refuse("an expression is too long or nested too deeply: at most ", kMostDeep);
    parent.children.push_back(std::move(child));
  }

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
      if (name.empty() && is_word("not") && at_ + 1 < tokens_.size() && tokens_[at_ + 1].kind == Kind::name &&
          tokens_[at_ + 1].text == "in") {
        at_ += 2;
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
      std::string sign = tokens_[at_++].text;
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
      std::string sign = tokens_[at_++].text;
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
      const Of kind = tokens_[at_++].text == "-" ? Of::negate : Of::plus;
      value = make_of(kind, {}, parse_signed(/*with_filters=*/false));
    } else {
      value = parse_operand();
    }
    value = parse_behind(std::move(value));
    return with_filters ? parse_filters(std::move(value)) : std::move(value);
  }
  Expression parse_operand() {
    if (at_end()) refuse("wanted is an expression, there is ", found());
    const JinjaToken& token = tokens_[at_];
    if (token.kind == Kind::string) {
      std::string text;  // strings behind one another are one
      while (is(Kind::string)) text += tokens_[at_++].text;
      return constant(std::move(text));
    }
    if (token.kind == Kind::integer) {
      std::int64_t value = 0;
      const auto read = std::from_chars(token.text.data(), token.text.data() + token.text.size(), value);
      if (read.ec != std::errc()) refuse("the number ", token.text, " is too large");
      ++at_;
      return constant(value);
    }
    if (token.kind == Kind::number) {
      const double value = read_decimal(token.text);
      ++at_;
      return constant(value);
    }
    if (token.kind == Kind::name) return parse_name();
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
      if (is(Kind::name) && at_ + 1 < tokens_.size() && tokens_[at_ + 1].kind == Kind::sign &&
          tokens_[at_ + 1].text == "=") {
        call.names.push_back(expect_name());
        ++at_;
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

  std::string_view name_;
  std::vector<JinjaToken> tokens_;
  std::size_t at_ = 0;
  int nested_ = 0, loops_ = 0;
  bool in_macro_ = false;
};

}}}  // namespace rapt::RAPT_ABI::detail
