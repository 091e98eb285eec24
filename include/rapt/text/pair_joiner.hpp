/// \file
/// Joining neighbouring symbols by rank, as byte pair encoding does with the symbols of a word, with BPE-dropout if
/// wanted.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/rng.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/text/key_table.hpp"
#include "rapt/text/token_table.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Draws which pairs are skipped. The i-th call of drops() uses number i of the stream.
class JoinDropout {
 public:
  /// Throws ValueError unless 0 <= probability <= 1.
  JoinDropout(double probability, const RandomStream& stream, std::string_view where) : stream_(stream) {
    require(probability >= 0 && probability <= 1, where, "dropout must be from 0 to 1: ", probability);
    threshold_ = static_cast<std::uint64_t>(std::llround(probability * 0x1p32));
  }

  [[nodiscard]] bool drops() {
    const std::uint64_t i = drawn_++;
    if (i % 4 == 0) words_ = stream_.block(i / 4);
    return words_[i % 4] < threshold_;
  }

 private:
  RandomStream stream_;
  std::uint64_t threshold_ = 0, drawn_ = 0;  // a threshold of 2^32 drops always
  std::array<std::uint32_t, 4> words_{};
};

/// The pairs that may be joined, each with its rank and the symbol that it becomes. Joining n symbols takes a time
/// proportional to n log n. Many threads may call `join` at once.
class PairJoiner {
 public:
  struct Candidate {
    std::int32_t rank, place, left, right;  // outdated if these symbols are no longer at the place
    std::int32_t joined;
  };
  /// Buffers that are used again for each word.
  struct Work {
    std::vector<std::int32_t> symbols;  ///< before: not negative, or -1 for symbols never joined; after: the result
    std::vector<std::int32_t> begins;   ///< after: the number of the original symbol that each one begins with
    Candidate last;                     ///< after: the join that was made last; its `joined` is -1 if there was none
    std::vector<std::int32_t> previous, next;
    std::vector<Candidate> heap, fresh, dropped;
    std::vector<std::int32_t> ranks, joins;  // of few symbols: of each with the next one
  };
  /// What to do if the best pair is at several places: join the leftmost one and then choose the best pair anew, or
  /// join all of them first. The results differ if joining makes a pair of smaller rank.
  enum class Order { one_by_one, all_of_a_pair };

  explicit PairJoiner(Order order) : order_(order) {}

  /// Adds a pair that may be joined; pairs of smaller rank are joined first. Returns false and changes nothing if the
  /// pair has been added before.
  bool add(std::int32_t left, std::int32_t right, std::int32_t rank, std::int32_t joined) {
    return joins_.try_emplace(pair_key(left, right), {rank, joined}).second;
  }

  /// Joins until no pair is left. With dropout, each pair is skipped with the given probability whenever the best one
  /// is chosen, and joining ends when all are skipped (Provilkov et al. 2020, arXiv:1910.13267).
  void join(Work& work, JoinDropout* dropout = nullptr) const {
    if (dropout == nullptr && order_ == Order::one_by_one && work.symbols.size() <= kShort) return join_few(work);
    join(work, dropout, [](const Candidate&) {});
  }
  /// As above; calls on_candidate(candidate) for each pair that may be joined as soon as its symbols are neighbours.
  template <class OnCandidate>
  void join(Work& work, JoinDropout* dropout, const OnCandidate& on_candidate) const {
    const auto later = [](const Candidate& a, const Candidate& b) {
      return std::tie(a.rank, a.place) > std::tie(b.rank, b.place);
    };
    std::vector<std::int32_t>&symbols = work.symbols, &previous = work.previous, &next = work.next;
    std::vector<Candidate>&heap = work.heap, &fresh = work.fresh, &dropped = work.dropped;
    const auto size = static_cast<std::int32_t>(symbols.size());
    previous.resize(symbols.size());
    next.resize(symbols.size());
    heap.clear();
    fresh.clear();
    dropped.clear();
    work.last.joined = -1;
    const auto consider = [&](std::vector<Candidate>& list, std::int32_t left, std::int32_t right) {
      const std::int32_t a = at(symbols, left), b = at(symbols, right);
      if (a < 0 || b < 0) return;
      if (const Join* found = joins_.find(pair_key(a, b))) {
        list.push_back({found->rank, left, a, b, found->joined});
        on_candidate(list.back());
      }
    };
    for (std::int32_t i = 0; i < size; ++i) {
      at(previous, i) = i - 1;
      at(next, i) = i + 1;
      if (i + 1 < size) consider(heap, i, i + 1);
    }
    std::make_heap(heap.begin(), heap.end(), later);
    const auto queue = [&](std::vector<Candidate>& list) {
      for (const Candidate& candidate : list) {
        heap.push_back(candidate);
        std::push_heap(heap.begin(), heap.end(), later);
      }
      list.clear();
    };
    for (std::int32_t rank = -1;;) {
      if (order_ == Order::one_by_one || heap.empty() || heap.front().rank != rank) queue(fresh);
      if (heap.empty()) break;
      std::pop_heap(heap.begin(), heap.end(), later);
      const Candidate best = heap.back();
      heap.pop_back();
      const std::int32_t second = at(next, best.place);
      if (at(symbols, best.place) != best.left || second >= size || at(symbols, second) != best.right) continue;
      if (dropout != nullptr && dropout->drops()) {
        dropped.push_back(best);
        continue;
      }
      rank = best.rank;
      work.last = best;
      const std::int32_t behind = at(next, second), before = at(previous, best.place);
      at(symbols, best.place) = best.joined;
      at(symbols, second) = kGone;
      at(next, best.place) = behind;
      if (before >= 0) consider(fresh, before, best.place);
      if (behind < size) {
        at(previous, behind) = best.place;
        consider(fresh, best.place, behind);
      }
      queue(dropped);
    }
    std::vector<std::int32_t>& begins = work.begins;
    begins.clear();
    for (std::int32_t i = 0; i < size; i = at(next, i)) {
      at(symbols, static_cast<std::int32_t>(begins.size())) = at(symbols, i);
      begins.push_back(i);
    }
    symbols.resize(begins.size());
  }

