/// \file
/// A constituency parser that scores spans of words ("Constituency Parsing with a Self-Attentive Encoder", Kitaev and
/// Klein 2018): a Transformer encoder, a score of each label for each span, and the tree with the highest sum by CKY.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/autograd/ops/activation.hpp"
#include "rapt/autograd/ops/add.hpp"
#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/autograd/ops/dropout.hpp"
#include "rapt/autograd/ops/gather_rows.hpp"
#include "rapt/autograd/ops/multiply.hpp"
#include "rapt/autograd/ops/tree_margin_loss.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/kernels/span_chart.hpp"
#include "rapt/models/model_part.hpp"
#include "rapt/models/span_parser_config.hpp"
#include "rapt/nn/embedding.hpp"
#include "rapt/nn/encoder.hpp"
#include "rapt/nn/layer_norm.hpp"
#include "rapt/nn/linear.hpp"
#include "rapt/nn/positional_encoding.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Sentences as a parser reads them.
struct ParserInput {
  TokenBatch tokens = {};  ///< of each sentence: a begin token, the tokens of its words, an end token
  RowSplits words = {};    ///< offsets of the sentences' words
  /// The row in `tokens` of each word's first token, counted over all sentences; the word ends where the next begins.
  std::vector<std::int32_t> starts = {};
  /// Of each word, for a parser that reads tags; -1: a tag that it does not know. Else empty.
  std::vector<std::int32_t> tags = {};
};

/// Sentences with their trees.
struct ParserBatch {
  ParserInput input = {};  ///< the sentences
  /// The label of each span, sentence by sentence in the order of `kernels::span_number`; -1 where there is none.
  std::vector<std::int32_t> span_labels = {};
  std::vector<std::int32_t> tags = {};  ///< of each word, for a parser that predicts them; else empty

  static constexpr std::string_view kItems = "words";
  /// Sentences, as the loss is a mean over them.
  [[nodiscard]] Index target_count() const { return input.words.sequences(); }
  [[nodiscard]] Index item_count() const { return input.words.rows(); }
};

/// The encoder's output y is read at the fenceposts between words: p_k = M_f y(last token before word k) + M_b y(first
/// token of word k), where the begin and the end token stand around the words. A span has the vector p_j - p_i, and the
/// scores M_2 relu(LayerNorm(p_j - p_i)) + c. In the paper M_f and M_b see half of y each; here they see all of it.
/// Sentences have at most `kMostWords` words, as their spans grow with the square. A const model may be used from many
/// threads.
template <class T = float>
class SpanParser {
 public:
  using ScalarType = T;
  using Config = SpanParserConfig;
  static constexpr Index kMostWords = 1000;  ///< of a sentence

  /// Xavier-uniform weights, embeddings with the standard deviation 1 / sqrt(d_model); throws ValueError for a config
  /// that does not fit.
  SpanParser(const SpanParserConfig& config, Rng& rng)
      : config_(detail::checked(config)),
        embedding_(config.vocabulary, config.d_model, rng),
        encoder_(config.layers, config.layer(), config.norm == NormPlacement::pre, rng),
        forward_(config.d_model, config.d_span, rng, {.bias = false}),
        backward_(config.d_model, config.d_span, rng, {.bias = false}),
        span_norm_(config.d_span, config.norm_epsilon),
        labels_(config.d_span, std::ssize(config.labels), rng),
        sinusoids_(config.d_model) {
    const Index tags = std::ssize(config.tags);
    if (config.reads_tags) tag_embedding_.emplace(tags + 1, config.d_model, rng);  // the last for no known tag
    if (config.predicts_tags()) tagger_.emplace(config.d_model, tags, rng);
  }

