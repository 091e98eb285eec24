/// \file
/// Python's methods of strings, as far as templates in Jinja use them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "rapt/text/jinja/arguments.hpp"
#include "rapt/text/jinja/context.hpp"
#include "rapt/text/jinja/letter_case.hpp"
#include "rapt/text/jinja/sequences.hpp"
#include "rapt/text/jinja/string_search.hpp"
#include "rapt/text/jinja/value.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// True if the text has a character, and `is_right` for all that count.
template <class F>
[[nodiscard]] bool all_characters(std::string_view text, const F& is_right) {
  for (std::size_t i = 0; i < text.size(); i += code_point_at(text, i).length) {
    if (!is_right(code_point_at(text, i).value)) return false;
  }
  return !text.empty();
}

/// text.name(arguments). Throws ValueError for a method that rapt does not have.
[[nodiscard]] inline JinjaValue call_string_method(JinjaContext& context, const std::string& text,
                                                   std::string_view name, const JinjaArguments& arguments) {
  context.charge(std::ssize(text));
  const auto expect = [&](std::initializer_list<std::string_view> known) { arguments.expect(context, name, known); };
  const auto number = [&](std::size_t place, std::string_view of, std::int64_t otherwise) {
    const JinjaValue value = arguments.get(place, of);
    return value.is_undefined() ? otherwise : integer_in(context, value, of);
  };
  const auto string = [&](std::size_t place) -> std::string {
    const JinjaValue value = arguments.get(place, "");
    context.charge(value.weight());
    return string_in(context, value, "an argument");
  };
  const auto characters_before = [&](std::size_t bytes) -> std::int64_t {
    return bytes == std::string::npos ? -1 : count_code_points(std::string_view(text).substr(0, bytes));
  };
  if (name == "strip" || name == "lstrip" || name == "rstrip") {
    expect({"chars"});
    return stripped_of(context, text, arguments.get(0, "chars"), name != "rstrip", name != "lstrip");
  }
  if (name == "split" || name == "rsplit") {
    expect({"sep", "maxsplit"});
    return split_text(context, text, arguments.get(0, "sep"), number(1, "maxsplit", -1), name == "rsplit");
  }
  if (name == "splitlines") {
    expect({"keepends"});
    context.charge(32 * std::ssize(text));
    JinjaValue::List lines;
    for (const std::string_view line : split_lines(text, arguments.get(0, "keepends").truth()))
      lines.emplace_back(line);
    return lines;
  }
  if (name == "startswith" || name == "endswith") {
    expect({"affix"});
    return has_affix(context, text, arguments.get(0, "affix"), name == "startswith");
  }
  if (name == "removeprefix" || name == "removesuffix") {
    expect({"affix"});
    const std::string affix = string(0);
    if (name == "removeprefix") return text.starts_with(affix) ? text.substr(affix.size()) : text;
    return text.ends_with(affix) ? text.substr(0, text.size() - affix.size()) : text;
  }
  if (name == "replace") {
    expect({"old", "new", "count"});
    return replaced(context, text, string(0), string(1), number(2, "count", -1));
  }
  if (name == "find" || name == "rfind") {
    expect({"sub"});
    return characters_before(place_of(context, text, string(0), /*from_right=*/name == "rfind"));
  }
  if (name == "count") {
    expect({"sub"});
    const std::string part = string(0);
    if (part.empty()) return count_code_points(text) + 1;
    std::int64_t count = 0;
    for_each_place(context, text, part, /*from_right=*/false, [&](std::size_t) { return ++count > 0; });
    return count;
  }
  if (name == "join") {
    expect({"iterable"});
    std::string joined;
    const JinjaValue::List parts = elements_of(context, arguments.get(0, "iterable"));
    for (std::size_t i = 0; i < parts.size(); ++i) {
      context.charge(parts[i].weight() + std::ssize(text));
      joined += (i > 0 ? text : "") + string_in(context, parts[i], "what is joined");
    }
    return joined;
  }
  expect({});
  if (name == "upper") return to_upper(text);
  if (name == "lower") return to_lower(text);
  if (name == "capitalize") return capitalized(text);
  if (name == "title") return python_title(text);
  const auto category = [](std::int32_t c) { return std::string_view(utf8proc_category_string(c)); };
  if (name == "isspace") return all_characters(text, is_whitespace);
  if (name == "isdigit") return all_characters(text, [&](std::int32_t c) { return category(c) == "Nd"; });
  if (name == "isalpha") return all_characters(text, [&](std::int32_t c) { return category(c).starts_with('L'); });
  if (name == "isalnum") {
    return all_characters(text, [&](std::int32_t c) { return category(c).starts_with('L') || category(c) == "Nd"; });
  }
  if (name == "isupper" || name == "islower") {
    const bool has_case = to_upper(text) != to_lower(text);
    return has_case && text == (name == "isupper" ? to_upper(text) : to_lower(text));
  }
  context.refuse("the method ", name, " of strings is not supported");
}

}}}  // namespace rapt::RAPT_ABI::detail
