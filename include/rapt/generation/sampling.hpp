/// \file
/// Sampling: tokens drawn at random from the model's distribution, or from its most probable part.
#pragma once

#include <cstdint>
#include <numeric>

#include "rapt/core/rng.hpp"
#include "rapt/generation/single_path.hpp"
#include "rapt/kernels/softmax.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What tokens are drawn from. The restrictions apply in the order of the fields, each to what the one before has left.
struct SamplingOptions {
  /// Probabilities are proportional to e^(logit / temperature): below 1 sharper, above 1 flatter; 0: greedy search.
  float temperature = 1.f;
  Index top_k = 0;  ///< only the most probable tokens, so many of them (Fan et al. 2018); 0: all
  /// Only the fewest most probable tokens that together have at least this probability: nucleus sampling (Holtzman et
  /// al. 2020). 1: all.
  float top_p = 1.f;
  Index samples = 1;  ///< hypotheses that are drawn for each source sequence
  GenerationOptions generation = {};
};

namespace detail {

/// Draws one token from a row of logits, given a number in [0, 1). Tokens of equal probability are ordered by id.
template <class T>
class TokenSampler {
 public:
  TokenSampler(const SamplingOptions& options, std::span<const T> logits)
      : options_(options), weights_(Shape{static_cast<Index>(logits.size())}, logits) {}

  [[nodiscard]] TokenId draw(double uniform) {
    const std::span<T> z = weights_.values();
    const auto best = std::max_element(z.begin(), z.end());
    const auto most_probable = static_cast<TokenId>(best - z.begin());
    if (options_.temperature == 0 || !std::isfinite(*best)) return most_probable;
    make_weights(*best);
    if (options_.top_k > 0 || options_.top_p < 1) return draw_of_best(uniform);
    double rest = uniform * total();
    TokenId last = most_probable;  // rounding may leave something of `rest` behind the last
    for (Index j = 0; j < weights_.size(); ++j) {
      if (weight(static_cast<TokenId>(j)) == 0) continue;
      last = static_cast<TokenId>(j);
      if (rest < weight(last)) break;
      rest -= weight(last);
    }
    return last;
  }

 private:
  /// weight_j = e^((logit_j - highest) / temperature): 1 for the most probable token, 0 for impossible ones.
  void make_weights(T highest) {
    const auto temperature = static_cast<T>(options_.temperature);
    for (T& z : weights_.values()) z = (z - highest) / temperature;
    kernels::exponentials_of(weights_.data(), weights_.size());
  }
  [[nodiscard]] double weight(TokenId token) const { return static_cast<double>(weights_.data()[token]); }
  [[nodiscard]] double total() const {
    double sum = 0;
    for (const T weight : weights_.values()) sum += static_cast<double>(weight);
    return sum;
  }

  /// Takes tokens from a heap, best first, until top_k or top_p is reached: no need to sort the vocabulary.
  [[nodiscard]] TokenId draw_of_best(double uniform) const {
    const auto worse = [&](TokenId a, TokenId b) { return weight(a) != weight(b) ? weight(a) < weight(b) : a > b; };
    Tensor<TokenId> heap(weights_.shape());
    const std::span<TokenId> tokens = heap.values();
    std::iota(tokens.begin(), tokens.end(), TokenId{0});
    std::make_heap(tokens.begin(), tokens.end(), worse);
    const bool has_top_k = options_.top_k > 0;
    const auto top_p = static_cast<double>(options_.top_p);
    const std::size_t most =
        has_top_k ? std::min(static_cast<std::size_t>(options_.top_k), tokens.size()) : tokens.size();
    const double enough = has_top_k ? std::numeric_limits<double>::infinity() : top_p * total();
    std::size_t taken = 0;  // they stand at the end of `tokens`, the best one last
    const auto nth_best = [&](std::size_t n) { return tokens[tokens.size() - n]; };
    double sum = 0;
    while (taken < most && sum < enough && weight(tokens.front()) > 0) {
      std::pop_heap(tokens.begin(), tokens.end() - static_cast<std::ptrdiff_t>(taken), worse);
      sum += weight(nth_best(++taken));
    }
    if (has_top_k) {
      const double enough_of_these = top_p * sum;
      while (taken > 1 && sum - weight(nth_best(taken)) >= enough_of_these) sum -= weight(nth_best(taken--));
    }
    double rest = uniform * sum;
    for (std::size_t n = 1; n < taken; ++n) {
      if (rest < weight(nth_best(n))) return nth_best(n);
      rest -= weight(nth_best(n));
    }
    return nth_best(taken);
  }

  const SamplingOptions& options_;
  Tensor<T> weights_;
};

}  // namespace detail

/// `samples` hypotheses for each source sequence. The number that decides a token is addressed by the request's seed,
/// the sequence's stream, the sample and the step (see core/rng.hpp): the same seed gives the same hypotheses on any
/// number of threads, and in any batch as far as the model's logits are the same there to the last bit (where they are
/// not, a token can change if its number falls between the two). Log-probabilities and scores are the model's, whatever
/// the tokens were drawn from.
template <DecodingModel M>
[[nodiscard]] std::vector<std::vector<Hypothesis>> sample(const M& model, const TokenBatch& source,
                                                          const SamplingOptions& options = {},
                                                          const SearchRequest& request = {}) {
  using T = typename M::ScalarType;
  constexpr std::string_view kWhere = "sample";
  require(options.temperature >= 0 && std::isfinite(options.temperature), kWhere,
          "temperature must be finite and not negative: ", options.temperature);
  require(options.top_k >= 0, kWhere, "top_k must not be negative: ", options.top_k);
  require(options.top_p > 0 && options.top_p <= 1, kWhere, "top_p must be in (0, 1]: ", options.top_p);
  require(options.samples >= 1, kWhere, "samples must be at least 1: ", options.samples);
  require(request.streams.empty() || static_cast<Index>(request.streams.size()) == source.sequences(), kWhere,
          request.streams.size(), " streams for ", source.sequences(), " source sequences");

  const auto choose = [&](std::span<const T> logits, Index path, Index length) {
    const auto sequence = static_cast<std::size_t>(path / options.samples);
    const auto number = static_cast<std::uint64_t>(path % options.samples);
    const RandomStream stream{request.seed, request.streams.empty() ? sequence : request.streams[sequence]};
    const auto words = stream.block(number << 32 | static_cast<std::uint64_t>(length));
    const std::uint64_t bits = std::uint64_t{words[0]} << 32 | words[1];
    return detail::TokenSampler<T>(options, logits).draw(static_cast<double>(bits >> 11) * 0x1p-53);
  };
  const detail::GenerationRules rules = detail::rules_of(model, source, options.generation, request, kWhere);
  std::vector<Hypothesis> paths = detail::follow_paths(model, source, options.samples, rules, request, choose);
  std::vector<std::vector<Hypothesis>> results(static_cast<std::size_t>(source.sequences()));
  for (std::size_t i = 0; i < paths.size(); ++i) {
    results[i / static_cast<std::size_t>(options.samples)].push_back(std::move(paths[i]));
  }
  return results;
}

}}  // namespace rapt::RAPT_ABI
