/// \file
/// The names that a template in Jinja has set, in the scopes of its loops, blocks and macros.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/text/jinja/context.hpp"
#include "rapt/text/jinja/dictionaries.hpp"
#include "rapt/text/jinja/sequences.hpp"
#include "rapt/text/jinja/value.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A stack of scopes: the template's own, then those of loops, blocks and macros.
class JinjaScopes {
 public:
  explicit JinjaScopes(JinjaContext& context) : context_(context), scopes_(1) {}

  /// The value of a name in the innermost scope that has it, or null.
  [[nodiscard]] const JinjaValue* find(std::string_view name) const {
    context_.charge(std::ssize(scopes_));
    for (std::size_t i = scopes_.size(); i-- > 0;) {
      if (i != 0 && i < first_) continue;  // of what has called the macro
      if (const JinjaValue* const found = find_entry(context_, scopes_[i], name)) return found;
    }
    return nullptr;
  }
  /// Sets a name in the innermost scope.
  void assign(std::string_view name, JinjaValue value) {
    assign_entry(context_, scopes_.back(), name, std::move(value));
  }
  /// One name gets the value, several its elements.
  void assign(const std::vector<std::string>& names, JinjaValue value) {
    if (names.size() == 1) return assign(names.front(), std::move(value));
    JinjaValue::List elements = elements_of(context_, value);
    if (elements.size() != names.size()) {
      context_.refuse(names.size(), " names for ", elements.size(), " values");
    }
    for (std::size_t i = 0; i < names.size(); ++i) assign(names[i], std::move(elements[i]));
  }

  /// A scope as long as it lives.
  class Inner {
   public:
    explicit Inner(JinjaScopes& scopes) : scopes_(scopes) { scopes_.scopes_.emplace_back(); }
    ~Inner() { scopes_.scopes_.pop_back(); }
    Inner(const Inner&) = delete;
    Inner& operator=(const Inner&) = delete;

   private:
    JinjaScopes& scopes_;
  };
  /// The scope of a macro as long as it lives. Macros stand at the top of a template: they see its names, and none of
  /// where they are called.
  class OfMacro {
   public:
    explicit OfMacro(JinjaScopes& scopes)
        : scopes_(scopes), caller_first_(std::exchange(scopes.first_, scopes.scopes_.size())), inner_(scopes) {}
    ~OfMacro() { scopes_.first_ = caller_first_; }
    OfMacro(const OfMacro&) = delete;
    OfMacro& operator=(const OfMacro&) = delete;

   private:
    JinjaScopes& scopes_;
    std::size_t caller_first_;
    Inner inner_;
  };

 private:
  JinjaContext& context_;
  std::vector<JinjaValue::Map> scopes_;
  std::size_t first_ = 0;  // scope of the macro that is computed
};

}}}  // namespace rapt::RAPT_ABI::detail
