/// \file
/// Regular expressions of tokenizer.json, written in the syntax of Ruby as Oniguruma reads it, and those of tiktoken,
/// written in the syntax of Rust, translated to the syntax of Perl as PCRE2 reads it. (Hugging Face's tokenizers
/// package uses Oniguruma.)
///
/// Oniguruma differs from PCRE2 in: \h (a hexadecimal digit), \v (one character), \s, \w and \b (other characters),
/// (?m) (Perl's
/// (?s)), (?i) and the other options without a colon (a group up to the end of the group around them, with all its
/// alternatives), ^ and $ (always of lines), nested sets and && in sets, {n,m}+ (not possessive), {n}? (not lazy), a
/// quantifier behind {n,m}, {,m}, \O, \N and \uHHHH; and in the version of Unicode. Without regard to case, it also
/// takes several letters for one character, as (?i:ss) for "\u00DF" (here those of Latin's ligatures). What has no
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
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/text/pattern_folding.hpp"
#include "rapt/text/pattern_properties.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Who reads a pattern.
enum class PatternSyntax : std::uint8_t { oniguruma, rust };

/// Translates one pattern.
class PatternTranslator {
 public:
  PatternTranslator(std::string_view pattern, PatternSyntax syntax)
      : pattern_(pattern), is_rust_(syntax == PatternSyntax::rust) {}

  [[nodiscard]] std::string translate() {
    std::size_t atom = 0;  // where the last atom begins in out_
    while (at_ < pattern_.size()) {
      const char c = pattern_[at_];
      const std::size_t before = out_.size();
      if (c == '\\') {
        out_ += escape_outside();
      } else if (c == '[') {
        ++at_;
        out_ += set().as_pattern();
      } else if (c == '(') {
        open_group();
        continue;
      } else if (c == ')') {
        close_isolated_groups();
        require(!groups_.empty(), kName, "a closing parenthesis without an opening one: ", pattern_);
        out_ += c;
        ++at_;
        atom = groups_.back().begin;
        groups_.pop_back();
        continue;
      } else if (c == '#' && is_extended()) {
        at_ = std::min(pattern_.find('\n', at_), pattern_.size());  // a comment
        continue;
      } else if (c == '{' && bounds(atom)) {
        continue;
      } else if (!is_rust_ && ignores_case() && fold_literals()) {
        // What follows repeats the last character, which is written alone then.
      } else if (is_rust_ && (c == '^' || c == '$')) {
        out_ += c == '^' ? "\\A" : "\\z";
        ++at_;
      } else {
        out_ += take_character();
        if (c == '*' || c == '+' || c == '?') continue;
        if (is_extended() && std::string_view(" \t\n\v\f\r").find(c) != std::string_view::npos) continue;
      }
      atom = before;
    }
    close_isolated_groups();
    return std::move(out_);
  }

 private:
  static constexpr const char* kName = "pattern";
  static constexpr std::string_view kNotSpace =
      R"(\x{0}-\x{8}\x{e}-\x{1f}!-\x{84}\x{86}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027})"
      R"(\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{10ffff})";

  struct Group {
    std::size_t begin;  // in out_
    bool is_extended;   // the option x: white space and comments mean nothing
    bool ignores_case;  // the option i
    bool is_isolated;   // made of an option without a colon
  };

  /// A set of characters: members as they stand in brackets, and patterns of one character beside them.
  struct Set {
    std::string members;
    std::vector<std::string> patterns;
    bool negated = false;

    [[nodiscard]] std::string as_pattern() const {
      if (patterns.empty()) return (negated ? "[^" : "[") + members + "]";
      std::string all = "(?:";
      if (!members.empty()) all += "[" + members + "]|";
      for (const std::string& pattern : patterns) all += pattern + "|";
      all.back() = ')';
      return negated ? "(?:(?!" + all + ")(?s:.))" : all;
    }
  };

