/// \file
/// The header of a safetensors file: which tensors it holds and where. Everything in it comes from outside, so it is
/// checked completely before anything is used.
///
/// The format (https://huggingface.co/docs/safetensors): 8 bytes little-endian length of the header; the header, a JSON
/// object with white space before and behind it where a writer aligns the data; the data. The JSON maps each name to
/// `{"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}`, offsets counted from the start of the data, and
/// `__metadata__` to an object of strings or null. The tensors cover the data without gaps or overlaps.
///
/// What the reference implementation (safetensors 0.8) reads is read here: further fields of a tensor are passed over,
/// and the last of two metadata of one name counts. Stricter is this reader where a file would mean two things: a name
/// of a tensor stands once. It is more lenient with types of unknown names, which only the tensor's reader refuses.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/io/dtype.hpp"
#include "rapt/io/tensor_record.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

inline constexpr std::uint64_t kMaxSafetensorsHeader = 100'000'000;  // the reference implementation's bound, in bytes

struct SafetensorsHeader {
  std::vector<TensorRecord> records;  ///< in the header's order
  std::map<std::string, std::string> metadata;
};

/// Receives the JSON's events and accepts the format alone: no tree is built, so hostile nesting costs nothing.
class SafetensorsHeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  SafetensorsHeaderReader(std::string_view file, SafetensorsHeader& header) : file_(file), header_(header) {}

  bool null() override { return is_ignored() || (state_ == State::kTop && key_ == kMetadata) || reject("null"); }
  bool boolean(bool) override { return is_ignored() || reject("a boolean"); }
  bool number_integer(number_integer_t value) override {
    return is_ignored() || reject(value == 0 ? "-0" : std::to_string(value));
  }
  bool number_float(number_float_t, const string_t& text) override { return is_ignored() || reject(quote_name(text)); }
  bool binary(binary_t&) override { return reject("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (state_ == State::kShape) {
      check(value <= static_cast<std::uint64_t>(std::numeric_limits<Index>::max()), "a size is too large: ", value);
      header_.records.back().sizes.push_back(static_cast<Index>(value));
    } else if (state_ == State::kOffsets) {
      check(offsets_ < 2, "data_offsets must be two numbers: more than two stand there");
      (offsets_++ == 0 ? header_.records.back().begin : header_.records.back().end) = value;
    } else {
      return is_ignored() || reject(std::to_string(value));
    }
    return true;
  }

  bool string(string_t& text) override {
    if (state_ == State::kMetadata) {
      header_.metadata[key_] = std::move(text);
    } else if (state_ == State::kTensor && key_ == "dtype") {
      header_.records.back().dtype = dtype_from(text);
      header_.records.back().dtype_name = std::move(text);
    } else {
      return is_ignored() || reject("the string " + quote_name(text));
    }
    return true;
  }

  bool start_object(std::size_t) override {
    if (is_ignored()) {
      ++ignored_depth_;
    } else if (state_ == State::kStart) {
      state_ = State::kTop;
    } else if (state_ == State::kTop) {
      state_ = key_ == kMetadata ? State::kMetadata : State::kTensor;
      fields_.clear();
      if (state_ == State::kTensor) header_.records.emplace_back().name = key_;
    } else {
      return reject("an object");
    }
    return true;
  }

  bool key(string_t& text) override {
    if (ignored_depth_ > 0) return true;
    if (state_ == State::kTop) {
      tensor_ = text;
      check(names_.insert(text).second, "the name stands twice in the header");
    } else if (state_ == State::kTensor && is_field(text)) {
      check(fields_.insert(text).second, "the field ", quote_name(text), " stands twice");
    }
    key_ = std::move(text);
    return true;
  }

  bool end_object() override {
    if (ignored_depth_ > 0) {
      --ignored_depth_;
      return true;
    }
    if (state_ == State::kTensor) {
      check(fields_.size() == 3, "dtype, shape and data_offsets must be given: ", fields_.size(), " of them are");
    }
    state_ = State::kTop;
    return true;
  }

  bool start_array(std::size_t) override {
    if (is_ignored()) {
      ++ignored_depth_;
    } else if (state_ == State::kTensor && key_ == "shape") {
      state_ = State::kShape;
    } else if (state_ == State::kTensor && key_ == "data_offsets") {
      state_ = State::kOffsets;
      offsets_ = 0;
    } else {
      return reject("an array");
    }
    return true;
  }

  bool end_array() override {
    if (ignored_depth_ > 0) {
      --ignored_depth_;
      return true;
    }
    check(state_ != State::kOffsets || offsets_ == 2, "data_offsets must be two numbers: ", offsets_, " stand there");
    state_ = State::kTensor;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    fail<IoError>("safetensors", file_, ": the header is not valid JSON: at byte ", position, " of it");
  }

 private:
  enum class State { kStart, kTop, kMetadata, kTensor, kShape, kOffsets };
  static constexpr std::string_view kMetadata = "__metadata__";

  [[nodiscard]] static bool is_field(std::string_view name) {
    return name == "dtype" || name == "shape" || name == "data_offsets";
  }
  /// True for the value, and all within it, of a field that the format does not name.
  [[nodiscard]] bool is_ignored() const { return ignored_depth_ > 0 || (state_ == State::kTensor && !is_field(key_)); }

  template <class... Pieces>
  void check(bool condition, const Pieces&... pieces) const {
    if (!condition) fail<IoError>("safetensors", file_, ": ", quote_name(tensor_), ": ", pieces...);
  }

  [[noreturn]] bool reject(const std::string& found) const {
    const auto expected = [&]() -> std::string_view {
      switch (state_) {
        case State::kStart:
          return "the header must be an object: ";
        case State::kTop:
          return "must be an object: ";
        case State::kMetadata:
          return "metadata must be strings: ";
        case State::kTensor:
          return key_ == "dtype" ? "dtype must be a string: " : "a list of integers is expected: ";
        case State::kShape:
          return "sizes must be non-negative integers: ";
        case State::kOffsets:
          return "data_offsets must be non-negative integers: ";
      }
      return "";
    };
    fail<IoError>("safetensors", file_, ": ", quote_name(tensor_), ": ", expected(), found, " stands there");
  }

  std::string_view file_;
  SafetensorsHeader& header_;
  State state_ = State::kStart;
  std::string tensor_;            // the last name at the top
  std::string key_;               // the last name anywhere
  std::set<std::string> names_;   // at the top
  std::set<std::string> fields_;  // the format's, of the tensor being read
  int offsets_ = 0;
  std::size_t ignored_depth_ = 0;  // lists and objects that are open within an ignored value
};

