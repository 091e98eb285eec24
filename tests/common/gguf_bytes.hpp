/// \file
/// GGUF files written by tests: settings and tensors as bytes.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace rapt_test {

/// A GGUF file of version 3 in memory. Tensors may be given any offset and size, right or wrong.
class GgufBytes {
 public:
  GgufBytes& set(std::string_view key, std::string_view value) { return setting(key, 8, text(value)); }
  GgufBytes& set(std::string_view key, std::uint32_t value) { return setting(key, 4, number(value)); }
  GgufBytes& set(std::string_view key, float value) { return setting(key, 6, number(value)); }
  GgufBytes& set(std::string_view key, const std::vector<std::string>& values) {
    std::string list = number(std::uint32_t{8}) + number(static_cast<std::uint64_t>(values.size()));
    for (const std::string& value : values) list += text(value);
    return setting(key, 9, list);
  }
  GgufBytes& set(std::string_view key, const std::vector<std::int32_t>& values) {
    std::string list = number(std::uint32_t{5}) + number(static_cast<std::uint64_t>(values.size()));
    for (const std::int32_t value : values) list += number(value);
    return setting(key, 9, list);
  }
  /// Sizes as the file has them, columns first.
  GgufBytes& tensor(std::string_view name, const std::vector<std::uint64_t>& sizes, const std::vector<float>& values,
                    std::uint64_t offset) {
    std::string data(values.size() * sizeof(float), ' ');
    if (!data.empty()) std::memcpy(data.data(), values.data(), data.size());
    return tensor(name, sizes, /*type=*/0, data, offset);
  }
  /// Of a type by its number in files.
  GgufBytes& tensor(std::string_view name, const std::vector<std::uint64_t>& sizes, std::uint32_t type,
                    const std::string& data, std::uint64_t offset) {
    tensors_ += text(name) + number(static_cast<std::uint32_t>(sizes.size()));
    for (const std::uint64_t size : sizes) tensors_ += number(size);
    tensors_ += number(type) + number(offset);
    ++tensor_count_;
    if (data_.size() < offset + data.size()) data_.resize(offset + data.size());
    data.copy(data_.data() + offset, data.size());
    return *this;
  }

  [[nodiscard]] std::string bytes() const {
    std::string file = "GGUF" + number(std::uint32_t{3}) + number(tensor_count_) + number(setting_count_);
    file += settings_ + tensors_;
    file.resize((file.size() + 31) / 32 * 32);
    return file + data_;
  }

 private:
  template <class Number>
  [[nodiscard]] static std::string number(Number value) {
    std::string bytes(sizeof value, ' ');
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
  }
  [[nodiscard]] static std::string text(std::string_view value) {
    return number(static_cast<std::uint64_t>(value.size())) + std::string(value);
  }
  GgufBytes& setting(std::string_view key, std::uint32_t type, const std::string& value) {
    settings_ += text(key) + number(type) + value;
    ++setting_count_;
    return *this;
  }

  std::uint64_t tensor_count_ = 0, setting_count_ = 0;
  std::string settings_, tensors_, data_;
};

}  // namespace rapt_test
