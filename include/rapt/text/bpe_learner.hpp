/// \file
/// Learning the tokens of a byte pair encoding. `BytePairEncoding::learn` in bpe.hpp calls it.
///
/// Learning starts from single characters and repeatedly makes the most frequent pair of neighbours within the words of
/// a text a new token. Pairs with equal counts are ordered by the bytes of the left token and then of the right one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <queue>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/core/work_report.hpp"
#include "rapt/text/key_table.hpp"
#include "rapt/text/unicode.hpp"
#include "rapt/text/vocabulary.hpp"
#include "rapt/text/word_counts.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How many merges are learned, and from which pairs.
struct BpeOptions {
  Index vocabulary_size = 10000;  ///< most tokens, with special ones, bytes and characters
  Index min_pair_count = 2;       ///< less frequent pairs are not joined
  Index max_alphabet = 4000;      ///< most characters of the alphabet, which are the most frequent ones
  Index min_character_count = 1;  ///< less frequent characters are not in the alphabet
  /// Adds 256 tokens "<0x00>" .. "<0xFF>" for the UTF-8 bytes of characters outside the alphabet, which become "<unk>"
  /// otherwise. A model learns to use them only if its training text has such characters, as with min_character_count
  /// above 1.
  bool byte_fallback = false;
  /// Keeps all white space, so that decoding restores any text exactly. Includes byte_fallback.
  bool lossless = false;
  WorkReport report = {};  ///< is told the tokens learned
};

namespace detail {

inline constexpr std::string_view kWordMark = "\xE2\x96\x81";
inline constexpr std::int32_t kWordMarkCodePoint = 0x2581;
/// Longer tokens are neither learned nor read, which bounds the work for each token for any input.
inline constexpr std::size_t kMaxTokenBytes = 256;
inline constexpr std::size_t kByteTokens = 256;

/// The token of a byte, "<0x00>" .. "<0xFF>".
[[nodiscard]] inline std::string byte_token(unsigned char byte) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  return std::string("<0x") + kDigits[byte / 16] + kDigits[byte % 16] + '>';
}
[[nodiscard]] inline bool is_byte_token(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  return text.size() == 6 && text.starts_with("<0x") && text[5] == '>' && kDigits.find(text[3]) != kDigits.npos &&
         kDigits.find(text[4]) != kDigits.npos;
}

/// Learns the tokens. The symbols of all words are stored end to end, each with links to its neighbours. Each pair has
/// its exact count and a list of its places; places that a later join has changed are skipped when they are read. The
/// cost of a join is proportional to the number of its places and does not depend on the length of words.
class BpeLearner {
 public:
  BpeLearner(std::span<const std::string> lines, const BpeOptions& options) : options_(options), queue_(Later{this}) {
    const WordCounts words = count_words(lines, options_.lossless, "bpe.learn");
    choose_alphabet(words);
    lay_out(words);
  }
  BpeLearner(const BpeLearner&) = delete;  // the queue has a pointer to it
  BpeLearner& operator=(const BpeLearner&) = delete;

  /// The tokens other than special ones and bytes: the word mark, the alphabet in the order of code points, and the
  /// joined tokens in the order of learning.
  [[nodiscard]] std::vector<std::string> run() {
    while (tokens_.size() < limit() && !queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      const std::int64_t count = pair(best.pair).count;
      if (count > best.count) continue;  // It has been queued again with its new count.
      if (count < best.count) {
        if (count >= options_.min_pair_count) queue_.push({count, best.pair});
        continue;
      }
      std::string joined = token(pair(best.pair).left) + token(pair(best.pair).right);
      if (joined.size() > kMaxTokenBytes || is_reserved(joined)) continue;
      const auto [place, is_new] = ids_.try_emplace(std::move(joined), static_cast<std::int32_t>(tokens_.size()));
      if (is_new) {  // otherwise the same text was joined from other parts before
        tokens_.push_back(place->first);
        if (options_.report) options_.report(std::ssize(tokens_), static_cast<Index>(limit()));
      }
      join(best.pair, place->second);
    }
    return std::move(tokens_);
  }

 private:
  static constexpr std::size_t kSpecials = 3;
  static constexpr std::int32_t kUnknown = -1;  // a character outside the alphabet, which is in no pair
  static constexpr std::int32_t kGone = -2;     // joined into its left neighbour

