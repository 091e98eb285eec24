/// \file
/// Learning the tokens of a byte pair encoding; `BytePairEncoding::learn` in bpe.hpp is the way in.
///
/// Starts from single characters and makes, again and again, the most frequent pair of neighbours in the words of a
/// text into a token. Equal counts go by the smaller bytes of the left token, then of the right one.
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
#include "rapt/core/shape.hpp"
#include "rapt/text/unicode.hpp"
#include "rapt/text/vocabulary.hpp"

namespace rapt::inline RAPT_ABI {

struct BpeOptions {
  Index vocabulary_size = 10000;  ///< special tokens, characters and joined tokens; fewer when pairs run out
  Index min_pair_count = 2;       ///< pairs seen less often are not joined
  Index max_alphabet = 4000;      ///< the most frequent characters are kept, as many as this and the vocabulary allow
  Index min_character_count = 1;  ///< characters seen less often are left out
};

namespace detail {

inline constexpr std::string_view kWordMark = "\xE2\x96\x81";
inline constexpr std::int32_t kWordMarkCodePoint = 0x2581;
/// Longer tokens are neither learned nor read; keeps the work per token small for any input.
inline constexpr std::size_t kMaxTokenBytes = 256;

/// Calls `use(word)` for each piece between runs of ASCII white space.
template <class Use>
void for_each_word(std::string_view line, Use&& use) {
  constexpr std::string_view kSpaces = " \t\n\v\f\r";
  for (std::size_t end = 0;;) {
    const std::size_t begin = line.find_first_not_of(kSpaces, end);
    if (begin == std::string_view::npos) return;
    end = std::min(line.find_first_of(kSpaces, begin), line.size());
    use(line.substr(begin, end - begin));
  }
}

/// Two symbols as one key.
constexpr std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) | static_cast<std::uint32_t>(right);
}

/// Spreads pair keys over the table; the multiplier is 2^64 / golden ratio.
struct PairHash {
  std::size_t operator()(std::uint64_t key) const {
    key *= 0x9E3779B97F4A7C15u;
    return static_cast<std::size_t>(key ^ (key >> 32));
  }
};

/// Learns the tokens. All words lie end to end in arrays of symbols linked to their neighbours. Each pair knows its
/// count, kept exact, and the places where it was put; places that a later join has changed are skipped when read.
/// A join costs as much as the places it touches, whatever the length of the words.
class BpeLearner {
 public:
  BpeLearner(std::span<const std::string> lines, const BpeOptions& options) : options_(options), queue_(Later{this}) {
    const auto words = count_words(lines);
    choose_alphabet(words);
    lay_out(words);
  }
  BpeLearner(const BpeLearner&) = delete;  // the queue points here
  BpeLearner& operator=(const BpeLearner&) = delete;

  /// The ordinary tokens: the word mark, the alphabet by code point, the joined tokens in the order of learning.
  [[nodiscard]] std::vector<std::string> run() {
    const std::size_t limit = static_cast<std::size_t>(options_.vocabulary_size) - kSpecials;
    while (tokens_.size() < limit && !queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      const auto found = pairs_.find(pair_key(best.left, best.right));
      if (found == pairs_.end() || found->second.count > best.count) continue;  // gone, or queued again since
      if (found->second.count < best.count) {
        if (found->second.count >= options_.min_pair_count) {
          queue_.push({found->second.count, best.left, best.right});
        }
        continue;
      }
      std::string joined = token(best.left) + token(best.right);
      const bool reserved =
          joined == special_.unknown || joined == special_.begin_of_sentence || joined == special_.end_of_sentence;
      if (reserved || joined.size() > kMaxTokenBytes) continue;
      const auto [place, is_new] = ids_.try_emplace(std::move(joined), static_cast<std::int32_t>(tokens_.size()));
      if (is_new) tokens_.push_back(place->first);  // otherwise the same text was put together from other parts
      join(best.left, best.right, place->second);
    }
    return std::move(tokens_);
  }

 private:
  static constexpr std::size_t kSpecials = 3;
  static constexpr std::int32_t kUnknown = -1;  // a character outside the alphabet: in no pair
  static constexpr std::int32_t kGone = -2;     // joined into its left neighbour

  struct Pair {
    std::int64_t count = 0;
    std::vector<std::int32_t> places;  // of the left symbol
  };
  struct Candidate {
    std::int64_t count;
    std::int32_t left, right;
  };
  struct Later {  // orders the queue: the greatest count first, then the smallest texts
    const BpeLearner* learner;
    bool operator()(const Candidate& a, const Candidate& b) const {
      if (a.count != b.count) return a.count < b.count;
      return std::tie(learner->token(b.left), learner->token(b.right)) <
             std::tie(learner->token(a.left), learner->token(a.right));
    }
  };
  using WordCounts = std::vector<std::pair<std::string_view, std::int64_t>>;

  [[nodiscard]] const std::string& token(std::int32_t symbol) const {
    return tokens_[static_cast<std::size_t>(symbol)];
  }

