/// \file
/// Python's methods of strings and dictionaries, as far as templates in Jinja use them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/text/jinja_text.hpp"
#include "rapt/text/jinja_value.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// The arguments of a call; the last ones have names.
struct JinjaArguments {
  std::vector<JinjaValue> values = {};
  std::vector<std::string> names = {};

  [[nodiscard]] std::size_t positional() const { return values.size() - names.size(); }
  /// The argument at a place or of a name; undefined if there is none.
  [[nodiscard]] JinjaValue get(std::size_t place, std::string_view name) const {
    if (place < positional()) return values[place];
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i] == name) return values[positional() + i];
    }
    return {};
  }
  /// Throws ValueError for more arguments, or for one of another name.
  void expect(const JinjaContext& context, std::string_view of, std::initializer_list<std::string_view> known) const {
    if (positional() > known.size()) {
      context.refuse(of, " takes at most ", known.size(), " arguments: there are ", positional());
    }
    for (const std::string& name : names) {
      if (std::find(known.begin(), known.end(), name) == known.end()) {
        context.refuse(of, " has no argument ", name);
      }
    }
  }
};

[[nodiscard]] inline const std::string& string_in(const JinjaContext& context, const JinjaValue& value,
                                                  std::string_view what) {
  if (value.text() == nullptr) context.refuse(what, " must be a string: there is ", value.kind());
  return *value.text();
}
/// A whole number; a truth value is 0 or 1.
[[nodiscard]] inline std::int64_t integer_in(const JinjaContext& context, const JinjaValue& value,
                                             std::string_view what) {
  if (value.is_bool()) return value.truth() ? 1 : 0;
  if (value.integer() == nullptr) context.refuse(what, " must be a whole number: there is ", value.kind());
  return *value.integer();
}

/// In upper case by Unicode's simple mapping, and the sharp s as "SS".
[[nodiscard]] inline std::string to_upper(std::string_view text) {
  std::string upper;
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint point = code_point_at(text, i);
    if (point.value == 0xDF) {
      upper += "SS";
    } else {
      append_code_point(upper, utf8proc_toupper(point.value));
    }
    i += point.length;
  }
  return upper;
}
/// The first character in upper case, the others in lower case.
[[nodiscard]] inline std::string capitalized(std::string_view text) {
  if (text.empty()) return {};
  const std::size_t first = code_point_at(text, 0).length;
  return to_upper(text.substr(0, first)) + to_lower(text.substr(first));
}

/// Calls `f(place)` for the places at which a part of at least one byte stands in a text, as long as it returns true:
/// without overlaps, from the left or from the right. The work is linear in the text and the part, whatever they are:
/// D. E. Knuth, J. H. Morris and V. R. Pratt, "Fast pattern matching in strings", SIAM Journal on Computing 6(2), 1977.
template <class F>
void for_each_place(JinjaContext& context, std::string_view text, std::string_view part, bool from_right, const F& f) {
  context.charge(std::ssize(text));
  if (part.empty() || part.size() > text.size()) return;
  context.charge(8 * std::ssize(part));
  const auto byte = [&](std::string_view of, std::size_t i) { return of[from_right ? of.size() - 1 - i : i]; };
  // border[n]: the length of the longest proper beginning of the part's first n + 1 bytes that is their end, too.
  std::vector<std::size_t> border(part.size());
  const auto extended = [&](std::size_t matched, char next) {
    while (matched > 0 && byte(part, matched) != next) matched = border[matched - 1];
    return byte(part, matched) == next ? matched + 1 : 0;
  };
  for (std::size_t i = 1; i < part.size(); ++i) border[i] = extended(border[i - 1], byte(part, i));
  std::size_t matched = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    matched = extended(matched, byte(text, i));
    if (matched < part.size()) continue;
    if (!f(from_right ? text.size() - 1 - i : i + 1 - part.size())) return;
    matched = 0;
  }
}
/// The first such place, or npos; of an empty part the end at which the search begins.
[[nodiscard]] inline std::size_t place_of(JinjaContext& context, std::string_view text, std::string_view part,
                                          bool from_right = false) {
  if (part.empty()) return from_right ? text.size() : 0;
  std::size_t found = std::string_view::npos;
  for_each_place(context, text, part, from_right, [&](std::size_t place) {
    found = place;
    return false;
  });
  return found;
}

