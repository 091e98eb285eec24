/// \file
/// Attention probabilities as an HTML page with a small map of every head, which can be opened to a large one with
/// tokens and numbers. The page is a single string that loads nothing: it works from a file, without a network, and on
/// a telephone.
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/visualization/attention_page_assets.hpp"
#include "rapt/visualization/markup.hpp"
#include "rapt/visualization/page_head.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Attention of one kind, e.g. of all decoder layers to the source.
template <class T>
struct AttentionSection {
  std::string title = {}, note = {};      ///< a heading, and a sentence that explains it
  std::vector<std::string> queries = {};  ///< the tokens of the rows, which attend
  std::vector<std::string> keys = {};     ///< the tokens of the columns, which are attended to
  /// The probabilities of each layer [B, H, Lq, Lk], with at least as many rows and columns as there are tokens. They
  /// are not copied.
  std::span<const Tensor<T>> layers = {};
  bool causal = false;  ///< queries are the last positions of the keys and attend to none after their own
};

/// What a page of attention maps shows beside them.
struct AttentionPageOptions {
  /// The title of the page.
  std::string title = "Attention";
  std::string source = {}, target = {};  ///< a sentence and its translation, shown at the top unless empty
  Index sequence = 0;                    ///< number of the sequence, of B, that is drawn
};

namespace detail {

/// Weights are written as whole multiples of 1 / kWeightUnit.
inline constexpr Index kWeightUnit = 10000;

/// Rounds a row of weights to multiples of 1 / kWeightUnit. All are rounded down first, and those with the largest
/// remainders up, until their sum is the rounded sum of the row. Each error is less than one unit. (If each weight were
/// rounded to the nearest unit, the sum of 300 weights could be wrong by 1.5 %.)
template <class T>
[[nodiscard]] std::vector<Index> rounded_weights(std::span<const T> row) {
  std::vector<Index> units(row.size());
  std::vector<double> remainders(row.size());
  double sum = 0;
  for (std::size_t i = 0; i < row.size(); ++i) {
    const double exact = static_cast<double>(row[i]) * static_cast<double>(kWeightUnit);
    units[i] = static_cast<Index>(exact);
    remainders[i] = exact - static_cast<double>(units[i]);
    sum += exact;
  }
  std::vector<std::size_t> order(row.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return remainders[a] > remainders[b]; });
  Index lacking = static_cast<Index>(std::llround(sum)) - std::accumulate(units.begin(), units.end(), Index{0});
  for (const std::size_t i : order) {
    if (lacking-- <= 0) break;
    ++units[i];
  }
  return units;
}

/// The texts as a JSON list of strings.
[[nodiscard]] inline std::string json_strings(const std::vector<std::string>& texts) {
  std::string json = "[";
  for (const std::string& text : texts) {
    if (json.size() > 1) json += ',';
    json += json_string(text);
  }
  return json + ']';
}

/// The heads of one layer for a sequence, as a JSON list with a list of all weights, row after row, for each head.
template <class T>
[[nodiscard]] std::string json_heads(const AttentionSection<T>& section, const Tensor<T>& layer, Index sequence) {
  constexpr std::string_view kWhere = "attention_page";
  const Shape& shape = layer.shape();
  const auto rows = std::ssize(section.queries), cols = std::ssize(section.keys);
  require<ShapeError>(shape.rank() == 4 && shape[2] >= rows && shape[3] >= cols, kWhere, section.title,
                      ": weights must be [B, H, Lq, Lk] with Lq >= ", rows, ", Lk >= ", cols, ": ", shape);
  require(sequence >= 0 && sequence < shape[0], kWhere, section.title, ": sequence ", sequence, " of ", shape[0]);
  std::string json = "[";
  for (Index head = 0; head < shape[1]; ++head) {
    json += head == 0 ? "[" : ",[";
    for (Index row = 0; row < rows; ++row) {
      const T* weights = layer.data() + ((sequence * shape[1] + head) * shape[2] + row) * shape[3];
      for (Index col = 0; col < cols; ++col) {  // NaN is refused, too
        require(weights[col] >= T(0) && weights[col] <= T(1.001), kWhere, section.title,
                ": weights must be in [0, 1]: ", weights[col], " in head ", head, ", row ", row, ", column ", col);
      }
      const std::vector<Index> units = rounded_weights(std::span(weights, to_size(cols)));
      for (std::size_t col = 0; col < units.size(); ++col) {
        if (row > 0 || col > 0) json += ',';
        json += std::to_string(units[col]);
      }
    }
    json += ']';
  }
  return json + ']';
}

