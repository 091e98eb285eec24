/// \file
/// A long text in segments, for models that carry a cache from each segment to the next (Transformer-XL).
#pragma once

#include <algorithm>
#include <span>

#include "rapt/core/index.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/data/batch_source.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The streams that a text is cut into, and the length of their segments.
struct SegmentOptions {
  Index streams = 1;   ///< parts of the text that are read side by side, as the sequences of a batch
  Index length = 128;  ///< tokens of a segment in each stream
};

/// The text cut into streams of equal length, one after the other, and each of these into segments: sequence b of
/// segment t + 1 goes on where sequence b of segment t ended. Targets are the next tokens, that of a segment's last
/// token included. The last segment may be shorter; what is left of the text when it does not divide, less than a token
/// for each stream, is no target.
///
/// Keeps a view of the text. A segment is a function of its number alone: a run is resumed by counting.
class Segments {
 public:
  /// Throws ValueError for a text with less than one target for each stream.
  Segments(std::span<const TokenId> text, const SegmentOptions& options) : text_(text), options_(options) {
    require(options.streams > 0 && options.length > 0, "segments", "sizes must be positive: streams ", options.streams,
            ", length ", options.length);
    stream_length_ = text.empty() ? 0 : (std::ssize(text) - 1) / options.streams;
    require(stream_length_ > 0, "segments", "a text of ", text.size(), " tokens is too short for ", options.streams,
            " streams");
  }

  /// The number of segments.
  [[nodiscard]] Index size() const { return (stream_length_ + options_.length - 1) / options_.length; }
  /// The number of targets of all segments together.
  [[nodiscard]] Index targets() const { return stream_length_ * options_.streams; }

  /// The tokens and the targets of a segment.
  [[nodiscard]] LanguageBatch operator[](Index segment) const {
    require(segment >= 0 && segment < size(), "segments", "no segment ", segment, " among ", size());
    const Index begin = segment * options_.length, count = std::min(options_.length, stream_length_ - begin);
    LanguageBatch batch;
    for (Index stream = 0; stream < options_.streams; ++stream) {
      const auto at = to_size(stream * stream_length_ + begin), n = to_size(count);
      const std::span<const TokenId> targets = text_.subspan(at + 1, n);
      batch.input.push_back(text_.subspan(at, n));
      batch.targets.insert(batch.targets.end(), targets.begin(), targets.end());
    }
    return batch;
  }

 private:
  std::span<const TokenId> text_;
  SegmentOptions options_;
  Index stream_length_ = 0;
};

/// A segment, and whether it is the first of the text.
struct SegmentBatch : LanguageBatch {
  bool begins = false;  ///< true: what a model carries from the segment before must be forgotten
};

/// A BatchSource of the segments of a text, over and over: an epoch is the text.
class SegmentStream {
 public:
  explicit SegmentStream(const Segments& segments) : segments_(segments) {}

  [[nodiscard]] SegmentBatch next() {
    if (position_.batch == segments_.size()) position_ = {position_.epoch + 1, 0};
    const Index segment = position_.batch++;
    return {segments_[segment], segment == 0};
  }
  [[nodiscard]] BatchPosition position() const { return position_; }
  /// Throws ValueError for a position that there is not; the stream then stays where it is.
  void seek(BatchPosition position) {
    require(position.epoch >= 0 && position.batch >= 0 && position.batch <= segments_.size(), "segment_stream",
            "there is no segment ", position.batch, " of epoch ", position.epoch, ": an epoch has ", segments_.size());
    position_ = position;
  }
  [[nodiscard]] Index batches_per_epoch() const { return segments_.size(); }

 private:
  Segments segments_;
  BatchPosition position_;
};
static_assert(BatchSource<SegmentStream>);

}}  // namespace rapt::RAPT_ABI
