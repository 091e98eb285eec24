/// \file
/// What the components of a tokenizer look for in a text: a string or a regular expression. Needs PCRE2.
#pragma once

#ifndef PCRE2_CODE_UNIT_WIDTH
#define PCRE2_CODE_UNIT_WIDTH 8
#endif
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/text/character_classes.hpp"
#include "rapt/text/pattern_syntax.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A string or a regular expression in the syntax of Oniguruma or Rust (pattern_syntax.hpp). Immutable; many threads
/// may use one object, each with a Work of its own.
class Pattern {
 public:
  /// Buffers for matching, for any patterns.
  class Work {
    friend class Pattern;
    void prepare() {
      if (context_ != nullptr) return;
      data_.reset(pcre2_match_data_create_8(1, nullptr));
      context_.reset(pcre2_match_context_create_8(nullptr));
      require(data_ != nullptr && context_ != nullptr, "pattern", "no memory for matching");
      pcre2_set_match_limit_8(context_.get(), kMostSteps);
      pcre2_set_depth_limit_8(context_.get(), kMostSteps);
      pcre2_set_heap_limit_8(context_.get(), kMostHeap);
    }
    struct Free {
      void operator()(pcre2_match_data_8* data) const { pcre2_match_data_free_8(data); }
      void operator()(pcre2_match_context_8* context) const { pcre2_match_context_free_8(context); }
    };
    std::unique_ptr<pcre2_match_data_8, Free> data_;
    std::unique_ptr<pcre2_match_context_8, Free> context_;
  };

  /// A string that stands for itself.
  [[nodiscard]] static Pattern of_string(std::string text) {
    // The empty string is found between all characters, as the empty expression is.
    return text.empty() ? Pattern("", "", true) : Pattern(std::move(text), std::nullopt, true);
  }
  /// Throws ValueError for what is no regular expression, or is one that PCRE2 cannot match.
  [[nodiscard]] static Pattern of_expression(std::string expression) {
    return of_expression(std::move(expression), detail::PatternSyntax::oniguruma);
  }
  /// The same of an expression in the syntax of Rust's crates regex and fancy-regex, which tiktoken uses.
  [[nodiscard]] static Pattern of_rust_expression(std::string expression) {
    return of_expression(std::move(expression), detail::PatternSyntax::rust);
  }

  /// The string or the expression.
  [[nodiscard]] const std::string& source() const { return source_; }
  /// True if the pattern is a string that matches itself alone, false if it is an expression.
  [[nodiscard]] bool is_string() const { return is_string_; }

  /// Calls use(begin, end) for each match in a UTF-8 text from left to right. An empty match is not one right behind
  /// another match. Throws ValueError when matching takes too many steps.
  template <class Use>
  void for_each_match(std::string_view text, Work& work, const Use& use) const {
    if (code_ == nullptr) {
      for (std::size_t at = text.find(source_); at != text.npos; at = text.find(source_, at + source_.size())) {
        use(at, at + source_.size());
      }
      return;
    }
    work.prepare();
    std::size_t from = 0, last_end = std::string_view::npos;
    while (from <= text.size()) {
      std::size_t begin = 0, end = 0;
      if (!find(text, from, work, begin, end)) return;
      if (begin == end && end == last_end) {
        from += from < text.size() ? detail::known_code_point_at(text, from).length : 1;
        continue;
      }
      from = last_end = end;
      use(begin, end);
    }
  }

 private:
  static constexpr std::uint32_t kMostSteps = 10'000'000;
  static constexpr std::uint32_t kMostHeap = 64 * 1024;  // KiB, of matching without JIT

  [[nodiscard]] static Pattern of_expression(std::string expression, detail::PatternSyntax syntax) {
    require(!find_invalid_utf8(expression), "pattern", "a regular expression must be UTF-8");
    std::string translated = detail::PatternTranslator(expression, syntax).translate();
    return Pattern(std::move(expression), std::move(translated), false);
  }

  Pattern(std::string source, std::optional<std::string> expression, bool is_string)
      : source_(std::move(source)), is_string_(is_string) {
    if (!expression) return;
    int error = 0;
    std::size_t offset = 0;
    const std::unique_ptr<pcre2_compile_context_8, void (*)(pcre2_compile_context_8*)> context(
        pcre2_compile_context_create_8(nullptr), pcre2_compile_context_free_8);
    require(context != nullptr, "pattern", "no memory for a regular expression");
    pcre2_set_newline_8(context.get(), PCRE2_NEWLINE_LF);
    pcre2_set_parens_nest_limit_8(context.get(), 100);
    pcre2_code_8* code = pcre2_compile_8(reinterpret_cast<PCRE2_SPTR8>(expression->data()), expression->size(),
                                         PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error,
                                         &offset, context.get());
    if (code == nullptr) {
      fail("pattern", "not a regular expression: ", source_, " (", message_of(error), ")");
    }
    code_.reset(code, [](const pcre2_code_8* one) { pcre2_code_free_8(const_cast<pcre2_code_8*>(one)); });
    static_cast<void>(pcre2_jit_compile_8(code, PCRE2_JIT_COMPLETE));  // Without it, matching is only slower.
  }

  [[nodiscard]] static std::string message_of(int error) {
    std::array<unsigned char, 256> message{};
    pcre2_get_error_message_8(error, message.data(), message.size());
    return reinterpret_cast<const char*>(message.data());
  }

  [[nodiscard]] bool find(std::string_view text, std::size_t from, Work& work, std::size_t& begin,
                          std::size_t& end) const {
    const auto match = [&](std::uint32_t options) {
      return pcre2_match_8(code_.get(), reinterpret_cast<PCRE2_SPTR8>(text.data()), text.size(), from,
                           PCRE2_NO_UTF_CHECK | options, work.data_.get(), work.context_.get());
    };
    int found = match(0);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) found = match(PCRE2_NO_JIT);
    if (found == PCRE2_ERROR_NOMATCH) return false;
    if (found < 0) fail("pattern", "a text of ", text.size(), " bytes and ", source_, ": ", message_of(found));
    const std::size_t* places = pcre2_get_ovector_pointer_8(work.data_.get());
    // A \K in a condition may set the ends anywhere, but what is found lies behind what was found before.
    begin = std::max(places[0], from);
    end = std::max(places[1], begin);
    return true;
  }

  std::string source_;
  bool is_string_;
  std::shared_ptr<const pcre2_code_8> code_;  // nullptr for a string
};

}}  // namespace rapt::RAPT_ABI
