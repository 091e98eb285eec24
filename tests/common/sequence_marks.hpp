/// \file
/// Requests with other marks than a model's own.
#pragma once

#include <utility>
#include <vector>

#include "rapt/generation/search_request.hpp"

namespace rapt_test {

/// Only these tokens end hypotheses.
template <class M>
[[nodiscard]] rapt::SearchRequest ended_by(const M& model, std::vector<rapt::TokenId> ends) {
  rapt::SequenceMarks marks = model.sequence_marks();
  marks.ends = std::move(ends);
  return {.marks = marks};
}
/// Nothing ends hypotheses but their length.
template <class M>
[[nodiscard]] rapt::SearchRequest endless(const M& model) {
  return ended_by(model, {});
}

}  // namespace rapt_test
