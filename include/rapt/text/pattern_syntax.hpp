/// \file
/// Regular expressions of tokenizer.json, written in the syntax of Ruby as Oniguruma reads it, and those of tiktoken,
/// written in the syntax of Rust, translated to the syntax of Perl as PCRE2 reads it. (Hugging Face's tokenizers
/// package uses Oniguruma.)
///
/// Oniguruma differs from PCRE2 in: \h (a hexadecimal digit), \v (one character), \s, \w and \b (other characters),
/// (?m) (Perl's
/// (?s)), (?i) and the other options without a colon (a group up to the end of the group around them, with all its
/// alternatives), ^ and $ (always of lines), nested sets and && in sets, {n,m}+ (not possessive), {n}? (not lazy), a
/// quantifier behind {n,m}, {,m}, \O, \N and \uHHHH; and in the version of Unicode. What has no translation is a
/// ValueError: so are [:alpha:] and other classes, and properties that are neither categories nor scripts, such as
/// \p{Alpha} and \p{Emoji}, which Oniguruma knows. One difference stays: without regard to case, Oniguruma also takes
/// several characters for one, as (?i:ss) for "\u00DF".
///
/// Rust (the crates regex and fancy-regex) differs from PCRE2 in \h, \v, \s, \w and \b, ^ and $ (always of the whole
/// text), nested sets and && in sets, and \u. The options m and x, -- and ~~ in sets, and escapes of its own are
/// ValueErrors.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A range of characters that Unicode 15 or 16 has given a category.
struct CategoryAddition {
  std::string_view category;
  std::pair<std::int32_t, std::int32_t> range;
};
/// Those that Oniguruma knows and a PCRE2 of Unicode 14 does not. (A newer PCRE2 agrees.)
inline constexpr std::array<CategoryAddition, 127> kCategoryAdditions = {
    {{"Lu", {0x1C89, 0x1C89}},   {"Lu", {0xA7CB, 0xA7CC}},   {"Lu", {0xA7DA, 0xA7DA}},   {"Lu", {0xA7DC, 0xA7DC}},
     {"Lu", {0x10D50, 0x10D65}}, {"Ll", {0x1C8A, 0x1C8A}},   {"Ll", {0xA7CD, 0xA7CD}},   {"Ll", {0xA7DB, 0xA7DB}},
     {"Ll", {0x10D70, 0x10D85}}, {"Ll", {0x1DF25, 0x1DF2A}}, {"Lm", {0x10D4E, 0x10D4E}}, {"Lm", {0x10D6F, 0x10D6F}},
     {"Lm", {0x16D40, 0x16D42}}, {"Lm", {0x16D6B, 0x16D6C}}, {"Lm", {0x1E030, 0x1E06D}}, {"Lm", {0x1E4EB, 0x1E4EB}},
     {"Lo", {0x105C0, 0x105F3}}, {"Lo", {0x10D4A, 0x10D4D}}, {"Lo", {0x10D4F, 0x10D4F}}, {"Lo", {0x10EC2, 0x10EC4}},
     {"Lo", {0x1123F, 0x11240}}, {"Lo", {0x11380, 0x11389}}, {"Lo", {0x1138B, 0x1138B}}, {"Lo", {0x1138E, 0x1138E}},
     {"Lo", {0x11390, 0x113B5}}, {"Lo", {0x113B7, 0x113B7}}, {"Lo", {0x113D1, 0x113D1}}, {"Lo", {0x113D3, 0x113D3}},
     {"Lo", {0x11BC0, 0x11BE0}}, {"Lo", {0x11F02, 0x11F02}}, {"Lo", {0x11F04, 0x11F10}}, {"Lo", {0x11F12, 0x11F33}},
     {"Lo", {0x1342F, 0x1342F}}, {"Lo", {0x13441, 0x13446}}, {"Lo", {0x13460, 0x143FA}}, {"Lo", {0x16100, 0x1611D}},
     {"Lo", {0x16D43, 0x16D6A}}, {"Lo", {0x18CFF, 0x18CFF}}, {"Lo", {0x1B132, 0x1B132}}, {"Lo", {0x1B155, 0x1B155}},
     {"Lo", {0x1E4D0, 0x1E4EA}}, {"Lo", {0x1E5D0, 0x1E5ED}}, {"Lo", {0x1E5F0, 0x1E5F0}}, {"Lo", {0x2B739, 0x2B739}},
     {"Lo", {0x2EBF0, 0x2EE5D}}, {"Lo", {0x31350, 0x323AF}}, {"Mn", {0x897, 0x897}},     {"Mn", {0xECE, 0xECE}},
     {"Mn", {0x10D69, 0x10D6D}}, {"Mn", {0x10EFC, 0x10EFF}}, {"Mn", {0x11241, 0x11241}}, {"Mn", {0x113BB, 0x113C0}},
     {"Mn", {0x113CE, 0x113CE}}, {"Mn", {0x113D0, 0x113D0}}, {"Mn", {0x113D2, 0x113D2}}, {"Mn", {0x113E1, 0x113E2}},
     {"Mn", {0x11F00, 0x11F01}}, {"Mn", {0x11F36, 0x11F3A}}, {"Mn", {0x11F40, 0x11F40}}, {"Mn", {0x11F42, 0x11F42}},
     {"Mn", {0x11F5A, 0x11F5A}}, {"Mn", {0x13440, 0x13440}}, {"Mn", {0x13447, 0x13455}}, {"Mn", {0x1611E, 0x16129}},
     {"Mn", {0x1612D, 0x1612F}}, {"Mn", {0x1E08F, 0x1E08F}}, {"Mn", {0x1E4EC, 0x1E4EF}}, {"Mn", {0x1E5EE, 0x1E5EF}},
     {"Mc", {0xCF3, 0xCF3}},     {"Mc", {0x113B8, 0x113BA}}, {"Mc", {0x113C2, 0x113C2}}, {"Mc", {0x113C5, 0x113C5}},
     {"Mc", {0x113C7, 0x113CA}}, {"Mc", {0x113CC, 0x113CD}}, {"Mc", {0x113CF, 0x113CF}}, {"Mc", {0x1171E, 0x1171E}},
     {"Mc", {0x11F03, 0x11F03}}, {"Mc", {0x11F34, 0x11F35}}, {"Mc", {0x11F3E, 0x11F3F}}, {"Mc", {0x11F41, 0x11F41}},
     {"Mc", {0x1612A, 0x1612C}}, {"Nd", {0x10D40, 0x10D49}}, {"Nd", {0x116D0, 0x116E3}}, {"Nd", {0x11BF0, 0x11BF9}},
     {"Nd", {0x11F50, 0x11F59}}, {"Nd", {0x16130, 0x16139}}, {"Nd", {0x16D70, 0x16D79}}, {"Nd", {0x1CCF0, 0x1CCF9}},
     {"Nd", {0x1E4F0, 0x1E4F9}}, {"Nd", {0x1E5F1, 0x1E5FA}}, {"No", {0x1D2C0, 0x1D2D3}}, {"Pd", {0x10D6E, 0x10D6E}},
     {"Po", {0x1B4E, 0x1B4F}},   {"Po", {0x1B7F, 0x1B7F}},   {"Po", {0x113D4, 0x113D5}}, {"Po", {0x113D7, 0x113D8}},
     {"Po", {0x11B00, 0x11B09}}, {"Po", {0x11BE1, 0x11BE1}}, {"Po", {0x11F43, 0x11F4F}}, {"Po", {0x16D6D, 0x16D6F}},
     {"Po", {0x1E5FF, 0x1E5FF}}, {"Sm", {0x10D8E, 0x10D8F}}, {"So", {0x2427, 0x2429}},   {"So", {0x2FFC, 0x2FFF}},
     {"So", {0x31E4, 0x31E5}},   {"So", {0x31EF, 0x31EF}},   {"So", {0x1CC00, 0x1CCEF}}, {"So", {0x1CD00, 0x1CEB3}},
     {"So", {0x1F6DC, 0x1F6DC}}, {"So", {0x1F774, 0x1F776}}, {"So", {0x1F77B, 0x1F77F}}, {"So", {0x1F7D9, 0x1F7D9}},
     {"So", {0x1F8B2, 0x1F8BB}}, {"So", {0x1F8C0, 0x1F8C1}}, {"So", {0x1FA75, 0x1FA77}}, {"So", {0x1FA87, 0x1FA89}},
     {"So", {0x1FA8F, 0x1FA8F}}, {"So", {0x1FAAD, 0x1FAAF}}, {"So", {0x1FABB, 0x1FABF}}, {"So", {0x1FAC6, 0x1FAC6}},
     {"So", {0x1FACE, 0x1FACF}}, {"So", {0x1FADA, 0x1FADC}}, {"So", {0x1FADF, 0x1FADF}}, {"So", {0x1FAE8, 0x1FAE9}},
     {"So", {0x1FAF7, 0x1FAF8}}, {"So", {0x1FBCB, 0x1FBEF}}, {"Cf", {0x13439, 0x1343F}}}};

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
  static constexpr std::string_view kSpace = R"(\t-\r \x{85}\p{Z})";
  static constexpr std::string_view kNotSpace =
      R"(\x{0}-\x{8}\x{e}-\x{1f}!-\x{84}\x{86}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027})"
      R"(\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{10ffff})";

  struct Group {
    std::size_t begin;  // in out_
    bool is_extended;   // the option x: white space and comments mean nothing
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

  /// Members of a set for the property \p{name}.
  [[nodiscard]] static std::string property(std::string_view name) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kLongNames = {{{"Letter", "L"},
                                                                                          {"Mark", "M"},
                                                                                          {"Number", "N"},
                                                                                          {"Punctuation", "P"},
                                                                                          {"Symbol", "S"},
                                                                                          {"Separator", "Z"},
                                                                                          {"Other", "C"}}};
    for (const auto& [long_name, short_name] : kLongNames) {
      if (name == long_name) name = short_name;
    }
    if (name.size() > 2) return "\\p{sc:" + std::string(name) + "}";
    std::string members = "\\p{" + std::string(name) + "}";
    for (const CategoryAddition& addition : kCategoryAdditions) {
      if (addition.category.starts_with(name)) {
        std::array<char, 32> range{};
        std::snprintf(range.data(), range.size(), "\\x{%x}-\\x{%x}", static_cast<unsigned>(addition.range.first),
                      static_cast<unsigned>(addition.range.second));
        members += range.data();
      }
    }
    return members;
  }
  [[nodiscard]] std::string word() const {
    return property("L") + property("M") + property("Nd") + property("Nl") + property("Pc") +
           (is_rust_ ? R"(\x{200c}\x{200d})" : R"(\x{b2}\x{b3}\x{b9}\x{bc}-\x{be})") +
           R"(\x{24b6}-\x{24e9}\x{1f130}-\x{1f149}\x{1f150}-\x{1f169}\x{1f170}-\x{1f189})";
  }

  /// Reads an escape that stands for a set of characters, behind its backslash; false if it is another one.
  [[nodiscard]] bool set_escape(Set& set) {
    const char c = next();
    switch (c) {
      case 'h':
      case 'H':
        set.members = "0-9a-fA-F";
        break;
      case 's':
      case 'S':
        set.members = kSpace;
        break;
      case 'd':
      case 'D':
        set.members = property("Nd");
        break;
      case 'w':
      case 'W':
        set.members = word();
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
      if (name.empty() ||
          name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_") != name.npos) {
        refuse("such a property");
      }
      set.members = property(name);
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
    if (set_escape(set)) return set.as_pattern();
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
        const std::string in = "[" + word() + "]";
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
        } else if (set_escape(escape)) {
          begin_class();
          if (escape.negated) {
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
    if (is_rust_) refuse("the class [:" + std::string(name) + ":]");
    if (name == "space") {
      part.members += kSpace;
    } else if (name == "digit") {
      part.members += property("Nd");
    } else if (name == "word") {
      part.members += word();
    } else if (name == "upper" || name == "lower") {
      part.members += property(name == "upper" ? "Lu" : "Ll");
    } else if (name == "punct") {
      part.members += property("P") + property("S");
    } else if (name == "xdigit") {
      part.members += "0-9a-fA-F";
    } else {
      refuse("the class [:" + std::string(name) + ":]");
    }
  }

  /// Reads the beginning of a group. Ruby's option m is Perl's s.
  void open_group() {
    groups_.push_back({out_.size(), is_extended(), false});
    out_ += '(';
    ++at_;
    if (next() == '*') refuse("(*");
    if (next() != '?') return;
    out_ += '?';
    ++at_;
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
