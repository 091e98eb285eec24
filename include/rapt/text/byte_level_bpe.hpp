/// \file
/// GPT-2's byte-level byte pair encoding (Radford et al. 2019), for its published vocabularies. No text is unknown, and
/// decoding restores the bytes.
///
/// A text is split into pieces (byte_level_split.hpp). The UTF-8 bytes of a piece are the first symbols, and neighbours
/// that are in the list of merges are joined, the earliest merge of the list first and, of several such pairs, the
/// leftmost one. The names of tokens write each byte as a printable character (byte_level_names.hpp): "Ġthe" is " the".
/// Vocabularies of tiktoken have no merges: their tokens are joined by rank.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/text/added_tokens.hpp"
#include "rapt/text/byte_level_names.hpp"
#include "rapt/text/byte_level_split.hpp"
#include "rapt/text/character_classes.hpp"
#include "rapt/text/clean_up.hpp"
#include "rapt/text/longest_match_joiner.hpp"
#include "rapt/text/pair_joiner.hpp"
#include "rapt/text/piece_cache.hpp"
#include "rapt/text/text_encoder.hpp"
#include "rapt/text/token_table.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How texts are split into pieces before merges apply.
struct ByteLevelBpeOptions {
  ByteLevelPattern pattern = ByteLevelPattern::gpt2;  ///< how a text is split into pieces
  bool add_prefix_space = false;  ///< adds a space to texts and parts after added tokens that begin with none
  bool ignore_merges = false;     ///< a piece that is a token is not made by merges (Llama 3)
  /// Joins any two neighbours that are a token together, the one with the smallest id first, instead of merges.
  bool by_rank = false;
  std::string unknown = {};          ///< of a file; has no effect, as no byte is unknown
  bool fuse_unknown = false;         ///< likewise
  bool trim_spans = false;           ///< the spans of tokens are without the spaces at their ends
  bool trim_keeps_first = false;     ///< with trim_spans: one space at the beginning is kept as the prefix space
  bool clean_up_spaces = false;      ///< decoding removes spaces before punctuation (clean_up.hpp)
  std::vector<TokenId> unused = {};  ///< ids without a token; their names are empty
  std::vector<AddedToken> added_tokens = {};              ///< they must be in the vocabulary
  std::vector<TemplatePiece> single = {{"$A"}};           ///< where special tokens of a text are put, see TemplatePiece
  std::vector<TemplatePiece> pair = {{"$A"}, {"$B", 1}};  ///< the same of two texts
  Index max_tokens = 0;                                   ///< longer texts are cut off; 0 means no limit
};

/// Converts text to token ids and back. Immutable; many threads may use one object.
class ByteLevelBpe : public TextEncoder<ByteLevelBpe> {
 public:
  using Merge = std::pair<std::string, std::string>;  ///< the names of two tokens that are joined

