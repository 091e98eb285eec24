/// \file
/// The version, once (CMake reads it here), and the tag of the inline namespace that all of rapt lives in.
///
/// The tag names everything that changes layout or generated code. Two translation units compiled with different
/// flags therefore use two copies of rapt side by side; handing an object of one to the other fails to link instead of
/// failing at run time.
#pragma once

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

#if defined(__FAST_MATH__)
#define RAPT_ABI_MATH _fast
#else
#define RAPT_ABI_MATH
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
#define RAPT_ABI_CHECK
#endif

#define RAPT_ABI_JOIN2(major, minor, patch, simd, math, check) v##major##_##minor##_##patch##_##simd##math##check
#define RAPT_ABI_JOIN(major, minor, patch, simd, math, check) RAPT_ABI_JOIN2(major, minor, patch, simd, math, check)
#define RAPT_ABI                                                                                          \
  RAPT_ABI_JOIN(RAPT_VERSION_MAJOR, RAPT_VERSION_MINOR, RAPT_VERSION_PATCH, RAPT_ABI_SIMD, RAPT_ABI_MATH, \
                RAPT_ABI_CHECK)