/// Throws IoError unless sizes, dtype and extent agree and lie within the data. The extent of a tensor of unknown type
/// is what data_offsets say.
inline void check_safetensors_record(const TensorRecord& record, std::uint64_t data_bytes, std::string_view file) {
  const auto check = [&](bool condition, const auto&... pieces) {
    if (!condition) fail<IoError>("safetensors", file, ": ", quote_name(record.name), ": ", pieces...);
  };
  check(record.begin <= record.end && record.end <= data_bytes, "data_offsets [", record.begin, ", ", record.end,
        "] do not lie within the file's ", data_bytes, " bytes of data");
  const std::optional<std::uint64_t> bytes = bytes_needed(record.dtype, record.sizes, check);
  check(!bytes || *bytes == record.end - record.begin, "data_offsets [", record.begin, ", ", record.end, "] span ",
        record.end - record.begin, " bytes, but shape and dtype ", record.dtype, " need ", bytes.value_or(0));
}

/// Parses and checks a header's text against the number of data bytes that follow it. `file` is for messages.
[[nodiscard]] inline SafetensorsHeader parse_safetensors_header(std::string_view text, std::uint64_t data_bytes,
                                                                std::string_view file) {
  // JSON's white space alone: the parser would pass over a byte order mark, which the format does not have.
  const std::size_t first = text.find_first_not_of(" \t\n\r");
  require<IoError>(first != text.npos && text[first] == '{', "safetensors", file,
                   ": the header must begin with { behind any white space");
  // The JSON parser would take a zero byte for the end of its input and ignore what follows.
  require<IoError>(text.find('\0') == std::string_view::npos, "safetensors", file, ": zero byte in the header");

  SafetensorsHeader header;
  SafetensorsHeaderReader reader(file, header);
  nlohmann::json::sax_parse(text, &reader);

  std::vector<const TensorRecord*> by_offset;
  for (const TensorRecord& record : header.records) {
    check_safetensors_record(record, data_bytes, file);
    by_offset.push_back(&record);
  }
  std::sort(by_offset.begin(), by_offset.end(), [](const TensorRecord* a, const TensorRecord* b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  std::uint64_t covered = 0;
  for (const TensorRecord* record : by_offset) {
    require<IoError>(record->begin == covered, "safetensors", file, ": ", quote_name(record->name), ": ",
                     record->begin < covered ? "overlaps another tensor" : "a hole stands before it",
                     ": it begins at byte ", record->begin, ", the others end at ", covered);
    covered = record->end;
  }
  require<IoError>(covered == data_bytes, "safetensors", file, ": the tensors cover ", covered, " of ", data_bytes,
                   " bytes of data");
  return header;
}

}}}  // namespace rapt::RAPT_ABI::detail
