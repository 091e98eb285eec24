/// \file
/// Parses templates in Jinja into statements and their expressions.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/text/jinja/expression_parser.hpp"
#include "rapt/text/jinja/syntax.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Parses statements; see JinjaExpressionParser for what stands in them.
class JinjaParser : JinjaExpressionParser {
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
  JinjaParser(std::string_view text, std::string_view name) : JinjaExpressionParser(text, name) {}

  /// Parses statements up to one of these, whose name it returns, or "" at the end of the template. The parser then
  /// stands behind the name.
  std::string parse_body(JinjaBody& body, std::initializer_list<std::string_view> ends) {
    const Nested nested(*this);
    while (!at_end()) {
      const int line = token().line;
      if (is(Kind::text)) {
        body.push_back({.kind = JinjaStatement::Kind::text, .line = line, .text = take()});
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

  int loops_ = 0;  // that the statement stands in
  bool in_macro_ = false;
};

}}}  // namespace rapt::RAPT_ABI::detail
