/// \file
/// Compiled with -march=x86-64 -O2: both units must compute the same, and rapt's types must be two different types, so
/// that the linker never takes one unit's code for the other's.
#include <cmath>
#include <cstdio>

#include "work.hpp"

Result wide_result();

int main() {
  const Result base = work(), wide = wide_result();
  std::printf("base %.6f %s\nwide %.6f %s\n", base.sum, base.type.c_str(), wide.sum, wide.type.c_str());
  if (base.type == wide.type) {
    std::puts("the types are the same");
    return 1;
  }
  // 37 * 29 sums of 53 products below 1: rounding differs by at most 53 epsilon each.
  return std::abs(base.sum - wide.sum) <= 37 * 29 * 53 * 1.2e-7 ? 0 : 1;
}
