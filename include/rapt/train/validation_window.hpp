/// \file
/// ValidationWindow: the steps of a training job since its last validation, which its checkpoints keep.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/io/model_file.hpp"
#include "rapt/io/safetensors.hpp"
#include "rapt/io/tensor_record.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// The steps of a job since its last validation. As checkpoints keep them, a run that is interrupted between two
/// validations finds the same mean loss at the next one as a run that was not.
class ValidationWindow {
 public:
  /// The last step that was validated, in this run or in one that it goes on from; 0 if there was none.
  [[nodiscard]] Index validated_step() const { return validated_step_; }
  void set_validated_step(Index step) { validated_step_ = step; }

  /// The mean loss of the steps that were added since the losses were cleared; 0 if there is none.
  [[nodiscard]] double mean_loss() const { return loss_sum_ / static_cast<double>(std::max<Index>(1, loss_count_)); }
  void add_loss(double loss) { loss_sum_ += loss, ++loss_count_; }
  void clear_losses() { loss_sum_ = 0, loss_count_ = 0; }

  void add_losses_to(Metadata& metadata) const { metadata[kLosses] = Json{loss_sum_, loss_count_}.dump(); }
  void add_validated_step_to(Metadata& metadata) const { metadata[kStep] = std::to_string(validated_step_); }

  /// Reads what the two functions above have added; checkpoints of old have less, what they lack stays. Throws IoError
  /// `[where] file: ...` for what cannot be such numbers.
  void read(const SafetensorsFile& checkpoint, std::string_view where) {
    if (const auto step = find(checkpoint, where, kStep, "a number of steps", is_count)) {
      validated_step_ = step->get<Index>();
    }
    const auto are_losses = [](const Json& json) {
      return json.is_array() && json.size() == 2 && json[0].is_number() && is_count(json[1]);
    };
    if (const auto losses = find(checkpoint, where, kLosses, "a sum and a number of steps", are_losses)) {
      loss_sum_ = (*losses)[0].get<double>();
      loss_count_ = (*losses)[1].get<Index>();
    }
  }

 private:
  using Json = nlohmann::json;
  static constexpr const char* kStep = "validated_step";             // a key of the checkpoint's metadata
  static constexpr const char* kLosses = "losses_since_validation";  // another one: [their sum, their number]

  [[nodiscard]] static bool is_count(const Json& json) {
    constexpr std::uint64_t kMost = std::numeric_limits<Index>::max() / 2;  // so that it can go on counting
    return json.is_number_unsigned() && json.get<std::uint64_t>() <= kMost;
  }

  /// What the metadata has under `key`, if it has anything.
  template <class IsValid>
  [[nodiscard]] static std::optional<Json> find(const SafetensorsFile& checkpoint, std::string_view where,
                                                const char* key, const char* wanted, const IsValid& is_valid) {
    const auto found = checkpoint.metadata().find(key);
    if (found == checkpoint.metadata().end()) return std::nullopt;
    Json json = Json::parse(found->second, nullptr, /*allow_exceptions=*/false);
    require<IoError>(is_valid(json), where, checkpoint.path(), ": \"", key, "\" must be ", wanted, ": ",
                     quote_name(found->second));
    return json;
  }

  Index validated_step_ = 0, loss_count_ = 0;
  double loss_sum_ = 0;
};

}}}  // namespace rapt::RAPT_ABI::detail
