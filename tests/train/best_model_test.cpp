/// \file
/// The best model of a run: a newer one takes its file, but not before the checkpoint's is safe.
#include "rapt/train/best_model.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/common/expect_close.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

namespace fs = std::filesystem;
using rapt::Index;

struct OneNumber {
  using ScalarType = float;
  rapt::Parameter<float> number{rapt::Tensor<float>(rapt::Shape{1}, 0.f)};

  explicit OneNumber(float value = 0) { number.mutable_value().fill(value); }
  [[nodiscard]] float value() const { return number.value().data()[0]; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("number", self.number);
  }
};

class BestModelTest : public testing::Test {
 protected:
  /// Finds and writes the best model of a step, whose number is the step's.
  void find(rapt::BestModel<float>& best, Index step) {
    OneNumber model(static_cast<float>(step));
    best.take(model, step);
    OneNumber current(-1);
    best.write(current, save);
    EXPECT_EQ(current.value(), -1) << "the model has its own parameters again";
  }
  /// What is found by a run that goes on from a checkpoint whose best model is of this step.
  [[nodiscard]] float restored(Index step) {
    rapt::BestModel<float> best(&folder_);
    OneNumber model(-1);
    best.restore(model, step);
    EXPECT_EQ(model.value(), -1);
    if (best.empty()) return -1;
    best.release().swap_with(model);
    return model.value();
  }
  /// The number in a file.
  [[nodiscard]] static float number_in(const fs::path& file) {
    return rapt::SafetensorsFile(file).read<float>("number").data()[0];
  }

  static void save(const OneNumber& model, const fs::path& file) {
    rapt::write_safetensors(file, rapt::parameter_entries(model));
  }

  rapt_test::TemporaryFolder temporary_;
  rapt::RunFolder folder_{temporary_.path()};
};

TEST_F(BestModelTest, WithoutAFolderItIsInMemory) {
  rapt::BestModel<float> best(nullptr);
  EXPECT_TRUE(best.empty());
  find(best, 3);
  OneNumber model;
  best.release().swap_with(model);
  EXPECT_EQ(model.value(), 3);
  EXPECT_TRUE(best.empty());
  EXPECT_TRUE(fs::is_empty(folder_.path()));
}

TEST_F(BestModelTest, TheCheckpointsModelStaysUntilTheNextCheckpoint) {
  rapt::BestModel<float> best(&folder_);
  find(best, 2);
  best.checkpoint_is_written();
  for (const Index step : {5, 6}) {
    find(best, step);
    EXPECT_EQ(number_in(folder_.best()), static_cast<float>(step));
    EXPECT_EQ(number_in(folder_.best(2)), 2);
  }
  EXPECT_FALSE(fs::exists(folder_.best(5))) << "no checkpoint knows it";
  best.checkpoint_is_written();
  EXPECT_FALSE(fs::exists(folder_.best(2)));
  EXPECT_EQ(number_in(folder_.best()), 6);
}

TEST_F(BestModelTest, AKillBeforeOrAfterTheCheckpointIsWritten) {
  const auto kill = [&] {
    rapt::BestModel<float> best(&folder_);
    find(best, 2);
    best.checkpoint_is_written();
    find(best, 5);
  };
  kill();
  EXPECT_EQ(restored(2), 2);  // the checkpoint is still that of step 2
  EXPECT_EQ(number_in(folder_.best()), 2);
  EXPECT_FALSE(fs::exists(folder_.best(2)));
  kill();
  EXPECT_EQ(restored(5), 5);  // the new checkpoint is there, and what it replaced is not yet removed
  EXPECT_EQ(number_in(folder_.best()), 5);
  EXPECT_FALSE(fs::exists(folder_.best(2)));
  EXPECT_EQ(restored(0), -1);  // a checkpoint before the first validation
  EXPECT_TRUE(fs::is_empty(folder_.path()));
  rapt_test::expect_message<rapt::IoError>([&] { (void)restored(4); }, "best.safetensors");
}

TEST_F(BestModelTest, AFileThatCannotBeWrittenIsTriedAgain) {
  rapt::BestModel<float> best(&folder_);
  find(best, 2);
  best.checkpoint_is_written();
  best.take(OneNumber(5), 5);
  OneNumber model(-1);
  const auto full = [](const OneNumber&, const fs::path&) { rapt::fail<rapt::IoError>("disk", "it is full"); };
  EXPECT_THROW(best.write(model, full), rapt::IoError);
  EXPECT_EQ(model.value(), -1);
  {
    rapt::BestModel<float> resumed(&folder_);
    resumed.restore(model, 2);
    EXPECT_EQ(number_in(folder_.best()), 2);
  }
  best.write(model, save);
  EXPECT_EQ(number_in(folder_.best()), 5);
}

}  // namespace
