/// \file
/// The keys of rotary positions in Hugging Face's config.json.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <type_traits>

#include "rapt/nn/rotary.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// The keys of longrope. Where there is no "factor", it is the length over the original one, as in Phi-3's folders.
template <class Options, class Visitor>
void visit_longrope_keys(Options& rotary, const Visitor& key) {
  if constexpr (!std::is_const_v<Options>) {
    key("original_max_position_embeddings", rotary.original_positions);
    std::optional<double> factor;
    key("factor", factor);
    const double growth =
        static_cast<double>(rotary.max_positions) / static_cast<double>(std::max<Index>(1, rotary.original_length()));
    rotary.factor = factor.value_or(std::max(1.0, growth));
    key("attention_factor", rotary.attention_factor);
  } else {
    key("factor", rotary.factor);
    if (rotary.attention_factor) key("attention_factor", rotary.attention_factor);
  }
  key.list("short_factor", rotary.short_factors);
  key.list("long_factor", rotary.long_factors);
}

/// The keys of config.json that the scaling of `rotary` uses, in the object "rope_scaling" or "rope_parameters";
/// without scaling there are none. Longrope is refused unless `may_be_longrope`.
template <class Options, class Visitor>
void visit_rotary_keys(Options& rotary, const Visitor& key, bool may_be_longrope = false) {
  constexpr bool kReads = !std::is_const_v<Options>;
  std::string kind = rotary.scaling == RotaryScaling::none ? "default" : to_string(rotary.scaling);
  if constexpr (kReads) {
    key("type", kind);  // its older name
    key("rope_type", kind);
    if (may_be_longrope && kind == "su") kind = "longrope";  // its older name
    rotary.scaling = RotaryScaling::none;
    for (const RotaryScaling scaling : {RotaryScaling::linear, RotaryScaling::dynamic, RotaryScaling::llama3,
                                        RotaryScaling::yarn, RotaryScaling::longrope}) {
      const bool allowed = may_be_longrope || scaling != RotaryScaling::longrope;
      if (allowed && kind == to_string(scaling)) rotary.scaling = scaling;
    }
    if (rotary.scaling == RotaryScaling::none) key.must_be("type", "default"), key.must_be("rope_type", "default");
    if (rotary.scaling == RotaryScaling::none) return;
  } else {
    if (rotary.scaling == RotaryScaling::none) return;
    key("rope_type", kind);
  }
  if (rotary.scaling == RotaryScaling::longrope) return visit_longrope_keys(rotary, key);
  key("factor", rotary.factor);
  const bool llama3 = rotary.scaling == RotaryScaling::llama3, yarn = rotary.scaling == RotaryScaling::yarn;
  if (llama3 || yarn) {
    Index original = rotary.original_positions > 0 ? rotary.original_positions : rotary.max_positions;
    key("original_max_position_embeddings", original);
    if constexpr (kReads) rotary.original_positions = original;
  }
  if (llama3) {
    key("low_freq_factor", rotary.low_factor);
    key("high_freq_factor", rotary.high_factor);
  }
  if (!yarn) return;
  key("beta_slow", rotary.beta_slow);
  key("beta_fast", rotary.beta_fast);
  key("truncate", rotary.truncate);
  if (kReads || rotary.attention_factor) key("attention_factor", rotary.attention_factor);
  if (kReads || rotary.mscale != 0) key("mscale", rotary.mscale);
  if (kReads || rotary.mscale_all != 0) key("mscale_all_dim", rotary.mscale_all);
}

}}}  // namespace rapt::RAPT_ABI::detail