  [[noreturn]] void refuse(std::string_view what) const {
    fail(kName, "rapt does not support ", what, " in a regular expression: ", pattern_);
  }
  [[nodiscard]] char next(std::size_t ahead = 0) const {
    return at_ + ahead < pattern_.size() ? pattern_[at_ + ahead] : '\0';
  }

  /// Reads one character.
  [[nodiscard]] std::string take_character() {
    const std::size_t begin = at_++;
    while ((static_cast<unsigned char>(next()) & 0xC0u) == 0x80u) ++at_;
    return std::string(pattern_.substr(begin, at_ - begin));
  }

  static constexpr std::size_t npos = std::string_view::npos;

  /// Reads characters that stand for themselves, as many as a quantifier behind them repeats together, and writes them
  /// so that they match what is the same without regard to case: "ss" and "ß". Returns false if there are none.
  [[nodiscard]] bool fold_literals() {
    std::string letters, last;
    std::size_t end = at_, last_begin = at_;
    while (end < pattern_.size() && std::string_view("\\[](){}.^$|*+?# \t\n\v\f\r").find(pattern_[end]) == npos) {
      letters += last;
      last_begin = end++;
      while (end < pattern_.size() && (static_cast<unsigned char>(pattern_[end]) & 0xC0u) == 0x80u) ++end;
      last = pattern_.substr(last_begin, end - last_begin);
      last = letters_of(last);
    }
    const bool is_last_repeated = end < pattern_.size() && std::string_view("*+?{").find(pattern_[end]) != npos;
    if (end == at_) return false;
    if (!is_last_repeated || last_begin == at_) {
      letters += last;
    } else {
      end = last_begin;
    }
    at_ = end;
    out_ += in_any_case(letters);
    return true;
  }
  /// The characters of words. For Oniguruma, Latin-1's superscripts and fractions are among them outside of brackets.
  [[nodiscard]] std::string word(bool is_in_set) const {
    return category_members("L") + category_members("M") + category_members("Nd") + category_members("Nl") +
           category_members("Pc") +
           (is_rust_    ? R"(\x{200c}\x{200d})"
            : is_in_set ? ""
                        : R"(\x{b2}\x{b3}\x{b9}\x{bc}-\x{be})") +
           R"(\x{24b6}-\x{24e9}\x{1f130}-\x{1f149}\x{1f150}-\x{1f169}\x{1f170}-\x{1f189})";
  }

  /// Adds the property with a name. Without regard to case, the other cases are added: for Rust everywhere, to the
  /// property before it is negated, and for Oniguruma in brackets alone, to what the negated property is.
  void add_property(Set& set, std::string_view name, bool is_in_set) {
    std::string folded = folded_name(name);
    std::string_view kind;  // "sc" or "gc" in \p{sc=Greek} and \p{gc=Lu}
    if (const std::size_t equals = name.find('='); is_rust_ && equals != npos) {
      const std::string kind_name = folded_name(name.substr(0, equals));
      folded = folded_name(name.substr(equals + 1));
      if (kind_name == "sc" || kind_name == "script") kind = "sc";
      if (kind_name == "gc" || kind_name == "generalcategory") kind = "gc";
      if (kind.empty() || (kind == "gc" && category_of_name(folded).empty())) refuse("such a property");
    }
    if (folded.empty() || folded.find_first_not_of("abcdefghijklmnopqrstuvwxyz") != npos) refuse("such a property");
    set.members += folded == "word" ? word(is_in_set)
                   : kind == "sc"   ? script_members(folded)
                                    : property_members(folded);
    if (!ignores_case() || !(is_rust_ || is_in_set)) return;
    const bool adds_to_negated = set.negated && !is_rust_;
    const std::string others = other_cases(folded, adds_to_negated);
    if (others.empty()) return;
    if (adds_to_negated) set = {"", {set.as_pattern()}, false};
    set.patterns.push_back(others);
  }

