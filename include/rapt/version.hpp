/// \file
/// The version, once (CMake reads it here), the compiler flags that rapt refuses, and the tag of the inline namespace
/// that all of rapt lives in.
///
/// Every header of rapt includes this one, so a program that is compiled for an older C++ or with a refused flag stops
/// here with one sentence. clang 14 has no macro for `-fassociative-math`, `-freciprocal-math`,
/// `-funsafe-math-optimizations` and `-fapprox-func`: code that they would break holds the compiler to the order that
/// is written, and only roundings change. `-fno-honor-nans` has none either: NaNs are then not reported.
///
/// The tag names everything that changes layout or generated code. Two translation units compiled with different
/// flags therefore use two copies of rapt side by side; handing an object of one to the other fails to link instead of
/// failing at run time.
#pragma once

#if defined(_MSC_VER) && !defined(__clang__)
#error "rapt is written on the vector types of clang and g++: with Visual Studio choose the toolset LLVM (clang-cl)."
#elif __cplusplus < 202002L && (!defined(_MSVC_LANG) || _MSVC_LANG < 202002L)
#error "rapt is written in C++20: compile with -std=c++20."
#elif !defined(__cpp_exceptions)
#error "rapt reports errors by exceptions: compile without -fno-exceptions."
#elif defined(__FAST_MATH__)
#error "rapt would compute wrong numbers with -ffast-math (-Ofast, -ffp-model=fast): use -O2 or -O3 instead."
#elif defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ != 0
#error "rapt would compute wrong numbers with -ffinite-math-only, as masks are infinite: use -fno-finite-math-only."
#elif defined(__ASSOCIATIVE_MATH__)
#error \
    "rapt would compute wrong numbers with -fassociative-math (-funsafe-math-optimizations): use -fno-associative-math."
#elif defined(__RECIPROCAL_MATH__)
#error "rapt would round otherwise with -freciprocal-math: use -fno-reciprocal-math."
#elif defined(__NO_SIGNED_ZEROS__)
#error "rapt would lose the sign of zero with -fno-signed-zeros: use -fsigned-zeros."
#elif defined(__FLT_EVAL_METHOD__) && (__FLT_EVAL_METHOD__ == 1 || __FLT_EVAL_METHOD__ == 2)
#error "rapt would round otherwise in registers of the 387: use -mfpmath=sse."
#elif !defined(__clang__) && defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ < 0
#error "rapt would round otherwise in registers of the 387: use -mfpmath=sse."
#elif defined(__GCC_IEC_559) && __GCC_IEC_559 == 0
#error "rapt needs the arithmetic of IEEE 754, which a flag such as -fsingle-precision-constant takes away: remove it."
#elif defined(_WIN32) && defined(__AVX__) && !defined(__clang__) && !defined(RAPT_UNALIGNED_VECTOR_MOVES)
#error "rapt would crash, as g++ misaligns AVX here: add -Wa,-muse-unaligned-vector-move -DRAPT_UNALIGNED_VECTOR_MOVES."
#endif

#define RAPT_VERSION_MAJOR 0
#define RAPT_VERSION_MINOR 1
#define RAPT_VERSION_PATCH 0

#if defined(__AVX512F__)
#define RAPT_ABI_SIMD avx512
#elif defined(__AVX2__) && defined(__FMA__)
#define RAPT_ABI_SIMD avx2
#elif defined(__AVX__)
#define RAPT_ABI_SIMD avx
#else
#define RAPT_ABI_SIMD base
#endif

#if defined(__SANITIZE_ADDRESS__)
#define RAPT_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RAPT_ADDRESS_SANITIZER 1
#endif
#endif
#ifdef RAPT_ADDRESS_SANITIZER
#define RAPT_ABI_CHECK _asan
#else
#define RAPT_ADDRESS_SANITIZER 0
#if defined(_WIN32) && defined(RAPT_UNALIGNED_VECTOR_MOVES)
#define RAPT_ABI_CHECK _moves
#else
#define RAPT_ABI_CHECK
#endif
#endif

#define RAPT_ABI_JOIN2(major, minor, patch, simd, check) v##major##_##minor##_##patch##_##simd##check
#define RAPT_ABI_JOIN(major, minor, patch, simd, check) RAPT_ABI_JOIN2(major, minor, patch, simd, check)
#define RAPT_ABI \
  RAPT_ABI_JOIN(RAPT_VERSION_MAJOR, RAPT_VERSION_MINOR, RAPT_VERSION_PATCH, RAPT_ABI_SIMD, RAPT_ABI_CHECK)
