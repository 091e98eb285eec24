/// \file
/// Training checkpoints: parameters, the optimizer's state, the moving average, random state and position in the data,
/// in one file.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <list>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/distributed/collectives.hpp"
#include "rapt/io/model_file.hpp"
#include "rapt/io/safetensors.hpp"
#include "rapt/train/trainer.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

inline constexpr std::string_view kCarriedPrefix = "carried.", kAveragePrefix = "average.";

/// f(k, key) for each tensor that the optimizer keeps for a parameter: slot.state[k] has the key
/// "<optimizer>.<state>.<parameter>" in files.
template <Optimizer O, class F>
void for_each_state_key(const O& optimizer, const std::string& parameter, const F& f) {
  std::size_t k = 0;
  for (const std::string_view state : optimizer.state_names()) {
    f(k++, std::string(O::kName).append(".").append(state).append(".").append(parameter));
  }
}

/// The steps that each parameter of an optimizer has missed, in the order of its slots; -1 where the checkpoint says
/// nothing. Throws IoError for numbers that cannot be.
template <Optimizer O>
[[nodiscard]] std::vector<Index> missed_steps(const SafetensorsFile& file, const nlohmann::json& trainer, O& optimizer,
                                              Index steps) {
  std::vector<Index> result(optimizer.slots().size(), -1);
  const auto missed = trainer.find("missed");
  if (missed == trainer.end()) return result;  // as earlier versions wrote it
  require<IoError>(missed->is_object(), "load_checkpoint", file.path(),
                   ": \"missed\" must be an object: ", describe(*missed));
  for (const auto& [name, count] : missed->items()) {
    std::size_t i = 0;
    while (i < result.size() && optimizer.slots()[i].name != name) ++i;
    require<IoError>(i < result.size(), "load_checkpoint", file.path(), ": \"missed\" names the parameter ",
                     quote_name(name), ", which the model does not have");
    require<IoError>(
        count.is_number_unsigned() && count.template get<std::uint64_t>() <= static_cast<std::uint64_t>(steps),
        "load_checkpoint", file.path(), ": \"missed\" must have for ", quote_name(name),
        " a whole number up to the steps, ", steps, ": ", describe(count));
    result[i] = count.template get<Index>();
  }
  return result;
}

/// All elements of what the optimizers of several processes keep of a parameter's shards, on rank 0; elsewhere nothing.
template <Module M, Optimizer O>
[[nodiscard]] auto gather_state(const TrainingStep<M, O>& step, std::size_t parameter, const Shape& shape,
                                const Tensor<typename M::ScalarType>& own) {
  std::vector<Index> bounds{0};
  for (Index p = 0; p < step.processes(); ++p) bounds.push_back(step.shard(parameter, p).end);
  Tensor<typename M::ScalarType> whole(step.rank() == 0 ? shape : Shape{0});
  gather(*step.options().communicator.get(), own.values(), std::span<const Index>(bounds), whole.values());
  return whole;
}

/// Reads the elements of a parameter's state that the optimizer keeps.
template <class T>
void read_state(const SafetensorsFile& file, const std::string& key, const OptimizerSlot<T>& slot, Tensor<T>& state) {
  if (state.shape() == slot.shape) return file.read_into(key, state);
  const Tensor<T> whole = file.read<T>(key);
  std::copy_n(whole.data() + slot.range.begin, slot.range.size(), state.data());
}

}  // namespace detail