  /// Reads an escape that stands for a set of characters, behind its backslash; false if it is another one.
  [[nodiscard]] bool set_escape(Set& set, bool is_in_set) {
    const char c = next();
    switch (c) {
      case 'h':
      case 'H':
        set.members = "0-9a-fA-F";
        break;
      case 's':
      case 'S':
        set.members = kSpaceMembers;
        break;
      case 'd':
      case 'D':
        set.members = category_members("Nd");
        break;
      case 'w':
      case 'W':
        set.members = word(is_in_set);
        break;
      case 'N':
        if (is_rust_) return false;
        set.members = "\\n";
        break;
      case 'p':
      case 'P':
        break;
      default:
        return false;
    }
    ++at_;
    set.negated = (c >= 'A' && c <= 'Z');
    if (c == 'p' || c == 'P') {
      std::string_view name = pattern_.substr(at_, 1);
      if (next() == '{') {
        const std::size_t end = pattern_.find('}', at_);
        require(end != pattern_.npos, kName, "a property without a closing brace: ", pattern_);
        name = pattern_.substr(at_ + 1, end - at_ - 1);
        at_ = end + 1;
      } else {
        at_ += name.size();
      }
      if (name.starts_with('^')) {
        name.remove_prefix(1);
        set.negated = !set.negated;
      }
      add_property(set, name, is_in_set);
    }
    return true;
  }

  /// Reads an escape of one character, behind its backslash.
  [[nodiscard]] std::string character_escape() {
    const char c = next();
    require(c != '\0', kName, "a backslash at the end: ", pattern_);
    ++at_;
    if (c == 'v') return "\\x{b}";
    if ((c == 'x' || (c == 'u' && is_rust_)) && next() == '{') {
      const std::size_t end = std::min(pattern_.find('}', at_), pattern_.size() - 1);
      const std::string_view braces = pattern_.substr(at_, end + 1 - at_);
      at_ = end + 1;
      return "\\x" + std::string(braces);
    }
    if (c == 'u') {
      require(at_ + 4 <= pattern_.size(), kName, "four digits must follow \\u: ", pattern_);
      at_ += 4;
      return "\\x{" + std::string(pattern_.substr(at_ - 4, 4)) + "}";
    }
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (is_rust_ && (c == '<' || c == '>')) refuse("the escape \\" + std::string(1, c));
    if (is_letter && std::string_view("nrtfaex").find(c) == std::string_view::npos)
      refuse("the escape \\" + std::string(1, c));
    return std::string("\\") + c;
  }

  [[nodiscard]] std::string escape_outside() {
    ++at_;
    Set set;
    if (set_escape(set, /*is_in_set=*/false)) {
      // For Oniguruma, what is not in brackets is the same whether case matters or not.
      return !is_rust_ && ignores_case() ? "(?-i:" + set.as_pattern() + ")" : set.as_pattern();
    }
    const char c = next();
    if (is_rust_ && std::string_view("ZRXO").find(c) != std::string_view::npos) {
      refuse("the escape \\" + std::string(1, c));
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
        ++at_;
        return std::string("\\") + c;
      case 'O':
        ++at_;
        return "(?s:.)";
      case 'b':
      case 'B': {
        ++at_;
        if (is_rust_ && next() == '{') refuse("\\b{");
        const std::string in = "[" + word(/*is_in_set=*/false) + "]";
        const std::string ends = "(?<=" + in + ")(?!" + in + ")", begins = "(?<!" + in + ")(?=" + in + ")";
        return c == 'b' ? "(?:" + ends + "|" + begins + ")" : "(?!" + ends + ")(?!" + begins + ")";
      }
      default:
        return character_escape();
    }
  }