  /// `tokens` are the names of all tokens, with the added ones; a token's place is its id. One name may be empty; that
  /// token is never found in a text and decodes to nothing. `merges` are pairs of names, of which the first is joined
  /// first; if a pair is there twice, its last place counts. Throws ValueError for a name that is not UTF-8 or occurs
  /// twice, for unused ids that have a name, for a merge with an unknown name or beside by_rank, if the token of a byte
  /// is missing, and for added tokens and templates with unknown names.
  ByteLevelBpe(std::vector<std::string> tokens, std::span<const Merge> merges, ByteLevelBpeOptions options = {})
      : options_(std::move(options)),
        tokens_(std::move(tokens)),
        ids_(detail::index_tokens(tokens_, options_.unused, kName)) {
    is_special_.resize(tokens_.size());
    is_added_.resize(tokens_.size());
    for (const AddedToken& token : options_.added_tokens) {
      const TokenId id = ids_.find(token.text);
      require(id >= 0, kName, "an added token must be in the vocabulary: \"", token.text, "\"");
      at(is_added_, id) = 1;
      at(is_special_, id) = token.special ? 1 : 0;
      (token.normalized ? added_normalized_ : added_).add(token.text, id, token);
    }
    added_.finish();
    added_normalized_.finish();
    set_templates(options_.single, options_.pair, options_.max_tokens,
                  [this](std::string_view name) { return ids_.find(name); });

    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      bytes_.push_back(detail::bytes_of_name(tokens_[i]));
      if (bytes_[i].empty() || (options_.by_rank && is_added_[i] != 0)) {
        bytes_[i] = tokens_[i];  // It is no name of bytes: an added token stands for itself.
      }
    }
    for (int byte = 0; byte < 256; ++byte) {
      const TokenId id = ids_.find(detail::name_of_bytes(std::string(1, static_cast<char>(byte))));
      const bool is_in_utf8 = byte != 0xC0 && byte != 0xC1 && byte < 0xF5;
      require(id >= 0 || !is_in_utf8, kName, "the token of a byte is missing: \"",
              detail::name_of_bytes(std::string(1, static_cast<char>(byte))), "\" for byte ", byte);
      at(byte_ids_, byte) = id;
    }
    if (options_.by_rank) {
      require(merges.empty(), kName, "a vocabulary that is joined by rank must have no merges: ", merges.size());
      detail::add_ranked_pairs(
          tokens_, ids_, [&](TokenId id) { return at(is_added_, id) == 0; }, joiner_);
    } else {
      add_merges(merges);
    }
    prepare_pieces();
  }

  /// The vocabulary of the 256 bytes alone, in which a byte's id is its value, e.g. for models of characters.
  [[nodiscard]] static ByteLevelBpe of_bytes() {
    std::vector<std::string> names;
    for (int byte = 0; byte < 256; ++byte)
      names.push_back(detail::name_of_bytes(std::string(1, static_cast<char>(byte))));
    return ByteLevelBpe(std::move(names), {});
  }

  [[nodiscard]] const ByteLevelBpeOptions& options() const { return options_; }
  /// The size of the vocabulary, with unused ids.
  [[nodiscard]] Index size() const { return std::ssize(tokens_); }
  /// All names in the order of ids.
  [[nodiscard]] std::span<const std::string> tokens() const { return tokens_; }
  /// The name of a token, empty for an unused id. Throws ValueError unless 0 <= id < size().
  [[nodiscard]] const std::string& token(TokenId id) const {
    require_ids({&id, 1}, size(), kName);
    return at(tokens_, id);
  }
  /// The id of a name such as "Ġthe" or "<|endoftext|>", or -1 if it is not in the vocabulary.
  [[nodiscard]] TokenId id(std::string_view name) const { return ids_.find(name); }
  /// True for a special token, which `decode` leaves out; false for ids outside of the vocabulary.
  [[nodiscard]] bool is_special(TokenId id) const { return id >= 0 && id < size() && at(is_special_, id) != 0; }
  /// The ids of each merge, in order; none if tokens are joined by rank.
  [[nodiscard]] std::span<const std::pair<TokenId, TokenId>> merges() const { return merges_; }

  /// The bytes of tokens; an unused id has none. They are UTF-8 unless the tokens end or begin inside a character.
  /// Without `skip_special` and clean_up_spaces, `decode(encode(text)) == text` holds for all texts, up to a prefix
  /// space and the white space that added tokens strip. Throws ValueError for an id outside the vocabulary.
  [[nodiscard]] std::string decode(std::span<const TokenId> ids, bool skip_special = true) const {
    require_ids(ids, size(), "byte_level_bpe.decode");
    std::string text;
    for (const TokenId id : ids) {
      if (!skip_special || !is_special(id)) text += at(bytes_, id);
    }
    if (options_.clean_up_spaces) text = clean_up_spaces(std::move(text));
    return text;
  }

 private:
  friend class TextEncoder<ByteLevelBpe>;
  static constexpr const char* kName = "byte_level_bpe";

  struct Work {
    detail::PairJoiner::Work joining;
    detail::LongestMatchJoiner::Work matching;
    TokenId whole = -1;
    std::string prefixed;
  };

  void add_merges(std::span<const Merge> merges) {
    merges_.resize(merges.size());
    for (std::size_t i = merges.size(); i-- > 0;) {  // backwards, as the last place of a pair counts
      const std::string &left = merges[i].first, &right = merges[i].second;
      const auto expect = [&](bool condition, std::string_view rule) {
        if (!condition) fail(kName, rule, ": merge ", i, ", \"", left, "\" and \"", right, "\"");
      };
      const TokenId left_id = ids_.find(left), right_id = ids_.find(right);
      expect(left_id >= 0 && right_id >= 0, "a merge must join two tokens");
      const TokenId joined = ids_.find(left + right);
      expect(joined >= 0, "what a merge joins to must be a token");
      joiner_.add(left_id, right_id, static_cast<std::int32_t>(i), joined);
      merges_[i] = {left_id, right_id};
    }
  }

  /// Finds the tokens that joining makes of their own bytes, and prepares what cuts pieces.
  void prepare_pieces() {
    std::vector<detail::LongestMatchJoiner::Token> made(tokens_.size());
    std::vector<char> is_whole(tokens_.size(), options_.ignore_merges ? 1 : 0);
    parallel_for(size(), 1024, [&](Index begin, Index end) {
      detail::PairJoiner::Work work;
      for (Index i = begin; i < end; ++i) {
        const auto id = to_size(i);
        join(bytes_[id], work);
        if (work.symbols.size() != 1) continue;
        is_whole[id] = 1;
        if (work.symbols[0] != i) continue;
        made[id].bytes = bytes_[id];
        if (work.last.joined < 0) continue;  // It is a single byte.
        made[id].rank = work.last.rank;
        made[id].left = work.last.left;
        made[id].right = work.last.right;
      }
    });
    is_orderly_ = detail::LongestMatchJoiner::is_orderly(made);
    if (is_orderly_) matcher_ = detail::LongestMatchJoiner(made);
    if (is_orderly_ && !options_.ignore_merges) return;  // A piece that is one token is found by matching.
    for (std::size_t id = 0; id < tokens_.size(); ++id) {
      const bool is_name = !tokens_[id].empty() && bytes_[id] == detail::bytes_of_name(tokens_[id]);
      if (is_whole[id] != 0 && is_added_[id] == 0 && is_name) {
        pieces_.add(bytes_[id], static_cast<TokenId>(id));
      }
    }
  }

  /// The tokens of a piece, which stay in `work`.
  [[nodiscard]] std::span<const TokenId> cut(std::string_view piece, Work& work) const {
    if (piece.size() <= pieces_.longest()) {
      work.whole = pieces_.find(piece);
      if (work.whole >= 0) return {&work.whole, 1};
    }
    if (is_orderly_) {
      matcher_(piece, work.matching);
      return work.matching.tokens;
    }
    join(piece, work.joining);
    return work.joining.symbols;
  }

  /// Sets `work.symbols` to the tokens of a piece, join by join.
  void join(std::string_view piece, detail::PairJoiner::Work& work) const {
    work.symbols.clear();
    for (const char byte : piece) work.symbols.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
    joiner_.join(work);
  }

  /// Adds the tokens of a text, in which added tokens are found first.
  void append(std::string_view text, bool find_special, Work& work, detail::TokenSink& sink) const {
    const std::size_t before = sink.ids.size();
    added_.split(text, find_special, [&](std::size_t begin, std::size_t end, TokenId id) {
      if (id >= 0) {
        sink.add_word(id, begin, end);
      } else if (added_normalized_.empty()) {
        append_plain(text, begin, end, work, sink);
      } else {
        added_normalized_.split(text.substr(begin, end - begin), find_special,
                                [&](std::size_t from, std::size_t to, TokenId found) {
                                  if (found >= 0) {
                                    sink.add_word(found, begin + from, begin + to);
                                  } else {
                                    append_plain(text, begin + from, begin + to, work, sink);
                                  }
                                });
      }
    });
    if (options_.trim_spans) trim(text, sink, before);
  }

  /// Adds the tokens of text[begin, end), in which there are no added tokens.
  void append_plain(std::string_view text, std::size_t begin, std::size_t end, Work& work,
                    detail::TokenSink& sink) const {
    std::string_view plain = text.substr(begin, end - begin);
    const bool has_prefix = options_.add_prefix_space && !plain.starts_with(' ');
    if (has_prefix) {
      work.prefixed = ' ';
      plain = work.prefixed += plain;
    }
    // Adds a token of bytes of `plain` with its span in the text; a prefix space has the place of the first character.
    const auto add = [&](TokenId id, std::size_t from, std::size_t to) {
      const std::size_t shift = has_prefix ? 1 : 0;
      std::size_t first = begin + std::max(from, shift) - shift, last = begin + std::max(to - 1, shift) - shift;
      while (is_within_character(text, first)) --first;
      do {
        ++last;
      } while (last < end && is_within_character(text, last));
      sink.add(id, first, last);
    };
    // The tokens of a piece one after the other have its bytes.
    const auto add_all = [&](std::span<const TokenId> tokens, std::size_t from) {
      if (!sink.with_spans) {
        sink.ids.insert(sink.ids.end(), tokens.begin(), tokens.end());
        return;
      }
      for (const TokenId id : tokens) {
        const std::size_t next = from + at(bytes_, id).size();
        add(id, from, next);
        from = next;
      }
    };
    detail::PieceCache& cache = detail::PieceCache::of_thread();
    splitter_.split(plain, options_.pattern, [&](std::size_t from, std::size_t to) {
      sink.begin_word();
      detail::PieceCache::Key key;
      detail::PieceCache::Slot* slot = nullptr;
      if (to - from <= detail::PieceCache::kMostBytes) {
        key = detail::PieceCache::key_of(plain, from, to - from, owner_);
        slot = &cache.slot_of(key);
        if (slot->key == key) {
          add_all({slot->tokens.data(), slot->size}, from);
          return;
        }
      }
      const std::string_view piece = plain.substr(from, to - from);
      const std::span<const TokenId> tokens = cut(piece, work);
      add_all(tokens, from);
      if (slot != nullptr) detail::PieceCache::fill(*slot, key, tokens);
    });
  }

  /// Removes the spaces at the ends of tokens from their spans. The spaces are counted in the token's bytes; as a
  /// prefix space has the place of the first character, the span of such a token may become empty.
  void trim(std::string_view text, detail::TokenSink& sink, std::size_t first) const {
    for (std::size_t i = first; i < sink.spans.size(); ++i) {
      const auto id = to_size(sink.ids[i]);
      TextSpan& span = sink.spans[i];
      const auto [leading, trailing] = is_added_[id] != 0
                                           ? white_space_around(text.substr(span.begin, span.end - span.begin))
                                           : spaces_around(bytes_[id]);
      const bool keeps_one = leading > 0 && options_.trim_keeps_first && (i == first || span.begin == 0);
      detail::trim_span(text, leading - (keeps_one ? 1 : 0), trailing, span);
    }
  }
  /// The number of spaces at the beginning and at the end.
  [[nodiscard]] static std::pair<std::size_t, std::size_t> spaces_around(std::string_view bytes) {
    return {std::min(bytes.find_first_not_of(' '), bytes.size()), bytes.size() - (bytes.find_last_not_of(' ') + 1)};
  }
  /// The number of white space characters at the beginning and at the end.
  [[nodiscard]] static std::pair<std::size_t, std::size_t> white_space_around(std::string_view text) {
    std::size_t leading = 0, trailing = 0;
    for (std::size_t i = 0; i < text.size(); ++leading) {
      const CodePoint point = detail::known_code_point_at(text, i);
      if (!detail::is_white_space(point.value)) break;
      i += point.length;
    }
    for (std::size_t end = text.size(); end > 0; ++trailing) {
      end = detail::previous_code_point(text, end);
      if (!detail::is_white_space(detail::known_code_point_at(text, end).value)) break;
    }
    return {leading, trailing};
  }
  [[nodiscard]] static bool is_within_character(std::string_view text, std::size_t at) {
    return (static_cast<unsigned char>(text[at]) & 0xC0u) == 0x80u;
  }

  ByteLevelBpeOptions options_;
  std::vector<std::string> tokens_;  // by id
  detail::TokenTable ids_;           // by name
  std::vector<std::string> bytes_;   // by id
  detail::TokenTable pieces_;        // by bytes: pieces that are one token, unless matcher_ finds them
  std::array<TokenId, 256> byte_ids_{};
  std::vector<std::pair<TokenId, TokenId>> merges_;
  detail::PairJoiner joiner_{detail::PairJoiner::Order::one_by_one};
  detail::LongestMatchJoiner matcher_;  // if is_orderly_
  bool is_orderly_ = false;
  std::vector<char> is_special_, is_added_;  // by id
  detail::AddedTokenFinder added_, added_normalized_;
  std::uint64_t owner_ = detail::PieceCache::new_owner();  // copies have the same, as they are equal
  detail::PieceSplitter splitter_{detail::CharacterClasses{}};
};

}}  // namespace rapt::RAPT_ABI
