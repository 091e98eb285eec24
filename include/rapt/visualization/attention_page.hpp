/// \file
/// Attention weights as one HTML page: a small map of every head, which opens to a large one with tokens and numbers.
///
/// The page is a single string with nothing to load: it works from a file, without a network, on a telephone.
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

namespace rapt { inline namespace RAPT_ABI {

/// Attention of one kind, e.g. of all decoder layers to the source.
template <class T>
struct AttentionSection {
  std::string title = {}, note = {};      ///< a heading and a sentence about it
  std::vector<std::string> queries = {};  ///< of the rows: the tokens that look
  std::vector<std::string> keys = {};     ///< of the columns: the tokens that are looked at
  /// Of each layer [B, H, Lq, Lk], with at least as many rows and columns as there are tokens. Not copied.
  std::span<const Tensor<T>> layers = {};
  bool causal = false;  ///< queries are the last of the keys' positions and see none after their own
};

struct AttentionPageOptions {
  std::string title = "Attention";
  std::string source = {}, target = {};  ///< a sentence and its translation, shown on top; empty: left out
  Index sequence = 0;                    ///< which of the B sequences is drawn
};

namespace detail {

/// A weight is written as so many parts of this.
inline constexpr Index kWeightUnit = 10000;

/// A row of weights as whole numbers of 1 / kWeightUnit. Each is off by less than one, and together they are their sum
/// rounded: what lacks after rounding down goes to the largest remainders. (Rounded one by one, the 300 weights of a
/// row could be off by 1.5 % together.)
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

/// ["a","b"]
[[nodiscard]] inline std::string json_strings(const std::vector<std::string>& texts) {
  std::string json = "[";
  for (const std::string& text : texts) {
    if (json.size() > 1) json += ',';
    json += json_string(text);
  }
  return json + ']';
}

/// One layer's heads, [[row after row], ...], of `sequence`.
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
      for (Index col = 0; col < cols; ++col) {  // also refuses NaN
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

/// The three kinds of attention of an encoder-decoder Transformer. `source` names the source's tokens; `target` names
/// <s> w1 .. wn </s>: the decoder reads all of them but the last, and writes all but the first. The maps are one tensor
/// a layer: [B, H, Ls, Ls], [B, H, Lt, Lt] and [B, H, Lt, Ls] with Lt one less than `target` has names.
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

/// The page, as UTF-8. It says of each weight four digits, and rows add up to what they were within 1e-4. The same
/// arguments give the same bytes. Texts may hold anything: bytes that are not UTF-8 are shown as U+FFFD. Throws
/// ShapeError for tensors that do not fit the tokens, ValueError for weights outside of [0, 1].
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
  std::string page(detail::kAttentionPageHead);
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
