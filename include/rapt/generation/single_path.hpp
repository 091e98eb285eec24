/// \file
/// The loop of searches that follow single paths: one token for each hypothesis at each step.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/generation/decoding_model.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// `paths` hypotheses for each source sequence, those of sequence i at i * paths .. (i + 1) * paths. The next token of
/// each is choose(logits of the tokens that may follow [V], path, length so far). Hypotheses leave the batch when they
/// end. `choose` is called from several threads, with logits that hold no NaN.
template <DecodingModel M, class Choose>
[[nodiscard]] std::vector<Hypothesis> follow_paths(const M& model, const TokenBatch& source, Index paths,
                                                   const GenerationRules& rules, const SearchRequest& request,
                                                   const Choose& choose) {
  using T = typename M::ScalarType;
  std::vector<Hypothesis> results(static_cast<std::size_t>(source.sequences() * paths));
  if (results.empty()) return results;
  auto state = model.start(rules.source());
  std::vector<Index> live(results.size()), parents(results.size());  // the path of each row
  for (std::size_t r = 0; r < live.size(); ++r) {
    live[r] = static_cast<Index>(r);
    parents[r] = live[r] / paths;
  }
  if (paths > 1) state.select(parents);
  std::vector<TokenId> tokens(live.size());
  for (std::size_t r = 0; r < live.size(); ++r) tokens[r] = rules.first_token(live[r] / paths);
  std::vector<double> normaliser(live.size()), log_probability(live.size());

  Contexts contexts = rules.contexts();
  std::vector<Index> ends(live.size());  // of the hypothesis of each path in the tree of contexts
  for (std::size_t p = 0; p < ends.size(); ++p) ends[p] = contexts.roots[p / to_size(paths)];

  for (Index length = 0; !live.empty(); ++length) {
    Tensor<T> logits = model.step(state, tokens);  // [rows, V]
    if (length == 0) rules.require_vocabulary(logits.cols());
    parallel_parts(logits.rows(), [&](Index row) {
      const auto r = to_size(row);
      const std::span<T> z(logits.row(row), to_size(logits.cols()));
      const Position position{live[r] / paths, length, at(ends, live[r])};
      ChangedLogits<T> changed;
      normaliser[r] = rules.apply(z, position, contexts, &changed);
      const TokenId token = std::isfinite(normaliser[r]) ? choose(std::span<const T>(z), live[r], length) : 0;
      const auto before = std::find_if(changed.begin(), changed.end(), [&](auto& c) { return c.first == token; });
      const bool stays = before == changed.end() || !std::isfinite(at(z, token));
      log_probability[r] = static_cast<double>(stays ? at(z, token) : before->second) - normaliser[r];
      tokens[r] = token;
    });
    parents.clear();
    for (std::size_t r = 0; r < live.size(); ++r) {
      const Index path = live[r], sequence = path / paths;
      Hypothesis& result = at(results, path);
      rules.require_possible(normaliser[r], log_probability[r], sequence, length);
      result.log_probability += log_probability[r];
      result.score = result.log_probability;
      result.token_log_probabilities.push_back(log_probability[r]);
      if (rules.ends(tokens[r])) continue;
      result.tokens.push_back(tokens[r]);
      at(ends, path) = contexts.add(at(ends, path), tokens[r], sequence);
      const bool wanted = request.on_token == nullptr || request.on_token(path, tokens[r]);
      result.finished = wanted && length + 1 < rules.limit(sequence);
      if (!result.finished) continue;
      live[parents.size()] = path;
      tokens[parents.size()] = tokens[r];
      parents.push_back(static_cast<Index>(r));
    }
    if (parents.size() != live.size() && !parents.empty()) state.select(parents);
    live.resize(parents.size());
    tokens.resize(parents.size());
  }
  return results;
}

}}}  // namespace rapt::RAPT_ABI::detail
