/// \file
/// Templates in Jinja, as Hugging Face's folders have them for dialogues: a small part of the language, in a safe form.
///
/// ```cpp
/// const rapt::JinjaTemplate greeting("Hello {{ name | trim }}!", "greeting");
/// greeting.render({.variables = {{"name", " world "}}});  // "Hello world!"
/// ```
///
/// There are output tags, comments, raw text, if, for (with else, conditions, several names, break and continue), set
/// (of names, attributes of namespaces, and blocks), macros, and transformers' generation; all operators of Jinja, but
/// no % of strings; slices, conditional expressions, calls of macros, range, namespace, dict, raise_exception and
/// strftime_now; `loop` with its variables and cycle; the filters and tests in filter_names.hpp, and Python's methods
/// in string_methods.hpp and dictionaries.hpp. White space is treated as transformers sets it (trim_blocks and
/// lstrip_blocks). There are no files, imports or inheritance.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "rapt/text/jinja/parser.hpp"
#include "rapt/text/jinja/renderer.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A parsed template. Copies share it; a const one may be used from many threads.
class JinjaTemplate {
 public:
  using Environment = detail::JinjaEnvironment;  ///< `variables`, and `now`, the function behind strftime_now

  /// `name` stands in messages. Throws IoError `[jinja] name:line: ...` for what is no Jinja, and for what rapt does
  /// not support: its name and the line.
  explicit JinjaTemplate(std::string_view text, std::string name = "template") {
    auto parsed = std::make_shared<Parsed>();
    parsed->name = std::move(name);
    parsed->body = detail::JinjaParser::parse(text, parsed->name);
    parsed_ = std::move(parsed);
  }

  /// The template's text. All strings must be UTF-8. Throws ValueError that names the line for what cannot be computed,
  /// for the template's own raise_exception, and for more than `work` units of work: each is about a byte of text that
  /// is made or a value that is looked at.
  [[nodiscard]] std::string render(const Environment& environment, std::int64_t work = kWork) const {
    return detail::JinjaRenderer(parsed_->name, environment, work).render(parsed_->body);
  }

  static constexpr std::int64_t kWork = 200'000'000;  ///< the most units of work of `render`, if a call does not say

 private:
  struct Parsed {
    std::string name;
    detail::JinjaBody body;
  };
  std::shared_ptr<const Parsed> parsed_;
};

}}  // namespace rapt::RAPT_ABI
