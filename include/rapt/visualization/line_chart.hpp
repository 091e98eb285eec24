/// \file
/// Line charts as SVG, with axes, round numbers on them and a legend, e.g. for the curves of a training run.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/visualization/chart_axis.hpp"
#include "rapt/visualization/markup.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A point in the units of the axes.
struct ChartPoint {
  /// The coordinates.
  double x = 0, y = 0;
};

/// Points joined by a line in their order. Points that cannot be drawn are left out: those with NaN, infinity or
/// magnitudes beyond 1e300, and on a logarithmic axis those that are not above zero.
struct ChartSeries {
  std::string name = {};  ///< name in the legend; a series without a name is not there
  /// The points in the order in which the line joins them.
  std::vector<ChartPoint> points = {};
};

/// The texts, axes and size of a chart.
struct LineChartOptions {
  /// The title above the chart and the labels of the axes; empty ones are not there.
  std::string title = {}, x_label = {}, y_label = {};
  /// True: the y axis is logarithmic.
  bool log_y = false;
  /// The ends of the x axis; by default those of the points. Points beyond them widen the axis.
  std::optional<double> x_low = {}, x_high = {};
  Index width = 760, height = 320;  ///< in pixels; shown in another size, the chart keeps their ratio
};

/// Lines on common axes.
struct LineChart {
  LineChartOptions options = {};
  /// The lines, in the order of the legend.
  std::vector<ChartSeries> series = {};
};

namespace detail {

/// A coordinate as text with one decimal, which does not depend on the locale.
[[nodiscard]] inline std::string pixels(double value) {
  const auto tenths = static_cast<std::int64_t>(std::llround(value * 10));
  std::string text = tenths < 0 ? "-" : "";
  text += std::to_string(std::abs(tenths / 10));
  if (tenths % 10 != 0) text += "." + std::to_string(std::abs(tenths % 10));
  return text;
}

/// An estimate of a text's width: characters of three bytes and more, such as Chinese ones, are as wide as high, others
/// about half of that.
[[nodiscard]] inline double text_width(std::string_view text, double size) {
  double width = 0;
  for_each_character(text, [&](std::string_view character) { width += character.size() > 2 ? 1.0 : 0.56; });
  return width * size;
}

/// A `<text>` element with the attributes and the escaped text, or nothing for an empty text.
[[nodiscard]] inline std::string svg_text(double x, double y, const std::string& attributes, std::string_view text) {
  if (text.empty()) return "";
  return "<text x=\"" + pixels(x) + "\" y=\"" + pixels(y) + "\" " + attributes + ">" + escape_markup(text) +
         "</text>\n";
}

/// Leaves out points that cannot be seen: of the points in half a pixel column it keeps the first, the lowest, the
/// highest and the last one. Coordinates are pixels.
[[nodiscard]] inline std::vector<ChartPoint> thinned(const std::vector<ChartPoint>& points) {
  std::vector<ChartPoint> kept;
  const auto column = [&](std::size_t i) { return std::floor(2 * points[i].x); };
  for (std::size_t begin = 0; begin < points.size();) {
    std::size_t end = begin, lowest = begin, highest = begin;
    for (; end < points.size() && column(end) == column(begin); ++end) {
      if (points[end].y > points[lowest].y) lowest = end;  // y points downwards
      if (points[end].y < points[highest].y) highest = end;
    }
    std::array<std::size_t, 4> order{begin, std::min(lowest, highest), std::max(lowest, highest), end - 1};
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (i == 0 || order[i] != order[i - 1]) kept.push_back(points[order[i]]);
    }
    begin = end;
  }
  return kept;
}

/// The SVG elements of one chart, whose upper left corner is at (0, top).
class ChartDrawing {
 public:
  ChartDrawing(const LineChart& chart, double top) : options_(chart.options), top_(top) {
    require(options_.width >= 200 && options_.height >= 160, "line_chart",
            "a chart is at least 200 pixels wide and 160 high: ", options_.width, " x ", options_.height);
    for (const double end : {options_.x_low.value_or(0), options_.x_high.value_or(0)}) {
      require(std::abs(end) <= ChartAxis::kLargest, "line_chart", "an axis cannot end at ", end);
    }
    for (const ChartSeries& series : chart.series) {
      points_.emplace_back();
      for (const ChartPoint& point : series.points) {
        if (can_be_drawn(point)) points_.back().push_back(point);
      }
    }
    svg_ += svg_text(kLeft, top_ + 26, "class=\"title\"", options_.title);
    plot_top_ = top_ + 42;
    draw_legend(chart.series);
    draw_plot();
  }

  [[nodiscard]] const std::string& svg() const { return svg_; }

