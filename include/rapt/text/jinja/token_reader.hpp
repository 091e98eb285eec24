/// \file
/// The tokens of a template in Jinja, read one after the other.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/text/jinja/context.hpp"
#include "rapt/text/jinja/lexer.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A place in a template's tokens, and what parsers ask and take there. It names the line where a template is refused.
class JinjaTokenReader {
 protected:
  using Kind = JinjaToken::Kind;

  JinjaTokenReader(std::string_view text, std::string_view name)
      : name_(name), tokens_(JinjaLexer::tokens(text, name)) {}

  template <class... Pieces>
  [[noreturn]] void refuse(const Pieces&... pieces) const {
    const int line = tokens_.empty() ? 1 : tokens_[std::min(at_, tokens_.size() - 1)].line;
    fail_in_template(name_, line, pieces...);
  }
  /// Counts what is nested, tags or brackets in one another, as long as it lives.
  class Nested {
   public:
    explicit Nested(JinjaTokenReader& reader) : reader_(reader) {
      if (++reader_.nested_ > kMostNested) reader_.refuse("nested too deeply: at most ", kMostNested);
    }
    ~Nested() { --reader_.nested_; }
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;

   private:
    JinjaTokenReader& reader_;
  };

  [[nodiscard]] const JinjaToken& token() const { return tokens_[at_]; }  ///< the present one, if there is one
  /// The line of the token that was taken last.
  [[nodiscard]] int last_line() const { return tokens_[at_ > 0 ? at_ - 1 : 0].line; }
  std::string take() { return tokens_[at_++].text; }
  [[nodiscard]] bool at_end() const { return at_ == tokens_.size(); }
  [[nodiscard]] bool is(Kind kind, std::string_view text = {}) const {
    return !at_end() && token().kind == kind && (text.empty() || token().text == text);
  }
  /// True for the token behind the present one.
  [[nodiscard]] bool is_followed_by(Kind kind, std::string_view text) const {
    return at_ + 1 < tokens_.size() && tokens_[at_ + 1].kind == kind && tokens_[at_ + 1].text == text;
  }
  [[nodiscard]] bool is_sign(std::string_view text) const { return is(Kind::sign, text); }
  [[nodiscard]] bool is_word(std::string_view text) const { return is(Kind::name, text); }
  bool skip(Kind kind, std::string_view text = {}) {
    const bool found = is(kind, text);
    if (found) ++at_;
    return found;
  }
  bool skip_sign(std::string_view text) { return skip(Kind::sign, text); }
  bool skip_word(std::string_view text) { return skip(Kind::name, text); }
  [[nodiscard]] std::string found() const {
    if (at_end()) return "the end of the template";
    if (token().kind == Kind::end_statement || token().kind == Kind::end_output) return "the end of the tag";
    return "\"" + token().text + "\"";
  }
  void expect(Kind kind, std::string_view text, std::string_view wanted) {
    if (!skip(kind, text)) refuse("wanted is ", wanted, ", there is ", found());
  }
  void expect_sign(std::string_view text) { expect(Kind::sign, text, text); }
  void expect_end() { expect(Kind::end_statement, {}, "the end of the tag"); }
  std::string expect_name() {
    if (!is(Kind::name)) refuse("wanted is a name, there is ", found());
    return take();
  }

 private:
  static constexpr int kMostNested = 100;  // tags or brackets in one another

  std::string_view name_;
  std::vector<JinjaToken> tokens_;
  std::size_t at_ = 0;
  int nested_ = 0;
};

}}}  // namespace rapt::RAPT_ABI::detail