  /// The encoder output   // [N, D]
  /// This and all other functions throw ShapeError or ValueError for an input whose parts do not fit one another, for
  /// sentences without words and of more than `kMostWords`, and for tokens and tags outside of the config's.
  [[nodiscard]] Variable<T> hidden(const ParserInput& input) const {
    require_fits(input);
    Variable<T> x = embedding_(input.tokens.tokens);
    if (tag_embedding_) x = add(x, (*tag_embedding_)(tags_of_tokens(input)));
    x = sinusoids_(std::move(x), input.tokens.row_splits);
    return encoder_(dropout(std::move(x), config_.dropout), input.tokens.row_splits);
  }

  /// Scores of each label of each span, sentence by sentence in the order of `kernels::span_number`   // [S, L] from
  /// [N, D], the encoder output for the same input
  ///
  /// Keeps several tensors [S, d_span], so that a batch of training should have few long sentences.
  [[nodiscard]] Variable<T> logits(const Variable<T>& hidden, const ParserInput& input) const {
    require_encoded(hidden, input);
    std::vector<std::int32_t> begins, ends;  // of each span: its fenceposts
    for_each_span(input.words, [&](Index begin, Index end, bool) {
      begins.push_back(static_cast<std::int32_t>(begin));
      ends.push_back(static_cast<std::int32_t>(end));
    });
    return span_logits(fenceposts(hidden, input), begins, ends);
  }
  /// The same of sentences   // [S, L]
  [[nodiscard]] Variable<T> operator()(const ParserInput& input) const { return logits(hidden(input), input); }

  /// Scores of each word's tags, read from its last token   // [W, tags] from [N, D]
  /// Throws ValueError for a parser that does not predict tags.
  [[nodiscard]] Variable<T> tag_logits(const Variable<T>& hidden, const ParserInput& input) const {
    const Linear<T>& tagger = detail::require_part(tagger_, kWhere, "head for tags");
    require_encoded(hidden, input);
    std::vector<std::int32_t> last;
    for (Index s = 0; s < input.words.sequences(); ++s) {
      for (Index w = input.words.begin(s); w < input.words.end(s); ++w) {
        last.push_back(static_cast<std::int32_t>(row_after(input, s, w) - 1));
      }
    }
    return tagger(gather_rows<T>(hidden, last));
  }

  /// Mean over sentences of the max-margin loss of the tree, plus the cross-entropy of the tags of all words if the
  /// parser predicts them. Throws as `tree_margin_loss` for span labels that are no trees, too.
  [[nodiscard]] Variable<T> loss(const ParserBatch& batch) const {
    const Variable<T> encoded = hidden(batch.input);
    const Variable<T> trees = tree_margin_loss(logits(encoded, batch.input), batch.input.words, batch.span_labels);
    if (!tagger_) return trees;
    const Variable<T> tags = cross_entropy(tag_logits(encoded, batch.input), batch.tags, {.reduction = Reduction::sum});
    return add(trees, scale(tags, T(1) / static_cast<T>(batch.target_count())));
  }

  /// The best tree of each sentence, and the best tags.
  struct Parse {
    std::vector<kernels::SpanLabel> spans = {};  ///< each before those inside of it; the first has all words
    std::vector<std::int32_t> tags = {};         ///< of a parser that predicts them
  };
  /// Scores are computed for some spans at a time, so that memory is needed for the best label of each span alone.
  [[nodiscard]] std::vector<Parse> parse(const ParserInput& input) const {
    const Inference scope;
    const Variable<T> encoded = hidden(input);
    const std::vector<kernels::BestLabel<T>> best = best_labels(encoded, input);
    const RowSplits spans = kernels::span_splits(input.words);
    std::vector<Parse> parses(to_size(input.words.sequences()));
    parallel_parts(input.words.sequences(), [&](Index s) {
      const auto of_sentence = std::span(best).subspan(to_size(spans.begin(s)), to_size(spans.length(s)));
      at(parses, s).spans = kernels::best_span_tree<T>(of_sentence, input.words.length(s)).spans;
    });
    if (!tagger_) return parses;
    const Tensor<T> tags = tag_logits(encoded, input).value();
    for (Index s = 0; s < input.words.sequences(); ++s) {
      for (Index w = input.words.begin(s); w < input.words.end(s); ++w) {
        const T* row = tags.row(w);
        at(parses, s).tags.push_back(static_cast<std::int32_t>(std::max_element(row, row + tags.cols()) - row));
      }
    }
    return parses;
  }

