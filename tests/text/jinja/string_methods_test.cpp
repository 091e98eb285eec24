/// \file
/// Methods of strings in templates: against Python, and how long searches take.
// covers: text/jinja/string_search.hpp, text/jinja/letter_case.hpp
#include "rapt/text/jinja/string_methods.hpp"

#include <gtest/gtest.h>

#include <string>

#include "rapt/text/jinja/template.hpp"

namespace {

std::string render(const std::string& text) { return rapt::JinjaTemplate(text).render({}); }

TEST(JinjaStringMethods, TakeLinearTime) {
  // The square of these lengths would be minutes.
  const std::string begin = "{% set text = 'a' * 1000000 %}{% set part = 'a' * 500000 ~ 'b' %}";
  const std::string turned = "{% set text = 'a' * 1000000 %}{% set part = 'b' ~ 'a' * 500000 %}";
  EXPECT_EQ(render(begin + "{{ part in text }} {{ text.find(part) }} {{ text.count(part) }}"), "False -1 0");
  EXPECT_EQ(render(begin + "{{ text.replace(part, 'c') == text }} {{ text.split(part, 1) | length }}"), "True 1");
  EXPECT_EQ(render(turned + "{{ text.rfind(part) }} {{ text.rsplit(part, 1) | length }}"), "-1 1");
  EXPECT_EQ(render("{% set text = 'a' * 300000 %}{{ text.strip('b' * 300000 ~ 'a') | length }}"), "0");
}

TEST(JinjaStringMethods, FindWhatPythonFinds) {
  EXPECT_EQ(render("{{ 'aabaabaaab'.find('aaab') }} {{ 'aaaa'.count('aa') }} {{ 'aXaXbX'.rfind('aX') }}"), "6 2 2");
  EXPECT_EQ(render("{{ 'aaaaa'.split('aa') }} {{ 'aaaaa'.rsplit('aa') }} {{ 'aaaaa'.rsplit('aa', 1) }}"),
            "['', '', 'a'] ['a', '', ''] ['aaa', '']");
  EXPECT_EQ(render("{{ 'ababab'.replace('bab', '-') }} {{ 'ab'.replace('', '-', 2) }} {{ 'ab'.replace('a', 'c', 0) }}"),
            "a-ab -a-b ab");
  EXPECT_EQ(render("{{ 'ab'.find('') }} {{ 'ab'.rfind('') }} {{ '' in '' }} {{ 'éaé'.strip('éx') }}"), "0 2 True a");
  EXPECT_EQ(
      render("{{ 'aa'.replace('a', 'b', -9223372036854775807 - 1) }} {{ ' a b'.split(none, 9223372036854775807) }}"),
      "bb ['a', 'b']");
}

}  // namespace
