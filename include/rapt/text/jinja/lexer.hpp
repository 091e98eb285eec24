/// \file
/// Cuts a template in Jinja into texts and the tokens of its tags. White space is treated as transformers sets it: the
/// first line feed behind a tag that is no expression is removed (trim_blocks), and so are blanks before such a tag at
/// the beginning of a line (lstrip_blocks).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/text/jinja/context.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A piece of a template: text that stands between tags, the beginning or the end of a tag, or what stands in one.
struct JinjaToken {
  enum class Kind {
    text,
    begin_statement,
    end_statement,
    begin_output,
    end_output,
    name,
    string,
    integer,
    number,
    sign
  };
  Kind kind = Kind::text;
  std::string text;  ///< of a string what it stands for
  int line = 1;
};

class JinjaLexer {
 public:
  using Kind = JinjaToken::Kind;

  /// The tokens of a template. Throws IoError that names the line for what is no Jinja.
  [[nodiscard]] static std::vector<JinjaToken> tokens(std::string_view text, std::string_view name) {
    JinjaLexer lexer(text, name);
    lexer.read();
    return std::move(lexer.tokens_);
  }

 private:
  JinjaLexer(std::string_view text, std::string_view name) : name_(name) {
    source_.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {  // every kind of line end becomes a line feed
      if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
      source_ += text[i] == '\r' ? '\n' : text[i];
    }
    if (source_.ends_with('\n')) source_.pop_back();
    const auto invalid = find_invalid_utf8(source_);
    if (invalid) fail_in_template(name_, 1, "not UTF-8: byte ", *invalid + 1);
  }

