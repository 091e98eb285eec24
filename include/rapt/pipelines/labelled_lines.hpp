/// \file
/// Labelled texts from files: a table of columns (.tsv) or a JSON object a line (.jsonl, .json).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/io/json.hpp"
#include "rapt/pretrained/folder_contents.hpp"
#include "rapt/text/lines.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A text, or a pair of texts, and what should be said of it.
struct LabelledLine {
  std::string text, second, label;  ///< `second` is empty if there is one text
  std::string place = {};           ///< "train.tsv:3", the file and the line, from 1; empty: of no file
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

/// The text of a JSON label: numbers of the same value have the same one, however they are written.
[[nodiscard]] inline std::string label_text(const nlohmann::json& label) {
  if (label.is_string()) return label.get<std::string>();
  if (label.is_number_float()) {
    const double value = label.get<double>();
    constexpr double kMost = 0x1p63;
    if (value == std::floor(value) && std::abs(value) < kMost) return std::to_string(static_cast<std::int64_t>(value));
  }
  return label.dump();
}

/// Where a message says that a text is: its file and line, or else its number, from 1.
[[nodiscard]] inline std::string place_of(const std::vector<LabelledLine>& lines, std::size_t i) {
  return lines[i].place.empty() ? "text " + std::to_string(i + 1) : lines[i].place;
}

}  // namespace detail

/// The lines of a file. The first line of a table names its columns, which TAB separates; other columns are not read.
/// Quotation marks in a table are ordinary characters. In a file of JSON objects, labels may be numbers, which become
/// the text of their value ("1" for 1.0), or truth values, which become "true" and "false". Blank lines count for
/// nothing. Throws IoError with the file and the line, from 1, for a column that is not there or there twice, a line
/// without a text or label, a table's line with another number of fields than columns, what is no JSON object, and a
/// file without texts; and ValueError for columns of the same name.
[[nodiscard]] inline std::vector<LabelledLine> read_labelled_lines(const std::filesystem::path& path,
                                                                   const LabelledColumns& columns = {}) {
  const bool is_table = path.extension() == ".tsv";
  require<IoError>(is_table || path.extension() == ".jsonl" || path.extension() == ".json", "labelled_lines",
                   path.string(), ": the name must end with .tsv, .jsonl or .json");
  require(columns.text != columns.second && columns.text != columns.label && columns.second != columns.label,
          "labelled_lines", "the columns must have different names: ", detail::quote_name(columns.text), ", ",
          detail::quote_name(columns.second), ", ", detail::quote_name(columns.label));
  const std::array<std::pair<const std::string*, std::string LabelledLine::*>, 3> fields = {
      {{&columns.text, &LabelledLine::text},
       {&columns.second, &LabelledLine::second},
       {&columns.label, &LabelledLine::label}}};
  std::vector<LabelledLine> found;
  std::vector<std::string LabelledLine::*> places;  // of a table's columns; nullptr: not read
  std::size_t number = 0;
  for (const std::string& line : read_lines(path)) {
    ++number;
    if (is_blank(line) && !(is_table && line.find('\t') != line.npos)) continue;
    const std::string where = path.string() + ":" + std::to_string(number);
    if (is_table && places.empty()) {
      for (const std::string_view name : detail::split_at_tabs(line)) {
        places.push_back(nullptr);
        for (const auto& [wanted, place] : fields) {
          if (name != *wanted) continue;
          require<IoError>(std::find(places.begin(), places.end(), place) == places.end(), "labelled_lines", where,
                           ": two columns have the name ", detail::quote_name(*wanted));
          places.back() = place;
        }
      }
      for (const auto& [wanted, place] : {fields[0], fields[2]}) {
        require<IoError>(std::find(places.begin(), places.end(), place) != places.end(), "labelled_lines", where,
                         ": no column has the name ", detail::quote_name(*wanted));
      }
      continue;
    }
    LabelledLine& labelled = found.emplace_back();
    labelled.place = where;
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
        labelled.*place = detail::label_text(*value);
      }
    }
    require<IoError>(!labelled.text.empty() && !labelled.label.empty(), "labelled_lines", where, ": the ",
                     labelled.text.empty() ? "text" : "label", " is empty");
  }
  require<IoError>(!found.empty(), "labelled_lines", path.string(), ": there are no texts");
  return found;
}

/// The different labels in order of their bytes: the numbers of classes.
[[nodiscard]] inline std::vector<std::string> distinct_labels(std::vector<std::string> labels) {
  std::sort(labels.begin(), labels.end());
  labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
  return labels;
}
[[nodiscard]] inline std::vector<std::string> distinct_labels(const std::vector<LabelledLine>& lines) {
  std::vector<std::string> labels;
  for (const LabelledLine& line : lines) labels.push_back(line.label);
  return distinct_labels(std::move(labels));
}

/// The number of each line's label among `labels`, which may be in any order. Throws ValueError that names the first
/// line whose label is not there.
[[nodiscard]] inline std::vector<std::int32_t> label_numbers(const std::vector<LabelledLine>& lines,
                                                             const std::vector<std::string>& labels) {
  std::unordered_map<std::string_view, std::int32_t> known;
  for (std::size_t i = 0; i < labels.size(); ++i) known.emplace(labels[i], static_cast<std::int32_t>(i));
  std::vector<std::int32_t> numbers;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto found = known.find(lines[i].label);
    if (found == known.end()) {
      fail("labelled_lines", detail::place_of(lines, i), " has the label ", detail::quote_name(lines[i].label),
           ", which is none of those that are known: ", detail::some_of(labels));
    }
    numbers.push_back(found->second);
  }
  return numbers;
}

namespace detail {

/// The number that a decimal text is, "+1", ".5" and "2." among them, which JSON does not have; nothing for another
/// text.
[[nodiscard]] inline std::optional<double> decimal_number(std::string_view text) {
  std::string json = text.starts_with('-') ? "-" : "";
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  const auto is_digit = [&](std::size_t i) { return i < text.size() && text[i] >= '0' && text[i] <= '9'; };
  while (text.starts_with('0') && is_digit(1)) text.remove_prefix(1);
  if (text.starts_with('.') && is_digit(1)) {
    json += '0';
  } else if (!is_digit(0)) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    json += text[i];
    if (text[i] == '.' && !is_digit(i + 1)) json += '0';
  }
  const auto number = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!number.is_number()) return std::nullopt;
  return number.get<double>();
}

}  // namespace detail

/// The lines' labels as numbers, for regression: decimal ones such as "3", "-0.5", "+1", ".5" and "1e-3". Throws
/// ValueError that names the first line whose label is none, or none that float holds.
[[nodiscard]] inline std::vector<float> label_values(const std::vector<LabelledLine>& lines) {
  std::vector<float> values;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::optional<double> value = detail::decimal_number(strip_ends(lines[i].label));
    const auto number = static_cast<float>(value.value_or(0));
    if (!value || !std::isfinite(number)) {
      fail("labelled_lines", detail::place_of(lines, i), " has the label ", detail::quote_name(lines[i].label),
           ", which is no number");
    }
    values.push_back(number);
  }
  return values;
}

}}  // namespace rapt::RAPT_ABI
