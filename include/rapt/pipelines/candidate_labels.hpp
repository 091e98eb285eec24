/// \file
/// Labels that are chosen at the call, as sentences that a model can judge.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// The template with each label in the place of its "{}". Throws ValueError `[where]` without labels, and for a
/// template without "{}" or with several.
[[nodiscard]] inline std::vector<std::string> hypotheses(std::span<const std::string> candidate_labels,
                                                         const std::string& hypothesis_template,
                                                         std::string_view where) {
  require(!candidate_labels.empty(), where, "there must be a label");
  const std::size_t place = hypothesis_template.find("{}");
  require(place != std::string::npos && hypothesis_template.find("{}", place + 2) == std::string::npos, where,
          "hypothesis_template must have one {} for the label: ", hypothesis_template);
  std::vector<std::string> sentences;
  for (const std::string& label : candidate_labels) {
    sentences.push_back(std::string(hypothesis_template).replace(place, 2, label));
  }
  return sentences;
}

}}}  // namespace rapt::RAPT_ABI::detail
