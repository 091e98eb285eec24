/// \file
/// The pre-tokenizers of tokenizer.json: they split a normalised text, step by step (pre_tokenizer_steps.hpp), into
/// words, within which a model finds tokens. Needs utf8proc and PCRE2.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/text/byte_level_split.hpp"
#include "rapt/text/character_classes.hpp"
#include "rapt/text/encoding.hpp"
#include "rapt/text/normalized_text.hpp"
#include "rapt/text/normalizer.hpp"
#include "rapt/text/pattern.hpp"
#include "rapt/text/piece_cutter.hpp"
#include "rapt/text/pre_tokenizer_steps.hpp"
#include "rapt/text/scripts.hpp"
#include "rapt/text/unicode.hpp"
#include "rapt/text/word_characters.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Applies steps one after the other, each to the pieces of the one before. Many threads may use one object, each with
/// a Work of its own.
class PreTokenizer {
 public:
  struct Work {
    NormalizedText texts[3];
    std::vector<TextSpan> pieces, next;
    Pattern::Work matching;
  };
  /// Pieces of a text that is the given one, byte for byte, if there are no origins.
  struct Result {
    std::string_view text;
    const std::vector<std::size_t>* origins;
    std::span<const TextSpan> pieces;
  };

  explicit PreTokenizer(std::vector<PreTokenizerStep> steps) : steps_(std::move(steps)) {
    for (const PreTokenizerStep& step : steps_) {
      const auto* split = std::get_if<PatternSplit>(&step);
      known_.push_back(split == nullptr ? std::nullopt : known_pattern(*split));
      if (const auto* metaspace = std::get_if<MetaspaceSplit>(&step)) {
        needs_origins_ = needs_origins_ || metaspace->prepend == MetaspaceSplit::Prepend::first;
      }
      if (const auto* fixed = std::get_if<FixedLengthSplit>(&step)) {
        require(fixed->length >= 1, "pre_tokenizer", "the length of pieces must be positive: ", fixed->length);
      }
    }
  }

  /// True if `begins_text` is asked, so that the origins of the given text must be known.
  [[nodiscard]] bool needs_origins() const { return needs_origins_; }