  [[nodiscard]] static WordCounts count_words(std::span<const std::string> lines) {
    WordCounts words;
    std::unordered_map<std::string_view, std::size_t> index;
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (const auto offset = find_invalid_utf8(lines[i])) {
        fail("bpe.learn", "text must be UTF-8: line ", i + 1, ", byte ", *offset + 1);
      }
      for_each_word(lines[i], [&](std::string_view word) {
        const auto [at, is_new] = index.try_emplace(word, words.size());
        if (is_new) words.emplace_back(word, 0);
        ++words[at->second].second;
      });
    }
    return words;
  }

  void choose_alphabet(const WordCounts& words) {
    std::unordered_map<std::int32_t, std::int64_t> counts;
    for (const auto& [word, count] : words) {
      for (std::size_t i = 0; i < word.size();) {
        const CodePoint point = code_point_at(word, i);
        if (point.value != kWordMarkCodePoint) counts[point.value] += count;
        i += point.length;
      }
    }
    std::vector<std::pair<std::int64_t, std::int32_t>> ranked;  // (-count, code point)
    for (const auto& [value, count] : counts) {
      if (count >= options_.min_character_count) ranked.emplace_back(-count, value);
    }
    std::sort(ranked.begin(), ranked.end());
    const Index room = options_.vocabulary_size - static_cast<Index>(kSpecials) - 1;  // 1: the word mark
    const auto kept = static_cast<std::size_t>(std::min(room, options_.max_alphabet));
    if (ranked.size() > kept) ranked.resize(kept);
    std::sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.second < b.second; });

    tokens_.emplace_back(kWordMark);
    for (const auto& [count, value] : ranked) append_code_point(tokens_.emplace_back(), value);
    for (std::size_t i = 0; i < tokens_.size(); ++i) ids_.emplace(tokens_[i], static_cast<std::int32_t>(i));
  }

  void lay_out(const WordCounts& words) {
    std::size_t bytes = 0;
    for (const auto& [word, count] : words) bytes += word.size() + 1;
    require(bytes < static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()), "bpe.learn",
            "the distinct words are too long together: bytes = ", bytes);
    for (const auto& [word, count] : words) {
      const auto begin = static_cast<std::int32_t>(symbols_.size());
      symbols_.push_back(0);  // the word mark
      for (std::size_t i = 0; i < word.size();) {
        const std::size_t length = code_point_at(word, i).length;
        const auto found = ids_.find(std::string(word.substr(i, length)));
        symbols_.push_back(found == ids_.end() || found->second == 0 ? kUnknown : found->second);
        i += length;
      }
      const auto end = static_cast<std::int32_t>(symbols_.size());
      for (std::int32_t i = begin; i < end; ++i) {
        previous_.push_back(i == begin ? -1 : i - 1);
        next_.push_back(i + 1 == end ? -1 : i + 1);
        counts_.push_back(count);
        if (i + 1 < end) add(symbol(i), symbol(i + 1), i, count);
      }
    }
    queue_grown();
  }

  [[nodiscard]] std::int32_t& symbol(std::int32_t place) { return symbols_[static_cast<std::size_t>(place)]; }
  [[nodiscard]] std::int32_t& previous(std::int32_t place) { return previous_[static_cast<std::size_t>(place)]; }
  [[nodiscard]] std::int32_t& next(std::int32_t place) { return next_[static_cast<std::size_t>(place)]; }

  void add(std::int32_t left, std::int32_t right, std::int32_t place, std::int64_t count) {
    if (left < 0 || right < 0) return;
    Pair& pair = pairs_[pair_key(left, right)];
    pair.count += count;
    pair.places.push_back(place);
    grown_.push_back(pair_key(left, right));
  }

  void remove(std::int32_t left, std::int32_t right, std::int64_t count) {
    if (left < 0 || right < 0) return;
    const auto found = pairs_.find(pair_key(left, right));
    if ((found->second.count -= count) == 0) pairs_.erase(found);
  }

  /// Replaces the pair by one symbol everywhere, from left to right: of "aaa" the first two are joined.
  void join(std::int32_t left, std::int32_t right, std::int32_t joined) {
    std::vector<std::int32_t> places = std::move(pairs_.at(pair_key(left, right)).places);
    std::sort(places.begin(), places.end());
    for (const std::int32_t place : places) {
      if (symbol(place) != left) continue;
      const std::int32_t second = next(place);
      if (second < 0 || symbol(second) != right) continue;
      const std::int32_t before = previous(place);
      const std::int32_t behind = next(second);
      const std::int64_t count = counts_[static_cast<std::size_t>(place)];
      if (before >= 0) remove(symbol(before), left, count);
      if (behind >= 0) remove(right, symbol(behind), count);
      remove(left, right, count);
      symbol(place) = joined;
      symbol(second) = kGone;
      next(place) = behind;
      if (behind >= 0) previous(behind) = place;
      if (before >= 0) add(symbol(before), joined, before, count);
      if (behind >= 0) add(joined, symbol(behind), place, count);
    }
    queue_grown();
  }

  /// Queues the pairs whose count has grown. Counts that fell are noticed when the pair comes to the front.
  void queue_grown() {
    std::sort(grown_.begin(), grown_.end());
    grown_.erase(std::unique(grown_.begin(), grown_.end()), grown_.end());
    for (const std::uint64_t key : grown_) {
      const auto found = pairs_.find(key);
      if (found == pairs_.end() || found->second.count < options_.min_pair_count) continue;
      queue_.push({found->second.count, static_cast<std::int32_t>(key >> 32), static_cast<std::int32_t>(key)});
    }
    grown_.clear();
  }

  BpeOptions options_;
  SpecialTokens special_;
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, std::int32_t> ids_;
  std::vector<std::int32_t> symbols_, previous_, next_;  // per place
  std::vector<std::int64_t> counts_;                     // per place: how often its word occurs
  std::unordered_map<std::uint64_t, Pair, PairHash> pairs_;
  std::vector<std::uint64_t> grown_;
  std::priority_queue<Candidate, std::vector<Candidate>, Later> queue_;
};

}  // namespace detail

}  // namespace rapt::inline RAPT_ABI
