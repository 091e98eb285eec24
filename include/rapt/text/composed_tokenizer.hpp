/// \file
/// A tokenizer made of parts, as tokenizer.json describes it: a normalizer (normalizer.hpp), a pre-tokenizer
/// (pre_tokenizer.hpp), a model (piece_model.hpp) and a decoder (token_decoder.hpp). Needs utf8proc and PCRE2.
///
/// ByteLevelBpe and WordPiece are faster for the parts that they know.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/text/added_tokens.hpp"
#include "rapt/text/character_classes.hpp"
#include "rapt/text/clean_up.hpp"
#include "rapt/text/encoding.hpp"
#include "rapt/text/normalized_text.hpp"
#include "rapt/text/normalizer.hpp"
#include "rapt/text/piece_model.hpp"
#include "rapt/text/pre_tokenizer.hpp"
#include "rapt/text/text_encoder.hpp"
#include "rapt/text/token_decoder.hpp"
#include "rapt/text/token_table.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Removes the spaces at the ends of tokens from their spans.
struct SpanTrimming {
  bool keeps_first = true;  ///< one space at the beginning of the first token is kept as the prefix space
};

/// The parts that a tokenizer is made of, in the order of tokenizer.json.
struct ComposedTokenizerOptions {
  std::vector<NormalizerStep> normalizer = {};            ///< done one after the other, with each text
  std::vector<PreTokenizerStep> pre_tokenizer = {};       ///< likewise; they split the normalised text into pieces
  std::optional<std::vector<DecoderStep>> decoder = {};   ///< without one, decoding puts spaces between tokens
  std::vector<SpanTrimming> trimmings = {};               ///< done one after the other
  bool clean_up_spaces = false;                           ///< decoding removes spaces before punctuation (clean_up.hpp)
  std::vector<TokenId> unused = {};                       ///< ids without a token; their names are empty
  std::vector<AddedToken> added_tokens = {};              ///< they must be in the vocabulary
  std::vector<TokenId> only_added = {};                   ///< those of them that the model does not know
  std::vector<TemplatePiece> single = {{"$A"}};           ///< where special tokens of a text are put, see TemplatePiece
  std::vector<TemplatePiece> pair = {{"$A"}, {"$B", 1}};  ///< the same of two texts
  Truncation truncation = {};                             ///< how longer texts are cut off
};

/// Converts text to token ids and back. Immutable; many threads may use one object.
class ComposedTokenizer : public TextEncoder<ComposedTokenizer> {
 public:
  /// `tokens` are the names of all tokens, with the added ones; a token's place is its id. Throws ValueError for a name
  /// that is not UTF-8 or occurs twice, for unused ids that have a name, for added tokens and templates with unknown
  /// names, and for what the parts do not allow.
  ComposedTokenizer(std::vector<std::string> tokens, PieceModel model, ComposedTokenizerOptions options = {})
      : options_(std::move(options)),
        model_(std::move(model)),
        tokens_(std::move(tokens)),
        ids_(detail::index_tokens(tokens_, options_.unused, kName)),
        model_ids_(index_model()),
        finder_(make_finder()),
        normalizer_(options_.normalizer),
        pre_tokenizer_(options_.pre_tokenizer) {
    is_special_.resize(tokens_.size());
    is_added_.resize(tokens_.size());
    is_unused_.resize(tokens_.size());
    for (const TokenId id : options_.unused) at(is_unused_, id) = 1;
    // Of two tokens that are looked for by the same text, a special one counts.
    for (const bool special : {true, false}) {
      for (const AddedToken& token : options_.added_tokens) {
        if (token.special == special) add_token(token);
      }
    }
    added_.finish();
    added_normalized_.finish();
    set_templates(options_.single, options_.pair, options_.truncation,
                  [this](std::string_view name) { return ids_.find(name); });
  }

  [[nodiscard]] const ComposedTokenizerOptions& options() const { return options_; }
  /// What makes tokens of pieces.
  [[nodiscard]] const PieceModel& model() const { return model_; }
  /// The size of the vocabulary, with unused ids.
  [[nodiscard]] Index size() const { return std::ssize(tokens_); }
  /// All names in the order of ids.
  [[nodiscard]] std::span<const std::string> tokens() const { return tokens_; }
  /// The name of a token, empty for an unused id. Throws ValueError unless 0 <= id < size().
  [[nodiscard]] const std::string& token(TokenId id) const {
    require_ids({&id, 1}, size(), kName);
    return at(tokens_, id);
  }
  /// The id of a name, or -1 if it is not in the vocabulary.
  [[nodiscard]] TokenId id(std::string_view name) const { return ids_.find(name); }
  /// True for a special token, which `decode` leaves out; false for ids outside of the vocabulary.
  [[nodiscard]] bool is_special(TokenId id) const { return id >= 0 && id < size() && at(is_special_, id) != 0; }

