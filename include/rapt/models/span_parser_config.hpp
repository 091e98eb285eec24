/// \file
/// The settings of the span-based constituency parser.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/models/config_checks.hpp"
#include "rapt/models/config_fields.hpp"
#include "rapt/models/transformer_config.hpp"
#include "rapt/nn/block.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Everything that makes a SpanParser. The sizes suit ten thousand trees; the paper's model has 8 layers, d_model 1024,
/// 8 heads, d_ff 2048 and d_span 250.
struct SpanParserConfig {
  Index vocabulary = 8000;  ///< of the tokens that words are cut into
  Index d_model = 256;
  Index layers = 4;
  Index heads = 8;
  Index d_ff = 1024;
  Index d_span = 256;               ///< width of the vector of a span
  float dropout = 0.2f;             ///< rate of embeddings and of each sublayer's output
  float attention_dropout = 0.2f;   ///< rate of the attention probabilities
  float activation_dropout = 0.1f;  ///< rate inside of the feed-forward networks
  Activation activation = Activation::relu;
  NormPlacement norm = NormPlacement::pre;  ///< whether norms stand before the sublayers or behind them
  double norm_epsilon = 1e-5;
  std::vector<std::string> labels = {};  ///< of spans; those of unary chains are joined, see text/tree_spans.hpp
  std::vector<std::string> tags = {};    ///< parts of speech, which the parser reads or predicts; none: neither
  bool reads_tags = false;               ///< tags of the words are part of the input; false: they are predicted

  /// True if a head predicts the words' parts of speech: there are tags, and they are not part of the input.
  [[nodiscard]] bool predicts_tags() const { return !reads_tags && !tags.empty(); }
  /// The options of the encoder's blocks.
  [[nodiscard]] BlockOptions layer() const {
    return {.attention = {.d_model = d_model, .heads = heads, .dropout = attention_dropout},
            .d_ff = d_ff,
            .activation = activation,
            .activation_dropout = activation_dropout,
            .norm = norm,
            .norm_epsilon = norm_epsilon,
            .dropout = dropout};
  }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "span_parser";
    require(vocabulary > 0 && layers > 0 && d_ff > 0 && d_span > 0, kWhere, "sizes must be positive: vocabulary ",
            vocabulary, ", layers ", layers, ", d_ff ", d_ff, ", d_span ", d_span);
    detail::require_heads(d_model, heads, kWhere);
    require(d_model % 2 == 0, kWhere, "sinusoidal positions need an even d_model: ", d_model);
    detail::require_dropout({dropout, attention_dropout, activation_dropout}, kWhere);
    require(norm_epsilon > 0, kWhere, "norm_epsilon must be positive: ", norm_epsilon);
    require(!labels.empty(), kWhere, "there are no labels of spans");
    require(!reads_tags || !tags.empty(), kWhere, "a parser that reads tags must have some");
    for (const auto* names : {&labels, &tags}) {
      std::set<std::string_view> different;
      for (const std::string& name : *names) {
        require(different.insert(name).second, kWhere, names == &labels ? "the label" : "the tag", " \"", name,
                "\" is there twice");
      }
    }
  }

  /// Columns of the sinusoids, which are computed when a model is made, and are in no file.
  [[nodiscard]] Index table_columns() const { return d_model; }

  /// The model's name in files, and every setting with its name there.
  static constexpr std::string_view kName = "span_parser";
  template <class Self, class Visitor>
  static void visit_fields(Self& self, const Visitor& field) {
    field("vocabulary", self.vocabulary);
    detail::visit_block_sizes(self, field);
    field("d_span", self.d_span);
    field("dropout", self.dropout);
    field("attention_dropout", self.attention_dropout);
    field("activation_dropout", self.activation_dropout);
    field("norm", self.norm);
    field("norm_epsilon", self.norm_epsilon);
    field("labels", self.labels);
    field("tags", self.tags);
    field("reads_tags", self.reads_tags);
  }
};

}}  // namespace rapt::RAPT_ABI