template <class T>
[[nodiscard]] std::string json_section(const AttentionSection<T>& section, Index sequence) {
  std::string layers;
  for (const Tensor<T>& layer : section.layers) {
    if (!layers.empty()) layers += ",\n";
    layers += json_heads(section, layer, sequence);
  }
  return "{\"title\":" + json_string(section.title) + ",\"note\":" + json_string(section.note) +
         ",\"causal\":" + (section.causal ? "true" : "false") + ",\n\"queries\":" + json_strings(section.queries) +
         ",\n\"keys\":" + json_strings(section.keys) + ",\n\"layers\":[" + layers + "]}";
}

}  // namespace detail

/// The sections of an encoder-decoder Transformer: its three kinds of attention. `source` are the source's tokens,
/// `target` the tokens <s> w1 .. wn </s>, of which the decoder reads all but the last and writes all but the first. The
/// attention probabilities have one tensor for each layer, [B, H, Ls, Ls], [B, H, Lt, Lt] and [B, H, Lt, Ls], where Lt
/// is the number of target tokens less one.
template <class T>
[[nodiscard]] std::vector<AttentionSection<T>> translation_sections(const std::vector<std::string>& source,
                                                                    const std::vector<std::string>& target,
                                                                    const std::vector<Tensor<T>>& encoder_self,
                                                                    const std::vector<Tensor<T>>& decoder_self,
                                                                    const std::vector<Tensor<T>>& decoder_cross) {
  require(target.size() >= 2, "translation_sections",
          "a target has two tokens at least, its begin and its end: ", target.size());
  const std::vector<std::string> read(target.begin(), target.end() - 1), written(target.begin() + 1, target.end());
  return {{.title = "Encoder self-attention",
           .note = "Each token of the source (a row) looks at the whole source.",
           .queries = source,
           .keys = source,
           .layers = encoder_self},
          {.title = "Decoder self-attention",
           .note = "Each token of the translation (a row) looks at itself and at those before it.",
           .queries = read,
           .keys = read,
           .layers = decoder_self,
           .causal = true},
          {.title = "Decoder to source",
           .note = "Where in the source the decoder looks to write each token of the translation (a row).",
           .queries = written,
           .keys = source,
           .layers = decoder_cross}};
}

/// The page in UTF-8. Weights have four decimals, and rows have their sums within 1e-4. The same arguments give the
/// same bytes. Texts may have any bytes; those that are not UTF-8 are shown as U+FFFD. Throws ShapeError for tensors
/// that do not fit the tokens, and ValueError for weights outside [0, 1].
template <class T>
[[nodiscard]] std::string attention_page(const AttentionPageOptions& options,
                                         const std::vector<AttentionSection<T>>& sections) {
  std::string data;
  for (const AttentionSection<T>& section : sections) {
    if (!data.empty()) data += ",\n";
    data += detail::json_section(section, options.sequence);
  }
  const auto paragraph = [](const char* tag, const char* attributes, const std::string& text) {
    if (text.empty()) return std::string();
    return std::string("<") + tag + " " + attributes + ">" + detail::escape_markup(text) + "</" + tag + ">\n";
  };
  std::string page(detail::kPageHead);
  page += "<title>" + detail::escape_markup(options.title) + "</title>\n<style>\n";
  page += detail::kAttentionPageStyle;
  page += "</style>\n</head>\n<body>\n<header class=\"top\">\n";
  page += paragraph("h1", "dir=\"auto\"", options.title);
  page += paragraph("p", "class=\"source\" dir=\"auto\" lang=\"\" translate=\"no\"", options.source);
  page += paragraph("p", "class=\"target\" dir=\"auto\" lang=\"\" translate=\"no\"", options.target);
  page += detail::kAttentionPageBody;
  page += "<script type=\"application/json\" id=\"data\">\n{\"unit\":" + std::to_string(detail::kWeightUnit) +
          ",\"sections\":[" + data + "]}\n</script>\n<script>\n";
  page += detail::kAttentionPageScript;
  page += "</script>\n</body>\n</html>\n";
  return page;
}

}}  // namespace rapt::RAPT_ABI