  /// The text of tokens, by the decoder's steps. Throws ValueError for an id outside the vocabulary.
  [[nodiscard]] std::string decode(std::span<const TokenId> ids, bool skip_special = true) const {
    require_ids(ids, size(), "composed_tokenizer.decode");
    std::vector<std::string> names;
    for (const TokenId id : ids) {
      if (at(is_unused_, id) != 0 || (skip_special && is_special(id))) continue;
      const auto normalized = normalized_names_.find(id);
      names.push_back(normalized == normalized_names_.end() ? at(tokens_, id) : normalized->second);
    }
    std::string text;
    if (options_.decoder) {
      text = detail::decode_names(std::move(names), *options_.decoder);
    } else {
      for (std::size_t i = 0; i < names.size(); ++i) (text += i > 0 ? " " : "") += names[i];
    }
    if (options_.clean_up_spaces) text = clean_up_spaces(std::move(text));
    return text;
  }

 private:
  friend class TextEncoder<ComposedTokenizer>;
  static constexpr const char* kName = "composed_tokenizer";

  using Finder =
      std::variant<detail::WordLevelFinder, detail::WordPieceFinder, detail::CharacterBpeFinder, detail::UnigramFinder>;
  struct Work {
    detail::Normalizer::Work normalizing;
    detail::PreTokenizer::Work splitting;
    detail::PieceWork model;
  };

  /// Where a part of the normalised text comes from.
  struct Place {
    std::string_view text;                       // the original
    std::size_t begin;                           // where the part that was normalised begins in it
    const std::vector<std::size_t>* normalized;  // origins in that part; nullptr if nothing was changed
    std::size_t offset;                          // where the part that was split begins in the normalised text
    const std::vector<std::size_t>* split;       // origins in that part; nullptr if nothing was changed

    /// The offset in the original of the character that a byte comes from, or kNowhere.
    [[nodiscard]] std::size_t origin(std::size_t at) const {
      if (split != nullptr) at = (*split)[at];
      return normalized_origin(at);
    }
    /// The same of a byte of the part before it was split.
    [[nodiscard]] std::size_t normalized_origin(std::size_t at) const {
      if (at == detail::NormalizedText::kNowhere) return at;
      at += offset;
      if (normalized != nullptr) {
        at = (*normalized)[at];
        return at == detail::NormalizedText::kNowhere ? at : begin + at;
      }
      at += begin;
      while ((static_cast<unsigned char>(text[at]) & 0xC0u) == 0x80u) --at;
      return at;
    }
    void add(TokenId id, std::size_t from, std::size_t to, detail::TokenSink& sink) const {
      if (!sink.with_spans) {
        sink.ids.push_back(id);
        return;
      }
      const std::size_t first = origin(from), last = origin(to - 1);
      const bool is_nowhere = last == detail::NormalizedText::kNowhere;
      const std::size_t end = is_nowhere ? begin : last + detail::known_code_point_at(text, last).length;
      sink.add(id, first == detail::NormalizedText::kNowhere ? begin : first, end);
    }
  };

  [[nodiscard]] detail::TokenTable index_model() const {
    std::vector<char> is_left_out(tokens_.size());
    for (const auto* ids : {&options_.unused, &options_.only_added}) {
      for (const TokenId id : *ids) {
        require(id >= 0 && id < size(), kName, "an id must be from 0 to ", size() - 1, ": ", id);
        at(is_left_out, id) = 1;
      }
    }
    detail::TokenTable table;
    for (std::size_t id = 0; id < tokens_.size(); ++id) {
      if (is_left_out[id] == 0) table.add(tokens_[id], static_cast<TokenId>(id));
    }
    return table;
  }
  [[nodiscard]] Finder make_finder() const {
    if (const auto* words = std::get_if<WordLevelModel>(&model_)) return detail::WordLevelFinder(*words, model_ids_);
    if (const auto* parts = std::get_if<WordPieceModel>(&model_)) return detail::WordPieceFinder(*parts, model_ids_);
    if (const auto* unigram = std::get_if<UnigramModel>(&model_)) {
      return detail::UnigramFinder(*unigram, model_ids_, tokens_);
    }
    return detail::CharacterBpeFinder(std::get<CharacterBpeModel>(model_), model_ids_, tokens_);
  }

