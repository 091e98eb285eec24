/// \file
/// The trials of a search as one HTML file that needs nothing else: the best score over time, the importance of the
/// settings, all trials as parallel coordinates, and a table.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/tensor_text.hpp"
#include "rapt/search/halving.hpp"
#include "rapt/search/history.hpp"
#include "rapt/search/importance.hpp"
#include "rapt/search/search_page_assets.hpp"
#include "rapt/search/space.hpp"
#include "rapt/visualization/line_chart.hpp"
#include "rapt/visualization/markup.hpp"
#include "rapt/visualization/page_head.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How the page of a search is labelled.
struct SearchPageOptions {
  /// The title of the page.
  std::string title = "Search over settings";
  std::string score_name = "score";        ///< what is made small
  std::string resource_name = "resource";  ///< what rungs give to trials, in the plural: "steps"
};

namespace detail {

/// A number with so many significant digits at most, e.g. "0.00125" or "900", which does not depend on the locale.
[[nodiscard]] inline std::string short_number(double value, int digits = 6) {
  const double scale = value == 0 ? 1 : std::pow(10.0, digits - 1 - std::floor(std::log10(std::abs(value))));
  const double rounded = std::isfinite(scale) && scale > 0 ? std::round(value * scale) / scale : value;
  if (rounded == std::round(rounded) && std::abs(rounded) < 1e15) {
    return std::to_string(static_cast<long long>(rounded));
  }
  return number_text(rounded, digits);
}

/// What a rung gives as text: whole numbers, such as steps, with all their digits.
[[nodiscard]] inline std::string resource_text(double resource) {
  return short_number(resource, resource == std::round(resource) ? 15 : 4);
}

/// A value of a setting as text.
[[nodiscard]] inline std::string setting_text(const nlohmann::ordered_json& value) {
  return value.is_string() ? value.get<std::string>() : short_number(value.get<double>());
}

/// The page, piece by piece.
class SearchPage {
 public:
  SearchPage(const SettingsSpace& space, const Halving& halving, const TrialHistory& history,
             const SearchPageOptions& options)
      : space_(space), halving_(halving), history_(history), options_(options), best_(history.best()) {
    for (Index i = 0; i < history.size(); ++i) {
      if (!history[i].results.empty()) order_.push_back(i);
    }
    std::stable_sort(order_.begin(), order_.end(), [&](Index a, Index b) { return score(a) < score(b); });
  }

  [[nodiscard]] std::string html() const {
    std::string page(kPageHead);
    page += "<title>" + escape_markup(options_.title) + "</title>\n<style>";
    page += kSearchPageStyle;
    page += "</style>\n</head>\n<body>\n<main>\n<h1>" + escape_markup(options_.title) + "</h1>\n" + summary();
    page += "<h2>Best so far</h2>\n<div class=\"drawing\">" + best_so_far() + "</div>\n";
    page += "<h2>Importance of the settings</h2>\n" + importance();
    page +=
        "<h2>All trials</h2>\n<p>A line is a trial, the darker the better; those of higher rungs are thicker.</p>\n"
        "<div class=\"drawing\">" +
        parallel_coordinates() + "</div>\n";
    page += "<h2>Trials</h2>\n<div class=\"scroll\">" + table() + "</div>\n</main>\n<script>";
    page += kSearchPageScript;
    return page + "</script>\n</body>\n</html>\n";
  }

 private:
  /// The last score of a trial, which is that of its highest rung; infinite if it has none.
  [[nodiscard]] double score(Index trial) const {
    for (Index rung = std::ssize(history_[trial].results); rung-- > 0;) {
      const RungResult& result = *history_[trial].result(rung);
      if (result.score) return *result.score;
    }
    return std::numeric_limits<double>::infinity();
  }
  [[nodiscard]] bool is_best(Index trial) const { return best_ && best_->trial == trial; }
  /// The class attribute of a trial's row or line, and its number.
  [[nodiscard]] std::string marks(Index trial, std::string classes) const {
    if (is_best(trial)) classes += " best";
    if (history_[trial].has_failed()) classes += " failed";
    return " class=\"" + classes + "\" data-trial=\"" + std::to_string(trial) + "\"";
  }

  [[nodiscard]] std::string summary() const {
    Index failed = 0;
    for (const SettingsTrial& trial : history_.trials()) failed += trial.has_failed();
    std::string text = "<p>" + std::to_string(history_.size()) + " trials, " +
                       std::to_string(history_.finished().size()) + " rungs ended, failed: " + std::to_string(failed);
    if (!history_.finished().empty()) {
      text +=
          "; " + short_number(std::round(history_.result(history_.finished().back()).seconds / 6) / 10) + " minutes";
    }
    text += ".</p>\n";
    if (!best_) return text;
    text += "<p>Best: <b>" + short_number(*history_.result(*best_).score) + "</b> (" +
            escape_markup(options_.score_name) + ") of trial " + std::to_string(best_->trial) + ":";
    for (const std::string& name : space_.names()) {
      text += " <b>" + escape_markup(name) + "</b> " + escape_markup(setting_text(setting(best_->trial, name)));
    }
    return text + "</p>\n";
  }
  [[nodiscard]] const nlohmann::ordered_json& setting(Index trial, const std::string& name) const {
    return history_[trial].settings.at(name);
  }

