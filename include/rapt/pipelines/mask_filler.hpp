/// \file
/// Tokens for the places of a text that are hidden, by a masked-language model of a Hugging Face folder, as
/// transformers' pipeline "fill-mask".
///
/// ```cpp
/// const auto fill = rapt::mask_filler("bert-base-uncased");
/// const auto found = fill({{"Paris is the [MASK] of France."}});  // found[text][mask][rank]
/// ```
#pragma once

#include <algorithm>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/pipelines/label_scores.hpp"
#include "rapt/pipelines/task_encoder.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How many proposals for a masked token are made, and from which tokens.
struct MaskFillerOptions {
  Index top_k = 5;  ///< the number of proposals for each masked token
  /// If not empty, these alone are considered: tokens by their names, or of other texts the first token. Their
  /// probabilities stay those among all tokens.
  std::vector<std::string> targets = {};
};

/// A proposal for a masked token, and its probability.
struct MaskFill {
  double score = 0;  ///< probability
  TokenId token = 0;
  std::string token_text;  ///< as `text` with U+FFFD for bytes that are no character
  std::string text;        ///< the text with the token at the mask's place; other masks stay
};

/// Fills masks. A const one may be used from many threads.
class MaskFiller {
 public:
  /// Throws IoError for a folder whose model is no masked-language model, or whose tokenizer has no mask.
  explicit MaskFiller(const std::filesystem::path& folder)
      : encoder_(folder, EncoderHead::vocabulary, kWhere),
        mask_(encoder_.special_token("mask_token", {"[MASK]", "<mask>"})),
        padding_(encoder_.special_token("pad_token", {"[PAD]", "<pad>"})) {
    require<IoError>(mask_ >= 0, kWhere, folder.string(), ": the tokenizer has no mask_token");
  }

  /// What may stand at each mask of each text, the most probable first. A text with more tokens than the model takes is
  /// cut off. Throws ValueError that names the text for one that is not UTF-8, or without a mask in what is left.
  [[nodiscard]] std::vector<std::vector<std::vector<MaskFill>>> operator()(
      std::span<const std::string> texts, const MaskFillerOptions& options = {}) const {
    require_top_k(options.top_k, kWhere);
    const std::vector<TokenId> targets = tokens_of(options.targets);
    const PairBatch batch = encoder_.encode(texts);
    for (Index t = 0; t < batch.tokens.sequences(); ++t) {
      const auto tokens = batch.tokens.sequence(t);
      require(std::find(tokens.begin(), tokens.end(), mask_) != tokens.end(), kWhere, "text ", t, " has no ",
              mask_text(), " among its ", tokens.size(), " tokens");
    }
    std::vector<std::vector<std::vector<MaskFill>>> found(texts.size());
    encoder_.score(
        batch,
        [&](Index t, TensorView<const float> logits) {
          at(found, t) = fills_of(batch.tokens.sequence(t), logits, targets, options.top_k);
        },
        mask_);
    return found;
  }

  /// What stands for a hidden token in a text: "[MASK]", "<mask>".
  [[nodiscard]] const std::string& mask_text() const { return encoder_.tokenizer().token(mask_); }

 private:
  static constexpr std::string_view kWhere = "mask_filler";

  /// Sorted, each once.
  [[nodiscard]] std::vector<TokenId> tokens_of(const std::vector<std::string>& targets) const {
    std::vector<TokenId> tokens;
    for (const std::string& target : targets) {
      TokenId token = encoder_.tokenizer().id(target);
      if (token < 0) {
        const Encoding parts = encoder_.tokenizer().encode_with_spans(target, {.add_special = false});
        require(!parts.ids.empty(), kWhere, "the target ", detail::quote_name(target), " has no token");
        token = parts.ids.front();
      }
      tokens.push_back(token);
    }
    std::sort(tokens.begin(), tokens.end());
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    return tokens;
  }

  [[nodiscard]] std::vector<std::vector<MaskFill>> fills_of(std::span<const TokenId> tokens,
                                                            TensorView<const float> logits,
                                                            const std::vector<TokenId>& targets, Index top_k) const {
    std::vector<std::vector<MaskFill>> found;
    std::vector<TokenId> filled;
    for (std::size_t place = 0; place < tokens.size(); ++place) {
      if (tokens[place] != mask_) continue;
      const float* row = logits.row(std::ssize(found));
      std::vector<double> scores = detail::scores_of({row, to_size(logits.cols())}, ScoreFunction::softmax);
      if (!targets.empty()) {
        std::vector<double> of_targets;
        for (const TokenId token : targets) of_targets.push_back(at(scores, token));
        scores = std::move(of_targets);
      }
      found.emplace_back();
      for (const std::size_t best : detail::best_of(scores, top_k)) {
        const TokenId token = targets.empty() ? static_cast<TokenId>(best) : targets[best];
        filled.assign(tokens.begin(), tokens.end());
        filled[place] = token;
        std::erase(filled, padding_);
        // Of several masks the others are to be seen, and with them all special tokens.
        const bool is_only_one = logits.rows() == 1;
        found.back().push_back(
            {.score = scores[best],
             .token = token,
             .token_text = replace_malformed(encoder_.tokenizer().decode({&token, 1}, /*skip_special=*/false)),
             .text = replace_malformed(encoder_.tokenizer().decode(filled, is_only_one))});
      }
    }
    return found;
  }

  detail::TaskEncoder encoder_;
  TokenId mask_, padding_;
};

/// The filler of a folder.
[[nodiscard]] inline MaskFiller mask_filler(const std::filesystem::path& folder) { return MaskFiller(folder); }

}}  // namespace rapt::RAPT_ABI
