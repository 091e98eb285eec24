/// \file
/// The smallest program on rapt, built by both consumers.
// covers: rapt.hpp
#include <rapt/rapt.hpp>

#include <cstdio>

int main() {
  const rapt::Tensor<float> tensor(rapt::Shape{2, 3}, 1.5f);
  const float sum = tensor.matrix().sum();
  std::printf("rapt %d.%d.%d: %g\n", RAPT_VERSION_MAJOR, RAPT_VERSION_MINOR, RAPT_VERSION_PATCH,
              static_cast<double>(sum));
  return sum == 9.f ? 0 : 1;
}
