/// \file
/// Compiled with -march=x86-64-v3 -O3.
#include "work.hpp"

Result wide_result();
Result wide_result() { return work(); }
