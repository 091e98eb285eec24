/// \file
/// What a search over settings may choose from: named ranges of numbers, and lists of choices.
///
/// A struct declares its settings once, and all else follows from that declaration:
///
///     struct Settings {
///       double learning_rate = 1e-3;
///       rapt::Index layers = 2;
///       std::string norm = "post";
///
///       template <class Visitor>
///       void visit_settings(const Visitor& setting) {
///         setting("learning_rate", learning_rate, rapt::log_range(1e-4, 1e-2));
///         setting("layers", layers, rapt::integer_range(1, 6));
///         setting("norm", norm, rapt::choice({"post", "pre"}));
///       }
///     };
///
/// The values that a trial has are a JSON object with a number or a string for each name, as they stand in the log.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/rng.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The values that one setting may have. It is made by the functions below.
struct SettingRange {
  double low = 0, high = 1;               ///< both ends belong to the range
  bool is_logarithmic = false;            ///< equal ratios, instead of equal differences, are equally probable
  bool is_integer = false;                ///< whole numbers alone
  std::vector<std::string> choices = {};  ///< if not empty: these strings, and no numbers

  /// True for a choice among strings.
  [[nodiscard]] bool is_choice() const { return !choices.empty(); }
  /// True if the number belongs to the range.
  [[nodiscard]] bool contains(double value) const {
    return value >= low && value <= high && (!is_integer || value == std::round(value));
  }

  /// The value at a coordinate u in [0, 1]; if u is uniform, the values are distributed as the range says. Numbers that
  /// are not integers have six significant digits, so that they can be read and copied. Of choices it is the index.
  [[nodiscard]] double value_at(double u) const {
    if (is_choice()) {
      const auto count = static_cast<double>(choices.size());
      return std::min(std::floor(u * count), count - 1);
    }
    const auto [least, most] = scaled_ends();
    const double scaled = least + u * (most - least);
    const double value = is_logarithmic ? std::exp(scaled) : scaled;
    return std::clamp(is_integer ? std::round(value) : six_digits(value), low, high);
  }
  /// The coordinate of a value, the inverse of `value_at` up to rounding.
  [[nodiscard]] double coordinate_of(double value) const {
    if (is_choice()) return (value + 0.5) / static_cast<double>(choices.size());
    const auto [least, most] = scaled_ends();
    return most > least ? ((is_logarithmic ? std::log(value) : value) - least) / (most - least) : 0.5;
  }

 private:
  /// The ends on the scale on which values are uniform. Integers have half a unit more at both ends, so that the
  /// outermost ones are as probable as the others.
  [[nodiscard]] std::pair<double, double> scaled_ends() const {
    const double more = is_integer ? 0.5 : 0;
    if (is_logarithmic) return {std::log(low - more), std::log(high + more)};
    return {low - more, high + more};
  }
  [[nodiscard]] static double six_digits(double value) {
    if (value == 0) return 0;
    const double exponent = 5 - std::floor(std::log10(std::abs(value)));
    if (std::abs(exponent) > 300) return value;
    const double scale = std::pow(10.0, std::abs(exponent));
    return exponent >= 0 ? std::round(value * scale) / scale : std::round(value / scale) * scale;
  }
};

