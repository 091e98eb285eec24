/// \file
/// Which words translate which: a table of probabilities learned from pairs of sentences, without a network.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/token_batch.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How a table of word translations is learned.
struct LexicalTableOptions {
  /// The number of tokens of the source that have ids.
  Index source_vocabulary = 0;
  /// The number of tokens of the target that have ids.
  Index target_vocabulary = 0;
  Index iterations = 5;  ///< of expectation maximisation
};

/// The probabilities t(f | e) of IBM's model 1 (Brown et al. 1993, section 4.1): every token f of a target was written
/// for one token e of its source, or for none, whichever it was with equal probability. Each iteration of expectation
/// maximisation sets t(f | e) in proportion to the expected number of times that e wrote f,
///
///     c(f | e) = sum over pairs with e and f of t(f | e) / (t(f | none) + sum over e' of the source t(f | e')).
///
/// The same pairs give the same bits. A const one may be used from many threads.
class LexicalTable {
 public:
  /// A target token and its probability, given the source token.
  struct Entry {
    TokenId target;
    double probability;
  };

  /// Learns from sources and their targets, sequence by sequence. Memory is proportional to the number of different
  /// pairs of tokens that come together. Throws ShapeError for different numbers of sequences, and ValueError for
  /// tokens outside of the vocabularies.
  LexicalTable(const TokenBatch& sources, const TokenBatch& targets, const LexicalTableOptions& options)
      : options_(options) {
    require(options.source_vocabulary > 0 && options.target_vocabulary > 0, kWhere,
            "vocabularies must be positive: source_vocabulary ", options.source_vocabulary, ", target_vocabulary ",
            options.target_vocabulary);
    require(options.iterations >= 1, kWhere, "iterations must be at least 1: ", options.iterations);
    require<ShapeError>(sources.sequences() == targets.sequences(), kWhere, sources.sequences(), " sources, ",
                        targets.sequences(), " targets");
    require_within(sources, options.source_vocabulary, "source");
    require_within(targets, options.target_vocabulary, "target");
    counts_.resize(to_size(options.target_vocabulary));
    for (const TokenId token : targets.tokens) ++at(counts_, token);
    find_cells(sources, targets);
    for (Index i = 0; i < options.iterations; ++i) iterate(sources, targets);
  }

  [[nodiscard]] const LexicalTableOptions& options() const { return options_; }
  /// The targets of a source token and their probabilities, in the order of their ids.
  [[nodiscard]] std::vector<Entry> of(TokenId source) const {
    require(source >= 0 && source < options_.source_vocabulary, kWhere, "source token ", source,
            " is outside the vocabulary of ", options_.source_vocabulary);
    return row(source);
  }
  /// The targets that were written for no token of their source, in the order of their ids.
  [[nodiscard]] std::vector<Entry> of_none() const { return row(none()); }
  /// How often each target token came.
  [[nodiscard]] std::span<const Index> counts() const { return counts_; }

 private:
  static constexpr std::string_view kWhere = "lexical_table";

  static void require_within(const TokenBatch& batch, Index vocabulary, std::string_view side) {
    require(vocabulary < std::numeric_limits<TokenId>::max(), kWhere, "the ", side, " vocabulary of ", vocabulary,
            " has more tokens than there are ids");
    for (const TokenId token : batch.tokens) {
      require(token >= 0 && token < vocabulary, kWhere, side, " token ", token, " is outside the vocabulary of ",
              vocabulary);
    }
  }

  /// The row behind those of the source tokens.
  [[nodiscard]] TokenId none() const { return static_cast<TokenId>(options_.source_vocabulary); }
  [[nodiscard]] std::vector<Entry> row(TokenId source) const {
    std::vector<Entry> entries;
    for (std::size_t i = at(begins_, source); i < begins_[to_size(source) + 1]; ++i) {
      entries.push_back({targets_[i], probabilities_[i]});
    }
    return entries;
  }

  /// A cell for each source and target token that come together, sorted; all targets of a source equally probable.
  void find_cells(const TokenBatch& sources, const TokenBatch& targets) {
    std::vector<std::uint64_t> cells;
    std::size_t distinct = 0;  // of them, the first
    const auto make_distinct = [&] {
      std::sort(cells.begin(), cells.end());
      cells.erase(std::unique(cells.begin(), cells.end()), cells.end());
      distinct = cells.size();
    };
    for (Index s = 0; s < sources.sequences(); ++s) {
      for (const TokenId f : targets.sequence(s)) {
        cells.push_back(cell(none(), f));
        for (const TokenId e : sources.sequence(s)) cells.push_back(cell(e, f));
        if (cells.size() > 2 * distinct + kCellsAtOnce) make_distinct();
      }
    }
    make_distinct();
    begins_.assign(to_size(options_.source_vocabulary) + 2, 0);
    for (const std::uint64_t c : cells) {
      ++begins_[(c >> 32) + 1];
      targets_.push_back(static_cast<TokenId>(c & 0xFFFFFFFFu));
    }
    for (std::size_t e = 1; e < begins_.size(); ++e) begins_[e] += begins_[e - 1];
    for (std::size_t e = 0; e + 1 < begins_.size(); ++e) {
      const std::size_t count = begins_[e + 1] - begins_[e];
      probabilities_.insert(probabilities_.end(), count, 1.0 / static_cast<double>(count));
    }
  }
  [[nodiscard]] static std::uint64_t cell(TokenId source, TokenId target) {
    return static_cast<std::uint64_t>(source) << 32 | static_cast<std::uint32_t>(target);
  }
  [[nodiscard]] std::size_t place(TokenId source, TokenId target) const {
    const auto begin = targets_.begin() + static_cast<std::ptrdiff_t>(at(begins_, source));
    const auto end = targets_.begin() + static_cast<std::ptrdiff_t>(begins_[to_size(source) + 1]);
    return static_cast<std::size_t>(std::lower_bound(begin, end, target) - targets_.begin());
  }

  /// Expected counts, and from them the probabilities.
  void iterate(const TokenBatch& sources, const TokenBatch& targets) {
    std::vector<double> expected(probabilities_.size(), 0.0);
    std::vector<std::size_t> places;
    for (Index s = 0; s < sources.sequences(); ++s) {
      for (const TokenId f : targets.sequence(s)) {
        places.assign(1, place(none(), f));
        for (const TokenId e : sources.sequence(s)) places.push_back(place(e, f));
        double sum = 0;
        for (const std::size_t i : places) sum += probabilities_[i];
        if (!(sum > 0)) continue;  // less than the least double
        for (const std::size_t i : places) expected[i] += probabilities_[i] / sum;
      }
    }
    for (std::size_t e = 0; e + 1 < begins_.size(); ++e) {
      double sum = 0;
      for (std::size_t i = begins_[e]; i < begins_[e + 1]; ++i) sum += expected[i];
      if (!(sum > 0)) continue;
      for (std::size_t i = begins_[e]; i < begins_[e + 1]; ++i) probabilities_[i] = expected[i] / sum;
    }
  }

  static constexpr std::size_t kCellsAtOnce = std::size_t{1} << 22;

  LexicalTableOptions options_;
  std::vector<Index> counts_;
  std::vector<std::size_t>
      begins_;                    // [source_vocabulary + 2]: the cells of source token e are begins_[e] and following
  std::vector<TokenId> targets_;  // of each cell
  std::vector<double> probabilities_;
};

}}  // namespace rapt::RAPT_ABI
