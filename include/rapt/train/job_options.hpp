/// \file
/// What a training job is told: its options, and the functions of the program that it calls.
#pragma once

#include <cstdio>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "rapt/core/index.hpp"
#include "rapt/distributed/communicator.hpp"
#include "rapt/io/model_file.hpp"
#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Where a training job keeps its files, and how often it writes, measures and reports.
struct JobOptions {
  std::filesystem::path folder = {};  ///< of checkpoint, versions, best model and log; empty: nothing is kept
  bool resume = false;                ///< go on from the folder's checkpoint
  bool restart = false;               ///< give up the folder's checkpoint and begin anew
  Index checkpoint_every = 0;         ///< steps between checkpoints; 0: one is written only when the run is interrupted
  /// Write one when the plan ends the run, too, after the validation at the end, so that a longer plan can go on. A job
  /// that goes on from the plan's last step validates it, if the checkpoint was written before it was validated.
  bool checkpoint_at_end = false;
  Index keep = 0;           ///< the last versions of the model, each written with a checkpoint
  Index average = 0;        ///< in the end, the mean of so many last versions is tried as well (as many are kept)
  bool choose_best = true;  ///< keep the best validated model and choose among it, the last one and the averages
  Index log_every = 0;      ///< steps; 0: only validations are logged
  std::filesystem::path plot = {};  ///< SVG file of the curves; empty: none
  /// The options that decide what is computed, by name: a resumed run must have the same.
  nlohmann::ordered_json deciding = nlohmann::ordered_json::object();
  std::string corpus = {};  ///< tells the data apart (see Fingerprint): a resumed run must have the same
  /// The processes that train the model together, each with a job of the same options; nullptr: there is one. Rank 0
  /// has the folder, which the others need not see, and says what there is to say. The Trainer has the same
  /// communicator.
  Communicator* communicator = nullptr;
  std::FILE* messages = stderr;  ///< where lines that stay are written to; the progress line goes to stderr
  /// What messages call `resume` and `restart`: the flags of a program that has some.
  std::string resume_name = "the option resume", restart_name = "restart";
};

/// The result of a validation.
struct Measurement {
  double score = 0;                                                 ///< smaller is better
  std::string text = {};                                            ///< to be shown
  nlohmann::ordered_json entry = nlohmann::ordered_json::object();  ///< to be logged
};

/// The functions that a job calls.
template <Module M>
struct JobHooks {
  /// Validates the model. Empty: there is no validation.
  std::function<Measurement(const M& model)> measure = {};
  /// Writes a version of the model: a safetensors file with the parameters under their names, and metadata. A file that
  /// is there must be replaced by renaming a new one, as `AtomicFile` does, and not be written into: the best model of
  /// the last checkpoint may be kept as a hard link to it.
  std::function<void(const M& model, const std::filesystem::path& file)> save_model =
      [](const M& model, const std::filesystem::path& file) { write_safetensors(file, parameter_entries(model)); };
  Metadata metadata = {};  ///< of checkpoints, for `TrainingJob::stored`
};

}}  // namespace rapt::RAPT_ABI
