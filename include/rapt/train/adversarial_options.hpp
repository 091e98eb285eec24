/// \file
/// The options of two models that learn from one another.
#pragma once

#include <string_view>

#include "rapt/autograd/ops/augment_images.hpp"
#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/train/adversarial_loss.hpp"
#include "rapt/train/gradient_penalty.hpp"
#include "rapt/train/trainer_options.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The inputs at which the discriminator's gradient is penalised, all of them after their augmentation.
enum class PenaltyPoints {
  real,     ///< real images (R1)
  between,  ///< e r + (1 - e) g for a real image r, a generated one g and e uniform in [0, 1) (WGAN-GP)
};

/// The losses of a generator and a discriminator, and the discriminator's penalty.
struct AdversarialOptions {
  AdversarialLoss loss = AdversarialLoss::hinge;  ///< what generator and discriminator minimise
  /// A weight of 0 means no penalty, which Wasserstein's loss does not allow. In precision `medium` the penalty needs a
  /// longer step.
  GradientPenaltyOptions penalty = {};
  PenaltyPoints penalty_points = PenaltyPoints::real;  ///< where the discriminator's gradient is penalised
  /// The discriminator's steps from one with the penalty to the next, whose weight grows by as much ("lazy
  /// regularisation", Karras et al. 2020).
  Index penalty_every = 4;
  DifferentiableAugmentation augmentation = {};  ///< how images are changed before the discriminator reads them
  /// Of the discriminator's steps. `accumulate` and `micro_batches` must be 1, and there is no communicator.
  TrainerOptions discriminator = {};

  /// The options themselves, after they were validated. Throws ValueError `[where] ...` for those that do not fit.
  [[nodiscard]] const AdversarialOptions& checked(std::string_view where) const {
    penalty.validate(where);
    require(loss != AdversarialLoss::wasserstein || penalty.weight > 0, where,
            "Wasserstein's loss has no lower bound without a gradient penalty: its weight is ", penalty.weight);
    augmentation.validate(where);
    require(penalty_every >= 1, where, "penalty_every must be at least 1: ", penalty_every);
    require(discriminator.accumulate == 1 && discriminator.micro_batches == 1 && discriminator.communicator.size() == 1,
            where, "a step of the discriminator is one batch on one process: accumulate ", discriminator.accumulate,
            ", micro_batches ", discriminator.micro_batches, ", processes ", discriminator.communicator.size());
    require(discriminator.average_decay == 0, where, "there is no average of the discriminator: average_decay ",
            discriminator.average_decay);
    return *this;
  }
};

}}  // namespace rapt::RAPT_ABI
