/// \file
/// SentencePiece's byte pair encoding (Kudo and Richardson 2018, arXiv:1808.06226): the symbols of a text are its
/// characters, and neighbours whose texts together are a piece are joined, the piece with the best score first and, of
/// several such places, the leftmost one.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/text/byte_trie.hpp"
#include "rapt/text/pair_joiner.hpp"
#include "rapt/text/segment.hpp"
#include "rapt/text/sentencepiece_normalizer.hpp"
#include "rapt/text/token_table.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Cuts normalised texts into pieces. Immutable; many threads may use one object.
class SentencePieceBpe {
 public:
  struct Piece {
    std::string_view text;
    TokenId id = 0;
    float score = 0;
    bool is_symbol = false;  ///< is found before anything else and not joined
    bool is_unused = false;  ///< may be joined with others, but what is left of it is split again
  };
  struct Work {
    Segmentation segments;  ///< the result
    PairJoiner::Work joining;
    std::vector<Segment> characters;                                                // of a word: symbols before joining
    std::unordered_map<std::int32_t, std::pair<std::int32_t, std::int32_t>> parts;  // of unused pieces
  };

  /// `symbols` are the texts of the pieces with is_symbol. With joins_pairs false, every character is a piece of its
  /// own. Throws ValueError for a piece that is empty or occurs twice.
  SentencePieceBpe(std::span<const Piece> pieces, const ByteTrie& symbols, TokenId unknown, bool joins_pairs)
      : symbols_(symbols), unknown_(unknown) {
    for (const Piece& piece : pieces) {
      require(!piece.text.empty(), kName, "a piece must not be empty: id ", piece.id);
      require(numbers_.add(piece.text, static_cast<TokenId>(ids_.size())), kName, "a piece must occur once: \"",
              piece.text, "\"");
      ids_.push_back(piece.id);
      is_unused_.push_back(piece.is_unused ? 1 : 0);
      has_unused_ = has_unused_ || piece.is_unused;
      find_boundaries(piece.text);
    }
    for (std::int32_t c = 0; c < 128; ++c) ascii_[to_size(c)] = numbers_.find(std::string(1, static_cast<char>(c)));
    if (!joins_pairs) return;
    add_joins(pieces);
    find_whole_pieces(pieces);
  }

