/// \file
/// BERT's normalisation of a text before it is split into words: cleaning, spaces around Chinese characters, stripping
/// accents, lower case. Needs utf8proc.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/text/character_classes.hpp"
#include "rapt/text/normalized_text.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

struct BertNormalization {
  bool clean_text, separate_chinese, strip_accents, lowercase;
};

/// Normalises UTF-8 text in these steps: control and format characters are removed and white space becomes a space;
/// each Chinese character gets a space on both sides; characters are decomposed canonically and nonspacing marks
/// removed; each character is converted to lower case.
class BertNormalizer {
 public:
  /// The combining marks since the last other character, which are sorted when the next other character comes.
  struct Work {
    struct Mark {
      std::int32_t value;
      int combining_class;
      bool is_first;  // it is the first part of a character's decomposition
    };
    std::vector<Mark> marks;
    std::vector<std::size_t> origins;  // of the marks that are first parts
    std::size_t last_origin = 0;
  };

  BertNormalizer(const BertNormalization& steps, CharacterClasses classes) : steps_(steps), classes_(classes) {
    for (std::size_t i = 0; i < ascii_.size(); ++i) {
      const auto value = static_cast<std::int32_t>(i);
      const bool is_space = value == '\t' || value == '\n' || value == '\r';
      ascii_[i] = static_cast<char>(steps_.lowercase ? lower(value) : value);
      keeps_[i] = 1;
      if (!steps_.clean_text) continue;
      if (is_space) ascii_[i] = ' ';
      keeps_[i] = is_space || (classes_[value] & kRemoved) == 0 ? 1 : 0;
    }
  }

  /// Normalises `text` into `out`, which is overwritten.
  void operator()(std::string_view text, Work& work, NormalizedText& out) const {
    out.clear();
    work.last_origin = 0;
    for (std::size_t i = 0; i < text.size();) {
      if (const auto byte = static_cast<unsigned char>(text[i]); byte < 0x80) {
        if (!work.marks.empty()) {
          if (keeps_[byte] == 0) {  // It is removed, and the marks on both sides of it are one run.
            ++i;
            continue;
          }
          flush(work, out);
        }
        i = copy_ascii(text, i, work, out);
        continue;
      }
      const CodePoint point = known_code_point_at(text, i);
      const std::uint8_t classes = classes_[point.value];
      const std::size_t origin = i;
      i += point.length;
      if (steps_.clean_text && (classes & (kRemoved | kSpace)) != 0) {
        if ((classes & kRemoved) != 0) continue;
        flush(work, out);
        emit(' ', origin, work, out);
        continue;
      }
      const bool apart = steps_.separate_chinese && (classes & kIdeograph) != 0;
      if (apart) {
        flush(work, out);
        emit(' ', origin, work, out);
      }
      if ((classes & kChanges) != 0) {
        add_changing(point.value, origin, work, out);
      } else {
        flush(work, out);
        work.last_origin = origin;
        if (!steps_.strip_accents || (classes & kMark) == 0) {
          out.append(text.substr(origin, point.length), origin);
        }
      }
      if (apart) {
        flush(work, out);
        emit(' ', origin, work, out);
      }
    }
    flush(work, out);
  }

 private:
  /// Appends a character that is its own decomposition and lower case.
  static void emit(char character, std::size_t origin, Work& work, NormalizedText& out) {
    work.last_origin = origin;
    out.append({&character, 1}, origin);
  }

  /// Appends the ASCII characters from `begin` on and returns where they end.
  [[nodiscard]] std::size_t copy_ascii(std::string_view text, std::size_t begin, Work& work,
                                       NormalizedText& out) const {
    std::size_t end = begin + 1;
    while (end < text.size() && static_cast<unsigned char>(text[end]) < 0x80) ++end;
    std::size_t size = out.text.size();
    out.text.resize(size + (end - begin));
    if (out.with_origins) out.origins.resize(out.text.size());
    for (std::size_t i = begin; i < end; ++i) {
      const auto byte = static_cast<unsigned char>(text[i]);
      out.text[size] = ascii_[byte];
      if (out.with_origins) out.origins[size] = i;
      size += keeps_[byte];
      if (keeps_[byte] != 0) work.last_origin = i;
    }
    out.text.resize(size);
    if (out.with_origins) out.origins.resize(size);
    return end;
  }

  void add_changing(std::int32_t value, std::size_t origin, Work& work, NormalizedText& out) const {
    if (!steps_.strip_accents) {
      work.last_origin = origin;
      append_lower(value, origin, out);
      return;
    }
    std::array<std::int32_t, 8> parts{};
    const std::size_t count = decompose(value, parts);
    for (std::size_t i = 0; i < count; ++i) {
      const int order = combining_class(parts[i]);
      if (order != 0) {
        work.marks.push_back({parts[i], order, i == 0});
        if (i == 0) work.origins.push_back(origin);
        continue;
      }
      flush(work, out);
      if (i == 0) work.last_origin = origin;
      append_stripped(parts[i], work.last_origin, out);
    }
  }

  /// Appends the waiting marks in the order of their combining classes. The first parts of decompositions have the
  /// origins of the original characters in their original order; other parts have the origin of the character before
  /// them.
  void flush(Work& work, NormalizedText& out) const {
    if (work.marks.empty()) return;
    std::stable_sort(work.marks.begin(), work.marks.end(),
                     [](const Work::Mark& a, const Work::Mark& b) { return a.combining_class < b.combining_class; });
    std::size_t next = 0;
    for (const Work::Mark& mark : work.marks) {
      if (mark.is_first) work.last_origin = work.origins[next++];
      append_stripped(mark.value, work.last_origin, out);
    }
    work.marks.clear();
    work.origins.clear();
  }

  void append_stripped(std::int32_t value, std::size_t origin, NormalizedText& out) const {
    if ((classes_[value] & kMark) == 0) append_lower(value, origin, out);
  }
  void append_lower(std::int32_t value, std::size_t origin, NormalizedText& out) const {
    const std::size_t before = out.text.size();
    if (steps_.lowercase && value == 0x130) {
      out.text += "i\xCC\x87";
    } else {
      append_code_point(out.text, steps_.lowercase ? lower(value) : value);
    }
    if (out.with_origins) out.origins.insert(out.origins.end(), out.text.size() - before, origin);
  }

  BertNormalization steps_;
  CharacterClasses classes_;
  std::array<char, 128> ascii_{};
  std::array<std::uint8_t, 128> keeps_{};
};

}}}  // namespace rapt::RAPT_ABI::detail
