/// \file
/// Regular expressions of tokenizer.json, written in the syntax of Ruby as Oniguruma reads it, and those of tiktoken,
/// written in the syntax of Rust, translated to the syntax of Perl as PCRE2 reads it. (Hugging Face's tokenizers
/// package uses Oniguruma.)
///
/// Oniguruma differs from PCRE2 in: \h (a hexadecimal digit), \v (one character), \s, \w and \b (other characters),
/// (?m) (Perl's (?s)), (?i) and the other options without a colon (a group up to the end of the group around them, with
/// all its alternatives), ^ and $ (always of lines), nested sets and && in sets, {n,m}+ (not possessive), {n}? (not
/// lazy), a quantifier behind {n,m}, {,m}, \O, \N and \uHHHH; and in the version of Unicode. Without regard to case, it
/// also takes several letters for one character, as (?i:ss) for "\u00DF" (here those of Latin's ligatures). What has no
/// translation is a ValueError: so are rarer properties (pattern_properties.hpp has the others), [:graph:] and
/// [:^upper:]. Two differences stay without regard to case: a set with "\u00DF" does not match "ss", and a negated set
/// in a set has its letters in both cases.
///
/// Rust (the crates regex and fancy-regex) differs from PCRE2 in \h, \v, \s, \w and \b, ^ and $ (always of the whole
/// text), nested sets and && in sets, and \u; and without regard to case, properties have the other cases of their
/// letters. The options m, x, U, u and R, -- and ~~ in sets, (?P=name) and (?P>name), \p{...!=...}, \p{...:...},
/// properties of other kinds than sc and gc, and escapes of its own are ValueErrors.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/text/pattern_folding.hpp"
#include "rapt/text/pattern_reader.hpp"
#include "rapt/text/pattern_sets.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Translates one pattern.
class PatternTranslator {
 public:
  PatternTranslator(std::string_view pattern, PatternSyntax syntax)
      : in_{.pattern = pattern, .is_rust = syntax == PatternSyntax::rust} {}

  [[nodiscard]] std::string translate() {
    std::size_t atom = 0;  // where the last atom begins in out_
    while (in_.place < in_.pattern.size()) {
      const char c = in_.pattern[in_.place];
      const std::size_t before = out_.size();
      if (c == '\\') {
        out_ += escape_outside();
      } else if (c == '[') {
        ++in_.place;
        out_ += PatternSetReader(in_, ignores_case()).brackets().as_pattern();
      } else if (c == '(') {
        open_group();
        continue;
      } else if (c == ')') {
        close_isolated_groups();
        require(!groups_.empty(), kName, "a closing parenthesis without an opening one: ", in_.pattern);
        out_ += c;
        ++in_.place;
        atom = groups_.back().begin;
        groups_.pop_back();
        continue;
      } else if (c == '#' && is_extended()) {
        in_.place = std::min(in_.pattern.find('\n', in_.place), in_.pattern.size());  // a comment
        continue;
      } else if (c == '{' && bounds(atom)) {
        continue;
      } else if (!in_.is_rust && ignores_case() && fold_literals()) {
        // What follows repeats the last character, which is written alone then.
      } else if (in_.is_rust && (c == '^' || c == '$')) {
        out_ += c == '^' ? "\\A" : "\\z";
        ++in_.place;
      } else {
        out_ += in_.take_character();
        if (c == '*' || c == '+' || c == '?') continue;
        if (is_extended() && std::string_view(" \t\n\v\f\r").find(c) != std::string_view::npos) continue;
      }
      atom = before;
    }
    close_isolated_groups();
    return std::move(out_);
  }

 private:
  static constexpr const char* kName = PatternReader::kName;

  struct Group {
    std::size_t begin;  // in out_
    bool is_extended;   // the option x: white space and comments mean nothing
    bool ignores_case;  // the option i
    bool is_isolated;   // made of an option without a colon
  };

