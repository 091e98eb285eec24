/// \file
/// Classification of the tokens of texts, such as names of persons and places, by a model of a Hugging Face folder, as
/// transformers' pipeline "token-classification" ("ner").
///
/// ```cpp
/// const auto find = rapt::token_classifier("bert-base-NER");
/// const auto found = find(lines, {.aggregation_strategy = rapt::Aggregation::simple});
/// for (const rapt::Entity& entity : found[0]) use(entity.label, entity.text_in(lines[0]));
/// ```
#pragma once

#include <algorithm>
#include <array>
#include <filesystem>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/named_value.hpp"
#include "rapt/pipelines/label_scores.hpp"
#include "rapt/pipelines/task_encoder.hpp"
#include "rapt/pipelines/windows.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How the labels of tokens become entities. But for `none`, neighbours with the same label are one entity, whose score
/// is the mean of theirs; of labels that begin with "B-" and "I-", "B-" begins a new one.
enum class Aggregation {
  none,     ///< each token is an entity by itself
  simple,   ///< each token has its own best label
  first,    ///< a word has the best label of its first token
  average,  ///< a word has the label whose probability is greatest in the mean of its tokens
  max,      ///< a word has the label of the token whose best label is the most probable
};

[[nodiscard]] constexpr auto named_values(Aggregation) {
  return std::to_array<NamedValue<Aggregation>>({{"none", Aggregation::none},
                                                 {"simple", Aggregation::simple},
                                                 {"first", Aggregation::first},
                                                 {"average", Aggregation::average},
                                                 {"max", Aggregation::max}});
}

/// How tokens with labels become entities.
struct TokenClassifierOptions {
  Aggregation aggregation_strategy = Aggregation::none;  ///< how labels of tokens become entities
  std::vector<std::string> ignore_labels = {"O"};        ///< entities with these labels are left out
  /// Unset: a text with more tokens than the model takes is cut off. Set: it is read in windows that have so many
  /// tokens in common; of entities of several windows that overlap, the one with the most characters stays, or of
  /// equally long ones that with the highest score. Not with the strategy `none`.
  std::optional<Index> stride = {};
};

/// A part of a text with a label.
struct Entity {
  std::string label;  ///< with an aggregation, without "B-" and "I-"
  double score = 0;   ///< the probability of the label
  TextSpan span;      ///< bytes of the text
  /// The number of its first token in the text, special tokens counted; what is cut off at the text's beginning does
  /// not count.
  Index token = 0;

  /// The part itself, as a view of the text that the entity is from.
  [[nodiscard]] std::string_view text_in(std::string_view text) const {
    return text.substr(span.begin, span.end - span.begin);
  }
};

/// Finds entities in texts. A const one may be used from many threads.
class TokenClassifier {
 public:
  /// Throws IoError for a folder whose model does not classify tokens.
  explicit TokenClassifier(const std::filesystem::path& folder)
      : encoder_(folder, EncoderHead::token_classes, kWhere),
        unknown_(encoder_.special_token("unk_token", {"[UNK]", "<unk>"})),
        prefix_(detail::continuing_prefix(encoder_.tokenizer().tokenizer())) {}

  /// The entities of each text, in the text's order. Throws ValueError that names the text for one that is not UTF-8.
  [[nodiscard]] std::vector<std::vector<Entity>> operator()(std::span<const std::string> texts,
                                                            const TokenClassifierOptions& options = {}) const {
    require(!options.stride || options.aggregation_strategy != Aggregation::none, kWhere,
            "windows (stride) need an aggregation_strategy other than none");
    std::vector<detail::Window> windows;
    PairBatch batch;
    for (std::size_t t = 0; t < texts.size(); ++t) {
      for (detail::Window& window : windows_of(texts[t], t, options.stride)) {
        window.source = t;
        batch.tokens.push_back(window.tokens.ids);
        windows.push_back(std::move(window));
      }
    }
    std::vector<std::vector<Entity>> of_windows(windows.size());
    encoder_.score(batch, [&](Index i, TensorView<const float> logits) {
      const detail::Window& window = at(windows, i);
      at(of_windows, i) = entities_of(texts[window.source], window, logits, options);
    });
    std::vector<std::vector<Entity>> found(texts.size());
    for (std::size_t i = 0, next = 0; i < windows.size(); i = next) {
      const std::size_t source = windows[i].source;
      for (next = i; next < windows.size() && windows[next].source == source; ++next) {
        std::move(of_windows[next].begin(), of_windows[next].end(), std::back_inserter(found[source]));
      }
      if (next > i + 1) found[source] = without_overlaps(texts[source], std::move(found[source]));
    }
    return found;
  }

  /// The names of the labels, in the order of the model's scores.
  [[nodiscard]] const std::vector<std::string>& labels() const { return encoder_.labels(); }

 private:
  static constexpr std::string_view kWhere = "token_classifier";

  /// A token or a word: the probabilities of labels, of which one is chosen.
  struct Piece {
    std::vector<double> scores;
    std::size_t label = 0;
    double score = 0;
    TextSpan span;
    Index token = 0;
    bool continues_word = false;

    void choose_best() {
      label = to_size(std::max_element(scores.begin(), scores.end()) - scores.begin());
      score = scores[label];
    }
  };

