/// \file
/// Which unit a precision runs on.
// covers: core/build_info.hpp
#include "rapt/core/precision.hpp"

#include <gtest/gtest.h>

#include "rapt/core/build_info.hpp"

#include "tests/common/settings.hpp"

namespace {

using rapt::MatrixUnit;
using rapt::Precision;

/// Puts back what the environment or the default had chosen.
class PrecisionSettings : public testing::Test {
 protected:
  ~PrecisionSettings() override {
    rapt::set_precision(before_);
    rapt::set_matrix_unit(std::nullopt);
  }
  Precision before_ = rapt::precision();
};

TEST_F(PrecisionSettings, HighestIsFloat32OnEveryUnit) {
  for (const auto unit : {MatrixUnit::none, MatrixUnit::portable}) {
    rapt::set_matrix_unit(unit);
    EXPECT_EQ(rapt::matrix_unit(Precision::highest), MatrixUnit::none);
    EXPECT_EQ(rapt::matrix_unit(Precision::high), unit);
    EXPECT_EQ(rapt::matrix_unit(Precision::medium), unit);
  }
}

TEST_F(PrecisionSettings, TheLibraryChoosesWhatIsFasterThanFloat32) {
  rapt::set_matrix_unit(std::nullopt);
  switch (rapt::detected_matrix_unit()) {
    case MatrixUnit::amx:
      EXPECT_EQ(rapt::matrix_unit(Precision::high), MatrixUnit::amx);
      EXPECT_EQ(rapt::matrix_unit(Precision::medium), MatrixUnit::amx);
      break;
    case MatrixUnit::avx512_bf16:
    case MatrixUnit::neon_bf16:
      EXPECT_EQ(rapt::matrix_unit(Precision::high), MatrixUnit::none);
      EXPECT_EQ(rapt::matrix_unit(Precision::medium), rapt::detected_matrix_unit());
      break;
    default:
      EXPECT_EQ(rapt::matrix_unit(Precision::high), MatrixUnit::none);
      EXPECT_EQ(rapt::matrix_unit(Precision::medium), MatrixUnit::none);
  }
}

TEST_F(PrecisionSettings, AUnitOfAVectorSetThatIsNotInForceIsNotUsed) {
  if (rapt::detected_matrix_unit() < MatrixUnit::avx512_bf16) GTEST_SKIP() << "this processor has no AVX512_BF16";
  rapt::set_matrix_unit(MatrixUnit::avx512_bf16);
  EXPECT_EQ(rapt::matrix_unit(Precision::high), MatrixUnit::avx512_bf16);
  rapt::set_simd_level(rapt::SimdLevel::avx2);
  EXPECT_EQ(rapt::matrix_unit(Precision::high), MatrixUnit::none);
  rapt::set_simd_level(rapt::SimdLevel::avx512);
}

TEST_F(PrecisionSettings, RefusesAUnitThatTheProcessorLacks) {
  int refused = 0;
  for (const auto unit : {MatrixUnit::neon_bf16, MatrixUnit::avx512_bf16, MatrixUnit::amx}) {
    if (rapt::has_matrix_unit(unit)) continue;
    ++refused;
    EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([&] { rapt::set_matrix_unit(unit); }),
              "[precision] this processor has " + to_string(rapt::detected_matrix_unit()) + ", not " + to_string(unit));
  }
  EXPECT_GT(refused, 0);  // no processor has both NEON and AMX
}

TEST_F(PrecisionSettings, BuildInfoSaysPrecisionAndUnit) {
  rapt::set_precision(Precision::medium);
  rapt::set_matrix_unit(MatrixUnit::portable);
  EXPECT_NE(to_string(rapt::build_info()).find("precision medium (bfloat16 on portable)"), std::string::npos);
  rapt::set_precision(Precision::highest);
  EXPECT_NE(to_string(rapt::build_info()).find("precision highest (float32)"), std::string::npos);
}

}  // namespace
