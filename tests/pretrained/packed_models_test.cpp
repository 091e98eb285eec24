/// \file
/// Every kind of model computes and decodes when its matrices are kept in packed form alone, whether they were packed
/// afterwards or while the folder was read.
// covers: nn/module.hpp
// covers: pretrained/pretrained_loader.hpp
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <type_traits>

#include "rapt/kernels/gemm/half.hpp"
#include "rapt/kernels/gemm/int8.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/saved_models.hpp"
#include "tests/common/settings.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

using rapt::Index;

TEST(PackedModels, EveryModelComputesWithPackedMatricesAlone) {
  const rapt_test::HighestPrecision scope;
  Index models = 0, with_other_matrices = 0;
  rapt_test::for_each_saved_model<float>([&](const std::string& name, const auto& model) {
    using M = std::remove_cvref_t<decltype(model)>;
    SCOPED_TRACE(name);
    const rapt_test::SavedRun<float> expected = rapt_test::run_saved(model);
    M packed = model;
    rapt::quantize_weights(packed, rapt::kernels::store_float16);
    rapt::drop_unpacked_weights(packed);
    Index dropped = 0, matrices = 0;
    rapt::for_each_packable_matrix(packed, [&](const std::string& key, const auto& parameter) {
      EXPECT_FALSE(parameter.value().has_elements()) << key;
      ++dropped;
    });
    EXPECT_GT(dropped, 0);
    rapt::for_each_parameter(
        packed, [&](const std::string&, const auto& parameter) { matrices += parameter.shape().rank() == 2 ? 1 : 0; });
    with_other_matrices += matrices > dropped ? 1 : 0;
    const rapt_test::SavedRun<float> found = rapt_test::run_saved(packed);
    EXPECT_EQ(found.generated.row_splits.sequences(), expected.generated.row_splits.sequences());
    for (const auto& [output, value] : expected.outputs) {
      EXPECT_LT(rapt_test::relative_error(found.outputs.at(output), value), 0.02) << output;
    }
    ++models;
  });
  EXPECT_GT(models, 100);
  EXPECT_GT(with_other_matrices, 10);
}

/// A model of a folder that is read into packed matrices is the model that is packed afterwards.
template <class M>
void expect_packed_while_read(const std::string& wanted) {
  Index found = 0;
  rapt_test::for_each_saved_model<float>([&](const std::string& name, const auto& model) {
    if constexpr (std::is_same_v<M, std::remove_cvref_t<decltype(model)>>) {
      if (name != wanted) return;
      const rapt_test::TemporaryFolder folder;
      rapt::save_pretrained(folder.path(), model);
      M loaded = rapt::from_pretrained<M>(folder.path(), {.weights = rapt::LoadedWeights::int8});
      rapt::pack_weights(loaded);  // as the pipelines do
      M packed = model;
      rapt::quantize_weights(packed, rapt::kernels::store_int8);
      rapt::drop_unpacked_weights(packed);
      const auto of_loaded = rapt_test::run_saved(loaded), of_packed = rapt_test::run_saved(packed);
      EXPECT_EQ(of_loaded.generated.tokens, of_packed.generated.tokens);
      for (const auto& [output, value] : of_packed.outputs) {
        EXPECT_TRUE(rapt_test::same_bits(of_loaded.outputs.at(output), value)) << output;
      }
      ++found;
    }
  });
  EXPECT_EQ(found, 1) << wanted;
}

TEST(PackedModels, TablesOfBiasesStayFloatsWhileAFolderIsRead) {
  expect_packed_while_read<rapt::T5<float>>("t5_plain");
  expect_packed_while_read<rapt::Beit<float>>("beit_shared");
  expect_packed_while_read<rapt::TransformerXl<float>>("transformer_xl_options");
}

}  // namespace