  /// For each rung the least score as steps over the minutes.
  [[nodiscard]] std::string best_so_far() const {
    std::vector<ChartSeries> series(to_size(halving_.rungs));
    double end = 0;
    for (const TrialRung place : history_.finished()) end = std::max(end, history_.result(place).seconds / 60);
    for (Index rung = 0; rung < halving_.rungs; ++rung) {
      ChartSeries& curve = at(series, rung);
      if (halving_.rungs > 1) curve.name = resource_text(halving_.resource_at(rung)) + " " + options_.resource_name;
      double least = std::numeric_limits<double>::infinity();
      for (const TrialRung place : history_.finished()) {
        const RungResult& result = history_.result(place);
        if (place.rung != rung || !result.score || *result.score >= least) continue;
        if (!curve.points.empty()) curve.points.push_back({result.seconds / 60, least});
        least = *result.score;
        curve.points.push_back({result.seconds / 60, least});
      }
      if (!curve.points.empty()) curve.points.push_back({end, least});
    }
    return line_chart({.x_label = "minutes", .y_label = options_.score_name, .x_low = 0.0, .width = 1000}, series);
  }

  [[nodiscard]] std::string importance() const {
    const std::optional<SettingImportance> found = setting_importance(space_, history_);
    if (!found) {
      return "<p>Too few trials: a rung needs " + std::to_string(least_observations(space_)) + ".</p>\n";
    }
    std::string html =
        "<p>The part of the score's variance over the whole space that each setting explains alone "
        "(first-order Sobol index), by a Gaussian process through the " +
        std::to_string(found->observations) + " trials that ended rung " + std::to_string(found->rung) +
        ".</p>\n<div class=\"bars\">\n";
    for (Index d = 0; d < space_.size(); ++d) {
      const std::string percent = std::to_string(std::lround(100 * at(found->sobol_indices, d)));
      html += "<span>" + escape_markup(at(space_.names(), d)) + "</span><i style=\"width:" + percent +
              "%\"></i><span>" + percent + " %</span>\n";
    }
    return html + "</div>\n";
  }

  /// The texts of an axis with their places from 0 to 1.
  [[nodiscard]] static std::vector<std::pair<double, std::string>> ticks(const SettingRange& range) {
    std::vector<std::pair<double, std::string>> all;
    for (std::size_t k = 0; k < range.choices.size(); ++k) {
      all.emplace_back(range.coordinate_of(static_cast<double>(k)), range.choices[k]);
    }
    if (range.is_choice()) return all;
    for (const double u : {0.0, 0.25, 0.5, 0.75, 1.0}) {
      const double value = range.value_at(u);
      const std::string text = range.is_integer ? short_number(value, 15) : short_number(value, 3);
      if (all.empty() || all.back().second != text) all.emplace_back(range.coordinate_of(value), text);
    }
    return all;
  }

