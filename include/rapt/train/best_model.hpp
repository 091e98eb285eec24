/// \file
/// BestModel: the parameters that have done best in validation so far, in memory and in the file of a run folder, which
/// always holds, or can be given back, the best model that the folder's checkpoint knows.
#pragma once

#include <filesystem>
#include <system_error>
#include <utility>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/io/model_file.hpp"
#include "rapt/train/job_processes.hpp"
#include "rapt/train/run_folder.hpp"
#include "rapt/train/snapshot.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The best model of a run. It may be found, and written, between two checkpoints. A run that is killed then goes on
/// from a checkpoint whose best model is an older one, so that one must not be lost: before a newer model is written
/// over it, it gets a second name, `RunFolder::best(step)`, which it keeps until the next checkpoint is there.
/// `restore` finds it by the step that the checkpoint names. For one thread at a time.
template <class T>
class BestModel {
 public:
  /// `folder` is where the file is kept, and must outlive this object; null: the model is in memory alone, as on all
  /// processes but rank 0.
  explicit BestModel(const RunFolder* folder) : folder_(folder) {}

  [[nodiscard]] bool empty() const { return parameters_.empty(); }
  /// Takes the parameters out; the object is then empty.
  [[nodiscard]] ParameterSnapshot<T> release() { return std::exchange(parameters_, {}); }

  /// Copies the model's parameters: after this step they are the best ones.
  template <Module M>
  void take(const M& model, Index step) {
    parameters_ = ParameterSnapshot<T>(model);
    step_ = step;
  }

  /// Writes the best parameters by `save_model(model, file)`, unless the file has them already. `model` has its own
  /// parameters again afterwards. Throws what `save_model` throws; the best model of the checkpoint is kept then, too.
  template <Module M, class SaveModel>
  void write(M& model, const SaveModel& save_model) {
    if (folder_ == nullptr || step_ == written_) return;
    if (written_ > 0 && written_ == of_checkpoint_) set_aside();
    parameters_.swap_with(model);
    try {
      save_model(std::as_const(model), folder_->best());
    } catch (...) {
      parameters_.swap_with(model);
      throw;
    }
    parameters_.swap_with(model);
    written_ = step_;
  }

  /// To be called when a checkpoint has been written, for which the best model was written before.
  void checkpoint_is_written() {
    if (folder_ == nullptr || of_checkpoint_ == written_) return;
    of_checkpoint_ = written_;
    folder_->remove_former_bests();
  }

  /// Goes on from a checkpoint whose best model is that of `step` (0: it has none): reads it, and removes what was
  /// written after the checkpoint. `model` keeps its parameters. Throws IoError or ShapeError for a file that is not
  /// there or does not fit. All of the job's processes call it; rank 0 reads the file for them.
  template <Module M>
  void restore(M& model, Index step, const JobProcesses& processes = JobProcesses()) {
    if (step == 0) {
      std::error_code ignored;
      processes.on_first([&] { std::filesystem::remove(folder_->best(), ignored); });
    } else {
      ParameterSnapshot<T> own(model);
      processes.on_first([&] {
        put_back(step);
        load_parameters(model, SafetensorsFile(folder_->best()));
      });
      processes.share_parameters(model);
      own.swap_with(model);
      parameters_ = std::move(own);
    }
    step_ = written_ = of_checkpoint_ = step;
    if (folder_ != nullptr) folder_->remove_former_bests();
  }

 private:
  /// Where the file system has no second names for a file, the only one is changed.
  void set_aside() {
    const std::filesystem::path former = folder_->best(written_);
    std::error_code error;
    std::filesystem::create_hard_link(folder_->best(), former, error);
    if (error) std::filesystem::rename(folder_->best(), former, error);
    require<IoError>(!error, "train", folder_->best().string(), ": cannot be kept as ", former.filename().string(),
                     ": ", error.message());
    written_ = 0;
  }

  /// Gives the best model of this step its name again, if a newer one has taken it.
  void put_back(Index step) {
    std::error_code error;
    if (!std::filesystem::exists(folder_->best(step), error)) return;
    std::filesystem::rename(folder_->best(step), folder_->best(), error);
    require<IoError>(!error, "train", folder_->best(step).string(), ": cannot be renamed to ",
                     folder_->best().filename().string(), ": ", error.message());
  }

  const RunFolder* folder_;
  ParameterSnapshot<T> parameters_;
  Index step_ = 0;           // of the parameters; 0: there are none
  Index written_ = 0;        // of those in the file, if it is known
  Index of_checkpoint_ = 0;  // of the best ones that the checkpoint in the folder names
};

}}  // namespace rapt::RAPT_ABI