  template <class... Pieces>
  [[noreturn]] void refuse(const Pieces&... pieces) const {
    fail_in_template(name_, line_, pieces...);
  }
  [[nodiscard]] std::string_view rest() const { return std::string_view(source_).substr(at_); }
  [[nodiscard]] bool is_next(std::string_view text) const { return rest().starts_with(text); }
  void skip(std::size_t bytes) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(at_ + bytes), '\n'));
    at_ += bytes;
  }
  void add(Kind kind, std::string text = {}) { tokens_.push_back({kind, std::move(text), line_}); }

  void read() {
    while (at_ < source_.size()) {
      const std::size_t tag = next_tag();
      std::string_view text = rest().substr(0, tag - at_);
      const bool is_output = tag < source_.size() && source_[tag + 1] == '{';
      const char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
      if (tag < source_.size() && sign == '-') {
        text = strip_end(text);
      } else if (tag < source_.size() && sign != '+' && !is_output) {
        text = without_blanks_before_tag(text);
      }
      if (!text.empty()) add(Kind::text, std::string(text));
      skip(tag - at_);
      if (at_ == source_.size()) return;
      read_tag(is_output, sign);
    }
  }
  /// Where the next tag or comment begins, or the end of the template.
  [[nodiscard]] std::size_t next_tag() const {
    for (std::size_t i = at_; i + 1 < source_.size(); ++i) {
      if (source_[i] == '{' && (source_[i + 1] == '{' || source_[i + 1] == '%' || source_[i + 1] == '#')) return i;
    }
    return source_.size();
  }
  /// The text without blanks behind its last line feed, if nothing but blanks stands there.
  [[nodiscard]] std::string_view without_blanks_before_tag(std::string_view text) const {
    const std::size_t feed = text.rfind('\n');
    const std::size_t begin = feed == std::string_view::npos ? 0 : feed + 1;
    const bool begins_line = begin > 0 || at_ == 0 || source_[at_ - 1] == '\n';
    return begins_line && strip_end(text.substr(begin)).empty() ? text.substr(0, begin) : text;
  }

  void read_tag(bool is_output, char sign) {
    const bool is_comment = source_[at_ + 1] == '#';
    const int begin = line_;
    if (!is_comment) add(is_output ? Kind::begin_output : Kind::begin_statement);
    skip(sign == '-' || sign == '+' ? 3 : 2);
    if (is_comment) {
      const std::size_t end = source_.find("#}", at_);
      if (end == std::string::npos) fail_in_template(name_, begin, "a comment has no end");
      const char last = end > at_ ? source_[end - 1] : ' ';
      skip(end + 2 - at_);
      return end_tag(last, /*trims=*/true);
    }
    const std::string_view end = is_output ? "}}" : "%}";
    const std::size_t first = tokens_.size();
    std::string open;  // brackets that are not closed yet
    for (;;) {
      while (at_ < source_.size() && is_space(source_[at_])) skip(1);
      if (at_ == source_.size()) fail_in_template(name_, begin, "a tag has no end");
      const bool has_sign = source_[at_] == '-' || source_[at_] == '+';
      if (open.empty() && rest().substr(has_sign ? 1 : 0).starts_with(end)) {
        const char last = source_[at_];
        add(is_output ? Kind::end_output : Kind::end_statement);
        skip(has_sign ? 3 : 2);
        end_tag(last, /*trims=*/!is_output);
        break;
      }
      read_token(open);
    }
    if (!is_output && tokens_.size() == first + 2 && tokens_[first].text == "raw") read_raw();
  }
  /// What the end of a tag does to the text behind it.
  void end_tag(char sign, bool trims) {
    if (sign == '-') {
      while (at_ < source_.size() && is_whitespace(code_point_at(source_, at_).value)) {
        skip(code_point_at(source_, at_).length);
      }
    } else if (trims && sign != '+' && at_ < source_.size() && source_[at_] == '\n') {
      skip(1);
    }
  }
  /// The text between {% raw %} and {% endraw %}, which may look like tags.
  void read_raw() {
    tokens_.resize(tokens_.size() - 3);
    for (std::size_t end = at_; (end = source_.find("{%", end)) != std::string::npos; end += 2) {
      std::size_t i = end + 2;
      const char sign = i < source_.size() ? source_[i] : ' ';
      if (sign == '-' || sign == '+') ++i;
      while (i < source_.size() && is_space(source_[i])) ++i;
      if (!std::string_view(source_).substr(i).starts_with("endraw")) continue;
      i += 6;
      while (i < source_.size() && is_space(source_[i])) ++i;
      const char last = i < source_.size() ? source_[i] : ' ';
      if (last == '-' || last == '+') ++i;
      if (!std::string_view(source_).substr(i).starts_with("%}")) continue;
      std::string_view text = rest().substr(0, end - at_);
      text = sign == '-' ? strip_end(text) : sign == '+' ? text : without_blanks_before_tag(text);
      if (!text.empty()) add(Kind::text, std::string(text));
      skip(i + 2 - at_);
      return end_tag(last, /*trims=*/true);
    }
    refuse("{% raw %} has no {% endraw %}");
  }

  void read_token(std::string& open) {
    const char first = source_[at_];
    if (first == '\'' || first == '"') return read_string(first);
    if (is_digit(first)) return read_number();
    if (is_letter(first)) {
      std::size_t size = 1;
      while (at_ + size < source_.size() && (is_letter(source_[at_ + size]) || is_digit(source_[at_ + size]))) ++size;
      add(Kind::name, std::string(rest().substr(0, size)));
      return skip(size);
    }
    static constexpr std::string_view kSigns[] = {"**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<",
                                                  ">",  "=",  "(",  ")",  "[",  "]",  "{", "}", ",", ":", ".", "|"};
    const auto* const sign =
        std::find_if(std::begin(kSigns), std::end(kSigns), [&](std::string_view one) { return is_next(one); });
    if (sign == std::end(kSigns)) {
      refuse("a tag has a character that Jinja does not know: ", rest().substr(0, code_point_at(source_, at_).length));
    }
    if (first == '(' || first == '[' || first == '{') open += first == '(' ? ')' : first == '[' ? ']' : '}';
    if (first == ')' || first == ']' || first == '}') {
      if (open.empty() || open.back() != first) refuse("a bracket closes that was not opened: ", first);
      open.pop_back();
    }
    add(Kind::sign, std::string(*sign));
    skip(sign->size());
  }
  void read_number() {
    std::size_t size = 0;
    const auto digits = [&] {
      while (at_ + size < source_.size() && (is_digit(source_[at_ + size]) || source_[at_ + size] == '_')) ++size;
    };
    const auto digit_at = [&](std::size_t i) { return at_ + i < source_.size() && is_digit(source_[at_ + i]); };
    digits();
    bool is_whole = true;
    if (rest().substr(size).starts_with('.') && digit_at(size + 1)) {
      is_whole = false;
      ++size;
      digits();
    }
    const std::string_view behind = rest().substr(size);
    if (behind.starts_with('e') || behind.starts_with('E')) {
      const std::size_t sign = behind.substr(1).starts_with('-') || behind.substr(1).starts_with('+') ? 1 : 0;
      if (digit_at(size + 1 + sign)) {
        is_whole = false;
        size += 1 + sign;
        digits();
      }
    }
    std::string number(rest().substr(0, size));
    std::erase(number, '_');
    add(is_whole ? Kind::integer : Kind::number, number);
    skip(size);
  }

  /// A string with Python's escapes.
  void read_string(char quote) {
    const int begin = line_;
    std::string text;
    skip(1);
    while (at_ < source_.size() && source_[at_] != quote) {
      if (source_[at_] == '\\' && at_ + 1 < source_.size()) {
        read_escape(text);
      } else {
        text += source_[at_];
        skip(1);
      }
    }
    if (at_ == source_.size()) fail_in_template(name_, begin, "a string has no end");
    skip(1);
    tokens_.push_back({Kind::string, std::move(text), begin});
  }
  void read_escape(std::string& text) {
    static constexpr std::pair<char, char> kEscapes[] = {{'n', '\n'},  {'t', '\t'}, {'r', '\r'}, {'\\', '\\'},
                                                         {'\'', '\''}, {'"', '"'},  {'a', '\a'}, {'b', '\b'},
                                                         {'f', '\f'},  {'v', '\v'}};
    const char kind = source_[at_ + 1];
    for (const auto& [letter, meaning] : kEscapes) {
      if (kind != letter) continue;
      text += meaning;
      return skip(2);
    }
    if (kind == '\n') return skip(2);
    const bool is_octal = kind >= '0' && kind <= '7';
    const std::size_t digits = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
    if (digits == 0 && !is_octal) {  // stays as it is
      text += '\\';
      return skip(1);
    }
    std::size_t i = at_ + (is_octal ? 1 : 2);
    const std::size_t end = i + (is_octal ? 3 : digits);
    std::int64_t value = 0;
    for (; i < std::min(end, source_.size()); ++i) {
      const int digit = hex_digit(source_[i]);
      if (digit < 0 || (is_octal && digit > 7)) break;
      value = value * (is_octal ? 8 : 16) + digit;
    }
    const bool is_valid = (is_octal || i == end) && value <= 0x10FFFF && (value < 0xD800 || value > 0xDFFF);
    if (!is_valid) refuse("a string has an escape that is no character: ", rest().substr(0, i - at_));
    append_code_point(text, static_cast<std::int32_t>(value));
    skip(i - at_);
  }

  [[nodiscard]] static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\f' || c == '\v'; }
  [[nodiscard]] static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  [[nodiscard]] static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
  [[nodiscard]] static int hex_digit(char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  }

  std::string_view name_;
  std::string source_;
  std::size_t at_ = 0;
  int line_ = 1;
  std::vector<JinjaToken> tokens_;
};

}}}  // namespace rapt::RAPT_ABI::detail