  [[nodiscard]] const SpanParserConfig& config() const { return config_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("embedding", self.embedding_);
    visitor("tag_embedding", self.tag_embedding_);
    visitor("encoder", self.encoder_);
    visitor("forward", self.forward_);
    visitor("backward", self.backward_);
    visitor("span_norm", self.span_norm_);
    visitor("labels", self.labels_);
    visitor("tagger", self.tagger_);
  }

 private:
  static constexpr std::string_view kWhere = "span_parser";

  void require_fits(const ParserInput& input) const {
    require_row_splits(input.tokens, kWhere);
    const RowSplits& words = input.words;
    require<ShapeError>(words.sequences() == input.tokens.sequences() && words.rows() == std::ssize(input.starts),
                        kWhere, input.tokens.sequences(), " sentences of tokens, ", words.sequences(), " of words; ",
                        words.rows(), " words, ", input.starts.size(), " starts");
    for (Index s = 0; s < words.sequences(); ++s) {
      require(words.length(s) > 0, kWhere, "sentence ", s, " has no words");
      require(words.length(s) <= kMostWords, kWhere, "sentence ", s, " has ", words.length(s), " words, more than ",
              kMostWords);
      Index least = input.tokens.row_splits.begin(s) + 1;  // after the begin token
      for (Index w = words.begin(s); w < words.end(s); ++w) {
        const Index start = at(input.starts, w);
        require(start >= least && start < input.tokens.row_splits.end(s) - 1, kWhere, "word ", w - words.begin(s),
                " of sentence ", s, " begins at row ", start, ", which must be from ", least, " to ",
                input.tokens.row_splits.end(s) - 2);
        least = start + 1;
      }
    }
    require<ShapeError>(std::ssize(input.tags) == (config_.reads_tags ? words.rows() : 0), kWhere, input.tags.size(),
                        " tags for ", words.rows(), " words of a parser that ",
                        config_.reads_tags ? "reads tags" : "reads no tags");
    for (std::size_t w = 0; w < input.tags.size(); ++w) {
      require(input.tags[w] >= -1 && input.tags[w] < std::ssize(config_.tags), kWhere, "tag ", input.tags[w],
              " of word ", w, " is outside of -1 .. ", std::ssize(config_.tags) - 1);
    }
  }
  void require_encoded(const Variable<T>& hidden, const ParserInput& input) const {
    require_fits(input);
    require<ShapeError>(hidden.shape() == Shape{input.tokens.size(), config_.d_model}, kWhere, "the encoder output of ",
                        input.tokens.size(), " tokens has shape ", hidden.shape());
  }

  /// The row behind the last token of a word, which counts over all sentences: of the next word, or of the end token.
  [[nodiscard]] static Index row_after(const ParserInput& input, Index sentence, Index word) {
    const bool is_last = word + 1 == input.words.end(sentence);
    return is_last ? input.tokens.row_splits.end(sentence) - 1 : Index{at(input.starts, word + 1)};
  }

