/// \file
/// Sampling: tokens drawn at random from the model's distribution, or from its most probable part.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/rng.hpp"
#include "rapt/generation/single_path.hpp"
#include "rapt/kernels/softmax.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What tokens are drawn from. The restrictions apply in the order of the fields, each to the distribution that the one
/// before has left, as in transformers.
struct SamplingOptions {
  /// Probabilities are proportional to e^(logit / temperature): below 1 sharper, above 1 flatter; 0: greedy search.
  float temperature = 1.f;
  Index top_k = 0;  ///< only the most probable tokens, so many of them (Fan et al. 2018); 0: all
  /// Only the fewest most probable tokens that together have at least this probability: nucleus sampling (Holtzman et
  /// al. 2020). 1: all.
  float top_p = 1.f;
  /// Only tokens that have at least this part of the probability of the most probable one ("Turning Up the Heat:
  /// Min-p Sampling", Nguyen et al. 2024). 0: all.
  float min_p = 0.f;
  /// Only the tokens whose information -log p is nearest to the entropy of the distribution, as many as together have
  /// at least this probability: locally typical sampling (Meister et al. 2023). 1: all.
  float typical_p = 1.f;
  float epsilon_cutoff = 0.f;  ///< only tokens of at least this probability, or the best (Hewitt et al. 2022); 0: all
  /// Only tokens of at least the probability min(eta, sqrt(eta) e^-entropy), or the best (Hewitt et al. 2022). 0: all.
  float eta_cutoff = 0.f;
  Index samples = 1;  ///< hypotheses that are drawn for each source sequence
  /// Lengths, forced tokens and what else all searches know.
  GenerationOptions generation = {};
};

namespace detail {

/// Draws one token from a row of logits, given a number in [0, 1). Tokens of equal probability are ordered by id.
template <class T>
class TokenSampler {
 public:
  TokenSampler(const SamplingOptions& options, std::span<const T> logits)
      : options_(options), weights_(Shape{static_cast<Index>(logits.size())}, logits) {}

