/// \file
/// What a folder's tokenizer_config.json says of cleaning up spaces when tokens are decoded (text/clean_up.hpp).
#pragma once

#include "rapt/pretrained/tokenizer_json_file.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// `clean_up_spaces` of tokenizers, which no tokenizer.json says.
struct CleanUpSpaces {
  bool of_bpe = false, of_others = false;
};

inline constexpr const char* kCleanUp = "clean_up_tokenization_spaces";
/// For byte pair encoding the first key counts only together with this one, as in transformers 5.
inline constexpr const char* kCleanUpBpe = "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output";

/// What a tokenizer_config.json says of cleaning up spaces.
[[nodiscard]] inline CleanUpSpaces clean_up_spaces_of(const TokenizerJson& config) {
  const auto flag = [&](const char* key) { return config.flag(config.root(), key, false, ""); };
  return {.of_bpe = flag(kCleanUp) && flag(kCleanUpBpe), .of_others = flag(kCleanUp)};
}

}}}  // namespace rapt::RAPT_ABI::detail
