/// \file
/// What `rapt::precompiled` has compiled already: rapt.hpp includes this in programs that link it, and their compiler
/// then leaves out the code of everything in instances.hpp, for float and for double.
///
/// For programs that include rapt in many files; the numbers are the same bits. Programs may add layers, ops and models
/// of their own as before, and a Debug build runs the kernels that the library was compiled with.
///
/// The library holds the copy of rapt for the flags that it was compiled with (see version.hpp). A file compiled with
/// other -m flags or the address sanitizer wants another copy, and does not link: "undefined reference to
/// rapt::v0_1_0_avx2::...", never a mix. Compile the library with the same flags, or link `rapt::rapt` there.
#pragma once

#include "rapt/rapt.hpp"

#define RAPT_INSTANCE extern template
#define RAPT_SCALAR float
#include "rapt/precompiled/instances.hpp"
#undef RAPT_SCALAR
#define RAPT_SCALAR double
#include "rapt/precompiled/instances.hpp"
#undef RAPT_SCALAR
#undef RAPT_INSTANCE