/// The text without those of the characters `stripped` (white space, where it is undefined) that stand at its ends.
[[nodiscard]] inline std::string_view stripped_of(JinjaContext& context, std::string_view text,
                                                  const JinjaValue& stripped, bool left, bool right) {
  std::vector<std::int32_t> characters;
  const bool is_blank = stripped.is_undefined() || stripped.is_none();
  if (!is_blank) {
    const std::string& all = string_in(context, stripped, "what is stripped");
    context.charge(16 * std::ssize(all));
    for (std::size_t i = 0; i < all.size(); i += code_point_at(all, i).length) {
      characters.push_back(code_point_at(all, i).value);
    }
    std::sort(characters.begin(), characters.end());
  }
  const auto is_stripped = [&](std::string_view one) {
    const std::int32_t character = code_point_at(one, 0).value;
    return is_blank ? is_whitespace(character) : std::binary_search(characters.begin(), characters.end(), character);
  };
  while (left && !text.empty()) {
    const std::size_t length = code_point_at(text, 0).length;
    if (!is_stripped(text.substr(0, length))) break;
    text.remove_prefix(length);
  }
  while (right && !text.empty()) {
    const std::size_t last = previous_code_point(text, text.size());
    if (!is_stripped(text.substr(last))) break;
    text.remove_suffix(text.size() - last);
  }
  return text;
}

/// The text with `from` replaced by `to`, at most so many times (negative: everywhere).
[[nodiscard]] inline std::string replaced(JinjaContext& context, std::string_view text, std::string_view from,
                                          std::string_view to, std::int64_t most) {
  if (most == 0) return std::string(text);
  most = std::max<std::int64_t>(most, -1);
  std::string result;
  std::size_t behind = 0;
  const auto replace = [&](std::size_t place) {
    context.charge(1 + std::ssize(to));
    result += text.substr(behind, place - behind);
    result += to;
    behind = place + from.size();
    return --most != 0;
  };
  if (from.empty()) {  // between all characters
    for (std::size_t i = 0; replace(i) && i < text.size();) i += code_point_at(text, i).length;
  } else {
    for_each_place(context, text, from, /*from_right=*/false, replace);
  }
  return result += text.substr(behind);
}

