/// \file
/// Batches of spectrograms, the input of models that listen; and with the texts from which these learn.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/core/token_batch.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Spectrograms laid end to end: rows are moments, columns pitches.
template <class T>
struct SpeechBatch {
  Tensor<T> frames = {};      ///< [N, bins]
  RowSplits row_splits = {};  ///< [sequences + 1]

  SpeechBatch() = default;
  /// Throws ShapeError unless the row splits end behind the last row.
  SpeechBatch(Tensor<T> all, RowSplits splits) : frames(std::move(all)), row_splits(std::move(splits)) {
    require<ShapeError>(frames.shape().rank() == 2 && frames.rows() == row_splits.rows(), "speech_batch",
                        "frames of shape ", frames.shape(), ", row splits end at ", row_splits.rows());
  }

  /// The number of recordings.
  [[nodiscard]] Index sequences() const { return row_splits.sequences(); }
};

/// Spectrograms, and their texts shifted: the decoder reads `target_input` and must predict `target_output`.
template <class T>
struct TranscribedSpeech {
  /// The spectrograms.
  SpeechBatch<T> source = {};
  TokenBatch target_input = {};
  std::vector<TokenId> target_output = {};

  static constexpr std::string_view kItems = "tokens";
  [[nodiscard]] Index target_count() const { return std::ssize(target_output); }
  [[nodiscard]] Index item_count() const { return target_input.size(); }
};

}}  // namespace rapt::RAPT_ABI