  /// Splits a text that is not empty; `begins_text(i)` tells whether its byte i comes from the beginning of the whole
  /// text. The result stays valid until the next call with the same work.
  template <class BeginsText>
  [[nodiscard]] Result operator()(std::string_view text, bool with_origins, const BeginsText& begins_text,
                                  Work& work) const {
    work.pieces.assign(1, {0, text.size()});
    State state{text, nullptr, with_origins || needs_origins_, 0, {}, work};
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      state.known = known_[i];
      std::visit([&](const auto& step) { apply(step, begins_text, state); }, steps_[i]);
    }
    return {state.text, state.origins, work.pieces};
  }

 private:
  struct State {
    std::string_view text;
    const std::vector<std::size_t>* origins;
    bool with_origins;
    std::size_t next_text;
    std::optional<ByteLevelPattern> known;  // of the step that is applied
    Work& work;
  };

  /// Calls split(begin, end, cutter) for each piece, which gives the cutter the matches in it.
  template <class Split>
  static void split_pieces(SplitBehavior behavior, bool invert, State& state, const Split& split) {
    Work& work = state.work;
    work.next.clear();
    for (const TextSpan& piece : work.pieces) {
      PieceCutter cutter(piece.begin, behavior, work.next);
      split(piece.begin, piece.end, cutter);
      cutter.finish(piece.end, invert);
    }
    work.pieces.swap(work.next);
  }
  /// Splits at the characters for which is_match(value) is true.
  template <class IsMatch>
  static void split_at(SplitBehavior behavior, State& state, const IsMatch& is_match) {
    split_pieces(behavior, false, state, [&](std::size_t begin, std::size_t end, PieceCutter& cutter) {
      for (std::size_t i = begin; i < end;) {
        const CodePoint point = known_code_point_at(state.text, i);
        if (is_match(point.value)) cutter.match(i, i + point.length, false);
        i += point.length;
      }
    });
  }
  /// Writes another text: write(begin, end, out) appends what becomes of each piece, which is a piece again.
  template <class Write>
  static void rewrite(State& state, const Write& write) {
    NormalizedText& out = state.work.texts[state.next_text];
    state.next_text = (state.next_text + 1) % 3;
    out.with_origins = state.with_origins;
    out.clear();
    for (TextSpan& piece : state.work.pieces) {
      const std::size_t begin = out.text.size();
      write(piece.begin, piece.end, out);
      piece = {begin, out.text.size()};
    }
    if (out.with_origins && state.origins != nullptr) out.compose(*state.origins);
    state.text = out.text;
    state.origins = &out.origins;
  }

  template <class BeginsText>
  void apply(const WhiteSpaceSplit&, const BeginsText&, State& state) const {
    split_at(SplitBehavior::removed, state, [&](std::int32_t value) { return (classes_[value] & kSpace) != 0; });
  }
  template <class BeginsText>
  void apply(const WordSplit&, const BeginsText&, State& state) const {
    Work& work = state.work;
    work.next.clear();
    for (const TextSpan& piece : work.pieces) {
      std::size_t begin = piece.begin;
      int kind = 0;  // of the characters from `begin` on: 0 white space, 1 word, 2 other
      for (std::size_t i = piece.begin; i < piece.end;) {
        const CodePoint point = known_code_point_at(state.text, i);
        const int next = words_.contains(point.value) ? 1 : (classes_[point.value] & kSpace) != 0 ? 0 : 2;
        if (next != kind) {
          if (kind != 0) work.next.push_back({begin, i});
          begin = i;
          kind = next;
        }
        i += point.length;
      }
      if (kind != 0) work.next.push_back({begin, piece.end});
    }
    work.pieces.swap(work.next);
  }
  template <class BeginsText>
  void apply(const BertSplit&, const BeginsText&, State& state) const {
    Work& work = state.work;
    work.next.clear();
    for (const TextSpan& piece : work.pieces) {
      std::size_t begin = piece.begin;
      for (std::size_t i = piece.begin; i < piece.end;) {
        const CodePoint point = known_code_point_at(state.text, i);
        const std::size_t next = i + point.length;
        if (const std::uint8_t classes = classes_[point.value]; (classes & (kSpace | kPunctuation)) != 0) {
          if (i > begin) work.next.push_back({begin, i});
          if ((classes & kSpace) == 0) work.next.push_back({i, next});
          begin = next;
        }
        i = next;
      }
      if (piece.end > begin) work.next.push_back({begin, piece.end});
    }
    work.pieces.swap(work.next);
  }
  template <class BeginsText>
  void apply(const PunctuationSplit& step, const BeginsText&, State& state) const {
    split_at(step.behavior, state, [&](std::int32_t value) { return (classes_[value] & kPunctuation) != 0; });
  }
  template <class BeginsText>
  void apply(const DigitSplit& step, const BeginsText&, State& state) const {
    split_at(step.individual ? SplitBehavior::isolated : SplitBehavior::contiguous, state,
             [&](std::int32_t value) { return is_numeric(classes_, value); });
  }
  template <class BeginsText>
  void apply(const DelimiterSplit& step, const BeginsText&, State& state) const {
    split_at(SplitBehavior::removed, state, [&](std::int32_t value) { return value == step.delimiter; });
  }
  template <class BeginsText>
  void apply(const FixedLengthSplit& step, const BeginsText&, State& state) const {
    Work& work = state.work;
    work.next.clear();
    for (const TextSpan& piece : work.pieces) {
      for (std::size_t begin = piece.begin; begin < piece.end;) {
        std::size_t end = begin;
        for (Index i = 0; i < step.length && end < piece.end; ++i) end += known_code_point_at(state.text, end).length;
        work.next.push_back({begin, end});
        begin = end;
      }
    }
    work.pieces.swap(work.next);
  }
  template <class BeginsText>
  void apply(const PatternSplit& step, const BeginsText&, State& state) const {
    if (state.known) return split_by(*state.known, state);
    split_pieces(step.behavior, step.invert, state, [&](std::size_t begin, std::size_t end, PieceCutter& cutter) {
      step.pattern.for_each_match(
          state.text.substr(begin, end - begin), state.work.matching,
          [&](std::size_t from, std::size_t to) { cutter.match(begin + from, begin + to, step.invert); });
    });
  }
  template <class BeginsText>
  void apply(const MetaspaceSplit& step, const BeginsText& begins_text, State& state) const {
    std::string replacement;
    append_code_point(replacement, step.replacement);
    const std::string_view text = state.text;
    const std::vector<std::size_t>* origins = state.origins;
    rewrite(state, [&](std::size_t begin, std::size_t end, NormalizedText& out) {
      const std::string_view piece = text.substr(begin, end - begin);
      const bool has_prefix = piece.starts_with(' ') || piece.starts_with(replacement);
      if (!has_prefix && (step.prepend == MetaspaceSplit::Prepend::always ||
                          (step.prepend == MetaspaceSplit::Prepend::first &&
                           begins_text(origins == nullptr ? begin : (*origins)[begin])))) {
        out.append(replacement, begin);
      }
      const std::string_view up_to_end = text.substr(0, end);
      for (std::size_t i = begin; i < end;) {
        const std::size_t space = std::min(up_to_end.find(' ', i), end);
        if (space > i) out.copy(text, i, space);
        if (space < end) out.append(replacement, space);
        i = space + 1;
      }
    });
    if (!step.split) return;
    split_pieces(SplitBehavior::merged_with_next, false, state,
                 [&](std::size_t begin, std::size_t end, PieceCutter& cutter) {
                   const std::string_view piece = state.text.substr(0, end);
                   for (std::size_t at = piece.find(replacement, begin); at != piece.npos;
                        at = piece.find(replacement, at + replacement.size())) {
                     cutter.match(at, at + replacement.size(), false);
                   }
                 });
  }
  template <class BeginsText>
  void apply(const ByteLevelSplit& step, const BeginsText&, State& state) const {
    if (step.add_prefix_space) {
      const std::string_view text = state.text;
      rewrite(state, [&](std::size_t begin, std::size_t end, NormalizedText& out) {
        if (text[begin] != ' ') out.append(" ", begin);
        out.copy(text, begin, end);
      });
    }
    if (step.use_pattern) split_by(ByteLevelPattern::gpt2, state);
    const std::string_view text = state.text;
    rewrite(state,
            [&](std::size_t begin, std::size_t end, NormalizedText& out) { append_byte_names(text, begin, end, out); });
  }
  template <class BeginsText>
  void apply(const ScriptSplit&, const BeginsText&, State& state) const {
    const Scripts scripts;
    Work& work = state.work;
    work.next.clear();
    for (const TextSpan& piece : work.pieces) {
      std::size_t begin = piece.begin;
      std::uint8_t script = Scripts::kNone;  // of the characters from `begin` on
      for (std::size_t i = piece.begin; i < piece.end;) {
        const CodePoint point = known_code_point_at(state.text, i);
        if (const std::uint8_t next = scripts[point.value]; next != Scripts::kNone && next != script) {
          if (script != Scripts::kNone) work.next.push_back({begin, i});
          begin = i;
          script = next;
        }
        i += point.length;
      }
      if (script != Scripts::kNone) work.next.push_back({begin, piece.end});
    }
    work.pieces.swap(work.next);
  }
  void split_by(ByteLevelPattern pattern, State& state) const {
    Work& work = state.work;
    work.next.clear();
    for (const TextSpan& piece : work.pieces) {
      splitter_.split(state.text.substr(piece.begin, piece.end - piece.begin), pattern,
                      [&](std::size_t begin, std::size_t end) {
                        work.next.push_back({piece.begin + begin, piece.begin + end});
                      });
    }
    work.pieces.swap(work.next);
  }

  std::vector<PreTokenizerStep> steps_;
  std::vector<std::optional<ByteLevelPattern>> known_;  // of each step
  bool needs_origins_ = false;
  CharacterClasses classes_;
  WordCharacters words_;
  PieceSplitter splitter_{classes_};
};

}}}  // namespace rapt::RAPT_ABI::detail
