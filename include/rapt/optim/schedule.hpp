/// \file
/// Learning rates as functions of the step, which counts from 1.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>

#include "rapt/core/error.hpp"
#include "rapt/core/shape.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// rate = factor * d_model^-0.5 * min(step^-0.5, step * warmup^-1.5)   (the paper's equation 3)
struct PaperSchedule {
  Index d_model = 512;
  Index warmup = 4000;
  double factor = 1.0;

  /// The rate of a step. Throws ValueError unless step, warmup and d_model are positive.
  [[nodiscard]] double operator()(Index step) const {
    require(step > 0 && warmup > 0 && d_model > 0, "schedule",
            "steps count from 1, warmup and d_model are positive: step ", step, ", warmup ", warmup, ", d_model ",
            d_model);
    const auto s = static_cast<double>(step), w = static_cast<double>(warmup);
    return factor / std::sqrt(static_cast<double>(d_model)) * std::min(1 / std::sqrt(s), s / (w * std::sqrt(w)));
  }
};

/// The same curve by its highest point: peak * min(step / warmup, sqrt(warmup / step)).
struct InverseSquareRootSchedule {
  double peak = 5e-4;
  Index warmup = 4000;

  /// The rate of a step. Throws ValueError unless step and warmup are positive.
  [[nodiscard]] double operator()(Index step) const {
    require(step > 0 && warmup > 0, "schedule", "steps count from 1, warmup is positive: step ", step, ", warmup ",
            warmup);
    const auto s = static_cast<double>(step), w = static_cast<double>(warmup);
    return peak * std::min(s / w, std::sqrt(w / s));
  }
};

/// Another schedule, of which the last `cooldown` of `steps` fall linearly to 0 (Hägele et al. 2024): most of what a
/// long decay gains, and until then a run of any length is the same.
struct CooldownSchedule {
  std::function<double(Index)> schedule;
  Index steps = 10000;
  Index cooldown = 2000;

  /// schedule(step) * min(1, (steps + 1 - step) / (cooldown + 1)), and 0 behind `steps`. Throws ValueError unless 0 <
  /// cooldown <= steps.
  [[nodiscard]] double operator()(Index step) const {
    require(steps >= cooldown && cooldown > 0, "schedule", "a cooldown of ", cooldown, " steps does not fit in ",
            steps);
    const double left = static_cast<double>(steps + 1 - step) / static_cast<double>(cooldown + 1);
    return schedule(step) * std::clamp(left, 0.0, 1.0);
  }
};

/// Linear warm-up to `peak`, then half a cosine down to `floor` at `steps` (Loshchilov and Hutter 2017); `floor` after.
struct CosineSchedule {
  double peak = 5e-4;
  Index warmup = 0;  ///< steps of the warm-up, step t of which has the rate peak * t / warmup; 0: none
  Index steps = 10000;
  double floor = 0.0;

  /// The rate of a step. Throws ValueError unless step > 0 and steps > warmup >= 0.
  [[nodiscard]] double operator()(Index step) const {
    require(step > 0 && warmup >= 0 && steps > warmup, "schedule",
            "steps count from 1, and more of them than warm up are needed: step ", step, ", warmup ", warmup,
            ", steps ", steps);
    if (step <= warmup) return peak * static_cast<double>(step) / static_cast<double>(warmup);
    const double progress = std::min(1.0, static_cast<double>(step - warmup) / static_cast<double>(steps - warmup));
    return floor + (peak - floor) * 0.5 * (1 + std::cos(3.14159265358979323846 * progress));
  }
};

}}  // namespace rapt::RAPT_ABI
