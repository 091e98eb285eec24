/// \file
/// summary: a model as text: its layers with shapes, numbers of parameters, and memory.
#pragma once

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What `summary` shows of a model.
struct SummaryOptions {
  Index depth = 0;  ///< how many levels of names are shown, as 1 for "encoder" and 2 for "encoder.layers"; 0: all
};

namespace detail {

/// A layer or a parameter, and what is inside of it.
struct SummaryNode {
  std::string name;
  Shape shape = {};  ///< of a parameter; without sizes for a layer
  Index parameters = 0;
  Index frozen = 0;  ///< of the parameters
  bool packed = false;
  std::vector<SummaryNode> parts = {};

  /// Adds a parameter of that dotted name.
  void add(std::string_view dotted, const Shape& of, bool is_frozen, bool is_packed) {
    parameters += of.size();
    frozen += is_frozen ? of.size() : 0;
    if (dotted.empty()) {
      shape = of;
      packed = is_packed;
      return;
    }
    const std::size_t end = std::min(dotted.find('.'), dotted.size());
    const std::string_view first = dotted.substr(0, end);
    if (parts.empty() || parts.back().name != first) parts.push_back({.name = std::string(first)});
    parts.back().add(dotted.substr(std::min(end + 1, dotted.size())), of, is_frozen, is_packed);
  }

  [[nodiscard]] bool is_number() const {
    return std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
  }
  /// True if both have the same parts with the same numbers, whatever they are called themselves.
  [[nodiscard]] bool is_like(const SummaryNode& other) const {
    return shape == other.shape && parameters == other.parameters && frozen == other.frozen && packed == other.packed &&
           std::equal(parts.begin(), parts.end(), other.parts.begin(), other.parts.end(),
                      [](const auto& a, const auto& b) { return a.name == b.name && a.is_like(b); });
  }
};

/// "63,082,496"
[[nodiscard]] inline std::string grouped_digits(Index count) {
  std::string text = std::to_string(count);
  for (Index at = std::ssize(text) - 3; at > 0; at -= 3) text.insert(to_size(at), ",");
  return text;
}

/// "252.3 MB", in powers of ten
[[nodiscard]] inline std::string bytes_text(double bytes) {
  constexpr std::string_view kUnits[] = {"bytes", "kB", "MB", "GB", "TB"};
  std::size_t unit = 0;
  for (; bytes >= 999.95 && unit + 1 < std::size(kUnits); ++unit) bytes /= 1000;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f " : "%.1f ", bytes);
  return text + std::string(kUnits[unit]);
}

struct SummaryLine {
  std::string name, shape, parameters, note;
};

/// The lines of the parts of a node. Numbered layers in a row that are alike are one.
inline void add_summary_lines(const SummaryNode& node, Index level, Index depth, std::vector<SummaryLine>& lines) {
  for (std::size_t i = 0, next; i < node.parts.size(); i = next) {
    const SummaryNode& part = node.parts[i];
    next = i + 1;
    while (next < node.parts.size() && part.is_number() && node.parts[next].is_number() &&
           part.is_like(node.parts[next])) {
      ++next;
    }
    std::string name(to_size(2 * level), ' ');
    name += part.name;
    if (next > i + 1) name += " .. " + node.parts[next - 1].name + ", each";
    std::string note = part.frozen == 0 ? "" : part.frozen == part.parameters ? "frozen" : "partly frozen";
    if (part.packed) note += note.empty() ? "packed" : ", packed";
    lines.push_back({std::move(name), part.shape.rank() > 0 ? to_string(part.shape) : std::string(),
                     grouped_digits(part.parameters), std::move(note)});
    if (depth == 0 || level + 1 < depth) add_summary_lines(part, level + 1, depth, lines);
  }
}

/// `memory`: bytes of the numbers; `scalar`: bytes of one.
[[nodiscard]] inline std::string summary_text(const SummaryNode& model, double memory, std::size_t scalar,
                                              Index depth) {
  std::vector<SummaryLine> lines{{"name", "shape", "parameters", ""}};
  add_summary_lines(model, 0, depth, lines);
  std::size_t names = 0, shapes = 0, counts = 0;
  for (const SummaryLine& line : lines) {
    names = std::max(names, line.name.size());
    shapes = std::max(shapes, line.shape.size());
    counts = std::max(counts, line.parameters.size());
  }
  std::string text;
  for (const SummaryLine& line : lines) {
    text += line.name + std::string(names + 2 - line.name.size(), ' ');
    text += line.shape + std::string(shapes + 2 - line.shape.size(), ' ');
    text += std::string(counts - line.parameters.size(), ' ') + line.parameters;
    text += line.note.empty() ? "\n" : "  " + line.note + "\n";
  }
  const Index trained = model.parameters - model.frozen;
  text += grouped_digits(model.parameters) + " parameters, " + grouped_digits(trained) + " of them trained\n";
  text += bytes_text(memory) + " of numbers; training by Adam adds " +
          bytes_text(3.0 * static_cast<double>(trained) * static_cast<double>(scalar)) + " of gradients and moments\n";
  return text;
}

}  // namespace detail

/// A table of the layers and parameters that `visit` names, in its order, with shapes and numbers of parameters, and
/// below it what is trained and what memory it takes. Numbered layers that are alike share a line ("0 .. 5, each"),
/// which counts one of them. Matrices that are kept in packed form alone are marked and not counted in the memory;
/// activations are not either.
template <Module M>
[[nodiscard]] std::string summary(const M& model, const SummaryOptions& options = {}) {
  require(options.depth >= 0, "summary", "depth must not be negative: ", options.depth);
  detail::SummaryNode root;
  double memory = 0;
  std::size_t scalar = 0;
  for_each_parameter(model, [&](const std::string& name, const auto& parameter) {
    scalar = sizeof(typename std::remove_cvref_t<decltype(parameter)>::ScalarType);
    const bool has_elements = parameter.value().has_elements();
    root.add(name, parameter.shape(), parameter.is_frozen(), !has_elements);
    if (has_elements) memory += static_cast<double>(parameter.size()) * static_cast<double>(scalar);
  });
  return detail::summary_text(root, memory, scalar, options.depth);
}

}}  // namespace rapt::RAPT_ABI