 private:
  static constexpr double kLeft = 72, kRight = 24;
  static constexpr std::array kColours{"#1f5c9c", "#c4532f", "#3b8558", "#8a58a6",
                                       "#b07d1e", "#3f93a3", "#a83b6b", "#5c6470"};

  [[nodiscard]] bool can_be_drawn(const ChartPoint& point) const {
    return std::abs(point.x) <= ChartAxis::kLargest && std::abs(point.y) <= ChartAxis::kLargest &&
           (!options_.log_y || point.y >= ChartAxis::kSmallest);
  }

  /// The attributes of a series' line. When all colours have been used, they are used again for dashed lines.
  [[nodiscard]] static std::string stroke(std::size_t series) {
    std::string text = std::string("stroke=\"") + kColours[series % kColours.size()] + "\"";
    if (series >= kColours.size()) text += " stroke-dasharray=\"7 4\"";
    return text;
  }

  /// Writes the names of the series beside short lines of their colours, in as many rows as they need.
  void draw_legend(const std::vector<ChartSeries>& series) {
    const double right = static_cast<double>(options_.width) - kRight;
    double x = kLeft;
    bool any = false;
    for (std::size_t i = 0; i < series.size(); ++i) {
      if (series[i].name.empty()) continue;
      const double width = 26 + text_width(series[i].name, 12) + 20;
      if (any && x + width > right) {
        x = kLeft;
        plot_top_ += 19;
      }
      svg_ += "<path class=\"line\" " + stroke(i) + " d=\"M" + pixels(x) + " " + pixels(plot_top_ + 4) + "h18\"/>\n";
      svg_ += svg_text(x + 26, plot_top_ + 8, "class=\"name\"", series[i].name);
      x += width;
      any = true;
    }
    plot_top_ += any ? 24 : 4;
  }

  void draw_plot() {
    double x_low = ChartAxis::kLargest, x_high = -x_low, y_low = x_low, y_high = -x_low;
    for (const auto& series : points_) {
      for (const ChartPoint& point : series) {
        x_low = std::min(x_low, point.x);
        x_high = std::max(x_high, point.x);
        y_low = std::min(y_low, point.y);
        y_high = std::max(y_high, point.y);
      }
    }
    const double left = kLeft, right = static_cast<double>(options_.width) - kRight;
    const double bottom = top_ + static_cast<double>(options_.height) - (options_.x_label.empty() ? 34 : 52);
    const double upper = plot_top_, lower = std::max(upper + 40, bottom);
    const double middle = (upper + lower) / 2;
    svg_ += svg_text((left + right) / 2, lower + 40, "class=\"label\" text-anchor=\"middle\"", options_.x_label);
    svg_ += svg_text(16, middle,
                     "class=\"label\" text-anchor=\"middle\" transform=\"rotate(-90 16 " + pixels(middle) + ")\"",
                     options_.y_label);
    if (x_low > x_high) {
      svg_ += "<path class=\"grid\" d=\"M" + pixels(left) + " " + pixels(lower) + "H" + pixels(right) + "\"/>\n";
      svg_ += svg_text((left + right) / 2, middle, "class=\"label\" text-anchor=\"middle\"", "no points");
      return;
    }
    x_low = std::min(x_low, options_.x_low.value_or(x_low));
    x_high = std::max(x_high, options_.x_high.value_or(x_high));

    const ChartAxis x(x_low, x_high, std::max<Index>(2, static_cast<Index>((right - left) / 90)), false, false);
    const ChartAxis y(y_low, y_high, std::max<Index>(2, static_cast<Index>((lower - upper) / 36)), options_.log_y,
                      true);
    const auto at_x = [&](double value) { return left + x.position(value) * (right - left); };
    const auto at_y = [&](double value) { return lower - y.position(value) * (lower - upper); };
    for (const Decimal& tick : y.ticks()) {
      const double at = at_y(tick.value());
      svg_ += "<path class=\"grid\" d=\"M" + pixels(left) + " " + pixels(at) + "H" + pixels(right) + "\"/>\n";
      svg_ += svg_text(left - 9, at + 4, "class=\"tick\" text-anchor=\"end\"", to_string(tick));
    }
    for (const Decimal& tick : x.ticks()) {
      const double at = at_x(tick.value());
      svg_ += "<path class=\"axis\" d=\"M" + pixels(at) + " " + pixels(lower) + "v5\"/>\n";
      svg_ += svg_text(at, lower + 19, "class=\"tick\" text-anchor=\"middle\"", to_string(tick));
    }
    svg_ += "<path class=\"axis\" d=\"M" + pixels(left) + " " + pixels(lower) + "H" + pixels(right) + "\"/>\n";

    for (std::size_t i = 0; i < points_.size(); ++i) {
      std::vector<ChartPoint> line;
      for (const ChartPoint& point : points_[i]) line.push_back({at_x(point.x), at_y(point.y)});
      const std::size_t count = line.size();
      line = thinned(line);
      if (line.empty()) continue;
      std::string path;
      for (const ChartPoint& point : line) {
        path += path.empty() ? 'M' : 'L';
        path += pixels(point.x) + " " + pixels(point.y);
      }
      const std::string fine = points_.size() > 1 && count > line.size() ? " stroke-width=\"1\""
                                                                         : "";  // as a thick line would hide the others
      svg_ += "<path class=\"line\" " + stroke(i) + fine + " d=\"" + path + "\"/>\n";
      if (count > 40) continue;
      for (const ChartPoint& point : line) {
        svg_ += "<circle cx=\"" + pixels(point.x) + "\" cy=\"" + pixels(point.y) + "\" r=\"2.6\" fill=\"" +
                kColours[i % kColours.size()] + "\"/>\n";
      }
    }
  }