/// Writes all that a run needs to go on bit for bit. The file appears whole or not at all.
///
/// With several processes all of them call this, and rank 0 writes: the file is the same for any number of them. Where
/// the optimizer's state is sharded, it is gathered on rank 0, which then needs memory for all of it.
template <Module M, Optimizer O>
void save_checkpoint(const std::filesystem::path& path, Trainer<M, O>& trainer, Metadata metadata = {}) {
  const TrainerState state = trainer.state();
  NamedTensors<typename M::ScalarType> carried;
  if constexpr (CarriesTensors<M>) carried = std::as_const(trainer.model()).carried();
  std::vector<SafetensorsEntry> entries = parameter_entries(std::as_const(trainer.model()));
  nlohmann::json missed = nlohmann::json::object();
  const TrainingStep<M, O>& step = trainer.training_step();
  std::list<Tensor<typename M::ScalarType>> gathered;
  for (std::size_t i = 0; auto& slot : trainer.optimizer().slots()) {
    const bool is_idle = slot.state.empty() && !slot.node->requires_grad;  // frozen since the beginning
    if (!is_idle) trainer.optimizer().make_state(slot);
    const bool is_untouched = is_idle && !trainer.optimizer().state_names().empty();
    if (is_idle || slot.missed > 0) missed[slot.name] = is_untouched ? trainer.steps() : slot.missed;
    detail::for_each_state_key(trainer.optimizer(), slot.name, [&](std::size_t k, const std::string& key) {
      if (is_idle) return;
      if (step.is_sharded()) gathered.push_back(detail::gather_state(step, i, slot.shape, slot.state[k]));
      entries.emplace_back(key, (step.is_sharded() ? gathered.back() : slot.state[k]).view());
    });
    ++i;
  }
  if (step.rank() != 0) return;
  metadata["trainer"] = nlohmann::json{
      {"optimizer", O::kName},
      {"steps", trainer.steps()},
      {"missed", missed},
      {"dropout_seed", state.dropout.seed},
      {"dropout_streams", state.dropout.streams_taken},
      {"epoch", state.data.epoch},
      {"batch", state.data.batch},
      {"best_validation",
       std::isfinite(state.best_validation) ? nlohmann::json(state.best_validation) : nlohmann::json(nullptr)},
      {"best_step", state.best_step},
      {"misses",
       state.misses}}.dump();
  if (trainer.average()) {
    trainer.average()->for_each_state([&](const std::string& name, const auto& average) {
      entries.emplace_back(std::string(detail::kAveragePrefix).append(name), average.view());
    });
  }
  for (const auto& [name, tensor] : carried) {
    entries.emplace_back(std::string(detail::kCarriedPrefix).append(name), tensor.view());
  }
  write_safetensors(path, entries, metadata);
}

