/// \file
/// How a model's parameters are called and laid out in the files of another library: a table of lines,
/// from which both loading and saving follow.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/shape.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// One of the tensors in which a parameter is kept.
struct StoredTensor {
  std::string name;  ///< the tensor's name in files
  Index rows = 0;    ///< rows of the parameter that it holds; 0: all, or an equal part
  /// Further names of the same tensor: files may have it under these, too, or instead. It is written under `name`.
  std::vector<std::string> copies = {};
};

/// A line of the table. `*` in names stands for any number, the same on both sides.
struct StoredName {
  std::string name;                  ///< the parameter, as `visit` names it
  std::vector<StoredTensor> stored;  ///< if several, their rows one behind the other make up the parameter
  bool transposed = false;           ///< kept as [in, out], as the Conv1D of OpenAI's GPT-2
  bool as_row = false;               ///< a vector that is kept as [1, n]
  bool as_scalar = false;            ///< a vector of one element that is kept as a scalar, which has no sizes
};
/// The names of all tensors of a model's files.
using StoredNames = std::vector<StoredName>;

/// Rows `first_row` .. `first_row + rows` of a parameter, and the tensor that keeps them.
struct StoredPart {
  std::string name;  ///< the tensor's name in files
  Index first_row = 0, rows = 0;
  bool transposed = false, as_row = false, as_scalar = false;  ///< how it is kept, see StoredName
  std::vector<std::string> copies = {};                        ///< further names of the tensor, see StoredTensor
};

namespace detail {

/// True if `name` fits `pattern`; `numbers` receives what its stars stand for.
[[nodiscard]] inline bool match_name(std::string_view pattern, std::string_view name,
                                     std::vector<std::string_view>& numbers) {
  numbers.clear();
  std::size_t at = 0;
  for (const char c : pattern) {
    if (c != '*') {
      if (at == name.size() || name[at] != c) return false;
      ++at;
      continue;
    }
    const std::size_t begin = at;
    while (at < name.size() && name[at] >= '0' && name[at] <= '9') ++at;
    if (at == begin) return false;
    numbers.push_back(name.substr(begin, at - begin));
  }
  return at == name.size();
}

[[nodiscard]] inline std::string fill_stars(std::string_view pattern, const std::vector<std::string_view>& numbers) {
  std::string name;
  std::size_t next = 0;
  for (const char c : pattern) {
    if (c == '*' && next < numbers.size()) {
      name += numbers[next++];
    } else {
      name += c;
    }
  }
  return name;
}

}  // namespace detail

/// Where the parameter `name` with so many rows is kept: as the first line that fits it says, or under its own name.
[[nodiscard]] inline std::vector<StoredPart> stored_parts(const StoredNames& table, const std::string& name,
                                                          Index rows) {
  std::vector<std::string_view> numbers;
  for (const StoredName& line : table) {
    if (!detail::match_name(line.name, name, numbers)) continue;
    std::vector<StoredPart> parts;
    Index first = 0;
    for (const StoredTensor& tensor : line.stored) {
      const Index count = tensor.rows > 0 ? tensor.rows : rows / static_cast<Index>(line.stored.size());
      parts.push_back({.name = detail::fill_stars(tensor.name, numbers),
                       .first_row = first,
                       .rows = count,
                       .transposed = line.transposed,
                       .as_row = line.as_row,
                       .as_scalar = line.as_scalar});
      for (const std::string& copy : tensor.copies) parts.back().copies.push_back(detail::fill_stars(copy, numbers));
      first += count;
    }
    require<ShapeError>(first == rows, "stored_name", "the parts of '", name, "' have ", first, " rows, it has ", rows);
    return parts;
  }
  return {{name, 0, rows}};
}

}}  // namespace rapt::RAPT_ABI
