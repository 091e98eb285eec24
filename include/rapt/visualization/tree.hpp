/// \file
/// A tree as SVG, such as the constituents of a sentence: leaves side by side in their order, each node above the
/// middle of its children.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/visualization/line_chart.hpp"
#include "rapt/visualization/markup.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A node of a tree that is drawn.
struct DrawnTree {
  /// The text of the node.
  std::string text = {};
  /// The children from left to right; a node without any is a leaf.
  std::vector<DrawnTree> children = {};
};

/// The title and the sizes of a drawn tree.
struct TreeDrawingOptions {
  std::string title = {};
  Index level_height = 46;  ///< pixels from a node's baseline to its children's
};

namespace detail {

class TreeDrawing {
 public:
  TreeDrawing(const DrawnTree& tree, const TreeDrawingOptions& options) : options_(options) {
    levels_ = levels_of(tree);
    width_ = kMargin + width_of(tree) - kGap + kMargin;
    static_cast<void>(draw(tree, 0, kMargin - kGap / 2));
  }
  [[nodiscard]] std::string svg() const {
    const double title_width = kMargin + text_width(options_.title, 15) + kMargin;
    const std::string width = pixels(std::max(width_, title_width));
    const std::string height = pixels(y_of(levels_ - 1) + kMargin);
    return "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + width + "\" height=\"" + height +
           "\" viewBox=\"0 0 " + width + " " + height + "\" role=\"img\">\n<title>" + escape_markup(options_.title) +
           "</title>\n" + R"css(<style>
text { font-family: system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; font-size: 14px; text-anchor: middle; }
.title { font-size: 15px; font-weight: 600; fill: #22262e; text-anchor: start; }
.node { fill: #1f5c9c; }
.leaf { fill: #22262e; font-style: italic; }
path { fill: none; stroke: #a9adb5; }
</style>
)css" + "<rect width=\"" +
           width + "\" height=\"" + height + "\" fill=\"#fdfcf9\"/>\n" +
           svg_text(kMargin, 28, "class=\"title\"", options_.title) + lines_ + texts_ + "</svg>\n";
  }

 private:
  static constexpr double kMargin = 20, kGap = 14, kFont = 14;

  [[nodiscard]] static Index levels_of(const DrawnTree& tree) {
    Index levels = 0;
    for (const DrawnTree& child : tree.children) levels = std::max(levels, levels_of(child));
    return levels + 1;
  }
  [[nodiscard]] double y_of(Index level) const {
    return (options_.title.empty() ? 32 : 60) + static_cast<double>(level * options_.level_height);
  }

  /// The width that a node and all below it need.
  [[nodiscard]] static double width_of(const DrawnTree& tree) {
    return std::max(text_width(tree.text, kFont) + kGap, width_of_children(tree));
  }
  [[nodiscard]] static double width_of_children(const DrawnTree& tree) {
    double width = 0;
    for (const DrawnTree& child : tree.children) width += width_of(child);
    return width;
  }

  /// Draws a node and all below it from `left` on, and returns the middle of its text. All leaves are on the lowest
  /// level.
  double draw(const DrawnTree& tree, Index level, double left) {
    const bool is_leaf = tree.children.empty();
    const double y = y_of(is_leaf ? levels_ - 1 : level);
    double x = left + width_of(tree) / 2;
    if (!is_leaf) {
      double next = x - width_of_children(tree) / 2;
      std::vector<double> middles;
      for (const DrawnTree& child : tree.children) {
        middles.push_back(draw(child, level + 1, next));
        next += width_of(child);
      }
      const double half = text_width(tree.text, kFont) / 2;  // a long label stays within its own width
      x = std::clamp((middles.front() + middles.back()) / 2, left + half, left + width_of(tree) - half);
      for (std::size_t i = 0; i < middles.size(); ++i) {
        const bool child_is_leaf = tree.children[i].children.empty();
        lines_ += "<path d=\"M" + pixels(x) + " " + pixels(y + 6) + "L" + pixels(middles[i]) + " " +
                  pixels(y_of(child_is_leaf ? levels_ - 1 : level + 1) - kFont) + "\"/>\n";
      }
    }
    texts_ += svg_text(x, y, is_leaf ? "class=\"leaf\"" : "class=\"node\"", tree.text);
    return x;
  }

  const TreeDrawingOptions& options_;
  Index levels_ = 0;
  double width_ = 0;
  std::string lines_, texts_;
};

}  // namespace detail

/// The tree as one SVG document in UTF-8 on a light background, as wide as its leaves need. The same tree gives the
/// same bytes. Recurses as deep as the tree is. Throws ValueError for a level height below 20.
[[nodiscard]] inline std::string tree_svg(const DrawnTree& tree, const TreeDrawingOptions& options = {}) {
  require(options.level_height >= 20, "tree_svg", "level_height must be at least 20: ", options.level_height);
  return detail::TreeDrawing(tree, options).svg();
}

}}  // namespace rapt::RAPT_ABI