  /// Reads a set behind its opening bracket.
  [[nodiscard]] Set set() {
    require(++depth_ <= 20, kName, "sets are nested too deeply: ", pattern_);
    Set all;
    if (next() == '^') {
      all.negated = true;
      ++at_;
    }
    std::vector<std::string> conditions;  // of the parts behind &&
    Set part;
    // What a hyphen means depends on what is before it.
    enum class Before { nothing, character, hyphen, other };
    Before before = Before::nothing;
    const auto end_part = [&] {
      if (part.members.empty() && part.patterns.empty()) refuse("an empty set");
      conditions.push_back(part.as_pattern());
      part = {};
      before = Before::nothing;
    };
    const auto add_character = [&](std::string_view character) {
      part.members += character;
      before = before == Before::hyphen ? Before::other : Before::character;
    };
    // A set in a set stays apart: no range begins or ends with it.
    const auto begin_class = [&] {
      if (before == Before::hyphen) refuse("a range that ends with a set");
      before = Before::other;
    };
    for (bool is_first = true;; is_first = false) {
      require(at_ < pattern_.size(), kName, "a set without a closing bracket: ", pattern_);
      const char c = pattern_[at_];
      if (c == ']' && !is_first) {
        ++at_;
        break;
      }
      if (c == '[' && next(1) == ':') {
        begin_class();
        posix_class(part);
      } else if (c == '[') {
        begin_class();
        ++at_;
        Set inner = set();
        if (inner.negated || !inner.patterns.empty()) {
          part.patterns.push_back(inner.as_pattern());
        } else {
          part.members += inner.members;
        }
      } else if (is_rust_ && (c == '-' || c == '~') && next(1) == c) {
        refuse(std::string(2, c) + " in a set");
      } else if (c == '&' && next(1) == '&') {
        at_ += 2;
        end_part();
      } else if (c == '\\') {
        ++at_;
        Set escape;
        if (next() == 'S') {
          begin_class();
          ++at_;
          part.members += kNotSpace;
        } else if (next() == 'b' && !is_rust_) {
          ++at_;
          add_character("\\x{8}");
        } else if (set_escape(escape, /*is_in_set=*/true)) {
          begin_class();
          if (escape.negated || !escape.patterns.empty()) {
            part.patterns.push_back(escape.as_pattern());
          } else {
            part.members += escape.members;
          }
        } else {
          add_character(character_escape());
        }
      } else if (c == '-') {
        const bool is_last = next(1) == ']' || (next(1) == '&' && next(2) == '&');
        ++at_;
        if (before == Before::character && !is_last) {
          part.members += '-';
          before = Before::hyphen;
        } else {
          add_character("\\-");
        }
      } else {
        add_character((c == ']' || c == '^' ? "\\" : "") + take_character());
      }
    }
    --depth_;
    if (conditions.empty()) {
      part.negated = all.negated;
      return part;
    }
    end_part();
    std::string pattern = "(?:";
    for (std::size_t i = 1; i < conditions.size(); ++i) pattern += "(?=" + conditions[i] + ")";
    all.patterns = {pattern + conditions[0] + ")"};
    return all;
  }

  void posix_class(Set& part) {
    const std::size_t end = pattern_.find(":]", at_);
    require(end != pattern_.npos, kName, "a set without a closing bracket: ", pattern_);
    const std::string_view name = pattern_.substr(at_ + 2, end - at_ - 2);
    at_ = end + 2;
    // Rust's are of ASCII alone.
    constexpr std::array<std::pair<std::string_view, std::string_view>, 14> kAscii = {
        {{"alnum", "0-9A-Za-z"},
         {"alpha", "A-Za-z"},
         {"ascii", "\\x{0}-\\x{7f}"},
         {"blank", "\\t "},
         {"cntrl", "\\x{0}-\\x{1f}\\x{7f}"},
         {"digit", "0-9"},
         {"graph", "!-~"},
         {"lower", "a-z"},
         {"print", " -~"},
         {"punct", "!-/:-@\\[-`{-~"},
         {"space", "\\t-\\r "},
         {"upper", "A-Z"},
         {"word", "0-9A-Za-z_"},
         {"xdigit", "0-9A-Fa-f"}}};
    const auto ascii = std::find_if(kAscii.begin(), kAscii.end(), [&](const auto& one) { return one.first == name; });
    if (ascii == kAscii.end() || (!is_rust_ && (name == "graph" || name == "print"))) {
      refuse("the class [:" + std::string(name) + ":]");
    }
    if (is_rust_ || name == "xdigit") {
      part.members += ascii->second;
    } else if (name == "digit") {
      part.members += category_members("Nd");
    } else if (name == "punct") {
      part.members += category_members("P") + category_members("S");
    } else if (name == "word") {
      part.members += word(/*is_in_set=*/true);
    } else {
      add_property(part, name, /*is_in_set=*/true);
    }
  }

