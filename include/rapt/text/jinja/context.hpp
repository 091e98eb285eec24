/// \file
/// Where a template in Jinja is computed, the work that it may still do, and errors that name its line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "rapt/core/error.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Throws E `[jinja] name:line: ...`.
template <class E = IoError, class... Pieces>
[[noreturn]] void fail_in_template(std::string_view name, int line, const Pieces&... pieces) {
  fail<E>("jinja", name, ":", line, ": ", pieces...);
}

/// Where a template is computed, and how much work it may still do: a unit is about a byte that is made or a value that
/// is looked at, so that time and memory are limited.
struct JinjaContext {
  std::string_view name;  ///< of the template
  int line = 1;
  std::int64_t work_left = 0;
  int depth = 0;  ///< see JinjaLevel

  /// Throws ValueError `[jinja] name:line: ...`.
  template <class... Pieces>
  [[noreturn]] void refuse(const Pieces&... pieces) const {
    fail_in_template<ValueError>(name, line, pieces...);
  }
  /// Throws ValueError if there is less work left.
  void charge(std::int64_t work) {
    work_left -= work;
    if (work_left < 0) refuse("the template takes too much work: a loop or a text is too long");
  }
  /// Charges a search for a name that goes through so many others.
  void charge_search(std::size_t others, std::string_view of) {
    charge(1 + static_cast<std::int64_t>(others * (1 + of.size() / 64)));
  }
};

/// Counts what is computed within one another as long as it lives: expressions, statements, calls of macros, and, for
/// more as their calls take more of the stack, filters within filters.
class JinjaLevel {
 public:
  /// Throws ValueError if there is too much.
  explicit JinjaLevel(JinjaContext& context, int levels = 1) : context_(context), levels_(levels) {
    context_.charge(1);
    if (context_.depth + levels_ > kMost) context_.refuse("macros or filters call one another too deeply");
    context_.depth += levels_;
  }
  ~JinjaLevel() { context_.depth -= levels_; }
  JinjaLevel(const JinjaLevel&) = delete;
  JinjaLevel& operator=(const JinjaLevel&) = delete;

 private:
  static constexpr int kMost = 600;

  JinjaContext& context_;
  int levels_;
};

}}}  // namespace rapt::RAPT_ABI::detail
