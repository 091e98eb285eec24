/// \file
/// JSON as values of templates in Jinja.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "rapt/text/jinja/value.hpp"

namespace rapt_test {

[[nodiscard]] inline rapt::JinjaValue jinja_value(const nlohmann::ordered_json& json) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_integer()) return json.get<std::int64_t>();
  if (json.is_number()) return json.get<double>();
  if (json.is_string()) return json.get<std::string>();
  if (json.is_null()) return rapt::JinjaValue::None();
  if (json.is_array()) {
    rapt::JinjaValue::List list;
    for (const auto& one : json) list.push_back(jinja_value(one));
    return list;
  }
  rapt::JinjaValue::Map map;
  for (const auto& [key, one] : json.items()) map.emplace_back(key, jinja_value(one));
  return map;
}

}  // namespace rapt_test
