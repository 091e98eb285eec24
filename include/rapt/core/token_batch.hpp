/// \file
/// Batches of sequences: tokens laid end to end and row splits. There is no padding.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/shape.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A token's number in its vocabulary.
using TokenId = std::int32_t;

/// The offsets of sequences laid end to end: sequence i is rows begin(i) .. end(i) of an [N, D] matrix.
class RowSplits {
 public:
  RowSplits() = default;
  /// Takes the [sequences + 1] offsets. Throws ShapeError unless they start at 0 and never decrease.
  explicit RowSplits(std::vector<Index> offsets) : offsets_(std::move(offsets)) {
    require<ShapeError>(!offsets_.empty() && offsets_.front() == 0, "row_splits", "offsets must start with 0");
    const auto fall = std::is_sorted_until(offsets_.begin(), offsets_.end());
    require<ShapeError>(fall == offsets_.end(), "row_splits", "offsets must not fall: at ", fall - offsets_.begin());
  }
  /// B sequences of the same length: the splits of a dense [B, L, D] tensor.
  [[nodiscard]] static RowSplits equal(Index sequences, Index length) {
    RowSplits splits;
    for (Index i = 0; i < sequences; ++i) splits.push_back(length);
    return splits;
  }
  /// The splits of sequences with these lengths.
  [[nodiscard]] static RowSplits from_lengths(std::span<const Index> lengths) {
    RowSplits splits;
    for (const Index length : lengths) splits.push_back(length);
    return splits;
  }

  /// Appends a sequence.
  void push_back(Index length) {
    require<ShapeError>(length >= 0, "row_splits", "negative length ", length);
    offsets_.push_back(offsets_.back() + length);
  }
  /// Removes all sequences.
  void clear() { offsets_.assign(1, 0); }

  [[nodiscard]] Index sequences() const { return std::ssize(offsets_) - 1; }
  /// N, the number of rows of all sequences together.
  [[nodiscard]] Index rows() const { return offsets_.back(); }
  [[nodiscard]] Index begin(Index sequence) const { return at(offsets_, sequence); }
  [[nodiscard]] Index end(Index sequence) const { return offsets_[to_size(sequence) + 1]; }
  /// The number of rows of a sequence.
  [[nodiscard]] Index length(Index sequence) const { return end(sequence) - begin(sequence); }
  /// The number of rows of the longest sequence, 0 if there is none.
  [[nodiscard]] Index longest() const {
    Index most = 0;
    for (Index i = 0; i < sequences(); ++i) most = std::max(most, length(i));
    return most;
  }
  [[nodiscard]] std::span<const Index> offsets() const { return offsets_; }
  [[nodiscard]] friend bool operator==(const RowSplits&, const RowSplits&) = default;

 private:
  std::vector<Index> offsets_{0};
};

/// Token ids of several sequences laid end to end.
struct TokenBatch {
  std::vector<TokenId> tokens;  ///< [N]
  RowSplits row_splits;         ///< [sequences + 1]

  TokenBatch() = default;
  /// `TokenBatch({{5, 6, 7}, {8, 9}})`: two sequences.
  TokenBatch(std::initializer_list<std::initializer_list<TokenId>> sequences) {
    for (const auto& sequence : sequences) push_back(std::span(sequence.begin(), sequence.size()));
  }
  explicit TokenBatch(const std::vector<std::vector<TokenId>>& sequences) {
    for (const auto& sequence : sequences) push_back(sequence);
  }

  /// Appends a sequence.
  void push_back(std::span<const TokenId> sequence) {
    tokens.insert(tokens.end(), sequence.begin(), sequence.end());
    row_splits.push_back(std::ssize(sequence));
  }
  /// Removes all sequences.
  void clear() {
    tokens.clear();
    row_splits.clear();
  }
  [[nodiscard]] Index size() const { return std::ssize(tokens); }
  [[nodiscard]] Index sequences() const { return row_splits.sequences(); }
  /// The tokens of sequence i.
  [[nodiscard]] std::span<const TokenId> sequence(Index i) const {
    return std::span(tokens).subspan(to_size(row_splits.begin(i)), to_size(row_splits.length(i)));
  }
};

