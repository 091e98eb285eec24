/// \file
/// build_info: the compiler and libraries that this program was built with, and the instruction sets and threads that
/// it uses.
#pragma once

#include <Eigen/Core>
#include <string>

#include "rapt/core/cpu_features.hpp"
#include "rapt/core/precision.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/version.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What the library was built with, and what it uses on this processor.
struct BuildInfo {
  std::string version;  ///< version of rapt, "0.1.0"
  std::string eigen;    ///< version of Eigen, "3.4.0"
  /// The compiler and its version.
  std::string compiler;
  SimdLevel simd = SimdLevel::baseline;           ///< the level in force
  SimdLevel simd_detected = SimdLevel::baseline;  ///< the best that this processor has
  Precision precision = Precision::highest;       ///< the precision of float matrix products
  MatrixUnit unit = MatrixUnit::none;             ///< the unit that computes them; `none` is float32 on vectors
  /// The number of threads that kernels use.
  Index threads = 1;
  bool optimised = false;  ///< true if compiled with -O1 or more
};

/// Describes the library and the processor that the calling program runs on.
[[nodiscard]] inline BuildInfo build_info() {
  BuildInfo info;
  info.version = std::to_string(RAPT_VERSION_MAJOR) + "." + std::to_string(RAPT_VERSION_MINOR) + "." +
                 std::to_string(RAPT_VERSION_PATCH);
#if defined(EIGEN_PATCH_VERSION)  // since Eigen 5 the first number is no part of the version
  info.eigen = std::to_string(EIGEN_MAJOR_VERSION) + "." + std::to_string(EIGEN_MINOR_VERSION) + "." +
               std::to_string(EIGEN_PATCH_VERSION);
#else
  info.eigen = std::to_string(EIGEN_WORLD_VERSION) + "." + std::to_string(EIGEN_MAJOR_VERSION) + "." +
               std::to_string(EIGEN_MINOR_VERSION);
#endif
#if defined(__clang__)
  info.compiler = "clang " __clang_version__;
#elif defined(__GNUC__)
  info.compiler = "g++ " __VERSION__;
#endif
  info.simd = simd_level();
  info.simd_detected = detected_simd_level();
  info.precision = precision();
  info.unit = matrix_unit(info.precision);
  info.threads = threads();
#if defined(__OPTIMIZE__)
  info.optimised = true;
#endif
  return info;
}

/// "rapt 0.1.0, Eigen 3.4.0, g++ 12.2.0, simd avx512, precision highest (float32), 2 threads", and a warning when it
/// was compiled without optimisation.
[[nodiscard]] inline std::string to_string(const BuildInfo& info) {
  std::string text = "rapt " + info.version + ", Eigen " + info.eigen + ", " + info.compiler + ", simd " +
                     to_string(info.simd) + ", precision " + to_string(info.precision) + " (" +
                     (info.unit == MatrixUnit::none ? "float32" : "bfloat16 on " + to_string(info.unit)) + "), " +
                     std::to_string(info.threads) + (info.threads == 1 ? " thread" : " threads");
  if (!info.optimised) text += "\nwarning: compiled without optimisation: expect a twentieth of the speed; use -O2";
  return text;
}

}}  // namespace rapt::RAPT_ABI
