/// \file
/// Sets of characters in regular expressions, translated for PCRE2 (pattern_syntax.hpp): in brackets, by escapes such
/// as \w and \p{L}, and by names such as [:alpha:].
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/text/pattern_properties.hpp"
#include "rapt/text/pattern_reader.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A set of characters: members as they stand in brackets, and patterns of one character beside them.
struct PatternSet {
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

/// Reads sets of characters.
class PatternSetReader {
 public:
  /// Without regard to case if `ignores_case` is set. `in` must outlive this.
  PatternSetReader(PatternReader& in, bool ignores_case) : in_(in), ignores_case_(ignores_case) {}

  /// Reads an escape that stands for a set of characters, behind its backslash; false if it is another one.
  [[nodiscard]] bool escape(PatternSet& set, bool is_in_set) {
    const char c = in_.next();
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
        set.members = in_.word(is_in_set);
        break;
      case 'N':
        if (in_.is_rust) return false;
        set.members = "\\n";
        break;
      case 'p':
      case 'P':
        break;
      default:
        return false;
    }
    ++in_.place;
    set.negated = (c >= 'A' && c <= 'Z');
    if (c == 'p' || c == 'P') {
      std::string_view name = in_.pattern.substr(in_.place, 1);
      if (in_.next() == '{') {
        const std::size_t end = in_.pattern.find('}', in_.place);
        require(end != in_.pattern.npos, kName, "a property without a closing brace: ", in_.pattern);
        name = in_.pattern.substr(in_.place + 1, end - in_.place - 1);
        in_.place = end + 1;
      } else {
        in_.place += name.size();
      }
      if (name.starts_with('^')) {
        name.remove_prefix(1);
        set.negated = !set.negated;
      }
      add_property(set, name, is_in_set);
    }
    return true;
  }

  /// Reads a set behind its opening bracket.
  [[nodiscard]] PatternSet brackets() {
    require(++depth_ <= 20, kName, "sets are nested too deeply: ", in_.pattern);
    PatternSet all;
    if (in_.next() == '^') {
      all.negated = true;
      ++in_.place;
    }
    std::vector<std::string> conditions;  // of the parts behind &&
    PatternSet part;
    // What a hyphen means depends on what is before it.
    enum class Before { nothing, character, hyphen, other };
    Before before = Before::nothing;
    const auto end_part = [&] {
      if (part.members.empty() && part.patterns.empty()) in_.refuse("an empty set");
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
      if (before == Before::hyphen) in_.refuse("a range that ends with a set");
      before = Before::other;
    };
    for (bool is_first = true;; is_first = false) {
      require(in_.place < in_.pattern.size(), kName, "a set without a closing bracket: ", in_.pattern);
      const char c = in_.pattern[in_.place];
      if (c == ']' && !is_first) {
        ++in_.place;
        break;
      }
      if (c == '[' && in_.next(1) == ':') {
        begin_class();
        posix_class(part);
      } else if (c == '[') {
        begin_class();
        ++in_.place;
        PatternSet inner = brackets();
        if (inner.negated || !inner.patterns.empty()) {
          part.patterns.push_back(inner.as_pattern());
        } else {
          part.members += inner.members;
        }
      } else if (in_.is_rust && (c == '-' || c == '~') && in_.next(1) == c) {
        in_.refuse(std::string(2, c) + " in a set");
      } else if (c == '&' && in_.next(1) == '&') {
        in_.place += 2;
        end_part();
      } else if (c == '\\') {
        ++in_.place;
        PatternSet inner;
        if (in_.next() == 'S') {
          begin_class();
          ++in_.place;
          part.members += kNotSpace;
        } else if (in_.next() == 'b' && !in_.is_rust) {
          ++in_.place;
          add_character("\\x{8}");
        } else if (escape(inner, /*is_in_set=*/true)) {
          begin_class();
          if (inner.negated || !inner.patterns.empty()) {
            part.patterns.push_back(inner.as_pattern());
          } else {
            part.members += inner.members;
          }
        } else {
          add_character(in_.character_escape());
        }
      } else if (c == '-') {
        const bool is_last = in_.next(1) == ']' || (in_.next(1) == '&' && in_.next(2) == '&');
        ++in_.place;
        if (before == Before::character && !is_last) {
          part.members += '-';
          before = Before::hyphen;
        } else {
          add_character("\\-");
        }
      } else {
        add_character((c == ']' || c == '^' ? "\\" : "") + in_.take_character());
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

 private:
  static constexpr const char* kName = PatternReader::kName;
  static constexpr std::string_view kNotSpace =
      R"(\x{0}-\x{8}\x{e}-\x{1f}!-\x{84}\x{86}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027})"
      R"(\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{10ffff})";

  /// Adds the property with a name. Without regard to case, the other cases are added: for Rust everywhere, to the
  /// property before it is negated, and for Oniguruma in brackets alone, to what the negated property is.
  void add_property(PatternSet& set, std::string_view name, bool is_in_set) {
    std::string folded = folded_name(name);
    std::string_view kind;  // "sc" or "gc" in \p{sc=Greek} and \p{gc=Lu}
    if (const std::size_t equals = name.find('='); in_.is_rust && equals != std::string_view::npos) {
      const std::string kind_name = folded_name(name.substr(0, equals));
      folded = folded_name(name.substr(equals + 1));
      if (kind_name == "sc" || kind_name == "script") kind = "sc";
      if (kind_name == "gc" || kind_name == "generalcategory") kind = "gc";
      if (kind.empty() || (kind == "gc" && category_of_name(folded).empty())) in_.refuse("such a property");
    }
    if (folded.empty() || folded.find_first_not_of("abcdefghijklmnopqrstuvwxyz") != std::string_view::npos)
      in_.refuse("such a property");
    set.members += folded == "word" ? in_.word(is_in_set)
                   : kind == "sc"   ? script_members(folded)
                                    : property_members(folded);
    if (!ignores_case_ || !(in_.is_rust || is_in_set)) return;
    const bool adds_to_negated = set.negated && !in_.is_rust;
    const std::string others = other_cases(folded, adds_to_negated);
    if (others.empty()) return;
    if (adds_to_negated) set = {"", {set.as_pattern()}, false};
    set.patterns.push_back(others);
  }

  void posix_class(PatternSet& part) {
    const std::size_t end = in_.pattern.find(":]", in_.place);
    require(end != in_.pattern.npos, kName, "a set without a closing bracket: ", in_.pattern);
    const std::string_view name = in_.pattern.substr(in_.place + 2, end - in_.place - 2);
    in_.place = end + 2;
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
    if (ascii == kAscii.end() || (!in_.is_rust && (name == "graph" || name == "print"))) {
      in_.refuse("the class [:" + std::string(name) + ":]");
    }
    if (in_.is_rust || name == "xdigit") {
      part.members += ascii->second;
    } else if (name == "digit") {
      part.members += category_members("Nd");
    } else if (name == "punct") {
      part.members += category_members("P") + category_members("S");
    } else if (name == "word") {
      part.members += in_.word(/*is_in_set=*/true);
    } else {
      add_property(part, name, /*is_in_set=*/true);
    }
  }

  PatternReader& in_;
  bool ignores_case_;
  int depth_ = 0;
};

}}}  // namespace rapt::RAPT_ABI::detail
