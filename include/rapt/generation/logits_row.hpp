/// \file
/// One row of logits that the rules of a search change, and what it held before.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/token_batch.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Logits that were changed, but not forbidden, as the model gave them.
template <class T>
using ChangedLogits = std::vector<std::pair<TokenId, T>>;

/// The scores of one row of logits, which are logits minus `base`.
template <class T>
struct LogitsRow {
  static constexpr T kNever = -std::numeric_limits<T>::infinity();
  std::span<T> logits;
  double base;
  ChangedLogits<T>* changed;

  [[nodiscard]] bool has(TokenId token) const { return token >= 0 && token < std::ssize(logits); }
  void forbid(TokenId token) const {
    if (has(token)) at(logits, token) = kNever;
  }
  void forbid(const std::vector<TokenId>& tokens) const {
    for (const TokenId token : tokens) forbid(token);
  }
  void allow_only(std::span<const TokenId> tokens) const {
    for (TokenId token = 0; token < std::ssize(logits); ++token) {
      if (std::find(tokens.begin(), tokens.end(), token) == tokens.end()) at(logits, token) = kNever;
    }
  }
  /// score = f(score)
  template <class F>
  void change(TokenId token, const F& f) const {
    if (!has(token)) return;
    T& z = at(logits, token);
    if (!std::isfinite(z)) return;
    if (changed != nullptr) changed->emplace_back(token, z);
    z = static_cast<T>(base + f(static_cast<double>(z) - base));
  }
  void penalise(TokenId token, double penalty) const {
    change(token, [&](double score) { return score < 0 ? score * penalty : score / penalty; });
  }
  /// Gives tokens the log-probability 0. Returns the normaliser as a T, so that it is 0 exactly.
  [[nodiscard]] double make_free(std::span<const TokenId> tokens, double normaliser) const {
    for (const TokenId token : tokens) at(logits, token) = static_cast<T>(normaliser);
    return static_cast<double>(static_cast<T>(normaliser));
  }
};

}}}  // namespace rapt::RAPT_ABI::detail