  struct Place {
    std::int32_t symbol;
    std::int32_t previous, next;  // places of the neighbours in the word, or -1
    std::int32_t word;
  };
  struct Pair {
    std::int32_t left, right;
    std::int64_t count = 0;
    std::vector<std::int32_t> places = {};  // places of the left symbol
    bool has_grown = false;                 // the pair is in grown_
  };
  struct Candidate {
    std::int64_t count;
    std::int32_t pair;
  };
  struct Later {  // the order of the queue: the greatest count first, then the smallest texts
    const BpeLearner* learner;
    bool operator()(const Candidate& a, const Candidate& b) const {
      if (a.count != b.count) return a.count < b.count;
      const Pair &x = at(learner->pairs_, a.pair), &y = at(learner->pairs_, b.pair);
      return std::tie(learner->token(y.left), learner->token(y.right)) <
             std::tie(learner->token(x.left), learner->token(x.right));
    }
  };

  [[nodiscard]] bool has_bytes() const { return options_.byte_fallback || options_.lossless; }
  [[nodiscard]] std::size_t limit() const {
    return to_size(options_.vocabulary_size) - kSpecials - (has_bytes() ? kByteTokens : 0);
  }
  [[nodiscard]] bool is_reserved(std::string_view text) const {
    return text == special_.unknown || text == special_.begin_of_sentence || text == special_.end_of_sentence ||
           (has_bytes() && is_byte_token(text));
  }
  [[nodiscard]] const std::string& token(std::int32_t symbol) const { return at(tokens_, symbol); }
  [[nodiscard]] Pair& pair(std::int32_t index) { return at(pairs_, index); }
  [[nodiscard]] Place& place_at(std::int32_t place) { return at(places_, place); }

