/// \file
/// Unicode's normal forms NFC, NFD, NFKC and NFKD (Unicode Standard Annex 15), as of Unicode 9, which Hugging Face's
/// tokenizers package uses. Needs utf8proc.
#pragma once

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/first_use.hpp"
#include "rapt/core/index.hpp"
#include "rapt/text/character_classes.hpp"
#include "rapt/text/key_table.hpp"
#include "rapt/text/normalized_text.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The normal form of Unicode that a text is brought to.
struct NormalFormOptions {
  bool composed = true;     ///< NFC and NFKC: characters and their marks are composed
  bool compatible = false;  ///< NFKC and NFKD: compatible characters become the same
};

namespace detail {

/// Characters with a compatibility decomposition that are newer than Unicode 9.
[[nodiscard]] inline bool is_new_compatible(std::int32_t value) {
  constexpr std::array<CodePointRange, 11> kNew = {{{0x32FF, 0x32FF},
                                                    {0xA7F1, 0xA7F4},
                                                    {0xAB69, 0xAB69},
                                                    {0x10781, 0x10785},
                                                    {0x10787, 0x107B0},
                                                    {0x107B2, 0x107BA},
                                                    {0x11938, 0x11938},
                                                    {0x1CCD6, 0x1CCF9},
                                                    {0x1E030, 0x1E06D},
                                                    {0x1F16C, 0x1F16C},
                                                    {0x1FBF0, 0x1FBF9}}};
  return is_in(kNew, value);
}

/// The longest decomposition has 18 characters (U+FDFA).
using Decomposition = std::array<std::int32_t, 18>;

/// The full decomposition; returns the number of its code points.
[[nodiscard]] inline std::size_t decompose_fully(std::int32_t value, bool compatible, Decomposition& parts) {
  parts[0] = value;
  if (value < 0xA0 || is_in(kNewDecompositions, value) || (compatible && is_new_compatible(value))) return 1;
  int boundary = 0;
  const utf8proc_ssize_t count = utf8proc_decompose_char(
      value, parts.data(), static_cast<utf8proc_ssize_t>(parts.size()),
      static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE | (compatible ? UTF8PROC_COMPAT : 0)),
      &boundary);
  if (count >= 1 && count <= std::ssize(parts)) return to_size(count);
  parts[0] = value;
  return 1;
}

/// The primary composites: the character that each pair of characters is composed to.
class Compositions {
 public:
  /// The composed character, or -1.
  [[nodiscard]] std::int32_t compose(std::int32_t first, std::int32_t second) const {
    constexpr std::int32_t kL = 0x1100, kV = 0x1161, kT = 0x11A7, kS = 0xAC00;  // Hangul's parts and syllables
    if (first >= kL && first < kL + 19 && second >= kV && second < kV + 21) {
      return kS + ((first - kL) * 21 + (second - kV)) * 28;
    }
    if (first >= kS && first < kS + 11172 && (first - kS) % 28 == 0 && second > kT && second < kT + 28) {
      return first + second - kT;
    }
    const std::int32_t* found = table_->find(pair_key(first, second));
    return found == nullptr ? -1 : *found;
  }

 private:
  [[nodiscard]] static const KeyTable<std::int32_t>* shared() {
    static constinit FirstUse<KeyTable<std::int32_t>> table;
    return &table.get([] {
      auto pairs = std::make_unique<KeyTable<std::int32_t>>();
      std::map<std::vector<std::int32_t>, std::int32_t> composites;  // by their full decompositions
      for (std::int32_t value = 0xA0; value < 0x30000; ++value) {
        Decomposition parts{};
        const std::size_t count = decompose_fully(value, false, parts);
        if (count < 2 || (value >= 0xAC00 && value <= 0xD7A3)) continue;
        // What is excluded from composition does not become itself again.
        std::array<std::int32_t, 19> again{};
        std::copy_n(parts.begin(), count, again.begin());
        if (utf8proc_normalize_utf32(again.data(), static_cast<utf8proc_ssize_t>(count),
                                     static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE)) == 1 &&
            again[0] == value) {
          composites[{parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(count)}] = value;
        }
      }
      for (const auto& [parts, value] : composites) {
        const std::vector<std::int32_t> head(parts.begin(), parts.end() - 1);
        const auto first = head.size() == 1 ? composites.end() : composites.find(head);
        if (head.size() > 1 && first == composites.end()) continue;
        pairs->try_emplace(pair_key(head.size() == 1 ? head[0] : first->second, parts.back()), value);
      }
      return pairs;
    });
  }

  const KeyTable<std::int32_t>* table_ = shared();
};