/// Numbers between two ends. These functions throw ValueError for ends that are not finite or not in order, and for
/// logarithmic ranges that do not lie above zero.
[[nodiscard]] inline SettingRange linear_range(double low, double high) {
  require(std::isfinite(low) && std::isfinite(high) && low <= high, "settings_space",
          "a range needs two finite ends in their order: ", low, ", ", high);
  return {.low = low, .high = high};
}
/// Numbers whose logarithms are uniform, such as learning rates.
[[nodiscard]] inline SettingRange log_range(double low, double high) {
  SettingRange range = linear_range(low, high);
  require(low > 0, "settings_space", "a logarithmic range must lie above zero: ", low, ", ", high);
  range.is_logarithmic = true;
  return range;
}
/// Whole numbers.
[[nodiscard]] inline SettingRange integer_range(Index low, Index high) {
  constexpr Index kMost = Index{1} << 52;  // a double has all whole numbers up to twice this
  require(low >= -kMost && high <= kMost, "settings_space", "integers are limited to ", kMost, ": ", low, ", ", high);
  SettingRange range = linear_range(static_cast<double>(low), static_cast<double>(high));
  range.is_integer = true;
  return range;
}
/// Whole numbers above zero whose logarithms are uniform, such as sizes of vocabularies.
[[nodiscard]] inline SettingRange log_integer_range(Index low, Index high) {
  SettingRange range = integer_range(low, high);
  require(low > 0, "settings_space", "a logarithmic range must lie above zero: ", low, ", ", high);
  range.is_logarithmic = true;
  return range;
}
/// One of some strings that have no order. Throws ValueError for an empty list, or one that names a string twice.
[[nodiscard]] inline SettingRange choice(std::vector<std::string> choices) {
  require(!choices.empty(), "settings_space", "a choice needs something to choose from");
  for (std::size_t i = 0; i < choices.size(); ++i) {
    require(std::find(choices.begin(), choices.begin() + static_cast<std::ptrdiff_t>(i), choices[i]) ==
                choices.begin() + static_cast<std::ptrdiff_t>(i),
            "settings_space", "a choice is listed twice: ", choices[i]);
  }
  return {.low = 0, .high = static_cast<double>(choices.size() - 1), .choices = std::move(choices)};
}

/// All settings that are searched, by name, in the order in which they were added. Its const functions may be called
/// from several threads at the same time.
class SettingsSpace {
 public:
  /// Settings by their names.
  using Json = nlohmann::ordered_json;

  /// Throws ValueError for a name that is empty or taken.
  void add(std::string name, SettingRange range) {
    require(!name.empty() && find(name) == size(), kWhere, "a setting needs a name of its own: '", name, "'");
    names_.push_back(std::move(name));
    ranges_.push_back(std::move(range));
  }

  [[nodiscard]] Index size() const { return std::ssize(names_); }
  /// The names of the settings, in their order.
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  /// The range of each setting.
  [[nodiscard]] const std::vector<SettingRange>& ranges() const { return ranges_; }

  /// The values at a point of the unit cube, which has a coordinate for each setting.
  [[nodiscard]] Json values_at(std::span<const double> coordinates) const {
    require(std::ssize(coordinates) == size(), kWhere, "a point needs ", size(), " coordinates: ", coordinates.size());
    Json values = Json::object();
    for (std::size_t i = 0; i < names_.size(); ++i) {
      const double value = ranges_[i].value_at(coordinates[i]);
      if (ranges_[i].is_choice()) {
        values[names_[i]] = ranges_[i].choices[static_cast<std::size_t>(value)];
      } else if (ranges_[i].is_integer) {
        values[names_[i]] = static_cast<std::int64_t>(value);
      } else {
        values[names_[i]] = value;
      }
    }
    return values;
  }

  /// The values of trial `trial` of a random search. They are a function of the seed and the trial's number alone.
  [[nodiscard]] Json sample(std::uint64_t seed, Index trial) const {
    Rng rng(Rng::State{seed, static_cast<std::uint64_t>(trial)});
    std::vector<double> coordinates(names_.size());
    rng.fill_uniform(std::span(coordinates), 0, 1);
    return values_at(coordinates);
  }