  /// Sets `work.segments`. With dropout, as PairJoiner does.
  void operator()(std::string_view text, Work& work, JoinDropout* dropout = nullptr) const {
    require(text.size() < to_size(std::numeric_limits<std::int32_t>::max()), kName, "a text must be shorter than ",
            std::numeric_limits<std::int32_t>::max(), " bytes: ", text.size());
    work.segments.clear();
    work.parts.clear();
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = word_end(text, begin);
      const std::string_view word = text.substr(begin, end - begin);
      const TokenId whole = dropout == nullptr && !is_whole_.empty() ? numbers_.find(word) : -1;
      if (whole >= 0 && at(is_whole_, whole) != 0) {
        work.segments.push_back({static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end), at(ids_, whole)});
      } else {
        join(text, begin, end, work, dropout);
      }
      begin = end;
    }
  }

 private:
  static constexpr const char* kName = "sentencepiece_bpe";

  /// Nothing joins two words if no piece has a space symbol behind another character (or another character behind a
  /// space symbol): then words begin (or end) at space symbols, and each word can be joined alone.
  void find_boundaries(std::string_view piece) {
    for (std::size_t i = piece.find(kSpaceSymbol); i < piece.size(); i = piece.find(kSpaceSymbol, i + 1)) {
      const std::size_t behind = i + kSpaceSymbol.size();
      if (i > 0 && !piece.substr(0, i).ends_with(kSpaceSymbol)) begins_at_space_ = false;
      if (behind < piece.size() && !piece.substr(behind).starts_with(kSpaceSymbol)) ends_at_space_ = false;
    }
  }
  [[nodiscard]] std::size_t word_end(std::string_view text, std::size_t begin) const {
    if (has_unused_ || (!begins_at_space_ && !ends_at_space_)) return text.size();
    for (std::size_t space = text.find(kSpaceSymbol, begin); space < text.size();) {
      if (begins_at_space_ && space > begin) return space;
      std::size_t behind = space + kSpaceSymbol.size();
      while (text.substr(behind).starts_with(kSpaceSymbol)) behind += kSpaceSymbol.size();
      if (ends_at_space_) return behind;
      space = text.find(kSpaceSymbol, behind);
    }
    return text.size();
  }

  /// A pair of symbols is joined if their texts together are a piece, whichever they are: each way to split a piece in
  /// two symbols is a pair. A character that is only a part of pieces is a symbol, too.
  void add_joins(std::span<const Piece> pieces) {
    std::vector<float> scores;
    for (const Piece& piece : pieces) {
      scores.push_back(piece.score);
      for (std::size_t i = 0; i < piece.text.size();) {
        const std::size_t length = code_point_at(piece.text, i).length;
        if (numbers_.add(piece.text.substr(i, length), static_cast<TokenId>(ids_.size()))) {
          ids_.push_back(unknown_);
          is_unused_.push_back(0);
          if (length == 1) ascii_[static_cast<unsigned char>(piece.text[i])] = static_cast<TokenId>(ids_.size()) - 1;
        }
        i += length;
      }
    }
    std::sort(scores.begin(), scores.end(), std::greater<>());
    scores.erase(std::unique(scores.begin(), scores.end()), scores.end());
    std::vector<std::uint64_t> powers = {1};  // of the hash's factor
    std::vector<std::uint64_t> hashes;        // of the beginnings of a piece
    for (std::size_t p = 0; p < pieces.size(); ++p) {
      const std::string_view text = pieces[p].text;
      hashes.assign(1, TokenTable::kEmptyHash);
      for (const char byte : text) hashes.push_back(TokenTable::hash_on(hashes.back(), byte));
      while (powers.size() < text.size()) powers.push_back(powers.back() * TokenTable::kFactor);
      const auto rank = std::lower_bound(scores.begin(), scores.end(), pieces[p].score, std::greater<>());
      for (std::size_t i = code_point_at(text, 0).length; i < text.size(); i += code_point_at(text, i).length) {
        const TokenId left = numbers_.find(hashes[i], text.substr(0, i), {});
        if (left < 0) continue;
        const std::uint64_t right_hash = hashes.back() - hashes[i] * powers[text.size() - i];
        const TokenId right = numbers_.find(right_hash, text.substr(i), {});
        if (right < 0) continue;
        joiner_.add(left, right, static_cast<std::int32_t>(rank - scores.begin()), static_cast<TokenId>(p));
      }
    }
  }

  /// Finds the pieces that joining makes of their own characters. A word with such a text is encoded without joining.
  void find_whole_pieces(std::span<const Piece> pieces) {
    if (has_unused_) return;  // how a word is cut depends on the words before it
    is_whole_.resize(ids_.size());
    parallel_for(std::ssize(pieces), 1024, [&](Index begin, Index end) {
      Work work;
      for (Index i = begin; i < end; ++i) {
        const std::string_view text = at(pieces, i).text;
        if (word_end(text, 0) != text.size()) continue;
        work.segments.clear();
        join(text, 0, text.size(), work, nullptr);
        at(is_whole_, i) = work.segments.size() == 1 && work.segments[0].id == at(ids_, i) ? 1 : 0;
      }
    });
  }

  void join(std::string_view text, std::size_t begin, std::size_t end, Work& work, JoinDropout* dropout) const {
    std::vector<std::int32_t>& symbols = work.joining.symbols;
    symbols.clear();
    work.characters.clear();
    for (std::size_t i = begin; i < end;) {
      std::size_t length = 1;
      TokenId number = -1, id = unknown_;
      const auto byte = static_cast<unsigned char>(text[i]);
      if (const ByteTrie::Match symbol = symbols_.longest(text.substr(i)); symbol.length > 0) {
        length = symbol.length;
        id = at(ids_, numbers_.find(text.substr(i, length)));
      } else {
        if (byte >= 128) length = code_point_at(text, i).length;
        number = byte < 128 ? ascii_[byte] : numbers_.find(text.substr(i, length));
        if (number >= 0) id = at(ids_, number);
      }
      symbols.push_back(number);
      work.characters.push_back({static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(i + length), id});
      i += length;
    }
    if (has_unused_) {
      joiner_.join(work.joining, dropout, [&](const PairJoiner::Candidate& candidate) {
        if (at(is_unused_, candidate.joined) != 0) work.parts[candidate.joined] = {candidate.left, candidate.right};
      });
    } else {
      joiner_.join(work.joining, dropout);
    }
    for (std::size_t i = 0; i < symbols.size(); ++i) {
      const Segment& first = at(work.characters, work.joining.begins[i]);
      const std::uint32_t behind = i + 1 < symbols.size() ? at(work.characters, work.joining.begins[i + 1]).begin
                                                          : static_cast<std::uint32_t>(end);
      if (symbols[i] < 0) {
        work.segments.push_back({first.begin, behind, first.id});
      } else {
        add(symbols[i], first.begin, behind, text, work);
      }
    }
  }

  /// Adds a symbol. An unused one becomes the parts that it was last joined of, or is unknown if it has none.
  void add(std::int32_t symbol, std::uint32_t begin, std::uint32_t end, std::string_view text, Work& work) const {
    const bool is_unused = at(is_unused_, symbol) != 0;
    const auto parts = is_unused ? work.parts.find(symbol) : work.parts.end();
    if (parts == work.parts.end()) {
      work.segments.push_back({begin, end, is_unused ? unknown_ : at(ids_, symbol)});
      return;
    }
    const auto [left, right] = parts->second;
    std::uint32_t middle = begin;  // the left part is what of the text is this symbol
    do {
      middle += static_cast<std::uint32_t>(code_point_at(text, middle).length);
    } while (numbers_.find(text.substr(begin, middle - begin)) != left);
    add(left, begin, middle, text, work);
    add(right, middle, end, text, work);
  }

  TokenTable numbers_;        // of symbols, by text: of the pieces, and of characters that are parts of pieces
  std::vector<TokenId> ids_;  // of each symbol
  std::vector<char> is_unused_, is_whole_;
  std::array<TokenId, 128> ascii_{};  // the symbols of ASCII characters, or -1
  ByteTrie symbols_;
  PairJoiner joiner_{PairJoiner::Order::one_by_one};
  TokenId unknown_;
  bool has_unused_ = false, begins_at_space_ = true, ends_at_space_ = true;
};

}}}  // namespace rapt::RAPT_ABI::detail