  const LineChartOptions& options_;
  double top_, plot_top_ = 0;
  std::vector<std::vector<ChartPoint>> points_;  // the points of each series that can be drawn
  std::string svg_;
};

}  // namespace detail

/// The charts one below the other as one SVG document in UTF-8 on a light background. The same charts give the same
/// bytes.
[[nodiscard]] inline std::string stacked_charts(const std::vector<LineChart>& charts) {
  Index width = 0, height = 0;
  std::string drawings, title;
  for (const LineChart& chart : charts) {
    drawings += detail::ChartDrawing(chart, static_cast<double>(height)).svg();
    if (!title.empty()) title += ", ";
    title += chart.options.title;
    width = std::max(width, chart.options.width);
    height += chart.options.height;
  }
  const std::string w = std::to_string(width), h = std::to_string(height);
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + w + "\" height=\"" + h + "\" viewBox=\"0 0 " + w + " " +
         h + "\" role=\"img\">\n<title>" + detail::escape_markup(title) + "</title>\n" + R"css(<style>
text { font-family: system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; font-size: 12px; fill: #666d78; }
.title { font-size: 15px; font-weight: 600; fill: #22262e; }
.name { fill: #22262e; }
.tick { font-variant-numeric: tabular-nums; }
path { fill: none; }
.line { stroke-linejoin: round; stroke-linecap: round; }
.line:not([stroke-width]) { stroke-width: 1.8; }
.grid { stroke: #e8e4db; }
.axis { stroke: #a9adb5; }
</style>
)css" + "<rect width=\"" +
         w + "\" height=\"" + h + "\" fill=\"#fdfcf9\"/>\n" + drawings + "</svg>\n";
}

/// One chart as an SVG document.
[[nodiscard]] inline std::string line_chart(const LineChartOptions& options, const std::vector<ChartSeries>& series) {
  return stacked_charts({{options, series}});
}

/// The curves of a training run; x is the number of steps.
struct TrainingCurves {
  std::vector<ChartPoint> training_loss = {}, validation_loss = {};  ///< nats per token
  /// The learning rate of a step.
  std::vector<ChartPoint> learning_rate = {};
  /// BLEU on validation pairs.
  std::vector<ChartPoint> bleu = {};
};

/// Loss, learning rate and BLEU of a run, one below the other over the same steps, as one SVG document. Curves without
/// points have no chart, but there is always the loss.
[[nodiscard]] inline std::string training_curves(const TrainingCurves& curves) {
  std::vector<LineChart> charts{{{.title = "Loss", .y_label = "nats per token"},
                                 {{"training", curves.training_loss}, {"validation", curves.validation_loss}}}};
  if (!curves.learning_rate.empty()) charts.push_back({{.title = "Learning rate"}, {{"", curves.learning_rate}}});
  if (!curves.bleu.empty()) charts.push_back({{.title = "BLEU"}, {{"", curves.bleu}}});
  std::optional<double> first, last;
  for (const auto* points : {&curves.training_loss, &curves.validation_loss, &curves.learning_rate, &curves.bleu}) {
    for (const ChartPoint& point : *points) {
      if (!(std::abs(point.x) <= detail::ChartAxis::kLargest)) continue;
      first = std::min(first.value_or(point.x), point.x);
      last = std::max(last.value_or(point.x), point.x);
    }
  }
  for (LineChart& chart : charts) {
    chart.options.x_low = first;
    chart.options.x_high = last;
    chart.options.height = 230;
  }
  charts.front().options.height = 270;
  charts.back().options.x_label = "step";
  charts.back().options.height += 18;
  return stacked_charts(charts);
}

}}  // namespace rapt::RAPT_ABI
