/// \file
/// Batches of labelled texts for the training of classifiers: a shuffle for each epoch, so many texts a batch.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/data/batch_source.hpp"
#include "rapt/data/shuffled_batches.hpp"

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

/// How labelled texts become batches.
struct LabelledTextOptions {
  Index texts = 16;  ///< of a batch
  std::uint64_t seed = 1;
};

/// ShuffledBatches of labelled texts.
class LabelledTextStream : public ShuffledBatches<LabelledText> {
 public:
  /// Throws ValueError for no texts, and as `select_texts`.
  LabelledTextStream(LabelledText texts, const LabelledTextOptions& options)
      : ShuffledBatches(batches_of(std::make_shared<const LabelledText>(std::move(texts)), options)) {}

 private:
  [[nodiscard]] static ShuffledBatches batches_of(const std::shared_ptr<const LabelledText>& texts,
                                                  const LabelledTextOptions& options) {
    return {[texts](std::span<const Index> numbers) { return select_texts(*texts, numbers); },
            {.examples = texts->input.sequences(),
             .batch = options.texts,
             .seed = options.seed,
             .where = "labelled_texts"}};
  }
};
static_assert(BatchSource<LabelledTextStream>);

}}  // namespace rapt::RAPT_ABI