  void choose_alphabet(const WordCounts& words) {
    std::vector<std::int64_t> counts(0x110000);  // by code point
    for (const auto& [word, count] : words) {
      for (std::size_t i = 0; i < word.size();) {
        const CodePoint point = code_point_at(word, i);
        at(counts, point.value) += count;
        i += point.length;
      }
    }
    counts[kWordMarkCodePoint] = 0;
    for (const char space : std::string_view("\t\n\v\f\r")) at(counts, space) = 0;
    std::vector<std::pair<std::int64_t, std::int32_t>> ranked;  // (-count, code point)
    for (std::size_t value = 0; value < counts.size(); ++value) {
      if (counts[value] >= options_.min_character_count) {
        ranked.emplace_back(-counts[value], static_cast<std::int32_t>(value));
      }
    }
    std::sort(ranked.begin(), ranked.end());
    const Index room = static_cast<Index>(limit()) - 1;  // without the word mark
    const auto kept = to_size(std::min(room, options_.max_alphabet));
    if (ranked.size() > kept) ranked.resize(kept);
    std::sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.second < b.second; });

    tokens_.emplace_back(kWordMark);
    for (const auto& [count, value] : ranked) {
      characters_.try_emplace(static_cast<std::uint64_t>(value), static_cast<std::int32_t>(tokens_.size()));
      append_code_point(tokens_.emplace_back(), value);
    }
    for (std::size_t i = 0; i < tokens_.size(); ++i) ids_.emplace(tokens_[i], static_cast<std::int32_t>(i));
  }

  void lay_out(const WordCounts& words) {
    std::size_t bytes = 0;
    for (const auto& [word, count] : words) bytes += word.size() + 1;
    require(bytes < to_size(std::numeric_limits<std::int32_t>::max()), "bpe.learn",
            "the distinct words are too long together: bytes = ", bytes);
    for (const auto& [word, count] : words) {
      const auto number = static_cast<std::int32_t>(counts_.size());
      counts_.push_back(count);
      const auto begin = static_cast<std::int32_t>(places_.size());
      places_.push_back({0, -1, begin + 1, number});  // the word mark
      for (std::size_t i = 0; i < word.size();) {
        const CodePoint point = code_point_at(word, i);
        const std::int32_t* known = characters_.find(static_cast<std::uint64_t>(point.value));
        const auto place = static_cast<std::int32_t>(places_.size());
        places_.push_back({known == nullptr ? kUnknown : *known, place - 1, place + 1, number});
        i += point.length;
      }
      places_.back().next = -1;
    }
    // Pairs that are rare now stay rare, as no join makes a single character; their places are not needed.
    std::vector<std::int32_t> pairs(places_.size(), -1),
        sizes;  // the pair at each place; the number of places of each pair
    for (std::size_t i = 0; i < places_.size(); ++i) {
      if (places_[i].next < 0 || places_[i].symbol < 0 || place_at(places_[i].next).symbol < 0) continue;
      pairs[i] = index_of(places_[i].symbol, place_at(places_[i].next).symbol);
      pair(pairs[i]).count += at(counts_, places_[i].word);
      sizes.resize(pairs_.size());
      ++at(sizes, pairs[i]);
    }
    std::vector<Candidate> candidates;
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      if (pairs_[i].count < options_.min_pair_count) continue;
      pairs_[i].places.reserve(to_size(sizes[i]));
      candidates.push_back({pairs_[i].count, static_cast<std::int32_t>(i)});
    }
    for (std::size_t i = 0; i < places_.size(); ++i) {
      if (pairs[i] >= 0 && pair(pairs[i]).count >= options_.min_pair_count) {
        pair(pairs[i]).places.push_back(static_cast<std::int32_t>(i));
      }
    }
    queue_ = Queue(Later{this}, std::move(candidates));
  }

  /// The number of the pair in pairs_, to which it is added if it is new.
  [[nodiscard]] std::int32_t index_of(std::int32_t left, std::int32_t right) {
    const auto [index, is_new] =
        pair_index_.try_emplace(pair_key(left, right), static_cast<std::int32_t>(pairs_.size()));
    if (is_new) pairs_.push_back({left, right});
    return *index;
  }

  void add(std::int32_t left, std::int32_t right, std::int32_t place, std::int64_t count) {
    if (left < 0 || right < 0) return;
    const std::int32_t index = index_of(left, right);
    Pair& grown = pair(index);
    grown.count += count;
    grown.places.push_back(place);
    if (!grown.has_grown) grown_.push_back(index);
    grown.has_grown = true;
  }

  void remove(std::int32_t left, std::int32_t right, std::int64_t count) {
    if (left < 0 || right < 0) return;
    Pair& less = pair(*pair_index_.find(pair_key(left, right)));
    if ((less.count -= count) == 0) less.places = {};
  }

  /// Replaces the pair by one symbol everywhere, from left to right, so that the first two letters of "aaa" are joined.
  void join(std::int32_t index, std::int32_t joined) {
    const std::int32_t left = pair(index).left, right = pair(index).right;
    std::vector<std::int32_t> places = std::move(pair(index).places);
    std::sort(places.begin(), places.end());
    for (const std::int32_t place : places) {
      if (place_at(place).symbol != left) continue;
      const std::int32_t second = place_at(place).next;
      if (second < 0 || place_at(second).symbol != right) continue;
      const std::int32_t before = place_at(place).previous, behind = place_at(second).next;
      const std::int64_t count = at(counts_, place_at(place).word);
      if (before >= 0) remove(place_at(before).symbol, left, count);
      if (behind >= 0) remove(right, place_at(behind).symbol, count);
      pair(index).count -= count;
      place_at(place).symbol = joined;
      place_at(second).symbol = kGone;
      place_at(place).next = behind;
      if (behind >= 0) place_at(behind).previous = place;
      if (before >= 0) add(place_at(before).symbol, joined, before, count);
      if (behind >= 0) add(joined, place_at(behind).symbol, place, count);
    }
    // Pairs whose counts have fallen stay in the queue with the old count, which is corrected when they come to its
    // front.
    for (const std::int32_t grown : grown_) {
      pair(grown).has_grown = false;
      if (pair(grown).count >= options_.min_pair_count) queue_.push({pair(grown).count, grown});
    }
    grown_.clear();
  }

  using Queue = std::priority_queue<Candidate, std::vector<Candidate>, Later>;

  BpeOptions options_;
  SpecialTokens special_;
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, std::int32_t> ids_;
  KeyTable<std::int32_t> characters_;  // by code point
  std::vector<Place> places_;
  std::vector<std::int64_t> counts_;  // how often each word occurs
  std::vector<Pair> pairs_;
  KeyTable<std::int32_t> pair_index_;
  std::vector<std::int32_t> grown_;
  Queue queue_;
};

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
