/// \file
/// The normalisers of tokenizer.json: the steps that change a text before it is split into words. Needs utf8proc and
/// PCRE2.
#pragma once

#include <utf8proc.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/text/bert_normalizer.hpp"
#include "rapt/text/byte_level_names.hpp"
#include "rapt/text/character_classes.hpp"
#include "rapt/text/character_map.hpp"
#include "rapt/text/normal_form.hpp"
#include "rapt/text/normalized_text.hpp"
#include "rapt/text/pattern.hpp"
#include "rapt/text/unicode.hpp"
#include "rapt/text/word_characters.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Each character becomes lower case by itself.
struct LowercaseStep {};
/// Removes the white space at the ends.
struct StripStep {
  bool left = true, right = true;  ///< at the beginning, and at the end
};
/// Removes combining marks. (To strip accents, decompose first.)
struct StripMarksStep {};
/// Removes control characters, and makes a space of others and of what has no width, as SentencePiece's "nmt" does.
struct NmtStep {};
/// Each byte becomes the character that stands for it in byte-level vocabularies (byte_level_names.hpp).
struct ByteNamesStep {};
/// Puts a text before any text that is not empty.
struct PrependStep {
  std::string text;
};
/// Replaces whatever matches.
struct ReplaceStep {
  Pattern pattern;      ///< what is looked for
  std::string content;  ///< what takes its place
};
/// Replaces short sequences of characters by the compiled rules of SentencePiece (character_map.hpp).
struct PrecompiledStep {
  std::string rules;  ///< bytes
};
/// BERT's normalisation (bert_normalizer.hpp). `strip_accents` is as the file has it: without it, `lowercase` counts.
struct BertStep {
  /// Removes control characters; makes each Chinese character a word.
  bool clean_text = true, separate_chinese = true;
  std::optional<bool> strip_accents = {};
  bool lowercase = true;
};

/// One step of a normalizer; a tokenizer runs its steps one after the other.
using NormalizerStep = std::variant<NormalFormOptions, LowercaseStep, StripStep, StripMarksStep, NmtStep, ByteNamesStep,
                                    PrependStep, ReplaceStep, PrecompiledStep, BertStep>;

namespace detail {

/// Writes a text in which whatever matches is replaced. Nothing matches in an empty text. False if nothing matches:
/// then `out` stays as it is.
inline bool replace_matches(const ReplaceStep& step, std::string_view text, Pattern::Work& work, NormalizedText& out) {
  if (text.empty()) return false;
  std::size_t done = 0;
  bool is_changed = false;
  step.pattern.for_each_match(text, work, [&](std::size_t begin, std::size_t end) {
    if (!is_changed) out.clear();
    is_changed = true;
    out.copy(text, done, begin);
    out.append(step.content, end == 0 ? NormalizedText::kNowhere : previous_code_point(text, end));
    done = end;
  });
  if (is_changed) out.copy(text, done, text.size());
  return is_changed;
}

/// The end of the sequence of characters from `begin` on that a user sees as one (Unicode Standard Annex 29).
[[nodiscard]] inline std::size_t grapheme_end(std::string_view text, std::size_t begin) {
  CodePoint point = known_code_point_at(text, begin);
  std::int32_t state = 0;
  for (std::size_t i = begin + point.length; i < text.size(); i += point.length) {
    const CodePoint next = known_code_point_at(text, i);
    if (utf8proc_grapheme_break_stateful(point.value, next.value, &state)) return i;
    point = next;
  }
  return text.size();
}

/// Appends the character in lower case, which is two characters for U+0130.
inline void change_to_lower(TextChange& change, std::int32_t value) {
  if (value == 0x130) {
    change.replace('i');
    change.insert(0x307);
  } else {
    change.replace(lower(value));
  }
}

/// Appends the characters that stand for the bytes text[begin, end).
inline void append_byte_names(std::string_view text, std::size_t begin, std::size_t end, NormalizedText& out) {
  std::size_t origin = begin;
  for (std::size_t i = begin; i < end; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xC0u) != 0x80u) origin = i;
    const std::int32_t value = kByteCharacters.of_byte[byte];
    if (value < 0x80) {
      const char character = static_cast<char>(value);
      out.append({&character, 1}, origin);
    } else {
      const char characters[2] = {static_cast<char>(0xC0 | (value >> 6)), static_cast<char>(0x80 | (value & 0x3F))};
      out.append({characters, 2}, origin);
    }
  }
}

