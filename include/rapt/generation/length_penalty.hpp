/// \file
/// What log-probabilities are divided by, so that hypotheses of different length can be compared.
#pragma once

#include <cmath>

#include "rapt/core/shape.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Sums of log-probabilities fall with every token, so the shortest hypothesis would win too often.
enum class LengthNormalisation {
  paper,  ///< lp(Y) = ((5 + |Y|) / 6)^alpha: Wu et al. 2016, equation 14; what "Attention Is All You Need" uses (6.1)
  plain,  ///< |Y|^alpha; with alpha = 1 scores are mean log-probabilities of a token
};

/// The divisor for |Y| = length tokens, the end symbol included. Grows with length if alpha > 0, falls if alpha < 0; 1
/// if alpha = 0.
[[nodiscard]] inline double length_penalty(Index length, double alpha, LengthNormalisation normalisation) {
  const auto tokens = static_cast<double>(length);
  return std::pow(normalisation == LengthNormalisation::paper ? (5 + tokens) / 6 : tokens, alpha);
}

}}  // namespace rapt::RAPT_ABI
