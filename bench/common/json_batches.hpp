/// \file
/// Batches of sentence pairs as JSON, for programs in other languages that train on the same ones.
#pragma once

#include <nlohmann/json.hpp>
#include <rapt/core/token_batch.hpp>
#include <vector>

namespace bench {

using TokenLists = std::vector<std::vector<rapt::TokenId>>;

/// Three lists of lists of token ids, one for each sentence.
[[nodiscard]] inline nlohmann::json to_json(const rapt::TranslationBatch& batch) {
  TokenLists source, input, output;
  for (rapt::Index i = 0; i < batch.source.sequences(); ++i) {
    const auto words = batch.target_input.sequence(i);
    const auto first = batch.target_output.begin() + batch.target_input.row_splits.begin(i);
    source.emplace_back(batch.source.sequence(i).begin(), batch.source.sequence(i).end());
    input.emplace_back(words.begin(), words.end());
    output.emplace_back(first, first + static_cast<rapt::Index>(words.size()));
  }
  return {{"source", source}, {"target_input", input}, {"target_output", output}};
}

/// The batch that to_json has described.
[[nodiscard]] inline rapt::TranslationBatch batch_from(const nlohmann::json& lists) {
  rapt::TranslationBatch batch;
  batch.source = rapt::TokenBatch(lists.at("source").get<TokenLists>());
  batch.target_input = rapt::TokenBatch(lists.at("target_input").get<TokenLists>());
  batch.target_output = rapt::TokenBatch(lists.at("target_output").get<TokenLists>()).tokens;
  return batch;
}

}  // namespace bench
