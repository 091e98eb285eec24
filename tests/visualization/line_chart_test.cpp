/// \file
/// Charts as SVG text: which points are drawn and where, what is left out, and that texts stay texts.
#include "rapt/visualization/line_chart.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <limits>
#include <sstream>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::ChartPoint;
using rapt::ChartSeries;
using rapt::line_chart;
using rapt::LineChartOptions;
using rapt::ValueError;
using rapt_test::error_text;
using Points = std::vector<ChartPoint>;
using Strings = std::vector<std::string>;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInfinity = std::numeric_limits<double>::infinity();

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

/// The corners of each series' line, in pixels.
std::vector<Points> lines_of(const std::string& svg) {
  std::vector<Points> lines;
  std::istringstream stream(svg);
  for (std::string row; std::getline(stream, row);) {
    const std::size_t at = row.find(" d=\"M");
    if (row.find("class=\"line\"") == std::string::npos || row.find("h18") != std::string::npos) continue;
    lines.emplace_back();
    for (const char* next = row.c_str() + at + 4; *next == 'M' || *next == 'L';) {
      ChartPoint point;
      int used = 0;
      if (std::sscanf(next + 1, "%lf %lf%n", &point.x, &point.y, &used) != 2) break;
      lines.back().push_back(point);
      next += 1 + used;
    }
  }
  return lines;
}

/// The texts of one class, in their order.
Strings texts_of(const std::string& svg, const std::string& name) {
  Strings texts;
  const std::string begin = "class=\"" + name + "\"";
  for (std::size_t at = svg.find(begin); at != std::string::npos; at = svg.find(begin, at + 1)) {
    const std::size_t from = svg.find('>', at) + 1;
    texts.push_back(svg.substr(from, svg.find('<', from) - from));
  }
  return texts;
}

TEST(LineChart, DrawsPointsWhereTheyBelong) {
  const std::string svg =
      line_chart({.title = "Loss", .x_label = "step", .y_label = "nats"},
                 {{"training", {{0, 0}, {50, 10}, {100, 5}}}, {"validation", {{0, 10}, {100, 10}}}});
  const auto lines = lines_of(svg);
  ASSERT_EQ(lines.size(), 2);
  ASSERT_EQ(lines[0].size(), 3);
  // x from 72 to 760 - 24, y downwards.
  EXPECT_EQ(lines[0][0].x, 72);
  EXPECT_EQ(lines[0][1].x, (72 + 736) / 2);
  EXPECT_EQ(lines[0][2].x, 736);
  EXPECT_NEAR(lines[0][2].y, (lines[0][0].y + lines[0][1].y) / 2, 0.1);
  EXPECT_LT(lines[0][1].y, lines[0][0].y);
  EXPECT_EQ(lines[1][0].y, lines[0][1].y);
  EXPECT_EQ(texts_of(svg, "title"), Strings{"Loss"});
  EXPECT_EQ(texts_of(svg, "label"), (Strings{"step", "nats"}));
  EXPECT_EQ(texts_of(svg, "name"), (Strings{"training", "validation"}));
  EXPECT_EQ(texts_of(svg, "tick"), (Strings{"0", "2", "4", "6", "8", "10", "0", "20", "40", "60", "80", "100"}));
  EXPECT_EQ(count(svg, "<circle"), 5);
  EXPECT_TRUE(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"320\""));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
}

TEST(LineChart, LogarithmicAxis) {
  const std::string svg = line_chart({.log_y = true}, {{"", {{0, 0.01}, {1, 1}, {2, 100}, {3, 0}, {4, -1}}}});
  const auto lines = lines_of(svg);
  ASSERT_EQ(lines.at(0).size(), 3);  // zero has no logarithm
  EXPECT_NEAR(lines[0][1].y, (lines[0][0].y + lines[0][2].y) / 2, 0.1);
  EXPECT_EQ(texts_of(svg, "tick").at(0), "0.01");
  EXPECT_EQ(lines_of(line_chart({.log_y = true}, {{"", {{0, 0}, {1, -1}}}})).size(), 0);
}

TEST(LineChart, LeavesOutWhatCannotBeDrawn) {
  const Points good{{0, 1}, {1, 2}, {2, 4}};
  Points mixed;
  for (const ChartPoint& point : good) {
    mixed.push_back(point);
    for (const double bad : {kNan, kInfinity, -kInfinity, 1e301}) {
      mixed.push_back({point.x, bad});
      mixed.push_back({bad, point.y});
    }
  }
  EXPECT_EQ(line_chart({}, {{"a", mixed}}), line_chart({}, {{"a", good}}));
}

TEST(LineChart, FewPoints) {
  for (const std::vector<ChartSeries>& series :
       std::vector<std::vector<ChartSeries>>{{}, {{"empty", {}}}, {{"not a number", {{0, kNan}}}}}) {
    const std::string svg = line_chart({.title = "t"}, series);
    EXPECT_EQ(lines_of(svg).size(), 0);
    EXPECT_EQ(texts_of(svg, "label"), Strings{"no points"});
    EXPECT_EQ(count(svg, "nan") + count(svg, "inf"), 0);
  }
  const std::string one = line_chart({}, {{"a", {{3, 7}}}, {"b", {}}});
  EXPECT_EQ(count(one, "<circle"), 1);
  EXPECT_EQ(texts_of(one, "name"), (Strings{"a", "b"}));
  ASSERT_EQ(lines_of(one).size(), 1);
  EXPECT_NEAR(lines_of(one)[0].at(0).x, (72 + 736) / 2, 1);
}

