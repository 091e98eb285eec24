/// \file
/// Settings in JSON: objects from files and texts, and values of any type from and to them, with errors that name the
/// file, the key and what was found.
#pragma once

#include <cmath>
#include <concepts>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <type_traits>

#include "rapt/core/error.hpp"
#include "rapt/core/input_file.hpp"
#include "rapt/core/named_value.hpp"
#include "rapt/io/safetensors_header.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A value for a message. Lists and objects may be nested deeper than the stack: their kind alone.
[[nodiscard]] inline std::string describe(const nlohmann::json& value) {
  return value.is_structured() ? std::string("an ") + value.type_name() : quote_name(value.dump());
}

/// The JSON object that the text of a file says. Throws IoError that names the file when it says none.
[[nodiscard]] inline nlohmann::json parse_json_object(std::string_view text, const std::string& path,
                                                      std::string_view where) {
  nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  require<IoError>(json.is_object(), where, path, ": is not a JSON object");
  return json;
}

/// The JSON object that a file holds. Throws IoError that names the file when there is none.
[[nodiscard]] inline nlohmann::json read_json_object(const std::filesystem::path& path, std::string_view where) {
  InputFile file(path);
  require<IoError>(file.is_open() && std::filesystem::is_regular_file(path), where, path.string(), ": cannot open");
  std::string text;
  char part[4096];
  while (file.read(part, sizeof part), file.gcount() > 0) text.append(part, static_cast<std::size_t>(file.gcount()));
  require<IoError>(!file.bad(), where, path.string(), ": cannot read");
  return parse_json_object(text, path.string(), where);
}

/// The text of a JSON value; `indent` < 0: on one line. Throws ValueError that names `file` for a string that is not
/// UTF-8.
[[nodiscard]] inline std::string json_text(const nlohmann::ordered_json& json, std::string_view where,
                                           std::string_view file, int indent = -1) {
  try {
    return json.dump(indent);
  } catch (const nlohmann::json::exception& error) {
    fail(where, file, ": cannot be written as JSON: ", error.what());
  }
}

template <class Value>
concept OptionalSetting = requires(Value value) {
  value.has_value();
  value.emplace();
};
template <class Value>
concept ListSetting = !std::same_as<Value, std::string> && requires(Value value) {
  value.emplace_back();
  value.back();
};

/// Reads settings of one file. Throws IoError `[where] file: "key" must be ...: what was found`.
class JsonReader {
 public:
  /// Both must outlive it.
  JsonReader(std::string_view where, const std::string& file) : where_(where), file_(file) {}

  /// Sizes and tokens are whole numbers below this.
  static constexpr std::int64_t kNumberLimit = 1000000000;

  /// An unset optional is null, and an enumeration's value its name (see NamedEnum). A floating-point number too large
  /// for its type becomes infinite.
  template <class Value>
  void read(const char* key, const nlohmann::json& found, Value& value) const {
    if constexpr (std::is_same_v<Value, bool>) {
      expect(found.is_boolean(), key, found, "true or false");
      value = found.template get<bool>();
    } else if constexpr (std::is_same_v<Value, std::string>) {
      expect(found.is_string(), key, found, "a string");
      value = found.template get<std::string>();
    } else if constexpr (std::is_integral_v<Value>) {
      expect(found.is_number_integer() && found.template get<double>() >= 0 &&
                 found.template get<double>() < static_cast<double>(kNumberLimit),
             key, found, "a whole number from 0 to 999999999");
      value = found.template get<Value>();
    } else if constexpr (std::is_floating_point_v<Value>) {
      expect(found.is_number(), key, found, "a number");
      const double number = found.template get<double>();
      constexpr double kMost = std::numeric_limits<Value>::max();
      value = std::abs(number) <= kMost
                  ? static_cast<Value>(number)
                  : std::copysign(std::numeric_limits<Value>::infinity(), static_cast<Value>(number > 0 ? 1 : -1));
    } else if constexpr (NamedEnum<Value>) {
      std::string names;
      for (const auto& known : named_values(value)) {
        if (found.is_string() && found.template get_ref<const std::string&>() == known.name) {
          value = known.value;
          return;
        }
        names += (names.empty() ? "\"" : ", \"") + std::string(known.name) + '"';
      }
      expect(false, key, found, "one of " + names);
    } else if constexpr (OptionalSetting<Value>) {
      value.reset();
      if (!found.is_null()) read(key, found, value.emplace());
    } else {
      static_assert(ListSetting<Value>, "no JSON is known for this type");
      expect(found.is_array(), key, found, "a list");
      value.clear();
      for (const nlohmann::json& element : found) {
        value.emplace_back();
        read(key, element, value.back());
      }
    }
  }

  /// Throws unless `right`.
  void expect(bool right, std::string_view key, const nlohmann::json& found, std::string_view what) const {
    if (!right) fail<IoError>(where_, file_, ": \"", key, "\" must be ", what, ": ", describe(found));
  }

  [[nodiscard]] std::string_view where() const { return where_; }
  [[nodiscard]] const std::string& file() const { return file_; }

 private:
  std::string_view where_;
  const std::string& file_;
};

/// The inverse of JsonReader::read. Throws ValueError that names the key for a value that could not be read back.
template <class Value>
[[nodiscard]] nlohmann::ordered_json setting_to_json(std::string_view where, const char* key, const Value& value) {
  if constexpr (std::is_floating_point_v<Value>) {
    require(std::isfinite(value), where, '"', key, "\" must be finite: ", value);
    return value;
  } else if constexpr (std::is_integral_v<Value> && !std::is_same_v<Value, bool>) {
    require(value >= 0 && value < JsonReader::kNumberLimit, where, '"', key,
            "\" must be a whole number from 0 to 999999999: ", value);
    return value;
  } else if constexpr (NamedEnum<Value>) {
    return name_of(value);
  } else if constexpr (OptionalSetting<Value>) {
    return value ? setting_to_json(where, key, *value) : nlohmann::ordered_json(nullptr);
  } else if constexpr (ListSetting<Value>) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const auto& element : value) list.push_back(setting_to_json(where, key, element));
    return list;
  } else {
    static_assert(std::is_same_v<Value, bool> || std::is_same_v<Value, std::string>, "no JSON is known for this type");
    return value;
  }
}

}}}  // namespace rapt::RAPT_ABI::detail
