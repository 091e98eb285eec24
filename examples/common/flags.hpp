// Flags with numbers: a number that makes no sense ends the program with a sentence, before anything is done.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>

/// The numbers that a flag takes.
struct Bounds {
  double least = 0, most = std::numeric_limits<double>::max();
  bool without_least = false, without_most = false;

  [[nodiscard]] bool contain(double number) const {  // no NaN
    return (without_least ? number > least : number >= least) && (without_most ? number < most : number <= most);
  }
  /// "at least 1", "more than 0", "from 0 to less than 1"
  [[nodiscard]] std::string text() const {
    const auto as_text = [](double number) {
      char digits[40];
      std::snprintf(digits, sizeof digits, "%g", number);
      return std::string(digits);
    };
    const bool is_open = most == std::numeric_limits<double>::max();
    if (is_open) return (without_least ? "more than " : "at least ") + as_text(least);
    return (without_least ? "more than " : "from ") + as_text(least) + (without_most ? " to less than " : " to ") +
           as_text(most);
  }
};

/// The type of the number that a variable of a flag holds: of a std::optional, which is empty without the flag, its
/// own.
template <class T>
struct NumberOf {
  using Type = T;
};
template <class T>
struct NumberOf<std::optional<T>> {
  using Type = T;
};

/// Adds the flag `name` for a number; `text` is a sentence for --help.
template <class T>
CLI::Option* add_number(CLI::App& app, const std::string& name, T& value, const Bounds& bounds,
                        const std::string& text) {
  const auto check = [bounds](const std::string& input) {
    typename NumberOf<T>::Type number{};
    if (!CLI::detail::lexical_cast(input, number)) {
      return std::string(std::is_integral_v<typename NumberOf<T>::Type> ? "must be a whole number, not "
                                                                        : "must be a number, not ") +
             input;
    }
    if (bounds.contain(static_cast<double>(number))) return std::string();
    return "must be " + bounds.text() + ", not " + input;
  };
  return app.add_option(name, value, text)->check(check, bounds.text())->capture_default_str();
}
template <class T>
CLI::Option* add_positive(CLI::App& app, const std::string& name, T& value, const std::string& text) {
  return add_number(app, name, value, {.without_least = true}, text);
}
template <class T>
CLI::Option* add_not_negative(CLI::App& app, const std::string& name, T& value, const std::string& text) {
  return add_number(app, name, value, {}, text);
}
/// From 0 to less than 1, as a rate of dropout is.
template <class T>
CLI::Option* add_rate(CLI::App& app, const std::string& name, T& value, const std::string& text) {
  return add_number(app, name, value, {.most = 1, .without_most = true}, text);
}
/// Any seed of random numbers.
inline CLI::Option* add_seed(CLI::App& app, std::uint64_t& seed,
                             const std::string& text = "The same seed gives the same numbers.") {
  const auto check = [](const std::string& input) {
    const bool has_digits_alone = input.find_first_not_of("0123456789") == std::string::npos;
    return has_digits_alone ? std::string() : "must be a whole number from 0, not " + input;
  };
  return app.add_option("--seed", seed, text)->check(check, "")->capture_default_str();
}