/// Applies steps one after the other. Many threads may use one object, each with a Work of its own.
class Normalizer {
 public:
  struct Work {
    NormalizedText texts[2];
    NormalForm::Work form;
    BertNormalizer::Work bert;
    Pattern::Work matching;
  };
  /// A normalised text; without origins it is the original text, byte for byte.
  struct Result {
    std::string_view text;
    const std::vector<std::size_t>* origins;
    bool is_original;
  };

  explicit Normalizer(const std::vector<NormalizerStep>& steps) {
    for (const NormalizerStep& step : steps) {
      if (const auto* form = std::get_if<NormalFormOptions>(&step)) {
        steps_.emplace_back(NormalForm(*form));
      } else if (const auto* bert = std::get_if<BertStep>(&step)) {
        steps_.emplace_back(BertNormalizer(
            {bert->clean_text, bert->separate_chinese, bert->strip_accents.value_or(bert->lowercase), bert->lowercase},
            CharacterClasses{}));
      } else if (const auto* precompiled = std::get_if<PrecompiledStep>(&step)) {
        steps_.emplace_back(CharacterMap(precompiled->rules));
      } else {
        std::visit(
            [&](const auto& other) {
              if constexpr (std::is_constructible_v<Step, decltype(other)>) steps_.emplace_back(other);
            },
            step);
      }
    }
  }

  [[nodiscard]] bool empty() const { return steps_.empty(); }

  /// The result stays valid until the next call with the same work.
  [[nodiscard]] Result operator()(std::string_view text, bool with_origins, Work& work) const {
    Result result{text, nullptr, true};
    std::size_t next = 0;
    for (const Step& step : steps_) {
      NormalizedText& out = work.texts[next];
      out.with_origins = with_origins;
      const bool is_changed = std::visit([&](const auto& one) { return apply(one, result.text, work, out); }, step);
      if (!is_changed) continue;
      if (with_origins && !result.is_original) out.compose(*result.origins);
      result = {out.text, &out.origins, false};
      next = 1 - next;
    }
    return result;
  }

 private:
  using Step = std::variant<NormalForm, LowercaseStep, StripStep, StripMarksStep, NmtStep, ByteNamesStep, PrependStep,
                            ReplaceStep, CharacterMap, BertNormalizer>;

  // Each function returns false if it leaves the text as it is; then `out` may hold anything.