  /// The vectors p of the fenceposts, of which a sentence of n words has n + 1   // [posts, D'] from [N, D]
  [[nodiscard]] Variable<T> fenceposts(const Variable<T>& hidden, const ParserInput& input) const {
    std::vector<std::int32_t> before, after;  // of each fencepost: the rows on its two sides
    const auto add_post = [&](Index row) {
      before.push_back(static_cast<std::int32_t>(row - 1));
      after.push_back(static_cast<std::int32_t>(row));
    };
    for (Index s = 0; s < input.words.sequences(); ++s) {
      add_post(at(input.starts, input.words.begin(s)));
      for (Index w = input.words.begin(s); w < input.words.end(s); ++w) add_post(row_after(input, s, w));
    }
    return add(forward_(gather_rows<T>(hidden, before)), backward_(gather_rows<T>(hidden, after)));
  }
  /// Calls visit(begin, end, is_whole) for each span, with the numbers of its fenceposts; is_whole: it has all words.
  template <class Visit>
  static void for_each_span(const RowSplits& words, const Visit& visit) {
    for (Index s = 0; s < words.sequences(); ++s) {
      const Index first = words.begin(s) + s, n = words.length(s);  // the sentences before have a post more than words
      for (Index i = 0; i < n; ++i) {
        for (Index j = i + 1; j <= n; ++j) visit(first + i, first + j, j - i == n);
      }
    }
  }
  /// Scores of the labels of spans between these fenceposts   // [S, L] from [posts, D']
  [[nodiscard]] Variable<T> span_logits(const Variable<T>& posts, std::span<const std::int32_t> begins,
                                        std::span<const std::int32_t> ends) const {
    const Variable<T> spans = add(gather_rows<T>(posts, ends), gather_rows<T>(posts, begins, T(-1)));  // [S, D']
    return labels_(activate(span_norm_(spans), Activation::relu));
  }
  /// The best label of each span, sentence by sentence in the order of `kernels::span_number`.
  [[nodiscard]] std::vector<kernels::BestLabel<T>> best_labels(const Variable<T>& hidden,
                                                               const ParserInput& input) const {
    constexpr std::size_t kTogether = 8192;
    const Variable<T> posts = fenceposts(hidden, input);
    std::vector<kernels::BestLabel<T>> best;
    std::vector<std::int32_t> begins, ends;
    std::vector<bool> are_whole;
    const auto score = [&] {
      const Tensor<T> scores = span_logits(posts, begins, ends).value();
      for (Index i = 0; i < scores.rows(); ++i) {
        best.push_back(kernels::best_label(scores.row(i), scores.cols(), are_whole[to_size(i)]));
      }
      begins.clear(), ends.clear(), are_whole.clear();
    };
    for_each_span(input.words, [&](Index begin, Index end, bool is_whole) {
      begins.push_back(static_cast<std::int32_t>(begin));
      ends.push_back(static_cast<std::int32_t>(end));
      are_whole.push_back(is_whole);
      if (begins.size() == kTogether) score();
    });
    if (!begins.empty()) score();
    return best;
  }

  /// The tag of each token's word; begin and end tokens, and words of unknown tags, have the row after the last tag.
  [[nodiscard]] std::vector<std::int32_t> tags_of_tokens(const ParserInput& input) const {
    std::vector<std::int32_t> tags(to_size(input.tokens.size()), static_cast<std::int32_t>(config_.tags.size()));
    for (Index s = 0; s < input.words.sequences(); ++s) {
      for (Index w = input.words.begin(s); w < input.words.end(s); ++w) {
        if (at(input.tags, w) < 0) continue;
        for (Index row = at(input.starts, w); row < row_after(input, s, w); ++row) at(tags, row) = at(input.tags, w);
      }
    }
    return tags;
  }

  SpanParserConfig config_;
  Embedding<T> embedding_;
  std::optional<Embedding<T>> tag_embedding_;
  Encoder<T> encoder_;
  Linear<T> forward_, backward_;
  LayerNorm<T> span_norm_;
  Linear<T> labels_;
  std::optional<Linear<T>> tagger_;
  SinusoidalPositionalEncoding<T> sinusoids_;
};
static_assert(Module<SpanParser<float>>);

template <class... Arguments>
SpanParser(const SpanParserConfig&, Arguments&&...) -> SpanParser<float>;

}}  // namespace rapt::RAPT_ABI
