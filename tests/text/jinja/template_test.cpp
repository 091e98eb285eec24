/// \file
/// Templates in Jinja: against Jinja itself, as transformers sets it up; what is refused; limits.
// covers: text/jinja/value.hpp, text/jinja/context.hpp, text/jinja/lexer.hpp, text/jinja/syntax.hpp,
//   text/jinja/token_reader.hpp, text/jinja/expression_builder.hpp, text/jinja/expression_parser.hpp,
//   text/jinja/parser.hpp, text/jinja/renderer.hpp, text/jinja/evaluator.hpp, text/jinja/scopes.hpp,
//   text/jinja/functions.hpp, text/jinja/arithmetic.hpp, text/jinja/comparison.hpp, text/jinja/arguments.hpp,
//   text/jinja/dictionaries.hpp, text/jinja/sequences.hpp, text/jinja/written_values.hpp, text/jinja/json.hpp,
//   text/jinja/filters.hpp, text/jinja/filter_names.hpp, text/jinja/list_filters.hpp, text/jinja/number_filters.hpp,
//   text/jinja/value_tests.hpp
#include "rapt/text/jinja/template.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "tests/common/expect_close.hpp"
#include "tests/common/jinja_json.hpp"

namespace {

using rapt::JinjaTemplate;
using rapt::JinjaValue;
using rapt_test::error_text;
using rapt_test::jinja_value;

std::string render(const std::string& text, JinjaValue::Map variables = {}) {
  return JinjaTemplate(text).render({.variables = std::move(variables)});
}
std::string refusal(const std::string& text) {
  return error_text<rapt::IoError>([&] { (void)JinjaTemplate(text, "t"); });
}
std::string failure(const std::string& text, std::int64_t work = JinjaTemplate::kWork) {
  return error_text<rapt::ValueError>([&] { (void)JinjaTemplate(text, "t").render({}, work); });
}

TEST(JinjaTemplate, RendersWhatJinjaRenders) {
  const auto golden =
      nlohmann::ordered_json::parse(std::ifstream(std::string(RAPT_GOLDEN_DIR) + "/chat_templates.json"));
  JinjaValue::Map variables = *jinja_value(golden.at("variables")).map();
  variables.emplace_back("bos_token", "<s>");
  ASSERT_GT(golden.at("expressions").size(), 30u);
  for (const auto& one : golden.at("expressions")) {
    const auto text = one.at(0).get<std::string>();
    EXPECT_EQ(render(text, variables), one.at(1).get<std::string>()) << text;
  }
}

TEST(JinjaTemplate, MacrosSeeTheNamesOfTheTemplateAndNotOfTheirCaller) {
  EXPECT_EQ(render("{% set a = 1 %}{% macro m(x) %}{{ a }}{{ x }}{{ y }}{% endmacro %}"
                   "{% for y in [7] %}{{ m(y) }}{% endfor %}"),
            "17");
}

TEST(JinjaTemplate, WhatIsNotSupportedIsNamedWithItsLine) {
  EXPECT_EQ(refusal("a\n{% include 'x' %}"), "[jinja] t:2: the statement {% include %} is not supported");
  EXPECT_EQ(refusal("\n\n{{ x | urlize }}"), "[jinja] t:3: the filter urlize is not supported");
  EXPECT_EQ(refusal("{{ x is escaped }}"), "[jinja] t:1: the test escaped is not supported");
  EXPECT_EQ(refusal("{% for x in y recursive %}{% endfor %}"), "[jinja] t:1: recursive loops are not supported");
  EXPECT_EQ(refusal("{{ f(*x) }}"), "[jinja] t:1: lists and dictionaries in place of arguments are not supported");
  EXPECT_EQ(refusal("{% for x in y %}{% macro m() %}{% endmacro %}{% endfor %}"),
            "[jinja] t:1: a macro in a loop or in a macro is not supported");
  EXPECT_EQ(failure("\n{{ 'a'.encode() }}"), "[jinja] t:2: the method encode of strings is not supported");
  EXPECT_EQ(failure("{{ {}.pop() }}"), "[jinja] t:1: the method pop of dictionaries is not supported");
  EXPECT_EQ(failure("{{ [].append(1) }}"), "[jinja] t:1: the method append of a list is not supported");
}

TEST(JinjaTemplate, WhatIsNoJinjaIsRefused) {
  for (const auto& [text, message] : {
           std::pair{"{{ 'a }}", "a string has no end"},
           std::pair{"{{ a", "a tag has no end"},
           std::pair{"{# a", "a comment has no end"},
           std::pair{"{% raw %}", "{% raw %} has no {% endraw %}"},
           std::pair{"{% if a %}", "the template ends within a statement: {% endif %} is missing"},
           std::pair{"{% endif %}", "{% endif %} stands where it ends nothing"},
           std::pair{"{% if a %}{% endfor %}", "{% endfor %} stands where it ends nothing"},
           std::pair{"{{ a b }}", "wanted is the end of the tag, there is \"b\""},
           std::pair{"{{ (a }}", "a bracket closes that was not opened: }"},
           std::pair{"{{ 1 + }}", "wanted is an expression, there is the end of the tag"},
           std::pair{"{{ a ! b }}", "a tag has a character that Jinja does not know: !"},
           std::pair{"{{ 99999999999999999999 }}", "the number 99999999999999999999 is too large"},
           std::pair{"{{ '\\ud800' }}", "a string has an escape that is no character: \\ud800"},
           std::pair{"{% break %}", "{% break %} stands outside of a loop"},
           std::pair{"a\xff", "not UTF-8: byte 2"},
       }) {
    EXPECT_EQ(refusal(text), std::string("[jinja] t:1: ") + message) << text;
  }
}

TEST(JinjaTemplate, WhatCannotBeComputedIsNamedWithItsLine) {
  for (const auto& [text, message] : {
           std::pair{"{{ a.b }}", "a is undefined"},
           std::pair{"{{ {}.b.c }}", "a value.b is undefined"},
           std::pair{"{{ 1 + 'a' }}", "a whole number + a string is not possible"},
           std::pair{"{{ 1 < 'a' }}", "a whole number and a string cannot be ordered"},
           std::pair{"{{ 1 % 0 }}", "division by zero"},
           std::pair{"{{ 9223372036854775807 + 1 }}", "a number is too large: 9223372036854775807 + 1"},
           std::pair{"{{ f() }}", "f is an undefined value, no function"},
           std::pair{"{{ 'a'.strip(1) }}", "what is stripped must be a string: there is a whole number"},
           std::pair{"{{ 'a'.upper(1) }}", "upper takes at most 0 arguments: there are 1"},
           std::pair{"{% for x in 5 %}{% endfor %}", "a whole number has no elements"},
           std::pair{"{% for a, b in [[1]] %}{% endfor %}", "2 names for 1 values"},
           std::pair{"{% set a = 1 %}{% set a.b = 2 %}",
                     "an attribute can be set of a namespace alone: a is a whole number"},
           std::pair{"{{ raise_exception('mine') }}", "mine"},
           std::pair{"{{ strftime_now('%Y') }}", "strftime_now is an undefined value, no function"},
           std::pair{"{% set n = namespace() %}{% set n.n = n %}", "a namespace cannot be part of a namespace"},
           std::pair{"{{ {'a': namespace()} }}", "a namespace cannot be part of a list or a dictionary"},
           std::pair{"{{ range }}", "a function has no text"},
           std::pair{"{{ range | tojson }}", "a function cannot be written as JSON"},
           std::pair{"{{ {}.items }}", "a function has no text"},
           std::pair{"{% set f = {}.items %}{{ f() }}",
                     "the method items of dictionaries can only be called where it is named"},
           std::pair{"{{ 'abc' | select(x='defined') }}", "select has no argument x"},
           std::pair{"{{ 'abc' | selectattr(x='defined') }}",
                     "the name of an attribute must be a string: there is an undefined value"},
           std::pair{"{{ 0.0 ** -1 }}", "there is no number 0 ** -1"},
           std::pair{"{{ 10.0 ** 400 }}", "there is no number 10 ** 400"},
           std::pair{"{{ 1 | round(1, 'up') }}", "a method of rounding is common, ceil or floor: there is up"},
           std::pair{"{{ '%s' % 1 }}", "a string % a whole number is not possible"},
       }) {
    EXPECT_EQ(failure(text), std::string("[jinja] t:1: ") + message) << text;
  }
}

TEST(JinjaTemplate, HostileTemplatesEnd) {
  const std::string too_much = "[jinja] t:1: the template takes too much work: a loop or a text is too long";
  for (const char* const text : {
           "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
           "{{ range(9999999999) }}",
           "{{ 'x' * 9999999999 }}",
           "{% set n = namespace(s='xxxxxxxx') %}{% for a in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}",
           "{% set n = namespace(s='x' * 9999) %}{% for a in range(99999) %}{{ n.s }}{% endfor %}",
       }) {
    EXPECT_EQ(failure(text, 3'000'000), too_much) << text;
  }
  // A list that doubles itself would be written for ever.
  const std::string doubled =
      "{% set n = namespace(l=[1]) %}{% for a in range(60) %}{% set n.l = [n.l, n.l] %}{% endfor %}";
  EXPECT_NE(failure(doubled + "{{ n.l }}").find("a list or a dictionary is too large"), std::string::npos);
  EXPECT_NE(failure("{% set n = namespace(l=[]) %}{% for a in range(99) %}{% set n.l = [n.l] %}{% endfor %}")
                .find("nested too deeply"),
            std::string::npos);
  EXPECT_NE(
      failure("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}").find("macros or filters call one another too deeply"),
      std::string::npos);
  const auto repeated = [](const std::string& part, int times) {
    std::string text;
    for (int i = 0; i < times; ++i) text += part;
    return text;
  };
  const std::string end = repeated(")", 5000) + "}}";
  EXPECT_NE(refusal("{{ " + repeated("(", 5000) + end).find("nested too deeply"), std::string::npos);
  EXPECT_NE(refusal("{{ " + repeated("not ", 5000) + "}}").find("nested too deeply"), std::string::npos);
  EXPECT_NE(refusal("{{ a" + repeated(" + a", 5000) + "}}").find("too long or nested too deeply"), std::string::npos);
  EXPECT_NE(refusal("{{ a" + repeated("|trim", 5000) + "}}").find("too long or nested too deeply"), std::string::npos);
  EXPECT_NE(refusal(repeated("{% if a %}", 5000)).find("nested too deeply"), std::string::npos);
}

TEST(JinjaTemplate, FiltersWithinFiltersAreLimited) {
  std::string filters;
  for (int i = 0; i < 5'000; ++i) filters += "'map', ";
  EXPECT_EQ(failure("{{ 'a' | map(" + filters + ") | list }}"),
            "[jinja] t:1: macros or filters call one another too deeply");
  EXPECT_EQ(render("{{ [['ab', 'c'], ['d']] | map('map', 'map', 'upper') | list }}"), "[[['A', 'B'], ['C']], [['D']]]");
}

TEST(JinjaTemplate, NamesAndKeysThatAreLookedAtAreWork) {
  std::string sets, keys;
  for (int i = 0; i < 2000; ++i) {
    sets += "{% set a" + std::to_string(i) + " = 1 %}";
    keys += "'" + std::to_string(i) + "': 1, ";
  }
  const std::string too_much = "[jinja] t:1: the template takes too much work: a loop or a text is too long";
  EXPECT_EQ(failure(sets, 1'000'000), too_much);
  EXPECT_EQ(JinjaTemplate(sets).render({}, 3'000'000), "");
  EXPECT_EQ(failure(sets + "{% for i in range(1000) %}{{ b }}{% endfor %}", 4'000'000), too_much);
  EXPECT_EQ(failure("{{ {" + keys + "} | length }}", 1'000'000), too_much);
  EXPECT_EQ(JinjaTemplate("{{ {" + keys + "} | length }}").render({}, 3'000'000), "2000");
  EXPECT_EQ(failure("{% set d = {" + keys + "} %}{% for i in range(1000) %}{{ 'b' in d }}{% endfor %}", 4'000'000),
            too_much);
}

TEST(JinjaTemplate, DictionariesAreEqualInWhateverOrder) {
  JinjaValue::Map map;
  for (int i = 0; i < 50'000; ++i) map.emplace_back(std::to_string(i), i);
  JinjaValue::Map turned(map.rbegin(), map.rend()), other = turned, named = turned;
  other.back().second = 1;
  named.back().first = "a";
  EXPECT_EQ(render("{{ a == b }} {{ a == c }} {{ a == d }}", {{"a", map}, {"b", turned}, {"c", other}, {"d", named}}),
            "True False False");
}

TEST(JinjaTemplate, OnlyALoopHasCycle) {
  EXPECT_EQ(
      render("{% for x in range(5) %}{% set l = loop %}{{ loop.cycle('a', 'b') }}{{ l.cycle(1, 2, 3) }}{% endfor %}"),
      "a1b2a3b1a2");
  for (const std::string index : {"-3", "-3000001", "0"}) {  // memory outside of the arguments was read
    EXPECT_EQ(failure("{% set loop = {'index0': " + index + "} %}{{ loop.cycle('a', 'b') }}"),
              "[jinja] t:1: the method cycle of dictionaries is not supported");
  }
  EXPECT_EQ(failure("{% for x in [1] %}{{ loop.cycle() }}{% endfor %}"),
            "[jinja] t:1: cycle takes values, and no names");
}

TEST(JinjaTemplate, TellsTheTimeItIsGiven) {
  const JinjaTemplate text("{{ strftime_now('%d') if strftime_now is defined }}");
  EXPECT_EQ(text.render({.variables = {}, .now = [](const std::string& format) { return "now " + format; }}), "now %d");
  EXPECT_EQ(text.render({}), "");
}

}  // namespace