/// Puts a trainer, and the source that it reads from, where the checkpoint was written. What is frozen is the program's
/// to say, as options are: it stays as it is. Throws IoError or ShapeError that names what does not fit, or ValueError
/// for a position that the source does not have, before anything is changed.
template <Module M, Optimizer O, BatchSource S>
void load_checkpoint(const SafetensorsFile& file, Trainer<M, O>& trainer, S& source) {
  using T = typename M::ScalarType;
  constexpr std::string_view kWhere = "load_checkpoint";
  const auto text = file.metadata().find("trainer");
  require<IoError>(text != file.metadata().end(), kWhere, file.path(),
                   ": the file has no \"trainer\" in its metadata: it is no checkpoint");
  const nlohmann::json json = nlohmann::json::parse(text->second, nullptr, /*allow_exceptions=*/false);
  // Half of what an Index holds, so that training can go on counting.
  const auto number = [&](const char* key, std::uint64_t most = std::numeric_limits<Index>::max() / 2) {
    const auto found = json.find(key);  // the end for anything but an object
    require<IoError>(found != json.end() && found->is_number_unsigned() && found->get<std::uint64_t>() <= most, kWhere,
                     file.path(), ": \"trainer\" needs a whole number \"", key,
                     "\": ", found == json.end() ? "there is none" : detail::describe(*found));
    return found->get<std::uint64_t>();
  };
  const auto index = [&](const char* key) { return static_cast<Index>(number(key)); };
  constexpr auto kAny = std::numeric_limits<std::uint64_t>::max();
  const Index steps = index("steps");
  TrainerState state{.dropout = {number("dropout_seed", kAny), number("dropout_streams", kAny)},
                     .data = {index("epoch"), index("batch")},
                     .best_step = index("best_step"),
                     .misses = index("misses")};
  const auto best = json.find("best_validation");
  require<IoError>(best != json.end() && (best->is_null() || best->is_number()), kWhere, file.path(),
                   ": \"trainer\" needs \"best_validation\", a number or null");
  if (best->is_number()) state.best_validation = best->get<double>();

  O& optimizer = trainer.optimizer();
  // Files of earlier versions, which knew Adam alone, do not say.
  const nlohmann::json writer = json.value("optimizer", nlohmann::json("adam"));
  require<IoError>(writer == std::string(O::kName), kWhere, file.path(), ": it was written with the optimizer ",
                   writer.is_string() ? detail::quote_name(writer.get<std::string>()) : detail::describe(writer),
                   ", this trainer has \"", O::kName, "\"");
  const std::vector<Index> missed = detail::missed_steps(file, json, optimizer, steps);
  std::vector<bool> has_state;
  for (std::size_t i = 0; const auto& slot : optimizer.slots()) {
    bool stored = missed[i++] < steps;  // a parameter that has missed all of them may have none
    detail::for_each_state_key(optimizer, slot.name,
                               [&](std::size_t, const std::string& key) { stored = stored || file.contains(key); });
    has_state.push_back(stored);
    detail::for_each_state_key(optimizer, slot.name, [&](std::size_t, const std::string& key) {
      if (stored) detail::require_stored(file, key, slot.shape, kWhere);
    });
  }
  const auto average_key = [](const std::string& name) { return std::string(detail::kAveragePrefix).append(name); };
  if (trainer.average()) {
    require<IoError>(std::any_of(file.names().begin(), file.names().end(),
                                 [](const std::string& name) { return name.starts_with(detail::kAveragePrefix); }),
                     kWhere, file.path(), ": it has no moving average, which this trainer keeps");
    trainer.average()->for_each_state([&](const std::string& name, const auto& average) {
      detail::require_stored(file, average_key(name), average.shape(), kWhere);
    });
  }
  NamedTensors<T> carried;
  if constexpr (CarriesTensors<M>) {
    for (const std::string& name : file.names()) {
      if (!name.starts_with(detail::kCarriedPrefix)) continue;
      file.require_readable(name);
      carried.emplace(name.substr(detail::kCarriedPrefix.size()), file.read<T>(name));
    }
  }

  // From here on, what was changed is put back if something does not fit after all.
  const BatchPosition position_before = source.position();
  source.seek(state.data);
  NamedTensors<T> carried_before;
  if constexpr (CarriesTensors<M>) carried_before = std::as_const(trainer.model()).carried();
  try {
    if constexpr (CarriesTensors<M>) trainer.model().set_carried(std::move(carried));
    const std::string state_of = std::string(O::kName) + ".";
    load_parameters(trainer.model(), file, "", [&](const std::string& name) {
      return name.starts_with(state_of) || name.starts_with(detail::kAveragePrefix) ||
             (CarriesTensors<M> && name.starts_with(detail::kCarriedPrefix));
    });
  } catch (...) {
    source.seek(position_before);
    if constexpr (CarriesTensors<M>) trainer.model().set_carried(std::move(carried_before));
    throw;
  }
  for (std::size_t i = 0; auto& slot : optimizer.slots()) {
    slot.missed = std::max<Index>(missed[i], 0);
    if (!has_state[i++]) {
      slot.state.clear();
      continue;
    }
    optimizer.make_state(slot);
    detail::for_each_state_key(optimizer, slot.name, [&](std::size_t k, const std::string& key) {
      detail::read_state(file, key, slot, slot.state[k]);
    });
  }
  if (trainer.average()) {
    trainer.average()->for_each_state(
        [&](const std::string& name, auto& average) { file.read_into(average_key(name), average); });
  }
  optimizer.set_steps(steps);
  trainer.restore(state);
}
/// The same from the file at `path`.
template <Module M, Optimizer O, BatchSource S>
void load_checkpoint(const std::filesystem::path& path, Trainer<M, O>& trainer, S& source) {
  load_checkpoint(SafetensorsFile(path), trainer, source);
}

}}  // namespace rapt::RAPT_ABI
