/// \file
/// The functions that templates in Jinja find: raise_exception, namespace, dict, range and strftime_now.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/text/jinja/arguments.hpp"
#include "rapt/text/jinja/context.hpp"
#include "rapt/text/jinja/dictionaries.hpp"
#include "rapt/text/jinja/value.hpp"
#include "rapt/text/jinja/written_values.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// What a template finds outside of itself.
struct JinjaEnvironment {
  JinjaValue::Map variables = {};
  /// The present time in a format of strftime; unset: templates find no strftime_now.
  std::function<std::string(const std::string& format)> now = {};
};

/// True for a name by which every template finds a function.
[[nodiscard]] inline bool is_jinja_function(std::string_view name, const JinjaEnvironment& environment) {
  static constexpr std::string_view kFunctions[] = {"raise_exception", "namespace", "range", "dict"};
  const bool is_function = std::find(std::begin(kFunctions), std::end(kFunctions), name) != std::end(kFunctions);
  return is_function || (name == "strftime_now" && environment.now);
}

/// range(stop), range(start, stop) or range(start, stop, step) as a list.
[[nodiscard]] inline JinjaValue make_range(JinjaContext& context, const JinjaArguments& arguments) {
  arguments.expect(context, "range", {"start", "stop", "step"});
  std::vector<std::int64_t> numbers;
  for (const JinjaValue& one : arguments.values) numbers.push_back(integer_in(context, one, "a limit of a range"));
  if (numbers.empty()) context.refuse("range needs a limit");
  const std::int64_t begin = numbers.size() > 1 ? numbers[0] : 0, end = numbers.size() > 1 ? numbers[1] : numbers[0];
  const std::int64_t step = numbers.size() > 2 ? numbers[2] : 1;
  if (step == 0) context.refuse("the step of a range is 0");
  JinjaValue::List range;
  for (std::int64_t i = begin; step > 0 ? i < end : i > end;) {
    context.charge(32);
    range.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return range;
}
/// namespace and dict: of a dictionary, if there is one, and of arguments with names.
[[nodiscard]] inline JinjaValue make_entries(JinjaContext& context, std::string_view name,
                                             const JinjaArguments& arguments) {
  context.charge(64 * std::ssize(arguments.values));
  if (arguments.positional() > 1) context.refuse(name, " takes one dictionary, and names");
  JinjaValue::Map map;
  if (arguments.positional() == 1) {
    if (arguments.values[0].map() == nullptr) context.refuse(name, " takes one dictionary, and names");
    context.charge(arguments.values[0].weight() + 64 * std::ssize(*arguments.values[0].map()));
    map = *arguments.values[0].map();
  }
  for (std::size_t i = 0; i < arguments.names.size(); ++i) {
    const JinjaValue& value = arguments.values[arguments.positional() + i];
    if (value.entries() != nullptr) context.refuse("a namespace cannot be part of a namespace");
    assign_entry(context, map, arguments.names[i], value);
  }
  return name == "dict" ? JinjaValue(std::move(map)) : JinjaValue::make_namespace(std::move(map));
}

/// name(arguments). Throws ValueError for raise_exception, and for other arguments.
[[nodiscard]] inline JinjaValue call_function(JinjaContext& context, const JinjaEnvironment& environment,
                                              const std::string& name, const JinjaArguments& arguments) {
  if (name == "raise_exception") {
    arguments.expect(context, name, {"message"});
    context.refuse(jinja_string(context, arguments.get(0, "message")));
  }
  if (name == "namespace" || name == "dict") return make_entries(context, name, arguments);
  if (name == "strftime_now") {
    arguments.expect(context, name, {"format"});
    std::string now = environment.now(string_in(context, arguments.get(0, "format"), "a format of the time"));
    context.charge(std::ssize(now));
    return now;
  }
  if (name != "range") context.refuse(name, " of dictionaries can only be called where it is named");
  return make_range(context, arguments);
}

}}}  // namespace rapt::RAPT_ABI::detail
