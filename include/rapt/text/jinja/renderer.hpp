/// \file
/// Computes parsed templates in Jinja: runs their statements.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "rapt/text/jinja/arguments.hpp"
#include "rapt/text/jinja/context.hpp"
#include "rapt/text/jinja/dictionaries.hpp"
#include "rapt/text/jinja/evaluator.hpp"
#include "rapt/text/jinja/functions.hpp"
#include "rapt/text/jinja/scopes.hpp"
#include "rapt/text/jinja/sequences.hpp"
#include "rapt/text/jinja/syntax.hpp"
#include "rapt/text/jinja/value.hpp"
#include "rapt/text/jinja/written_values.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// One computation of a template.
class JinjaRenderer final : JinjaEvaluator {
 public:
  /// `work` limits it (see JinjaContext).
  JinjaRenderer(std::string_view name, const JinjaEnvironment& environment, std::int64_t work)
      : JinjaEvaluator(name, environment, work) {}

  /// The text that the statements make. Throws ValueError that names the line for what cannot be computed.
  [[nodiscard]] std::string render(const JinjaBody& body) {
    std::string output;
    try {
      run(body, output);
    } catch (const JinjaValueError& error) {
      context_.refuse(std::string_view(error.what()).substr(std::string_view("[jinja] ").size()));
    }
    return output;
  }

 private:
  enum class Flow { next, stop, repeat };  ///< whether a loop's body ended, or by {% break %} or {% continue %}

  Flow run(const JinjaBody& body, std::string& output) {
    for (const JinjaStatement& statement : body) {
      const Flow flow = run(statement, output);
      if (flow != Flow::next) return flow;
    }
    return Flow::next;
  }
  Flow run(const JinjaStatement& statement, std::string& output) {
    using Kind = JinjaStatement::Kind;
    context_.line = statement.line;
    const JinjaLevel level(context_);
    switch (statement.kind) {
      case Kind::text:
        append(output, statement.text);
        break;
      case Kind::output:
        append(output, jinja_string(context_, evaluate(*statement.expression)));
        break;
      case Kind::choice:
        for (std::size_t i = 0; i < statement.conditions.size(); ++i) {
          if (evaluate(*statement.conditions[i]).truth()) return run(statement.bodies[i], output);
        }
        return run(statement.otherwise, output);
      case Kind::loop:
        return run_loop(statement, output);
      case Kind::set:
        run_set(statement);
        break;
      case Kind::set_block: {
        std::string text;
        const Flow flow = run_inner(statement.bodies.front(), text);
        if (flow != Flow::next) return flow;
        scopes_.assign(statement.names.front(), std::move(text));
        break;
      }
      case Kind::macro:
        scopes_.assign(statement.macro->name, statement.macro.get());
        break;
      case Kind::body:
        return run(statement.bodies.front(), output);
      case Kind::break_loop:
        return Flow::stop;
      case Kind::continue_loop:
        return Flow::repeat;
    }
    return Flow::next;
  }
  Flow run_inner(const JinjaBody& body, std::string& output) {
    const JinjaScopes::Inner scope(scopes_);
    return run(body, output);
  }
  void run_set(const JinjaStatement& statement) {
    JinjaValue value = evaluate(*statement.expression);
    if (statement.text.empty()) return scopes_.assign(statement.names, std::move(value));
    const JinjaValue target = look_up(statement.names.front());
    if (target.entries() == nullptr) {
      context_.refuse("an attribute can be set of a namespace alone: ", statement.names.front(), " is ", target.kind());
    }
    if (value.entries() != nullptr) context_.refuse("a namespace cannot be part of a namespace");
    assign_entry(context_, *target.entries(), statement.text, std::move(value));
  }
  Flow run_loop(const JinjaStatement& statement, std::string& output) {
    JinjaValue::List elements = elements_of(context_, evaluate(*statement.expression));
    if (statement.condition != nullptr) {
      JinjaValue::List kept;
      for (JinjaValue& one : elements) {
        const JinjaScopes::Inner scope(scopes_);
        scopes_.assign(statement.names, one);
        if (evaluate(*statement.condition).truth()) kept.push_back(std::move(one));
      }
      elements = std::move(kept);
    }
    if (elements.empty()) return run(statement.otherwise, output);
    for (std::size_t i = 0; i < elements.size(); ++i) {
      const JinjaScopes::Inner scope(scopes_);
      scopes_.assign("loop", loop_value(elements, i));
      scopes_.assign(statement.names, elements[i]);
      if (run(statement.bodies.front(), output) == Flow::stop) break;
    }
    return Flow::next;
  }
  [[nodiscard]] JinjaValue loop_value(const JinjaValue::List& elements, std::size_t i) {
    const auto index = static_cast<std::int64_t>(i), length = std::ssize(elements);
    context_.charge(512);
    JinjaValue::Map loop = {{"index", index + 1},
                            {"index0", index},
                            {"first", index == 0},
                            {"last", index + 1 == length},
                            {"length", length},
                            {"revindex", length - index},
                            {"revindex0", length - index - 1},
                            {"depth", 1},
                            {"depth0", 0}};
    if (i > 0) loop.emplace_back("previtem", elements[i - 1]);
    if (i + 1 < elements.size()) loop.emplace_back("nextitem", elements[i + 1]);
    return JinjaValue::loop(std::move(loop));
  }

  [[nodiscard]] JinjaValue call_macro(const JinjaMacro& macro, const JinjaArguments& arguments) override {
    const std::size_t count = macro.parameters.size(), plain = count - macro.defaults.size();
    if (arguments.positional() > count)
      context_.refuse("the macro ", macro.name, " takes at most ", count, " arguments");
    for (const std::string& name : arguments.names) {
      context_.charge_search(2 * count, name);  // and once more for the argument's value
      if (std::find(macro.parameters.begin(), macro.parameters.end(), name) == macro.parameters.end()) {
        context_.refuse("the macro ", macro.name, " has no argument ", name);
      }
    }
    const JinjaScopes::OfMacro scope(scopes_);
    for (std::size_t i = 0; i < count; ++i) {
      JinjaValue value = arguments.get(i, macro.parameters[i]);
      if (value.is_undefined() && i >= plain) value = evaluate(*macro.defaults[i - plain]);
      scopes_.assign(macro.parameters[i], std::move(value));
    }
    std::string text;
    run(macro.body, text);
    return text;
  }
};

}}}  // namespace rapt::RAPT_ABI::detail