  /// The coordinates of some values. Throws ValueError if a setting is missing, unknown or outside of its range.
  [[nodiscard]] std::vector<double> coordinates_of(const Json& values) const {
    require(values.is_object() && values.size() == names_.size(), kWhere, "there must be a value for each of ", size(),
            " settings, not ", values.is_object() ? std::to_string(values.size()) : std::string(values.type_name()));
    std::vector<double> coordinates;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      const auto found = values.find(names_[i]);
      require(found != values.end(), kWhere, "there is no value of ", names_[i]);
      coordinates.push_back(ranges_[i].coordinate_of(number_of(i, *found)));
    }
    return coordinates;
  }

  /// The values as a model of the scores sees them: a number in [0, 1] for each numeric setting; for a choice of k a
  /// group of k numbers, all 0 but that of the value, which is 1 / sqrt(2), so that two choices have the distance 1.
  [[nodiscard]] std::vector<double> features_of(const Json& values) const {
    std::vector<double> features;
    const std::vector<double> coordinates = coordinates_of(values);
    for (std::size_t i = 0; i < ranges_.size(); ++i) {
      if (!ranges_[i].is_choice()) {
        features.push_back(coordinates[i]);
        continue;
      }
      const auto chosen = static_cast<std::size_t>(ranges_[i].value_at(coordinates[i]));
      for (std::size_t k = 0; k < ranges_[i].choices.size(); ++k) features.push_back(k == chosen ? std::sqrt(0.5) : 0);
    }
    return features;
  }
  /// The setting to which each feature belongs.
  [[nodiscard]] std::vector<Index> feature_settings() const {
    std::vector<Index> settings;
    for (std::size_t i = 0; i < ranges_.size(); ++i) {
      settings.insert(settings.end(), std::max<std::size_t>(1, ranges_[i].choices.size()), static_cast<Index>(i));
    }
    return settings;
  }

  /// The ranges by name, by which a search that goes on is told from another one.
  [[nodiscard]] Json to_json() const {
    Json all = Json::object();
    for (std::size_t i = 0; i < names_.size(); ++i) {
      const SettingRange& range = ranges_[i];
      const char* scale = range.is_logarithmic ? "log" : "linear";
      all[names_[i]] =
          range.is_choice()
              ? Json(range.choices)
              : Json{{"low", range.low}, {"high", range.high}, {"scale", scale}, {"integer", range.is_integer}};
    }
    return all;
  }

 private:
  static constexpr const char* kWhere = "settings_space";

  [[nodiscard]] Index find(const std::string& name) const {
    return std::find(names_.begin(), names_.end(), name) - names_.begin();
  }
  /// A value as a number of its range; of choices the index.
  [[nodiscard]] double number_of(std::size_t i, const Json& value) const {
    const SettingRange& range = ranges_[i];
    if (range.is_choice()) {
      const auto found =
          value.is_string() ? std::find(range.choices.begin(), range.choices.end(), value.get_ref<const std::string&>())
                            : range.choices.end();
      require(found != range.choices.end(), kWhere, names_[i], " has no choice ", shown(value));
      return static_cast<double>(found - range.choices.begin());
    }
    require(value.is_number() && range.contains(value.get<double>()), kWhere, names_[i], " must be ",
            range.is_integer ? "an integer" : "a number", " from ", range.low, " to ", range.high, ": ", shown(value));
    return value.get<double>();
  }
  /// A value for a message. Lists may be nested deeper than the stack: their kind alone.
  [[nodiscard]] static std::string shown(const Json& value) {
    if (value.is_structured()) return std::string("an ") + value.type_name();
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
  }

  std::vector<std::string> names_;
  std::vector<SettingRange> ranges_;
};

namespace detail {

/// A visitor that does nothing.
struct IdleVisitor {
  template <class Value>
  void operator()(const char*, Value&, const SettingRange&) const {}
};

}  // namespace detail

/// A struct that declares its settings (see above). Members are integers, floating-point numbers or std::string.
template <class S>
concept SearchedSettings = std::copyable<S> && requires(S settings) {
  settings.visit_settings(detail::IdleVisitor());
};

/// The space that a struct declares.
template <SearchedSettings S>
[[nodiscard]] SettingsSpace settings_space(S settings = {}) {
  SettingsSpace space;
  settings.visit_settings([&](const char* name, auto& value, const SettingRange& range) {
    using Value = std::remove_reference_t<decltype(value)>;
    constexpr bool kIsText = std::is_same_v<Value, std::string>;
    require(range.is_choice() == kIsText && (kIsText || range.is_integer == std::is_integral_v<Value>),
            "settings_space", "the type of ", name, " does not fit its range");
    space.add(name, range);
  });
  return space;
}

/// The values that a struct has.
template <SearchedSettings S>
[[nodiscard]] nlohmann::ordered_json settings_values(S settings) {
  nlohmann::ordered_json values = nlohmann::ordered_json::object();
  settings.visit_settings([&](const char* name, const auto& value, const SettingRange&) { values[name] = value; });
  return values;
}

/// A struct with values of its space; `settings` says what else it has. Throws ValueError for values outside of it.
template <SearchedSettings S>
[[nodiscard]] S settings_from(const nlohmann::ordered_json& values, S settings = {}) {
  static_cast<void>(settings_space(settings).coordinates_of(values));
  settings.visit_settings([&](const char* name, auto& value, const SettingRange&) {
    value = values.at(name).template get<std::remove_reference_t<decltype(value)>>();
  });
  return settings;
}

}}  // namespace rapt::RAPT_ABI
