/// \file
/// What the processes of a training job must agree on, and compare before they train: else they would come to other
/// bits than one process, or wait for one another.
#pragma once

#include <cstddef>
#include <cstdio>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "rapt/core/build_info.hpp"
#include "rapt/core/index.hpp"
#include "rapt/data/fingerprint.hpp"
#include "rapt/nn/module.hpp"
#include "rapt/optim/optimizer.hpp"
#include "rapt/train/job_options.hpp"
#include "rapt/train/job_processes.hpp"
#include "rapt/train/run_identity.hpp"
#include "rapt/train/trainer.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Throws ValueError on all processes if one of them computes with other options, data, instructions or another build,
/// or would take part in other operations. Their numbers of threads may differ.
inline void require_same_job(const JobProcesses& processes, const JobOptions& options, const RunIdentity& identity) {
  if (processes.count() == 1) return;
  const BuildInfo info = build_info();
  std::vector<std::pair<std::string, std::string>> texts = identity.texts();
  const auto number = [](Index value) { return std::to_string(value); };
  texts.insert(texts.end(), {{"version of rapt", info.version},
                             {"version of Eigen", info.eigen},
                             {"compiler", info.compiler},
                             {"optimisation", info.optimised ? "on" : "off"},
                             {"instruction set", to_string(info.simd)},
                             {"precision", to_string(info.precision)},
                             {"matrix unit", to_string(info.unit)},
                             {options.resume_name, number(options.resume ? 1 : 0)},
                             {options.restart_name, number(options.restart ? 1 : 0)},
                             {"folder", options.folder.empty() ? "none" : "given"},
                             {"checkpoint_every", number(options.checkpoint_every)},
                             {"checkpoint_at_end", number(options.checkpoint_at_end ? 1 : 0)},
                             {"average", number(options.average)},
                             {"choose_best", number(options.choose_best ? 1 : 0)}});
  processes.require_same("train", texts);
}

/// Throws ValueError on all processes if their models, optimizers, plans or options of the training differ when it
/// begins; `validates` says whether the job validates. Numbers are compared with all their digits, but for learning
/// rates: the cosines of two machines may differ in the last digit.
template <Module M, Optimizer O>
void require_same_start(const JobProcesses& processes, Trainer<M, O>& trainer, const TrainingPlan& plan,
                        bool validates) {
  if (processes.count() == 1) return;
  const TrainerOptions& options = trainer.training_step().options();
  Fingerprint parameters, rate_factors;
  for_each_parameter(std::as_const(trainer.model()), [&](const std::string& name, const auto& parameter) {
    parameters.add(name);
    parameters.add(parameter.is_frozen() ? "frozen" : "trained");
    parameters.add(parameter.value().has_elements() ? std::as_bytes(parameter.value().values())
                                                    : std::span<const std::byte>());
  });
  for (const auto& slot : trainer.optimizer().slots()) {
    rate_factors.add(std::as_bytes(std::span(&slot.rate_factor, 1)));
  }
  const auto number = [](Index value) { return std::to_string(value); };
  const auto real = [](double value, int digits = 17) {
    char text[40];
    std::snprintf(text, sizeof text, "%.*g", digits, value);
    return std::string(text);
  };
  const auto& optimizer = trainer.optimizer();
  std::string optimizer_text(optimizer.kName);
  if constexpr (requires { optimizer.options_text(); }) optimizer_text += ' ' + optimizer.options_text();
  // The schedule: the rate of the next step, and those of steps at growing distances from it.
  std::string rates = real(options.learning_rate(trainer.steps() + 1), 9);
  for (Index ahead = 2; trainer.steps() + ahead <= plan.steps; ahead += ahead / 2) {
    rates += ' ' + real(options.learning_rate(trainer.steps() + ahead), 9);
  }
  processes.require_same(
      "train", {{"steps before this start", number(trainer.steps())},
                {"parameters (fingerprint)", std::to_string(parameters.value())},
                {"micro_batches", number(options.micro_batches)},
                {"accumulate", number(options.accumulate)},
                {"clip_norm", real(options.clip_norm)},
                {"label_smoothing", real(options.label_smoothing)},
                {"average_decay", real(options.average_decay)},
                {"shard_optimizer", number(options.shard_optimizer ? 1 : 0)},
                {"gradient_exchange", options.gradient_exchange == GradientExchange::bfloat16 ? "bfloat16" : "float32"},
                {"bucket_bytes", number(options.bucket_bytes)},
                {"optimizer", optimizer_text},
                {"rate factors of the parameters (fingerprint)", std::to_string(rate_factors.value())},
                {"seed", std::to_string(options.seed)},
                {"steps", number(plan.steps)},
                {"seconds", real(plan.seconds)},
                {"epochs", number(plan.epochs)},
                {"validate_every", number(plan.validate_every)},
                {"patience", number(plan.patience)},
                {"validation", validates ? "yes" : "no"},
                {"learning rates", rates}});
}

}}}  // namespace rapt::RAPT_ABI::detail
