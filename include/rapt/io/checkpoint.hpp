/// \file
/// Training checkpoints: parameters, Adam's moments, random state and position in the data, in one file.
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
      {"best_step",
       state.best_step}}.dump();
  std::vector<SafetensorsEntry> entries = parameter_entries(std::as_const(trainer.model()));
  trainer.adam().for_each_state([&](const std::string& name, const auto& m, const auto& v) {
    entries.emplace_back("adam.m." + name, m.view());
    entries.emplace_back("adam.v." + name, v.view());
  });
  write_safetensors(path, entries, metadata);
}

/// Puts a trainer (and the stream it reads from) where the checkpoint was written. Throws IoError or ShapeError, naming
/// what does not fit, before anything is changed.
template <Module M>
void load_checkpoint(const std::filesystem::path& path, Trainer<M>& trainer, BatchStream& stream) {
  const SafetensorsFile file(path);
  const auto text = file.metadata().find("trainer");
  require<IoError>(text != file.metadata().end(), "load_checkpoint", file.path(),
                   ": the file has no \"trainer\" in its metadata: it is no checkpoint");
  const nlohmann::json json = nlohmann::json::parse(text->second, nullptr, /*allow_exceptions=*/false);
  TrainerState state;
  Index steps = 0;
  try {
    steps = json.at("steps").get<Index>();
    state.dropout = {json.at("dropout_seed").get<std::uint64_t>(), json.at("dropout_streams").get<std::uint64_t>()};
    state.data = {json.at("epoch").get<Index>(), json.at("batch").get<Index>()};
    if (!json.at("best_validation").is_null()) state.best_validation = json.at("best_validation").get<double>();
    state.best_step = json.at("best_step").get<Index>();
  } catch (const nlohmann::json::exception& error) {
    fail<IoError>("load_checkpoint", file.path(), ": \"trainer\" is malformed: ", std::string_view(error.what()));
  }
  require<IoError>(steps >= 0, "load_checkpoint", file.path(), ": steps = ", steps);
  trainer.adam().for_each_state([&](const std::string& name, const auto& m, const auto&) {
    for (const char* kind : {"adam.m.", "adam.v."}) {
      require<ShapeError>(file.shape(kind + name) == m.shape(), "load_checkpoint", file.path(), ": \"", kind, name,
                          "\" has shape ", file.shape(kind + name), ", the optimizer wants ", m.shape());
    }
  });
  load_parameters(trainer.model(), file, "", [](const std::string& name) { return name.starts_with("adam."); });
  trainer.adam().for_each_state([&](const std::string& name, auto& m, auto& v) {
    file.read_into("adam.m." + name, m);
    file.read_into("adam.v." + name, v);
  });
  trainer.adam().set_steps(steps);
  trainer.restore(state);
  stream.seek(state.data);
}

}  // namespace rapt::inline RAPT_ABI