/// The parts of a text between separators, at most `most` cuts (negative: all), from the left or from the right.
[[nodiscard]] inline JinjaValue::List split_text(JinjaContext& context, std::string_view text,
                                                 const JinjaValue& separator, std::int64_t most, bool from_right) {
  context.charge(32 * std::ssize(text));
  std::vector<std::string_view> parts;
  const bool is_blank = separator.is_undefined() || separator.is_none();
  most = std::max<std::int64_t>(most, -1);
  if (is_blank) {
    parts = split_whitespace(text);
    if (most >= 0 && std::ssize(parts) - 1 > most) {  // what is left is one part, as it stands
      const std::size_t cuts = to_size(most);
      const auto offset = [&](std::string_view part) { return to_size(part.data() - text.data()); };
      if (from_right) {
        const std::string_view last = parts[parts.size() - cuts - 1];
        parts.erase(parts.begin(), parts.end() - static_cast<std::ptrdiff_t>(cuts) - 1);
        parts.front() = text.substr(0, offset(last) + last.size());
      } else {
        parts[cuts] = text.substr(offset(parts[cuts]));
        parts.resize(cuts + 1);
      }
    }
  } else {
    const std::string_view cut = string_in(context, separator, "a separator");
    if (cut.empty()) context.refuse("a separator must not be empty");
    std::size_t begin = 0, end = text.size();  // of what is not cut yet
    const auto add = [&](std::size_t place) {
      parts.push_back(from_right ? text.substr(place + cut.size(), end - place - cut.size())
                                 : text.substr(begin, place - begin));
      from_right ? void(end = place) : void(begin = place + cut.size());
      return --most != 0;
    };
    if (most != 0) for_each_place(context, text, cut, from_right, add);
    parts.push_back(text.substr(begin, end - begin));
    if (from_right) std::reverse(parts.begin(), parts.end());
  }
  JinjaValue::List list;
  for (const std::string_view part : parts) list.emplace_back(part);
  return list;
}
/// As Python's splitlines.
[[nodiscard]] inline std::vector<std::string_view> split_lines(std::string_view text, bool keeps_ends) {
  std::vector<std::string_view> lines;
  for (std::size_t i = 0, begin = 0; i < text.size();) {
    const CodePoint point = code_point_at(text, i);
    const std::int32_t c = point.value;
    std::size_t end = i + point.length;
    const bool is_end = (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
    if (c == '\r' && end < text.size() && text[end] == '\n') ++end;
    if (is_end) {
      lines.push_back(text.substr(begin, (keeps_ends ? end : i) - begin));
      begin = end;
    }
    i = is_end ? end : i + point.length;
    if (i == text.size() && begin < i) lines.push_back(text.substr(begin));
  }
  return lines;
}

/// True if the text begins (or ends) with a string, or with one of a list of strings.
[[nodiscard]] inline bool has_affix(JinjaContext& context, std::string_view text, const JinjaValue& affix,
                                    bool at_begin) {
  if (const auto* const list = affix.list()) {
    return std::any_of(list->begin(), list->end(),
                       [&](const JinjaValue& one) { return has_affix(context, text, one, at_begin); });
  }
  const std::string& part = string_in(context, affix, "what a text begins or ends with");
  context.charge(std::min(std::ssize(text), std::ssize(part)));
  return at_begin ? text.starts_with(part) : text.ends_with(part);
}

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
  if (name == "title") {
    std::string title;
    bool begins = true;
    for (std::size_t i = 0; i < text.size();) {
      const std::size_t length = code_point_at(text, i).length;
      const std::string one = text.substr(i, length);
      title += begins ? to_upper(one) : to_lower(one);
      begins = !is_cased(code_point_at(text, i).value);
      i += length;
    }
    return title;
  }
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

/// A method of a dictionary as a value, which Python finds in place of an entry that a template names behind a dot, and
/// else where there is no such entry; undefined for other names.
[[nodiscard]] inline JinjaValue map_method(std::string_view name) {
  static constexpr std::string_view kMethods[] = {"copy", "fromkeys", "get", "items", "keys", "values"};
  if (std::find(std::begin(kMethods), std::end(kMethods), name) == std::end(kMethods)) return {};
  return JinjaValue::Function{"the method " + std::string(name)};
}
/// True for those that change a dictionary: behind a dot Jinja's sandbox finds neither them nor an entry.
[[nodiscard]] inline bool changes_map(std::string_view name) {
  static constexpr std::string_view kMethods[] = {"clear", "pop", "popitem", "setdefault", "update"};
  return std::find(std::begin(kMethods), std::end(kMethods), name) != std::end(kMethods);
}

/// map.name(arguments). Throws ValueError for a method that rapt does not have.
[[nodiscard]] inline JinjaValue call_map_method(JinjaContext& context, const JinjaValue& value, std::string_view name,
                                                const JinjaArguments& arguments) {
  const JinjaValue::Map& map = *value.map();
  if (name == "get") {
    arguments.expect(context, name, {"key", "default"});
    const JinjaValue key = arguments.get(0, "key");
    context.charge_search(map.size(), key.text() == nullptr ? std::string_view() : *key.text());
    const JinjaValue* const found = key.text() == nullptr ? nullptr : value.find(*key.text());
    if (found != nullptr) return *found;
    const JinjaValue otherwise = arguments.get(1, "default");
    return otherwise.is_undefined() ? JinjaValue(JinjaValue::None()) : otherwise;
  }
  if (name != "items" && name != "keys" && name != "values") {
    context.refuse("the method ", name, " of dictionaries is not supported");
  }
  arguments.expect(context, name, {});
  context.charge(64 * std::ssize(map) + value.weight());
  JinjaValue::List list;
  for (const auto& [key, one] : map) {
    if (name == "items") {
      list.push_back(JinjaValue::tuple({key, one}));
    } else if (name == "keys") {
      list.emplace_back(key);
    } else if (name == "values") {
      list.push_back(one);
    }
  }
  return list;
}

}}}  // namespace rapt::RAPT_ABI::detail
