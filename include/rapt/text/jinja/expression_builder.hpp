/// \file
/// Makes the nodes of expressions that a parser of templates in Jinja has read: with their lines, and not too deep.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "rapt/text/jinja/syntax.hpp"
#include "rapt/text/jinja/token_reader.hpp"
#include "rapt/text/jinja/value.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Nodes of expressions in the line of the token that was taken last.
class JinjaExpressionBuilder : protected JinjaTokenReader {
 protected:
  using Expression = std::unique_ptr<JinjaExpression>;
  using Of = JinjaExpression::Kind;

  JinjaExpressionBuilder(std::string_view text, std::string_view name) : JinjaTokenReader(text, name) {}

  [[nodiscard]] Expression make(Of kind, std::string text = {}) const {
    auto made = std::make_unique<JinjaExpression>();
    made->kind = kind;
    made->line = last_line();
    made->text = std::move(text);
    return made;
  }
  template <class... Children>
  [[nodiscard]] Expression make_of(Of kind, std::string text, Children... children) const {
    Expression made = make(kind, std::move(text));
    (adopt(*made, std::move(children)), ...);
    return made;
  }
  [[nodiscard]] Expression constant(JinjaValue value) const {
    Expression made = make(Of::constant);
    made->value = std::move(value);
    return made;
  }
  /// Adds a child, which may be null. Operators behind one another make a tree as deep as there are.
  void adopt(JinjaExpression& parent, Expression child) const {
    if (child != nullptr) parent.depth = std::max(parent.depth, child->depth + 1);
    if (parent.depth > kMostDeep) refuse("an expression is too long or nested too deeply: at most ", kMostDeep);
    parent.children.push_back(std::move(child));
  }

 private:
  static constexpr int kMostDeep = 200;  // levels of an expression
};

}}}  // namespace rapt::RAPT_ABI::detail