  /// The text elements are styled by the chart above, whose rules hold for the whole page.
  [[nodiscard]] std::string parallel_coordinates() const {
    const Index axes = space_.size() + 1;
    const double top = 44, bottom = 330, left = 70,
                 step = std::max(120.0, 860.0 / std::max<double>(1, static_cast<double>(axes - 1)));
    const double width = left + step * static_cast<double>(axes - 1) + 90;
    const auto x = [&](Index axis) { return left + step * static_cast<double>(axis); };
    const auto y = [&](double u) { return bottom - std::clamp(u, 0.0, 1.0) * (bottom - top); };
    std::string svg = "<svg class=\"parallel\" xmlns=\"http://www.w3.org/2000/svg\" width=\"" + pixels(width) +
                      "\" height=\"360\" viewBox=\"0 0 " + pixels(width) +
                      " 360\" role=\"img\">\n<title>All trials as parallel coordinates</title>\n";
    std::string labels;
    const auto add_axis = [&](Index axis, const std::string& name,
                              const std::vector<std::pair<double, std::string>>& texts) {
      svg += "<path class=\"axis\" d=\"M" + pixels(x(axis)) + " " + pixels(top) + "V" + pixels(bottom) + "\"/>\n";
      labels += svg_text(x(axis), 24, "class=\"name\" text-anchor=\"middle\"", name);
      for (const auto& [u, text] : texts) {
        labels += svg_text(x(axis) + 6, y(u) + 4,
                           "class=\"tick\" paint-order=\"stroke\" stroke=\"#fdfcf9\" stroke-width=\"3\"", text);
      }
    };
    for (Index d = 0; d < space_.size(); ++d) add_axis(d, at(space_.names(), d), ticks(at(space_.ranges(), d)));

    // Scores beyond the best half and three times its width stand at the upper end, as failures do.
    std::vector<double> scores;
    for (const Index trial : order_) {
      if (std::isfinite(score(trial))) scores.push_back(score(trial));
    }
    const double least = scores.empty() ? 0 : scores.front();
    const double median = scores.empty() ? 0 : scores[(scores.size() - 1) / 2];
    const double most = scores.empty() ? 0 : std::min(scores.back(), median + 3 * (median - least));
    const auto score_place = [&](Index trial) {
      if (!std::isfinite(score(trial))) return 1.0;
      return most > least ? 0.94 * std::clamp((score(trial) - least) / (most - least), 0.0, 1.0) : 0.0;
    };
    std::vector<std::pair<double, std::string>> score_ticks;
    if (!scores.empty()) score_ticks = {{0, short_number(least)}};
    if (most > least) score_ticks.emplace_back(0.94, short_number(most) + (scores.back() > most ? " and more" : ""));
    if (scores.size() < order_.size()) score_ticks.emplace_back(1.0, "failed");
    add_axis(axes - 1, options_.score_name, score_ticks);

    for (auto trial = order_.rbegin(); trial != order_.rend(); ++trial) {  // the best one is drawn last
      const std::vector<double> coordinates = space_.coordinates_of(history_[*trial].settings);
      std::string path;
      for (Index d = 0; d < axes; ++d) {
        path += d == 0 ? 'M' : 'L';
        path += pixels(x(d)) + " " + pixels(y(d + 1 < axes ? at(coordinates, d) : score_place(*trial)));
      }
      const auto rungs = static_cast<double>(history_[*trial].results.size());
      svg += "<path" + marks(*trial, "trial") + " stroke=\"" + colour(score_place(*trial)) + "\" stroke-width=\"" +
             pixels(0.6 + 0.6 * rungs) + "\" d=\"" + path + "\"><title>trial " + std::to_string(*trial) +
             "</title></path>\n";
    }
    return svg + labels + "</svg>\n";
  }
  /// From dark blue for the best to pale red for the worst.
  [[nodiscard]] static std::string colour(double badness) {
    constexpr double kGood[] = {20, 70, 130}, kBad[] = {232, 190, 172};
    char text[8];
    const auto part = [&](std::size_t i) {
      return static_cast<int>(std::lround(kGood[i] + std::sqrt(badness) * (kBad[i] - kGood[i])));
    };
    std::snprintf(text, sizeof text, "#%02x%02x%02x", part(0) & 255, part(1) & 255, part(2) & 255);
    return text;
  }

  [[nodiscard]] std::string table() const {
    std::string html = "<table>\n<thead><tr>";
    const auto head = [&](const std::string& name, bool is_text = false) {
      html += std::string("<th scope=\"col\"") + (is_text ? " class=\"text\"" : "") + "><button type=\"button\">" +
              escape_markup(name) + "</button></th>";
    };
    const auto cell = [&](const std::string& text, const char* kind = "") {
      html += "<td";
      if (*kind != '\0') html += std::string(" class=\"") + kind + '"';
      html += ">" + escape_markup(text) + "</td>";
    };
    head("trial");
    head(options_.score_name);
    head("rung");
    head(options_.resource_name);
    head("seconds");
    for (Index d = 0; d < space_.size(); ++d) head(at(space_.names(), d), at(space_.ranges(), d).is_choice());
    head("failure", true);
    html += "</tr></thead>\n<tbody>\n";
    for (const Index trial : order_) {
      const RungResult& last = history_[trial].results.back();
      double took = 0;
      for (const RungResult& result : history_[trial].results) took += result.took;
      html += "<tr" + marks(trial, "row") + ">";
      cell(std::to_string(trial));
      cell(std::isfinite(score(trial)) ? short_number(score(trial)) : "");
      cell(std::to_string(history_[trial].results.size() - 1));
      cell(resource_text(last.resource));
      cell(short_number(std::round(10 * took) / 10));
      for (Index d = 0; d < space_.size(); ++d) {
        const bool is_text = at(space_.ranges(), d).is_choice();
        cell(setting_text(setting(trial, at(space_.names(), d))), is_text ? "text" : "");
      }
      cell(last.failure, "text failure");
      html += "</tr>\n";
    }
    return html + "</tbody>\n</table>\n";
  }

  const SettingsSpace& space_;
  const Halving& halving_;
  const TrialHistory& history_;
  const SearchPageOptions& options_;
  std::optional<TrialRung> best_;
  std::vector<Index> order_;  // trials that have ended a rung, the best first
};

}  // namespace detail

/// The page in UTF-8. The same arguments give the same bytes. Texts may have any bytes; those that are not UTF-8 are
/// shown as U+FFFD.
[[nodiscard]] inline std::string search_page(const SettingsSpace& space, const Halving& halving,
                                             const TrialHistory& history, const SearchPageOptions& options = {}) {
  return detail::SearchPage(space, halving, history, options).html();
}

}}  // namespace rapt::RAPT_ABI
