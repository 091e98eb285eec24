/// \file
/// Labelled texts from files: a table of columns (.tsv) or a JSON object a line (.jsonl, .json).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/io/json.hpp"
#include "rapt/text/lines.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A text, or a pair of texts, and what should be said of it.
struct LabelledLine {
  std::string text, second, label;  ///< `second` is empty if there is one text
};

/// What the columns or keys are called.
struct LabelledColumns {
  std::string text = "text", second = "text2", label = "label";  ///< `second` need not be there
};

namespace detail {

[[nodiscard]] inline std::vector<std::string_view> split_at_tabs(std::string_view line) {
  std::vector<std::string_view> fields;
  for (std::size_t begin = 0;;) {
    const std::size_t end = std::min(line.find('\t', begin), line.size());
    fields.push_back(line.substr(begin, end - begin));
    if (end == line.size()) return fields;
    begin = end + 1;
  }
}

}  // namespace detail

/// The lines of a file. The first line of a table names its columns, which TAB separates; other columns are not read.
/// In a file of JSON objects, labels may be numbers or truth values, too, which become their text. Blank lines count
/// for nothing. Throws IoError with the file and the line, from 1, for a line without a text or label, a table's line
/// with another number of fields than columns, what is no JSON object, and a file without texts.
[[nodiscard]] inline std::vector<LabelledLine> read_labelled_lines(const std::filesystem::path& path,
                                                                   const LabelledColumns& columns = {}) {
  const bool is_table = path.extension() == ".tsv";
  require<IoError>(is_table || path.extension() == ".jsonl" || path.extension() == ".json", "labelled_lines",
                   path.string(), ": the name must end with .tsv, .jsonl or .json");
  const std::array<std::pair<const std::string*, std::string LabelledLine::*>, 3> fields = {
      {{&columns.text, &LabelledLine::text},
       {&columns.second, &LabelledLine::second},
       {&columns.label, &LabelledLine::label}}};
  std::vector<LabelledLine> found;
  std::vector<std::string LabelledLine::*> places;  // of a table's columns; nullptr: not read
  std::size_t number = 0;
  for (const std::string& line : read_lines(path)) {
    ++number;
    if (is_blank(line)) continue;
    const std::string where = path.string() + ":" + std::to_string(number);
    if (is_table && places.empty()) {
      for (const std::string_view name : detail::split_at_tabs(line)) {
        places.push_back(nullptr);
        for (const auto& [wanted, place] : fields) {
          if (name == *wanted) places.back() = place;
        }
      }
      for (const auto& [wanted, place] : {fields[0], fields[2]}) {
        require<IoError>(std::find(places.begin(), places.end(), place) != places.end(), "labelled_lines", where,
                         ": no column has the name ", detail::quote_name(*wanted));
      }
      continue;
    }
    LabelledLine& labelled = found.emplace_back();
    if (is_table) {
      const std::vector<std::string_view> values = detail::split_at_tabs(line);
      require<IoError>(values.size() == places.size(), "labelled_lines", where, ": ", values.size(), " fields in ",
                       places.size(), " columns");
      for (std::size_t i = 0; i < values.size(); ++i) {
        if (places[i] != nullptr) labelled.*places[i] = values[i];
      }
    } else {
      const nlohmann::json json = detail::parse_json_object(line, where, "labelled_lines");
      for (const auto& [name, place] : fields) {
        const auto value = json.find(*name);
        const bool may_lack = place == &LabelledLine::second;
        if (value == json.end() && may_lack) continue;
        const bool is_label = place == &LabelledLine::label;
        require<IoError>(
            value != json.end() && (value->is_string() || (is_label && (value->is_number() || value->is_boolean()))),
            "labelled_lines", where, ": ", detail::quote_name(*name), " must be a ",
            is_label ? "string or a number" : "string", ": ",
            value == json.end() ? std::string("there is none") : detail::describe(*value));
        labelled.*place = value->is_string() ? value->get<std::string>() : value->dump();
      }
    }
    require<IoError>(!labelled.text.empty() && !labelled.label.empty(), "labelled_lines", where, ": the ",
                     labelled.text.empty() ? "text" : "label", " is empty");
  }
  require<IoError>(!found.empty(), "labelled_lines", path.string(), ": there are no texts");
  return found;
}

/// The different labels of the lines in order of their bytes: the numbers of classes.
[[nodiscard]] inline std::vector<std::string> distinct_labels(const std::vector<LabelledLine>& lines) {
  std::vector<std::string> labels;
  for (const LabelledLine& line : lines) labels.push_back(line.label);
  std::sort(labels.begin(), labels.end());
  labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
  return labels;
}

/// The number of each line's label among `labels`. Throws ValueError that names a line whose label is not there.
[[nodiscard]] inline std::vector<std::int32_t> label_numbers(const std::vector<LabelledLine>& lines,
                                                             const std::vector<std::string>& labels) {
  std::vector<std::int32_t> numbers;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto found = std::find(labels.begin(), labels.end(), lines[i].label);
    require(found != labels.end(), "labelled_lines", "text ", i + 1, " has the label ",
            detail::quote_name(lines[i].label), ", which is none of the ", labels.size(), " labels that are known");
    numbers.push_back(static_cast<std::int32_t>(found - labels.begin()));
  }
  return numbers;
}

/// The lines' labels as numbers, for regression. Throws ValueError that names a line whose label is none.
[[nodiscard]] inline std::vector<float> label_values(const std::vector<LabelledLine>& lines) {
  std::vector<float> values;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto value = nlohmann::json::parse(lines[i].label, nullptr, /*allow_exceptions=*/false);
    require(value.is_number() && std::isfinite(value.get<float>()), "labelled_lines", "text ", i + 1, " has the label ",
            detail::quote_name(lines[i].label), ", which is no number");
    values.push_back(value.get<float>());
  }
  return values;
}

}}  // namespace rapt::RAPT_ABI
