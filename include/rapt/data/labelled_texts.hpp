/// \file
/// Batches of labelled texts for the training of classifiers: a shuffle for each epoch, so many texts a batch.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "rapt/core/batch_position.hpp"
#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/rng.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/data/batch_source.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The texts with these numbers, with their types, labels and values. Throws ShapeError for labels that are neither one
/// of each text nor one of each token, and values that are not the same number for each text.
[[nodiscard]] inline LabelledText select_texts(const LabelledText& all, std::span<const Index> numbers) {
  const Index count = all.input.sequences(), tokens = all.input.size();
  const Index labels = std::ssize(all.labels), values = std::ssize(all.values);
  require<ShapeError>((labels == 0 || labels == count || labels == tokens) &&
                          (values == 0 || (count > 0 && values % count == 0)) &&
                          (all.token_types.empty() || std::ssize(all.token_types) == tokens),
                      "labelled_texts", count, " texts of ", tokens, " tokens have ", labels, " labels, ", values,
                      " values and ", all.token_types.size(), " token types");
  const RowSplits& splits = all.input.row_splits;
  LabelledText selected;
  for (const Index i : numbers) {
    selected.input.push_back(all.input.sequence(i));
    const auto append_rows = [&](const auto& from, auto& to) {
      to.insert(to.end(), from.begin() + splits.begin(i), from.begin() + splits.end(i));
    };
    if (!all.token_types.empty()) append_rows(all.token_types, selected.token_types);
    if (labels == count && labels > 0) {
      selected.labels.push_back(at(all.labels, i));
    } else if (labels > 0) {
      append_rows(all.labels, selected.labels);
    }
    const Index each = values == 0 ? 0 : values / count;
    selected.values.insert(selected.values.end(), all.values.begin() + i * each, all.values.begin() + (i + 1) * each);
  }
  return selected;
}

struct LabelledTextOptions {
  Index texts = 16;  ///< of a batch
  std::uint64_t seed = 1;
};

/// A BatchSource of labelled texts. Each epoch has all of them, in an order that is a function of (seed, epoch); its
/// last batch has what is left.
class LabelledTextStream {
 public:
  /// Throws ValueError for no texts, and as `select_texts`.
  LabelledTextStream(LabelledText texts, const LabelledTextOptions& options)
      : texts_(std::move(texts)), options_(options) {
    require(options.texts > 0 && texts_.input.sequences() > 0, "labelled_texts", "there must be texts, and some in a ",
            "batch: ", texts_.input.sequences(), ", ", options.texts);
    start_epoch(0);
  }

  [[nodiscard]] LabelledText next() {
    if (position_.batch == batches_per_epoch()) start_epoch(position_.epoch + 1);
    const Index begin = position_.batch++ * options_.texts;
    const Index count = std::min(options_.texts, std::ssize(order_) - begin);
    return select_texts(texts_, std::span<const Index>(order_).subspan(to_size(begin), to_size(count)));
  }
  [[nodiscard]] Index batches_per_epoch() const { return (std::ssize(order_) + options_.texts - 1) / options_.texts; }
  [[nodiscard]] BatchPosition position() const { return position_; }
  /// Throws ValueError for a position that there is not; the stream then stays where it is.
  void seek(BatchPosition position) {
    require(position.epoch >= 0 && position.batch >= 0 && position.batch <= batches_per_epoch(), "labelled_texts",
            "there is no batch ", position.batch, " of epoch ", position.epoch, ": an epoch has ", batches_per_epoch());
    start_epoch(position.epoch);
    position_ = position;
  }

 private:
  void start_epoch(Index epoch) {
    order_.resize(to_size(texts_.input.sequences()));
    std::iota(order_.begin(), order_.end(), Index{0});
    Rng rng(options_.seed + static_cast<std::uint64_t>(epoch) * 0x9E3779B97F4A7C15ull);
    rng.shuffle(std::span(order_));
    position_ = {epoch, 0};
  }

  LabelledText texts_;
  LabelledTextOptions options_;
  std::vector<Index> order_;
  BatchPosition position_;
};
static_assert(BatchSource<LabelledTextStream>);

}}  // namespace rapt::RAPT_ABI