  /// The windows of a text or, without a stride, one with what is not cut off.
  [[nodiscard]] std::vector<detail::Window> windows_of(std::string_view text, std::size_t number,
                                                       std::optional<Index> stride) const {
    if (!stride) return {{.tokens = encoder_.encode_with_spans(text, number)}};
    return detail::windows_of(encoder_.encode_whole(text, number), /*text=*/0,
                              {.longest = encoder_.longest(), .overlap = *stride, .from_end = encoder_.cuts_left()},
                              kWhere);
  }

  [[nodiscard]] std::vector<Entity> entities_of(std::string_view text, const detail::Window& window,
                                                TensorView<const float> logits,
                                                const TokenClassifierOptions& options) const {
    const Encoding& tokens = window.tokens;
    std::vector<Piece> pieces;
    for (Index i = 0; i < std::ssize(tokens.ids); ++i) {
      if (at(tokens.texts, i) < 0) continue;
      Piece piece{.scores = detail::scores_of({logits.row(i), to_size(logits.cols())}, ScoreFunction::softmax),
                  .span = at(tokens.spans, i),
                  .token = window.skipped + i};
      piece.continues_word = continues_word(text, at(tokens.ids, i), piece.span);
      piece.choose_best();
      pieces.push_back(std::move(piece));
    }
    const Aggregation strategy = options.aggregation_strategy;
    if (strategy != Aggregation::none && strategy != Aggregation::simple) pieces = words_of(pieces, strategy);
    std::vector<Entity> entities;
    for (std::size_t i = 0, next = 0; i < pieces.size(); i = next) {
      double sum = pieces[i].score;
      for (next = i + 1; next < pieces.size() && strategy != Aggregation::none && is_one_entity(pieces, next); ++next) {
        sum += pieces[next].score;
      }
      const std::string& label = labels()[pieces[i].label];
      const std::size_t dash = label.find('-');
      Entity entity{.label = strategy == Aggregation::none || dash == label.npos ? label : label.substr(dash + 1),
                    .score = sum / static_cast<double>(next - i),
                    .span = {pieces[i].span.begin, pieces[next - 1].span.end},
                    .token = pieces[i].token};
      const auto& ignored = options.ignore_labels;
      if (std::find(ignored.begin(), ignored.end(), entity.label) == ignored.end()) {
        entities.push_back(std::move(entity));
      }
    }
    return entities;
  }

  /// As transformers sees it: where the tokenizer marks tokens that continue a word, a token whose name is longer or
  /// shorter than its text; elsewhere a token that no space precedes.
  [[nodiscard]] bool continues_word(std::string_view text, TokenId token, const TextSpan& span) const {
    if (token == unknown_) return false;
    if (prefix_.empty()) {
      return span.begin > 0 && text.substr(span.begin - 1, 2).find(' ') == text.npos;
    }
    const std::string_view part = text.substr(span.begin, span.end - span.begin);
    return count_code_points(encoder_.tokenizer().token(token)) != count_code_points(part);
  }

  [[nodiscard]] static std::vector<Piece> words_of(const std::vector<Piece>& tokens, Aggregation strategy) {
    std::vector<Piece> words;
    for (std::size_t i = 0, next = 0; i < tokens.size(); i = next) {
      next = i + 1;
      while (next < tokens.size() && tokens[next].continues_word) ++next;
      Piece word = tokens[i];
      for (std::size_t t = i + 1; t < next; ++t) {
        if (strategy == Aggregation::max && tokens[t].score > word.score) {
          word.score = tokens[t].score;
          word.label = tokens[t].label;
        } else if (strategy == Aggregation::average) {
          for (std::size_t l = 0; l < word.scores.size(); ++l) word.scores[l] += tokens[t].scores[l];
        }
      }
      if (strategy == Aggregation::average) {
        for (double& score : word.scores) score /= static_cast<double>(next - i);
        word.choose_best();
      }
      word.span.end = tokens[next - 1].span.end;
      words.push_back(std::move(word));
    }
    return words;
  }

  /// True if piece i belongs to the entity of the piece before it. A label without "B-" or "I-" is taken for "I-".
  [[nodiscard]] bool is_one_entity(const std::vector<Piece>& pieces, std::size_t i) const {
    const std::string_view before = labels()[pieces[i - 1].label], label = labels()[pieces[i].label];
    const auto tag = [](std::string_view name) {
      return name.starts_with("B-") || name.starts_with("I-") ? name.substr(2) : name;
    };
    return !label.starts_with("B-") && tag(before) == tag(label);
  }

  [[nodiscard]] static std::vector<Entity> without_overlaps(std::string_view text, std::vector<Entity> entities) {
    std::stable_sort(entities.begin(), entities.end(),
                     [](const Entity& a, const Entity& b) { return a.span.begin < b.span.begin; });
    std::vector<Entity> kept;
    const auto length = [&](const Entity& entity) { return count_code_points(entity.text_in(text)); };
    for (Entity& entity : entities) {
      if (kept.empty() || entity.span.begin >= kept.back().span.end) {
        kept.push_back(std::move(entity));
      } else if (length(entity) > length(kept.back()) ||
                 (length(entity) == length(kept.back()) && entity.score > kept.back().score)) {
        kept.back() = std::move(entity);
      }
    }
    return kept;
  }

  detail::TaskEncoder encoder_;
  TokenId unknown_;
  std::string prefix_;
};

/// The classifier of a folder.
[[nodiscard]] inline TokenClassifier token_classifier(const std::filesystem::path& folder) {
  return TokenClassifier(folder);
}

}}  // namespace rapt::RAPT_ABI