 private:
  static constexpr std::int32_t kGone = -2;
  static constexpr std::size_t kShort = 64;  // symbols for which a search for the best pair is faster than a heap
  static constexpr std::int32_t kNoRank = std::numeric_limits<std::int32_t>::max();

  struct Join {
    std::int32_t rank = 0, joined = 0;
  };

  /// Joins one by one; takes a time proportional to the square of the number of symbols.
  void join_few(Work& work) const {
    std::vector<std::int32_t>&symbols = work.symbols, &begins = work.begins, &ranks = work.ranks, &joins = work.joins;
    std::size_t size = symbols.size();
    begins.resize(size);
    ranks.assign(size, kNoRank);  // the last one stays
    joins.resize(size);
    work.last.joined = -1;
    const auto look_up = [&](std::size_t i) {
      const Join* found =
          symbols[i] < 0 || symbols[i + 1] < 0 ? nullptr : joins_.find(pair_key(symbols[i], symbols[i + 1]));
      ranks[i] = found == nullptr ? kNoRank : found->rank;
      if (found != nullptr) joins[i] = found->joined;
    };
    for (std::size_t i = 0; i < size; ++i) {
      begins[i] = static_cast<std::int32_t>(i);
      if (i + 1 < size) look_up(i);
    }
    while (size > 1) {
      std::int32_t least = kNoRank;
      std::size_t best = 0;
      for (std::size_t i = 0; i + 1 < size; ++i) {
        if (ranks[i] >= least) continue;
        least = ranks[i];
        best = i;
      }
      if (least == kNoRank) break;
      work.last = {least, static_cast<std::int32_t>(best), symbols[best], symbols[best + 1], joins[best]};
      symbols[best] = joins[best];
      for (std::size_t i = best + 1; i + 1 < size; ++i) {
        symbols[i] = symbols[i + 1];
        begins[i] = begins[i + 1];
        ranks[i] = ranks[i + 1];
        joins[i] = joins[i + 1];
      }
      --size;
      if (best > 0) look_up(best - 1);
      if (best + 1 < size) {
        look_up(best);
      } else {
        ranks[best] = kNoRank;
      }
    }
    symbols.resize(size);
    begins.resize(size);
  }

  Order order_;
  KeyTable<Join> joins_;
};

/// Adds all pairs of tokens that are a token together, which is what tiktoken joins: of the pairs of neighbours, the
/// one whose joined token has the smallest id comes first. `names` are the names of tokens by id and `ids` the table of
/// them; tokens for which is_joined(id) is false are left out. A name of n bytes takes a time proportional to n, and to
/// the lengths of the tokens that it begins with.
template <class IsJoined>
void add_ranked_pairs(std::span<const std::string> names, const TokenTable& ids, const IsJoined& is_joined,
                      PairJoiner& joiner) {
  std::vector<std::uint64_t> powers = {1};  // of the hash's factor
  while (powers.size() <= ids.longest()) powers.push_back(powers.back() * TokenTable::kFactor);
  const auto find = [&](std::uint64_t hash, std::string_view name) {
    const TokenId id = ids.find(hash, {}, name);
    return id >= 0 && is_joined(id) ? id : -1;
  };
  for (const std::string_view name : names) {
    const std::uint64_t whole = TokenTable::hash_on(TokenTable::kEmptyHash, name);
    const TokenId joined = find(whole, name);
    if (joined < 0) continue;
    std::uint64_t head = TokenTable::kEmptyHash;
    for (std::size_t cut = 1; cut < name.size(); ++cut) {
      head = TokenTable::hash_on(head, name[cut - 1]);
      if ((static_cast<unsigned char>(name[cut]) & 0xC0u) == 0x80u) continue;  // within a character
      const TokenId left = find(head, name.substr(0, cut));
      if (left < 0) continue;
      const TokenId right = find(whole - head * powers[name.size() - cut], name.substr(cut));
      if (right >= 0) joiner.add(left, right, joined, joined);
    }
  }
}

}}}  // namespace rapt::RAPT_ABI::detail