/// Brings texts to a normal form.
class NormalForm {
 public:
  explicit NormalForm(const NormalFormOptions& options) : options_(options) {}

  struct Part {
    std::int32_t value;
    int combining_class;
    std::int32_t taken;  // how many characters of the text it takes the place of; 0 for what is put in
  };
  struct Work {
    std::vector<Part> pending, marks;
  };

  /// False if the text is in the normal form and `out` was left as it is.
  [[nodiscard]] bool operator()(std::string_view text, Work& work, NormalizedText& out) const {
    const std::size_t plain = inert_end(text, 0);
    if (plain == text.size()) return false;
    out.clear();
    work.pending.clear();
    work.marks.clear();
    State state{TextChange(text, out), work, {}, false, -1};
    for (std::size_t i = 0; i < text.size();) {
      if (const std::size_t end = inert_end(text, i); end > i) {
        // The last of these characters may compose with what follows.
        const std::size_t last = previous_code_point(text, end);
        if (last > i) {
          end_run(state);
          state.change.keep(last - i);
        }
        i = last;
      }
      const CodePoint point = known_code_point_at(text, i);
      i += point.length;
      Decomposition parts{};
      const std::size_t count = decompose_fully(point.value, options_.compatible, parts);
      for (std::size_t k = 0; k < count; ++k) {
        const int order = parts[k] < 0x300 ? 0 : combining_class(parts[k]);
        if (order == 0) order_pending(state);
        work.pending.push_back({parts[k], order, k == 0 ? 1 : 0});
        if (order == 0) order_pending(state);
      }
    }
    end_run(state);
    return true;
  }

 private:
  struct State {
    TextChange change;
    Work& work;
    Part composed;  // the last character without a combining class
    bool has_composed;
    int last_class;  // of the marks that wait behind it; -1 without such
  };

  /// The offset behind the characters from `begin` on that no normal form changes, nor composes with one another.
  [[nodiscard]] std::size_t inert_end(std::string_view text, std::size_t begin) const {
    const std::int32_t limit = options_.compatible ? 0xA0 : options_.composed ? 0x300 : 0xC0;
    for (;;) {
      begin = ascii_end(text, begin);
      if (begin == text.size()) return begin;
      const CodePoint point = known_code_point_at(text, begin);
      if (point.value >= limit) return begin;
      begin += point.length;
    }
  }

  static void emit(State& state, const Part& part) {
    if (part.taken == 0) {
      state.change.insert(part.value);
    } else {
      state.change.replace(part.value, to_size(part.taken - 1));
    }
  }
  /// Sorts the pending characters by their combining classes and hands them on.
  void order_pending(State& state) const {
    auto& pending = state.work.pending;
    if (pending.size() > 1) {
      std::stable_sort(pending.begin(), pending.end(),
                       [](const Part& a, const Part& b) { return a.combining_class < b.combining_class; });
    }
    for (const Part& part : pending) {
      if (options_.composed) {
        compose(state, part);
      } else {
        emit(state, part);
      }
    }
    pending.clear();
  }
  void compose(State& state, const Part& part) const {
    if (!state.has_composed) {
      if (part.combining_class != 0) return emit(state, part);
      state.composed = part;
      state.has_composed = true;
      return;
    }
    const bool is_blocked = state.last_class >= part.combining_class;
    if (!is_blocked) {
      if (const std::int32_t value = compositions_.compose(state.composed.value, part.value); value >= 0) {
        state.composed.value = value;
        state.composed.taken += part.taken;
        return;
      }
    }
    if (part.combining_class == 0) {
      flush(state);
      state.composed = part;
      state.has_composed = true;
      return;
    }
    state.work.marks.push_back(part);
    state.last_class = part.combining_class;
  }
  static void flush(State& state) {
    if (state.has_composed) emit(state, state.composed);
    for (const Part& mark : state.work.marks) emit(state, mark);
    state.work.marks.clear();
    state.has_composed = false;
    state.last_class = -1;
  }
  void end_run(State& state) const {
    order_pending(state);
    flush(state);
  }

  NormalFormOptions options_;
  Compositions compositions_;
};

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