  [[nodiscard]] static bool apply(const NormalForm& form, std::string_view text, Work& work, NormalizedText& out) {
    return form(text, work.form, out);
  }
  [[nodiscard]] static bool apply(const BertNormalizer& bert, std::string_view text, Work& work, NormalizedText& out) {
    bert(text, work.bert, out);
    return true;
  }
  /// A sequence that a user sees as one character is replaced as a whole if it has less than six bytes and a rule
  /// begins it, else character by character. Of several rules the shortest counts. As in the package, characters that a
  /// replacement has not are taken by the last character before, and by none, so that origins shift, where there is no
  /// such character.
  [[nodiscard]] static bool apply(const CharacterMap& rules, std::string_view text, Work&, NormalizedText& out) {
    out.clear();
    TextChange change(text, out);
    std::int32_t waiting = -1;  // the last character, not written yet
    std::ptrdiff_t taken = 0;   // how many characters it takes the place of
    bool is_changed = false, is_shifted = false;
    const auto flush = [&] {
      if (waiting < 0) return;
      if (taken > 0) {
        change.replace(waiting, to_size(taken - 1));
      } else {
        change.insert(waiting);
      }
    };
    const auto put = [&](std::int32_t value, std::ptrdiff_t takes) {
      flush();
      waiting = value;
      taken = takes;
    };
    const auto replace = [&](std::string_view part, std::string_view replacement) {
      is_changed = true;
      std::ptrdiff_t left = 0;  // characters of the part that are not taken yet
      for (std::size_t i = 0; i < part.size(); i += known_code_point_at(part, i).length) ++left;
      for (std::size_t i = 0; i < replacement.size();) {
        const CodePoint point = known_code_point_at(replacement, i);
        i += point.length;
        put(point.value, left > 0 ? 1 : 0);
        left -= left > 0 ? 1 : 0;
      }
      if (waiting >= 0) taken += left;
      is_shifted = is_shifted || (waiting < 0 && left > 0);
    };
    for (std::size_t begin = 0; begin < text.size();) {
      const auto is_ascii = [&](std::size_t i) {
        return i >= text.size() || static_cast<unsigned char>(text[i]) < 0x80;
      };
      std::size_t end = begin;
      while (end < text.size() && is_ascii(end) && is_ascii(end + 1) &&
             rules.is_unchanged(static_cast<unsigned char>(text[end]))) {
        ++end;
      }
      if (end > begin) {
        for (; is_shifted && begin + 1 < end; ++begin) put(text[begin], 1);
        if (begin + 1 < end) {
          flush();
          waiting = -1;
          change.keep(end - 1 - begin);
        }
        put(text[end - 1], 1);
        begin = end;
        continue;
      }
      end = grapheme_end(text, begin);
      const std::string_view grapheme = text.substr(begin, end - begin);
      const auto whole = grapheme.size() < 6 ? rules.shortest(grapheme) : std::nullopt;
      if (whole) replace(grapheme, whole->replacement);
      for (std::size_t i = 0; !whole && i < grapheme.size();) {
        const CodePoint point = known_code_point_at(grapheme, i);
        const std::string_view part = grapheme.substr(i, point.length);
        i += part.size();
        if (const auto rule = rules.shortest(part)) {
          replace(part, rule->replacement);
        } else {
          put(point.value, 1);
        }
      }
      begin = end;
    }
    flush();
    return is_changed;
  }
  [[nodiscard]] static bool apply(const LowercaseStep&, std::string_view text, Work&, NormalizedText& out) {
    out.clear();
    TextChange change(text, out);
    for (std::size_t i = 0; i < text.size();) {
      std::size_t end = i;
      while (end < text.size() && static_cast<unsigned char>(text[end]) < 0x80 &&
             !(text[end] >= 'A' && text[end] <= 'Z'))
        ++end;
      if (end > i) {
        change.keep(end - i);
        i = end;
        continue;
      }
      const CodePoint point = known_code_point_at(text, i);
      change_to_lower(change, point.value);
      i += point.length;
    }
    return true;
  }
  [[nodiscard]] static bool apply(const StripStep& step, std::string_view text, Work&, NormalizedText& out) {
    std::size_t begin = 0, end = text.size();
    while (step.left && begin < end) {
      const CodePoint point = known_code_point_at(text, begin);
      if (!is_white_space(point.value)) break;
      begin += point.length;
    }
    while (step.right && end > begin) {
      const std::size_t last = previous_code_point(text, end);
      if (!is_white_space(known_code_point_at(text, last).value)) break;
      end = last;
    }
    if (end - begin == text.size()) return false;
    out.clear();
    out.copy(text, begin, end);
    return true;
  }
  /// Calls change(value) for each character: it returns the value itself, an ASCII character to put in its place, or -1
  /// to leave it out.
  template <class Change>
  static void map_characters(std::string_view text, NormalizedText& out, const Change& change) {
    out.clear();
    for (std::size_t i = 0; i < text.size();) {
      const CodePoint point = known_code_point_at(text, i);
      const std::int32_t value = change(point.value);
      if (value == point.value) {
        out.append(text.substr(i, point.length), i);
      } else if (value >= 0) {
        const char byte = static_cast<char>(value);
        out.append({&byte, 1}, i);
      }
      i += point.length;
    }
  }
  [[nodiscard]] static bool apply(const StripMarksStep&, std::string_view text, Work&, NormalizedText& out) {
    if (ascii_end(text, 0) == text.size()) return false;
    map_characters(text, out, [](std::int32_t value) { return is_combining_mark(value) ? -1 : value; });
    return true;
  }
  [[nodiscard]] static bool apply(const NmtStep&, std::string_view text, Work&, NormalizedText& out) {
    map_characters(text, out, [](std::int32_t value) -> std::int32_t {
      if (value == 0x09 || value == 0x0A || value == 0x0C || value == 0x0D || value == 0x1680 ||
          (value >= 0x200B && value <= 0x200F) || value == 0x2028 || value == 0x2029 || value == 0x2581 ||
          value == 0xFEFF || value == 0xFFFD) {
        return ' ';
      }
      const bool is_removed = (value >= 0x01 && value <= 0x1F) || value == 0x7F || value == 0x8F || value == 0x9F;
      return is_removed ? -1 : value;
    });
    return true;
  }
  [[nodiscard]] static bool apply(const ByteNamesStep&, std::string_view text, Work&, NormalizedText& out) {
    out.clear();
    append_byte_names(text, 0, text.size(), out);
    return true;
  }
  [[nodiscard]] static bool apply(const PrependStep& step, std::string_view text, Work&, NormalizedText& out) {
    if (text.empty() || step.text.empty()) return false;
    out.clear();
    out.append(step.text, 0);
    out.copy(text, 0, text.size());
    return true;
  }
  [[nodiscard]] static bool apply(const ReplaceStep& step, std::string_view text, Work& work, NormalizedText& out) {
    return replace_matches(step, text, work.matching, out);
  }

  std::vector<Step> steps_;
};

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