  /// Reads the beginning of a group. Ruby's option m is Perl's s.
  void open_group() {
    groups_.push_back({out_.size(), is_extended(), ignores_case(), false});
    out_ += '(';
    ++at_;
    if (next() == '*') refuse("(*");
    if (next() != '?') return;
    out_ += '?';
    ++at_;
    if (is_rust_ && next() == 'P' && next(1) == '<') ++at_;  // (?P<name>
    const std::string_view kinds = ":=!>";
    if (kinds.find(next()) != kinds.npos || next() == '<' || next() == '#') {
      if (next() == '#') {
        const std::size_t end = std::min(pattern_.find(')', at_), pattern_.size());
        out_ += pattern_.substr(at_, end - at_);
        at_ = end;
        return;
      }
      out_ += next();
      ++at_;
      if (out_.back() != '<') return;
      while (at_ < pattern_.size()) {
        out_ += next();
        ++at_;
        if (out_.back() == '>' || out_.back() == '=' || out_.back() == '!') return;
      }
      return;
    }
    bool is_on = true;
    while (at_ < pattern_.size() && next() != ':' && next() != ')') {
      const char option = next();
      const std::string_view known = is_rust_ ? "is-" : "imx-";
      if (known.find(option) == known.npos) refuse("such a group");
      if (option == '-') is_on = false;
      if (option == 'x') groups_.back().is_extended = is_on;
      if (option == 'i') groups_.back().ignores_case = is_on;
      out_ += option == 'm' ? 's' : option;
      ++at_;
    }
    if (is_rust_ && next() == ')') return;  // The options hold up to the end of the group around them, as in Perl.
    groups_.back().is_isolated = next() == ')';
    out_ += ':';
    ++at_;
  }
  void close_isolated_groups() {
    for (; !groups_.empty() && groups_.back().is_isolated; groups_.pop_back()) out_ += ')';
  }
  [[nodiscard]] bool ignores_case() const { return !groups_.empty() && groups_.back().ignores_case; }
  [[nodiscard]] bool is_extended() const { return !groups_.empty() && groups_.back().is_extended; }

  /// Reads {n}, {n,}, {n,m} or {,m}; false if the brace begins none of them.
  [[nodiscard]] bool bounds(std::size_t atom) {
    const std::size_t end = pattern_.find('}', at_);
    if (end == pattern_.npos) return false;
    std::string inner(pattern_.substr(at_ + 1, end - at_ - 1));
    if (inner.empty() || inner == "," || inner.find_first_not_of("0123456789,") != inner.npos) return false;
    at_ = end + 1;
    if (is_rust_) {
      if (inner.front() == ',') refuse("a repetition without a least number");
      out_ += "{" + inner + "}";
      return true;
    }
    if (inner.front() == ',') inner.insert(0, 1, '0');
    // A quantifier behind it repeats the whole, but {n,m}? is the lazy {n,m}.
    const bool is_exact = inner.find(',') == inner.npos;
    const bool is_repeated = next() == '+' || next() == '*' || next() == '{' || (next() == '?' && is_exact);
    if (is_repeated) out_.insert(atom, "(?:");
    out_ += "{" + inner + (is_repeated ? "})" : "}");
    return true;
  }

  std::string_view pattern_;
  bool is_rust_;
  std::size_t at_ = 0;
  int depth_ = 0;
  std::vector<Group> groups_;  // those that are open
  std::string out_;
};

}}}  // namespace rapt::RAPT_ABI::detail