  /// Reads characters that stand for themselves, as many as a quantifier behind them repeats together, and writes them
  /// so that they match what is the same without regard to case: "ss" and "ß". Returns false if there are none.
  [[nodiscard]] bool fold_literals() {
    std::string letters, last;
    std::size_t end = in_.place, last_begin = in_.place;
    while (end < in_.pattern.size() &&
           std::string_view("\\[](){}.^$|*+?# \t\n\v\f\r").find(in_.pattern[end]) == std::string_view::npos) {
      letters += last;
      last_begin = end++;
      while (end < in_.pattern.size() && (static_cast<unsigned char>(in_.pattern[end]) & 0xC0u) == 0x80u) ++end;
      last = in_.pattern.substr(last_begin, end - last_begin);
      last = letters_of(last);
    }
    const bool is_last_repeated =
        end < in_.pattern.size() && std::string_view("*+?{").find(in_.pattern[end]) != std::string_view::npos;
    if (end == in_.place) return false;
    if (!is_last_repeated || last_begin == in_.place) {
      letters += last;
    } else {
      end = last_begin;
    }
    in_.place = end;
    out_ += in_any_case(letters);
    return true;
  }
  [[nodiscard]] std::string escape_outside() {
    ++in_.place;
    PatternSet set;
    if (PatternSetReader(in_, ignores_case()).escape(set, /*is_in_set=*/false)) {
      // For Oniguruma, what is not in brackets is the same whether case matters or not.
      return !in_.is_rust && ignores_case() ? "(?-i:" + set.as_pattern() + ")" : set.as_pattern();
    }
    const char c = in_.next();
    if (in_.is_rust && std::string_view("ZRXO").find(c) != std::string_view::npos) {
      in_.refuse("the escape \\" + std::string(1, c));
    }
    switch (c) {
      case 'A':
      case 'z':
      case 'Z':
      case 'G':
      case 'K':
      case 'R':
      case 'X':
      case 'k':
      case 'g':
        ++in_.place;
        return std::string("\\") + c;
      case 'O':
        ++in_.place;
        return "(?s:.)";
      case 'b':
      case 'B': {
        ++in_.place;
        if (in_.is_rust && in_.next() == '{') in_.refuse("\\b{");
        const std::string in = "[" + in_.word(/*is_in_set=*/false) + "]";
        const std::string ends = "(?<=" + in + ")(?!" + in + ")", begins = "(?<!" + in + ")(?=" + in + ")";
        return c == 'b' ? "(?:" + ends + "|" + begins + ")" : "(?!" + ends + ")(?!" + begins + ")";
      }
      default:
        return in_.character_escape();
    }
  }

  /// Reads the beginning of a group. Ruby's option m is Perl's s.
  void open_group() {
    groups_.push_back({out_.size(), is_extended(), ignores_case(), false});
    out_ += '(';
    ++in_.place;
    if (in_.next() == '*') in_.refuse("(*");
    if (in_.next() != '?') return;
    out_ += '?';
    ++in_.place;
    if (in_.is_rust && in_.next() == 'P' && in_.next(1) == '<') ++in_.place;  // (?P<name>
    const std::string_view kinds = ":=!>";
    if (kinds.find(in_.next()) != kinds.npos || in_.next() == '<' || in_.next() == '#') {
      if (in_.next() == '#') {
        const std::size_t end = std::min(in_.pattern.find(')', in_.place), in_.pattern.size());
        out_ += in_.pattern.substr(in_.place, end - in_.place);
        in_.place = end;
        return;
      }
      out_ += in_.next();
      ++in_.place;
      if (out_.back() != '<') return;
      while (in_.place < in_.pattern.size()) {
        out_ += in_.next();
        ++in_.place;
        if (out_.back() == '>' || out_.back() == '=' || out_.back() == '!') return;
      }
      return;
    }
    bool is_on = true;
    while (in_.place < in_.pattern.size() && in_.next() != ':' && in_.next() != ')') {
      const char option = in_.next();
      const std::string_view known = in_.is_rust ? "is-" : "imx-";
      if (known.find(option) == known.npos) in_.refuse("such a group");
      if (option == '-') is_on = false;
      if (option == 'x') groups_.back().is_extended = is_on;
      if (option == 'i') groups_.back().ignores_case = is_on;
      out_ += option == 'm' ? 's' : option;
      ++in_.place;
    }
    if (in_.is_rust && in_.next() == ')')
      return;  // The options hold up to the end of the group around them, as in Perl.
    groups_.back().is_isolated = in_.next() == ')';
    out_ += ':';
    ++in_.place;
  }
  void close_isolated_groups() {
    for (; !groups_.empty() && groups_.back().is_isolated; groups_.pop_back()) out_ += ')';
  }
  [[nodiscard]] bool ignores_case() const { return !groups_.empty() && groups_.back().ignores_case; }
  [[nodiscard]] bool is_extended() const { return !groups_.empty() && groups_.back().is_extended; }

  /// Reads {n}, {n,}, {n,m} or {,m}; false if the brace begins none of them.
  [[nodiscard]] bool bounds(std::size_t atom) {
    const std::size_t end = in_.pattern.find('}', in_.place);
    if (end == in_.pattern.npos) return false;
    std::string inner(in_.pattern.substr(in_.place + 1, end - in_.place - 1));
    if (inner.empty() || inner == "," || inner.find_first_not_of("0123456789,") != inner.npos) return false;
    in_.place = end + 1;
    if (in_.is_rust) {
      if (inner.front() == ',') in_.refuse("a repetition without a least number");
      out_ += "{" + inner + "}";
      return true;
    }
    if (inner.front() == ',') inner.insert(0, 1, '0');
    // A quantifier behind it repeats the whole, but {n,m}? is the lazy {n,m}.
    const bool is_exact = inner.find(',') == inner.npos;
    const bool is_repeated =
        in_.next() == '+' || in_.next() == '*' || in_.next() == '{' || (in_.next() == '?' && is_exact);
    if (is_repeated) out_.insert(atom, "(?:");
    out_ += "{" + inner + (is_repeated ? "})" : "}");
    return true;
  }

  PatternReader in_;
  std::vector<Group> groups_;  // those that are open
  std::string out_;
};

}}}  // namespace rapt::RAPT_ABI::detail
