/// \file
/// Training checkpoints: parameters, Adam's moments, the moving average, random state and position in the data, in one
/// file.
#pragma once

#include <nlohmann/json.hpp>

#include "rapt/io/model_file.hpp"
#include "rapt/train/trainer.hpp"

namespace rapt::inline RAPT_ABI {

/// Writes all that a run needs to go on bit for bit; the file appears whole or not at all.
template <Module M>
void save_checkpoint(const std::filesystem::path& path, Trainer<M>& trainer, Metadata metadata = {}) {
  const TrainerState state = trainer.state();
  metadata["trainer"] = nlohmann::json{
      {"steps", trainer.steps()},
      {"dropout_seed", state.dropout.seed},
      {"dropout_streams", state.dropout.streams_taken},
      {"epoch", state.data.epoch},
      {"batch", state.data.batch},
      {"best_validation",
       std::isfinite(state.best_validation) ? nlohmann::json(state.best_validation) : nlohmann::json(nullptr)},
      {"best_step", state.best_step},
      {"misses",
       state.misses}}.dump();
  std::vector<SafetensorsEntry> entries = parameter_entries(std::as_const(trainer.model()));
  trainer.adam().for_each_state([&](const std::string& name, const auto& m, const auto& v) {
    entries.emplace_back("adam.m." + name, m.view());
    entries.emplace_back("adam.v." + name, v.view());
  });
  if (trainer.average()) {
    trainer.average()->for_each_state(
        [&](const std::string& name, const auto& average) { entries.emplace_back("average." + name, average.view()); });
  }
  write_safetensors(path, entries, metadata);
}

/// Puts a trainer (and the stream it reads from) where the checkpoint was written. Throws IoError or ShapeError, naming
/// what does not fit, or ValueError for a place that the stream does not have, before anything is changed.
template <Module M>
void load_checkpoint(const std::filesystem::path& path, Trainer<M>& trainer, BatchStream& stream) {
  const SafetensorsFile file(path);
  const auto text = file.metadata().find("trainer");
  require<IoError>(text != file.metadata().end(), "load_checkpoint", file.path(),
                   ": the file has no \"trainer\" in its metadata: it is no checkpoint");
  const nlohmann::json json = nlohmann::json::parse(text->second, nullptr, /*allow_exceptions=*/false);
  // Half of what an Index holds, so that training can go on counting.
  const auto number = [&](const char* key, std::uint64_t most = std::numeric_limits<Index>::max() / 2) {
    const auto found = json.find(key);  // the end for anything but an object
    require<IoError>(found != json.end() && found->is_number_unsigned() && found->get<std::uint64_t>() <= most,
                     "load_checkpoint", file.path(), ": \"trainer\" needs a whole number \"", key,
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
  require<IoError>(best != json.end() && (best->is_null() || best->is_number()), "load_checkpoint", file.path(),
                   ": \"trainer\" needs \"best_validation\", a number or null");
  if (best->is_number()) state.best_validation = best->get<double>();
  BatchStream there = stream;
  there.seek(state.data);
  trainer.adam().for_each_state([&](const std::string& name, const auto& m, const auto&) {
    for (const char* kind : {"adam.m.", "adam.v."}) {
      detail::require_stored(file, kind + name, m.shape(), "load_checkpoint");
    }
  });
  if (trainer.average()) {
    require<IoError>(std::any_of(file.names().begin(), file.names().end(),
                                 [](const std::string& name) { return name.starts_with("average."); }),
                     "load_checkpoint", file.path(), ": it has no moving average, which this trainer keeps");
    trainer.average()->for_each_state([&](const std::string& name, const auto& average) {
      detail::require_stored(file, "average." + name, average.shape(), "load_checkpoint");
    });
  }
  load_parameters(trainer.model(), file, "",
                  [](const std::string& name) { return name.starts_with("adam.") || name.starts_with("average."); });
  trainer.adam().for_each_state([&](const std::string& name, auto& m, auto& v) {
    file.read_into("adam.m." + name, m);
    file.read_into("adam.v." + name, v);
  });
  if (trainer.average()) {
    trainer.average()->for_each_state(
        [&](const std::string& name, auto& average) { file.read_into("average." + name, average); });
  }
  trainer.adam().set_steps(steps);
  trainer.restore(state);
  stream = std::move(there);
}

}  // namespace rapt::inline RAPT_ABI