  void add_token(const AddedToken& token) {
    const TokenId id = ids_.find(token.text);
    require(id >= 0, kName, "an added token must be in the vocabulary: \"", token.text, "\"");
    at(is_added_, id) = 1;
    at(is_special_, id) = token.special ? 1 : 0;
    if (token.normalized) {
      detail::Normalizer::Work work;
      const std::string_view normalized = normalizer_(token.text, false, work).text;
      added_normalized_.add(normalized, id, token);
      if (normalized != token.text) normalized_names_[id] = normalized;
    } else {
      added_.add(token.text, id, token);
    }
  }

  void append(std::string_view text, bool find_special, Work& work, detail::TokenSink& sink) const {
    const std::size_t before = sink.ids.size();
    const bool with_origins = sink.with_spans || pre_tokenizer_.needs_origins();
    added_.split(text, find_special, [&](std::size_t begin, std::size_t end, TokenId id) {
      if (id >= 0) {
        sink.add_word(id, begin, end);
        return;
      }
      const auto normalized = normalizer_(text.substr(begin, end - begin), with_origins, work.normalizing);
      Place place{text, begin, normalized.origins, 0, nullptr};
      if (added_normalized_.empty()) {
        append_words(normalized.text, place, work, sink);
        return;
      }
      added_normalized_.split(normalized.text, find_special, [&](std::size_t from, std::size_t to, TokenId found) {
        if (found >= 0) {
          sink.begin_word();
          place.add(found, from, to, sink);
        } else {
          Place part = place;
          part.offset = from;
          append_words(normalized.text.substr(from, to - from), part, work, sink);
        }
      });
    });
    if (sink.with_spans && !options_.trimmings.empty()) trim(text, sink, before);
  }

  /// Adds the tokens of normalised text in which there are no added tokens.
  void append_words(std::string_view text, Place place, Work& work, detail::TokenSink& sink) const {
    if (text.empty()) return;
    const auto begins_text = [&](std::size_t at) {
      const std::size_t origin = place.normalized_origin(at);
      return (origin == detail::NormalizedText::kNowhere ? place.begin : origin) == 0;
    };
    const auto split = pre_tokenizer_(text, sink.with_spans, begins_text, work.splitting);
    place.split = split.origins;
    std::vector<detail::PieceToken>& found = work.model.tokens;
    std::visit(
        [&](const auto& finder) {
          for (const TextSpan& piece : split.pieces) {
            found.clear();
            sink.begin_word();
            finder(split.text.substr(piece.begin, piece.end - piece.begin), model_ids_, work.model);
            for (const detail::PieceToken& token : found) {
              place.add(token.id, piece.begin + token.begin, piece.begin + token.end, sink);
            }
          }
        },
        finder_);
  }

  /// Removes the white space at the ends of tokens, which is counted in their names, from their spans.
  void trim(std::string_view text, detail::TokenSink& sink, std::size_t first) const {
    for (std::size_t i = first; i < sink.spans.size(); ++i) {
      const TokenId id = sink.ids[i];
      TextSpan& span = sink.spans[i];
      const auto [leading, trailing] = at(is_added_, id) != 0
                                           ? white_space_around(text.substr(span.begin, span.end - span.begin))
                                           : white_space_around(at(tokens_, id));
      for (const SpanTrimming& trimming : options_.trimmings) {
        const bool keeps_one = leading > 0 && trimming.keeps_first && (i == first || span.begin == 0);
        detail::trim_span(text, leading - (keeps_one ? 1 : 0), trailing, span);
      }
    }
  }
  /// The number of characters at the beginning and at the end that are white space or its byte-level name.
  [[nodiscard]] static std::pair<std::size_t, std::size_t> white_space_around(std::string_view text) {
    const auto is_space = [](std::int32_t value) { return detail::is_white_space(value) || value == 0x120; };
    std::size_t leading = 0, trailing = 0;
    for (std::size_t i = 0; i < text.size(); ++leading) {
      const CodePoint point = detail::known_code_point_at(text, i);
      if (!is_space(point.value)) break;
      i += point.length;
    }
    for (std::size_t end = text.size(); end > 0; ++trailing) {
      end = detail::previous_code_point(text, end);
      if (!is_space(detail::known_code_point_at(text, end).value)) break;
    }
    return {leading, trailing};
  }

  ComposedTokenizerOptions options_;
  PieceModel model_;
  std::vector<std::string> tokens_;  // by id
  detail::TokenTable ids_;           // by name
  detail::TokenTable model_ids_;     // of those that the model knows
  Finder finder_;
  detail::Normalizer normalizer_;
  detail::PreTokenizer pre_tokenizer_;
  std::unordered_map<TokenId, std::string> normalized_names_;  // of added tokens found in normalised text
  std::vector<char> is_special_, is_added_, is_unused_;        // by id
  detail::AddedTokenFinder added_, added_normalized_;
};

}}  // namespace rapt::RAPT_ABI