  /// The tokens that may be drawn with their probabilities, the most probable first.
  [[nodiscard]] std::vector<std::pair<TokenId, double>> distribution() {
    const std::span<T> z = weights_.values();
    make_weights(*std::max_element(z.begin(), z.end()));
    const std::vector<TokenId> kept = restricted();
    const double sum = total(kept);
    std::vector<std::pair<TokenId, double>> result;
    for (const TokenId token : kept) result.emplace_back(token, weight(token) / sum);
    return result;
  }
  [[nodiscard]] TokenId draw(double uniform) {
    const std::span<T> z = weights_.values();
    const auto best = std::max_element(z.begin(), z.end());
    const auto most_probable = static_cast<TokenId>(best - z.begin());
    if (options_.temperature == 0 || !std::isfinite(*best)) return most_probable;
    make_weights(*best);
    if (is_restricted()) return draw_of_best(uniform);
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

  [[nodiscard]] bool is_restricted() const {
    return options_.top_k > 0 || options_.top_p < 1 || options_.min_p > 0 || options_.typical_p < 1 ||
           options_.epsilon_cutoff > 0 || options_.eta_cutoff > 0;
  }
  [[nodiscard]] double total(std::span<const TokenId> tokens) const {
    double sum = 0;
    for (const TokenId token : tokens) sum += weight(token);
    return sum;
  }
  [[nodiscard]] TokenId draw_of_best(double uniform) const {
    const std::vector<TokenId> kept = restricted();
    double rest = uniform * total(kept);
    for (std::size_t i = 0; i + 1 < kept.size(); ++i) {
      if (rest < weight(kept[i])) return kept[i];
      rest -= weight(kept[i]);
    }
    return kept.back();
  }

  /// The tokens that the options leave, the most probable first.
  [[nodiscard]] std::vector<TokenId> restricted() const {
    std::vector<TokenId> kept = best();
    // Tokens are ordered by weight: these restrictions take them from the end, and never the best.
    const auto keep_at_least = [&](double lowest) {
      while (kept.size() > 1 && weight(kept.back()) < lowest && weight(kept.back()) < weight(kept.front())) {
        kept.pop_back();
      }
    };
    keep_at_least(static_cast<double>(options_.min_p) * weight(kept.front()));
    if (options_.typical_p < 1) keep_typical(kept);
    if (options_.epsilon_cutoff > 0) keep_at_least(static_cast<double>(options_.epsilon_cutoff) * total(kept));
    if (options_.eta_cutoff > 0) {
      const auto eta = static_cast<double>(options_.eta_cutoff);
      const double sum = total(kept);
      keep_at_least(std::min(eta, std::sqrt(eta) * std::exp(-entropy(kept, sum))) * sum);
    }
    return kept;
  }

  /// The best tokens by top_k and top_p, taken from a heap: no need to sort the vocabulary.
  [[nodiscard]] std::vector<TokenId> best() const {
    const auto worse = [&](TokenId a, TokenId b) { return weight(a) != weight(b) ? weight(a) < weight(b) : a > b; };
    // What min_p will take away need not be looked at, unless top_p counts it.
    const double lowest = options_.top_p < 1 ? 0.0 : static_cast<double>(options_.min_p);
    std::vector<TokenId> heap, taken;
    for (TokenId token = 0; token < weights_.size(); ++token) {
      if (weight(token) > 0 && weight(token) >= lowest) heap.push_back(token);
    }
    std::make_heap(heap.begin(), heap.end(), worse);
    const bool has_top_k = options_.top_k > 0;
    const auto top_p = static_cast<double>(options_.top_p);
    const std::size_t most = has_top_k ? std::min(to_size(options_.top_k), heap.size()) : heap.size();
    const double enough = has_top_k || top_p == 1 ? std::numeric_limits<double>::infinity() : top_p * total();
    double sum = 0;
    while (taken.size() < most && sum < enough) {
      std::pop_heap(heap.begin(), heap.end(), worse);
      taken.push_back(heap.back());
      heap.pop_back();
      sum += weight(taken.back());
    }
    if (has_top_k) {
      const double enough_of_these = top_p * sum;
      while (taken.size() > 1 && sum - weight(taken.back()) >= enough_of_these) {
        sum -= weight(taken.back());
        taken.pop_back();
      }
    }
    return taken;
  }

  /// -sum p log p of the tokens, whose weights have the given sum.
  [[nodiscard]] double entropy(std::span<const TokenId> tokens, double sum) const {
    double entropy = 0;
    for (const TokenId token : tokens) {
      const double p = weight(token) / sum;
      entropy -= p * std::log(p);
    }
    return entropy;
  }
  /// Keeps the tokens nearest to the entropy, and all that are as near as the last of them.
  void keep_typical(std::vector<TokenId>& kept) const {
    const double sum = total(kept), mean = entropy(kept, sum);
    const auto distance = [&](TokenId token) { return std::abs(-std::log(weight(token) / sum) - mean); };
    std::vector<std::pair<double, TokenId>> nearest;  // with their distances: a comparison takes no logarithms
    nearest.reserve(kept.size());
    for (const TokenId token : kept) nearest.emplace_back(distance(token), token);
    const auto by_distance = [](const auto& a, const auto& b) { return a.first < b.first; };
    std::stable_sort(nearest.begin(), nearest.end(), by_distance);
    double probability = 0;
    std::size_t last = 0;
    while (last + 1 < nearest.size()) {
      probability += weight(nearest[last].second) / sum;
      if (probability >= static_cast<double>(options_.typical_p)) break;
      ++last;
    }
    const double farthest = nearest[last].first;
    std::erase_if(kept, [&](TokenId token) { return distance(token) > farthest; });
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
  for (const auto& [name, probability] :
       {std::pair{"min_p", options.min_p}, std::pair{"epsilon_cutoff", options.epsilon_cutoff},
        std::pair{"eta_cutoff", options.eta_cutoff}}) {
    require(probability >= 0 && probability < 1, kWhere, name, " must be in [0, 1): ", probability);
  }
  require(options.typical_p > 0 && options.typical_p <= 1, kWhere, "typical_p must be in (0, 1]: ", options.typical_p);
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
