// Lines of text that the examples write, and how they join and name what they have read.
#pragma once

#include <cstddef>
#include <rapt/core/atomic_file.hpp>
#include <rapt/data/fingerprint.hpp>
#include <string>
#include <string_view>
#include <vector>

/// A file that appears whole or not at all.
inline void write_lines(const std::string& path, const std::vector<std::string>& lines) {
  rapt::AtomicFile file(path);
  for (const std::string& line : lines) file.write((line + "\n").data(), line.size() + 1);
  file.commit();
}

inline std::string joined(const std::vector<std::string>& parts, std::string_view between) {
  std::string text;
  for (const std::string& part : parts) {
    if (!text.empty()) text += between;
    text += part;
  }
  return text;
}

/// What tells the data of a training apart: "29000 pairs, 1234567".
inline std::string data_text(std::size_t count, std::string_view items, const rapt::Fingerprint& fingerprint) {
  return std::to_string(count).append(" ").append(items).append(", ") + std::to_string(fingerprint.value());
}
