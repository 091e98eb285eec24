/// \file
/// A parsed template in Jinja: its statements and the expressions in them.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "rapt/text/jinja/value.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// An expression; what `children` are depends on its kind.
struct JinjaExpression {
  enum class Kind {
    constant,     // value
    name,         // text
    list,         // its elements; text: "tuple", or nothing
    map,          // keys and values in turns
    attribute,    // the object; text: its name
    item,         // the object and the index
    slice,        // the object, from, to and step, any of the last three null
    call,         // what is called, then the arguments
    filter,       // the value, then the arguments; text: the filter
    test,         // the same; text: the test
    negate,       // -a
    plus,         // +a
    logical_not,  // not a
    logical_and,
    logical_or,
    arithmetic,  // text: + - * / // % **
    join,        // of any number, ~
    compare,     // the first, then one for each of `names`, which are the operators
    conditional  // the value, the condition, the other value or null
  };
  Kind kind = Kind::constant;
  int line = 1;
  int depth = 0;  ///< levels of expressions below this one
  std::string text = {};
  JinjaValue value = {};
  std::vector<std::unique_ptr<JinjaExpression>> children = {};
  std::vector<std::string> names = {};  ///< of a call's, a filter's and a test's last arguments; see compare
};

struct JinjaStatement;
using JinjaBody = std::vector<JinjaStatement>;

/// A macro: the names of its parameters and, for the last of them, their defaults.
struct JinjaMacro {
  std::string name;
  std::vector<std::string> parameters;
  std::vector<std::unique_ptr<JinjaExpression>> defaults;
  JinjaBody body;
};

/// A statement; which members it has depends on its kind.
struct JinjaStatement {
  enum class Kind {
    text,          // text
    output,        // expression
    choice,        // {% if %}: a body for each condition, and `otherwise`
    loop,          // {% for %}: names, expression, condition or null; bodies[0] and `otherwise`
    set,           // names, expression; or names[0] and text, its attribute
    set_block,     // names[0], bodies[0]
    macro,         // macro
    body,          // {% generation %}: bodies[0]
    break_loop,    // {% break %}
    continue_loop  // {% continue %}
  };
  Kind kind = Kind::text;
  int line = 1;
  std::string text = {};
  std::vector<std::string> names = {};
  std::unique_ptr<JinjaExpression> expression = {}, condition = {};
  std::vector<std::unique_ptr<JinjaExpression>> conditions = {};
  std::vector<JinjaBody> bodies = {};
  JinjaBody otherwise = {};
  std::unique_ptr<JinjaMacro> macro = {};
};

}}}  // namespace rapt::RAPT_ABI::detail
