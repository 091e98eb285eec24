/// \file
/// TextEncoder: the calls that the tokenizers of pretrained models have in common, for one text, a pair, or many of
/// them, with the model's special tokens around the texts.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/text/character_classes.hpp"
#include "rapt/text/encoding.hpp"
#include "rapt/text/text_template.hpp"
#include "rapt/text/token_sink.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// As `find_invalid_utf8`, but faster for ASCII, of which it checks eight bytes at a time.
[[nodiscard]] inline std::optional<std::size_t> find_invalid_bytes(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    std::uint64_t bytes = 0;
    if (text.size() - i >= sizeof bytes) {
      std::memcpy(&bytes, text.data() + i, sizeof bytes);
      if ((bytes & 0x8080808080808080u) == 0) {
        i += sizeof bytes;
        continue;
      }
    }
    const CodePoint point = code_point_at(text, i);
    if (point.value < 0) return i;
    i += point.length;
  }
  return std::nullopt;
}

}  // namespace detail

/// The base of a tokenizer `Self`, with its calls. `Self` has the name `kName` for messages, a type `Work` for buffers,
/// and `append(text, find_special, work, sink)`, which adds the tokens of a UTF-8 text to the sink.
template <class Self>
class TextEncoder {
 public:
  /// The token ids of a text. As all calls, it throws ValueError for text that is not UTF-8.
  [[nodiscard]] std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options = {}) const {
    check_utf8(text, ".encode");
    std::array<detail::TokenSink, 2> sinks;
    append(text, options, sinks[0]);
    truncate(sinks, single_, options);
    if (!options.add_special || single_.is_plain) return std::move(sinks[0].ids);
    std::vector<TokenId> ids;
    lay_out(ids_of(sinks), single_, options, ids, nullptr);
    return ids;
  }
  /// The tokens of a text with their spans.
  [[nodiscard]] Encoding encode_with_spans(std::string_view text, const EncodeOptions& options = {}) const {
    check_utf8(text, ".encode");
    return encode_texts(text, std::nullopt, single_, options);
  }
  /// The tokens of two texts, one after the other, with their spans.
  [[nodiscard]] Encoding encode_pair(std::string_view first, std::string_view second,
                                     const EncodeOptions& options = {}) const {
    check_utf8(first, ".encode_pair", "first text");
    check_utf8(second, ".encode_pair", "second text");
    return encode_texts(first, second, pair_, options);
  }

  /// How texts are cut off where a call does not say.
  [[nodiscard]] const Truncation& truncation() const { return truncation_; }

  /// Encodes many texts on all threads, each as `encode` does. The result does not depend on the number of threads.
  [[nodiscard]] TokenBatch encode_batch(std::span<const std::string> texts, const EncodeOptions& options = {}) const {
    return encode_many(texts, {}, single_, ".encode_batch", options).tokens;
  }
  /// Encodes many pairs on all threads, each as `encode_pair` does. Throws ValueError unless there are as many first as
  /// second texts.
  [[nodiscard]] PairBatch encode_pairs(std::span<const std::string> first, std::span<const std::string> second,
                                       const EncodeOptions& options = {}) const {
    require(first.size() == second.size(), name(".encode_pairs"),
            "there must be as many first as second texts: ", first.size(), " and ", second.size());
    return encode_many(first, second, pair_, ".encode_pairs", options);
  }
  /// The pairs of each first text with each second one, each as `encode_pair` gives it: pair (i, j) is sequence
  /// i * second.size() + j. Each text is cut into tokens once. All threads take part.
  [[nodiscard]] PairBatch encode_product(std::span<const std::string> first, std::span<const std::string> second,
                                         const EncodeOptions& options = {}) const {
    EncodeOptions inner = options;  // of the texts by themselves
    inner.add_special = false;
    inner.truncation = Truncation{};
    const std::array<TokenBatch, 2> texts = {
        encode_many(first, {}, single_, ".encode_product, first texts", inner).tokens,
        encode_many(second, {}, single_, ".encode_product, second texts", inner).tokens};
    const Index seconds = texts[1].sequences(), pairs = texts[0].sequences() * seconds;
    constexpr Index kPartPairs = 256;
    std::vector<PairBatch> parts(to_size((pairs + kPartPairs - 1) / kPartPairs));
    std::vector<std::string> errors(parts.size());  // what is wrong with the first bad pair of each part
    parallel_for(pairs, kPartPairs, [&](Index begin, Index end) {
      PairBatch& batch = at(parts, begin / kPartPairs);
      const auto tokens_of = [&](Index pair) {
        return std::array{texts[0].sequence(pair / seconds), texts[1].sequence(pair % seconds)};
      };
      std::vector<std::array<std::size_t, 2>> kept;  // of each pair's texts
      kept.reserve(to_size(end - begin));
      std::size_t size = 0;
      for (Index pair = begin; pair < end; ++pair) {
        const auto [first_tokens, second_tokens] = tokens_of(pair);
        try {
          kept.push_back(kept_tokens(first_tokens.size(), second_tokens.size(), pair_, options));
        } catch (const ValueError& error) {
          at(errors, begin / kPartPairs) = "text " + std::to_string(pair / seconds) + " of the first and text " +
                                           std::to_string(pair % seconds) + " of the second: " + error.what();
          return;
        }
        size += kept.back()[0] + kept.back()[1] + (options.add_special ? pair_.special : 0);
      }
      batch.tokens.tokens.reserve(size);
      batch.types.reserve(size);
      const bool left = truncation_of(options).left;
      for (Index pair = begin; pair < end; ++pair) {
        std::array<std::span<const TokenId>, 2> tokens = tokens_of(pair);
        for (std::size_t t = 0; t < 2; ++t) {
          const std::size_t count = at(kept, pair - begin)[t];
          tokens[t] = left ? tokens[t].last(count) : tokens[t].first(count);
        }
        const std::size_t before = batch.tokens.tokens.size();
        lay_out(tokens, pair_, options, batch.tokens.tokens, &batch.types);
        batch.tokens.row_splits.push_back(static_cast<Index>(batch.tokens.tokens.size() - before));
      }
    });
    for (const std::string& error : errors) require(error.empty(), name(".encode_product"), error);
    return join(std::move(parts));
  }

 protected:
  /// The ids of one text's tokens, cut off and with the special tokens around them.
  [[nodiscard]] std::vector<TokenId> with_special_tokens(detail::TokenSink text) const {
    const EncodeOptions options;
    std::array<detail::TokenSink, 2> sinks = {std::move(text), {}};
    truncate(sinks, single_, options);
    std::vector<TokenId> ids;
    lay_out(ids_of(sinks), single_, options, ids, nullptr);
    return ids;
  }

  /// `find` gives the id of a token, or -1. Throws ValueError for templates that name unknown tokens or lack a text,
  /// and for a max_tokens that leaves no room for text.
  template <class Find>
  void set_templates(std::span<const TemplatePiece> single, std::span<const TemplatePiece> pair, Index max_tokens,
                     const Find& find) {
    set_templates(single, pair, Truncation{.max_tokens = max_tokens}, find);
  }
  template <class Find>
  void set_templates(std::span<const TemplatePiece> single, std::span<const TemplatePiece> pair,
                     const Truncation& truncation, const Find& find) {
    single_ = detail::resolve_template(single, false, Self::kName, find);
    pair_ = detail::resolve_template(pair, true, Self::kName, find);
    require_room(truncation);
    truncation_ = truncation;
  }

 private:
  static constexpr std::size_t kPartBytes = std::size_t{1} << 16;

  [[nodiscard]] static std::string name(std::string_view call) { return std::string(Self::kName) += call; }
  static void check_utf8(std::string_view text, std::string_view call, std::string_view which = "") {
    if (const auto offset = detail::find_invalid_bytes(text)) {
      fail(name(call), "text must be UTF-8: ", which, which.empty() ? "" : ", ", "byte ", *offset + 1, " of ",
           text.size());
    }
  }

  void require_room(const Truncation& truncation) const {
    const Index max_tokens = truncation.max_tokens;
    require(max_tokens == 0 || max_tokens > static_cast<Index>(std::max(single_.special, pair_.special)), Self::kName,
            "max_tokens must be 0 or more than the special tokens: ", max_tokens);
  }

  [[nodiscard]] const Self& self() const { return static_cast<const Self&>(*this); }
  void append(std::string_view text, const EncodeOptions& options, detail::TokenSink& sink) const {
    typename Self::Work work;
    self().append(text, options.find_special, work, sink);
  }

  [[nodiscard]] const Truncation& truncation_of(const EncodeOptions& options) const {
    return options.truncation ? *options.truncation : truncation_;
  }
  /// How many of their `first` and `second` tokens two texts keep, so that they have at most max_tokens with the
  /// special ones. By default the longer text loses tokens first. Throws ValueError if one text alone cannot lose so
  /// many.
  [[nodiscard]] std::array<std::size_t, 2> kept_tokens(std::size_t first, std::size_t second,
                                                       const detail::ResolvedTemplate& pattern,
                                                       const EncodeOptions& options) const {
    const Truncation& truncation = truncation_of(options);
    std::array<std::size_t, 2> kept = {first, second};
    if (truncation.max_tokens == 0) return kept;
    require_room(truncation);
    const std::size_t room = to_size(truncation.max_tokens) - (options.add_special ? pattern.special : 0);
    if (first + second <= room) return kept;
    if (truncation.strategy == Truncation::Strategy::longest_first) {
      const std::size_t shorter = std::min({first, second, room / 2});
      const std::size_t longer = room - shorter;
      kept = first <= second ? std::array{shorter, longer} : std::array{longer, shorter};
    } else {
      const std::size_t which = truncation.strategy == Truncation::Strategy::only_first ? 0 : 1;
      require(kept[1 - which] < room, Self::kName, "truncation of the ", which == 0 ? "first" : "second",
              " text alone cannot make ", first, " and ", second, " tokens ", room);
      kept[which] = room - kept[1 - which];
    }
    return kept;
  }
  /// Cuts texts off at their ends, or at their beginnings if the truncation is left.
  void truncate(std::array<detail::TokenSink, 2>& sinks, const detail::ResolvedTemplate& pattern,
                const EncodeOptions& options) const {
    const auto kept = kept_tokens(sinks[0].ids.size(), sinks[1].ids.size(), pattern, options);
    for (std::size_t i = 0; i < 2; ++i) {
      if (truncation_of(options).left) {
        sinks[i].truncate_left(kept[i]);
      } else {
        sinks[i].truncate(kept[i]);
      }
    }
  }
  [[nodiscard]] static std::array<std::span<const TokenId>, 2> ids_of(const std::array<detail::TokenSink, 2>& sinks) {
    return {sinks[0].ids, sinks[1].ids};
  }

  [[nodiscard]] Encoding encode_texts(std::string_view first, std::optional<std::string_view> second,
                                      const detail::ResolvedTemplate& pattern, const EncodeOptions& options) const {
    std::array<detail::TokenSink, 2> sinks;
    sinks[0].with_spans = sinks[1].with_spans = true;
    append(first, options, sinks[0]);
    if (second) append(*second, options, sinks[1]);
    truncate(sinks, pattern, options);
    Encoding encoding;
    lay_out(ids_of(sinks), pattern, options, encoding.ids, &encoding.types);
    for (const detail::ResolvedTemplate::Piece& piece : pattern.pieces) {
      if (piece.text >= 0) {
        const auto& spans = at(sinks, piece.text).spans;
        encoding.spans.insert(encoding.spans.end(), spans.begin(), spans.end());
        encoding.texts.insert(encoding.texts.end(), spans.size(), piece.text);
        const auto& words = at(sinks, piece.text).words;
        encoding.words.insert(encoding.words.end(), words.begin(), words.end());
      } else if (options.add_special) {
        encoding.spans.emplace_back();
        encoding.texts.push_back(-1);
        encoding.words.push_back(-1);
      }
    }
    return encoding;
  }

  [[nodiscard]] PairBatch encode_many(std::span<const std::string> first, std::span<const std::string> second,
                                      const detail::ResolvedTemplate& pattern, std::string_view call,
                                      const EncodeOptions& options) const {
    std::vector<std::size_t> begins = {0};  // the number of the text at which each part begins
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < first.size(); ++i) {
      if (bytes >= kPartBytes) {
        begins.push_back(i);
        bytes = 0;
      }
      bytes += first[i].size() + (second.empty() ? 0 : second[i].size());
    }
    begins.push_back(first.size());
    std::vector<PairBatch> parts(begins.size() - 1);
    std::vector<std::string> errors(parts.size());  // what is wrong with the first bad text of each part
    const auto text_number = [&](std::size_t i, std::size_t which) {
      return "text " + std::to_string(i) + (second.empty() ? "" : which == 0 ? " of the first" : " of the second");
    };
    parallel_parts(std::ssize(parts), [&](Index p) {
      const auto part = to_size(p);
      typename Self::Work work;
      std::array<detail::TokenSink, 2> sinks;
      TokenBatch& batch = parts[part].tokens;
      std::vector<TokenId>* const types = second.empty() ? nullptr : &parts[part].types;
      for (std::size_t i = begins[part]; i < begins[part + 1]; ++i) {
        std::size_t t = 0;
        try {
          for (; t < (second.empty() ? 1u : 2u); ++t) {
            const std::string& text = t == 0 ? first[i] : second[i];
            if (const auto offset = detail::find_invalid_bytes(text)) {
              errors[part] = "text must be UTF-8: " + text_number(i, t) + ", byte " + std::to_string(*offset + 1) +
                             " of " + std::to_string(text.size());
              return;
            }
            sinks[t].ids.clear();
            self().append(text, options.find_special, work, sinks[t]);
          }
          truncate(sinks, pattern, options);
        } catch (const ValueError& error) {
          errors[part] = (t < 2 ? text_number(i, t) : "pair " + std::to_string(i)) + ": " + error.what();
          return;
        }
        const std::size_t before = batch.tokens.size();
        lay_out(ids_of(sinks), pattern, options, batch.tokens, types);
        batch.row_splits.push_back(static_cast<Index>(batch.tokens.size() - before));
      }
    });
    for (const std::string& error : errors) require(error.empty(), name(call), error);
    return join(std::move(parts));
  }
  /// The sequences of all parts, one behind the other.
  [[nodiscard]] static PairBatch join(std::vector<PairBatch> parts) {
    if (parts.size() == 1) return std::move(parts[0]);
    PairBatch all;
    std::size_t tokens = 0, types = 0;
    for (const PairBatch& part : parts) {
      tokens += part.tokens.tokens.size();
      types += part.types.size();
    }
    all.tokens.tokens.reserve(tokens);
    all.types.reserve(types);
    for (const PairBatch& part : parts) {
      all.tokens.tokens.insert(all.tokens.tokens.end(), part.tokens.tokens.begin(), part.tokens.tokens.end());
      all.types.insert(all.types.end(), part.types.begin(), part.types.end());
      for (Index i = 0; i < part.tokens.sequences(); ++i)
        all.tokens.row_splits.push_back(part.tokens.row_splits.length(i));
    }
    return all;
  }

  detail::ResolvedTemplate single_, pair_;
  Truncation truncation_;
};

}}  // namespace rapt::RAPT_ABI