/// Source tokens, and target tokens shifted: the decoder reads `target_input` and must predict `target_output`.
struct TranslationBatch {
  /// The tokens of the source sentences.
  TokenBatch source;
  TokenBatch target_input;             ///< <s> w1 .. wn
  std::vector<TokenId> target_output;  ///< w1 .. wn </s>

  static constexpr std::string_view kItems = "tokens";
  [[nodiscard]] Index target_count() const { return static_cast<Index>(target_output.size()); }
  /// Tokens of both sides.
  [[nodiscard]] Index item_count() const { return source.size() + target_input.size(); }
};

/// Tokens, and the targets of a language model: at row rows[i] of the input it must predict targets[i]. This is the
/// next token for a causal model, and the token that was hidden there for a masked one.
struct LanguageBatch {
  TokenBatch input;
  std::vector<TokenId> targets;
  std::vector<std::int32_t> rows;  ///< the row of each target; empty means all rows in order

  static constexpr std::string_view kItems = "tokens";
  [[nodiscard]] Index target_count() const { return static_cast<Index>(targets.size()); }
  [[nodiscard]] Index item_count() const { return input.size(); }
};

/// The label of what counts for nothing in a loss of labels.
inline constexpr std::int32_t kIgnoredLabel = -100;

/// Texts, and what a model that was made for a task should say of them.
struct LabelledText {
  /// The tokens of the texts.
  TokenBatch input = {};
  std::vector<std::int32_t> token_types = {};  ///< of each token, 0 in the first text and 1 in the second; empty: all 0
  /// The number of each sequence's label [B], or of each token's [N]; kIgnoredLabel, -100, counts for
  /// nothing.
  std::vector<std::int32_t> labels = {};
  /// [B, labels], sequence by sequence, in place of `labels`: numbers to be predicted, or 1 for each label that is
  /// right and 0 for the others.
  std::vector<float> values = {};

  static constexpr std::string_view kItems = "tokens";
  [[nodiscard]] Index target_count() const {
    return std::ssize(values) + std::ssize(labels) - std::count(labels.begin(), labels.end(), kIgnoredLabel);
  }
  [[nodiscard]] Index item_count() const { return input.size(); }
};

/// Questions, each in one sequence with the text that may answer it, and where the answers are.
struct QuestionBatch {
  /// The tokens of the questions and their texts.
  TokenBatch input = {};
  std::vector<std::int32_t> token_types = {};  ///< of each token, 0 in the question and 1 in the text; empty: all 0
  /// [B] The first and the last token of the answer, counted from the sequence's first. A number that is not below the
  /// sequence's length means that the token is not in this sequence, and counts for nothing.
  std::vector<std::int32_t> starts = {}, ends = {};

  static constexpr std::string_view kItems = "tokens";
  /// Places that the loss must refuse, which are negative or have no sequence, count, so that it is computed.
  [[nodiscard]] Index target_count() const { return places_within(starts) + places_within(ends); }
  [[nodiscard]] Index item_count() const { return input.size(); }

 private:
  [[nodiscard]] Index places_within(const std::vector<std::int32_t>& places) const {
    Index count = 0;
    for (Index s = 0; s < std::ssize(places); ++s) {
      if (s >= input.sequences() || at(places, s) < input.row_splits.length(s)) ++count;
    }
    return count;
  }
};

/// Throws ShapeError unless the batch's row splits end behind its last token.
inline void require_row_splits(const TokenBatch& batch, std::string_view where) {
  require<ShapeError>(batch.row_splits.rows() == batch.size(), where, batch.size(), " tokens, row splits end at ",
                      batch.row_splits.rows());
}

/// Throws ValueError with the id and its position unless every id is from 0 to vocabulary - 1 or is `ignored`.
inline void require_ids(std::span<const TokenId> tokens, Index vocabulary, std::string_view where,
                        std::optional<TokenId> ignored = std::nullopt) {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    require((tokens[i] >= 0 && tokens[i] < vocabulary) || tokens[i] == ignored, where, "token id ", tokens[i],
            " at position ", i, " is outside the vocabulary of ", vocabulary);
  }
}

}}  // namespace rapt::RAPT_ABI