TEST(LineChart, EveryPointLiesInThePlot) {
  for (const Points& points : {Points{{-1e300, -1e300}, {1e300, 1e300}}, Points{{1e15, 1}, {1e15 + 1, 2}},
                               Points{{0, 1e-300}, {1, 1e300}}, Points{{5, 1e-310}, {6, 0}}}) {
    for (const bool log_y : {false, true}) {
      const std::string svg = line_chart({.log_y = log_y}, {{"", points}});
      for (const Points& line : lines_of(svg)) {
        for (const ChartPoint& point : line) {
          EXPECT_GE(point.x, 71.9);
          EXPECT_LE(point.x, 736.1);
          EXPECT_GE(point.y, 40);
          EXPECT_LE(point.y, 320 - 33.9);
        }
      }
    }
  }
}

TEST(LineChart, ManyPointsKeepTheirExtremes) {
  Points points;
  for (int i = 0; i < 200000; ++i) points.push_back({static_cast<double>(i), i % 2 == 0 ? 1.0 : 2.0});
  points[12345].y = 9;
  points[123456].y = -3;
  const std::string svg = line_chart({}, {{"", points}});
  const Points line = lines_of(svg).at(0);
  EXPECT_LT(svg.size(), 100000);
  EXPECT_EQ(count(svg, "<circle"), 0);
  EXPECT_EQ(line.front().x, 72);
  EXPECT_EQ(line.back().x, 736);
  const auto by_height = [](const ChartPoint& a, const ChartPoint& b) { return a.y < b.y; };
  const auto top = *std::min_element(line.begin(), line.end(), by_height);
  const auto bottom = *std::max_element(line.begin(), line.end(), by_height);
  EXPECT_NEAR(top.x, 72 + 664.0 * 12345 / 199999, 0.1);
  EXPECT_NEAR(bottom.x, 72 + 664.0 * 123456 / 199999, 0.1);
  for (std::size_t i = 1; i < line.size(); ++i) ASSERT_LE(line[i - 1].x, line[i].x);
}

TEST(LineChart, TextsStayTexts) {
  const std::string hostile = "</text><script>\"&'\x01\xFF",
                    escaped = "&lt;/text&gt;&lt;script&gt;&quot;&amp;&#39;\uFFFD\uFFFD";
  const std::string svg =
      line_chart({.title = hostile, .x_label = hostile, .y_label = hostile}, {{hostile, {{0, 0}, {1, 1}}}});
  EXPECT_EQ(count(svg, escaped), 5);  // also the document's title
  EXPECT_EQ(count(svg, "<script"), 0);
  EXPECT_EQ(count(svg, "<text"), count(svg, "</text>"));
  EXPECT_EQ(svg.find('\x01'), std::string::npos);
}

TEST(LineChart, ManySeriesWrapTheirLegendAndDiffer) {
  std::vector<ChartSeries> series;
  for (int i = 0; i < 20; ++i) {
    series.push_back({"a rather long name, number " + std::to_string(i), {{0, static_cast<double>(i)}, {1, 0}}});
  }
  const std::string svg = line_chart({}, series);
  EXPECT_EQ(texts_of(svg, "name").size(), 20);
  EXPECT_EQ(lines_of(svg).size(), 20);
  EXPECT_GT(lines_of(svg)[0][0].y, 150);  // the plot makes room
  for (const char* dash : {"stroke=\"#1f5c9c\" d", "stroke=\"#1f5c9c\" stroke-dasharray=\"7 4\" d"}) {
    EXPECT_GE(count(svg, dash), 2) << dash;  // the line, and its sample in the legend
  }
}

TEST(LineChart, RefusesWhatDoesNotFit) {
  EXPECT_EQ(error_text<ValueError>([] { std::ignore = line_chart({.width = 100}, {}); }),
            "[line_chart] a chart is at least 200 pixels wide and 160 high: 100 x 320");
  EXPECT_THROW(std::ignore = line_chart({.x_low = kNan}, {}), ValueError);
  EXPECT_THROW(std::ignore = line_chart({.x_high = kInfinity}, {}), ValueError);
}

TEST(TrainingCurves, ShareTheirSteps) {
  rapt::TrainingCurves curves;
  for (int step = 1; step <= 1000; ++step) {
    curves.training_loss.push_back({static_cast<double>(step), 8.0 / std::sqrt(step)});
    curves.learning_rate.push_back({static_cast<double>(step), 1e-3 * std::min(step / 400.0, std::sqrt(400.0 / step))});
  }
  curves.validation_loss = {{500, 1}, {1000, 0.5}};
  curves.bleu = {{500, 12.5}, {1000, 31}};
  const std::string svg = training_curves(curves);
  EXPECT_EQ(texts_of(svg, "title"), (Strings{"Loss", "Learning rate", "BLEU"}));
  EXPECT_EQ(texts_of(svg, "name"), (Strings{"training", "validation"}));
  const auto lines = lines_of(svg);
  ASSERT_EQ(lines.size(), 4);
  EXPECT_EQ(lines[0].front().x, lines[2].front().x);
  EXPECT_EQ(lines[0].back().x, 736);
  for (const std::size_t i : {std::size_t{1}, std::size_t{3}}) {
    EXPECT_NEAR(lines[i].front().x, 72 + 664 * 499.0 / 999, 0.1);
    EXPECT_EQ(lines[i].back().x, 736);
  }
  EXPECT_LT(lines[0].front().y, lines[2].front().y);
  EXPECT_LT(lines[2].front().y, lines[3].front().y);
  EXPECT_EQ(svg, training_curves(curves));

  EXPECT_EQ(texts_of(rapt::training_curves({}), "title"), Strings{"Loss"});
  EXPECT_EQ(texts_of(rapt::training_curves({.bleu = {{1, 2}}}), "title"), (Strings{"Loss", "BLEU"}));
}

}  // namespace
