/// \file
/// Uses the components io and text of an installed rapt.
#include <rapt/io/safetensors.hpp>
#include <rapt/text/vocabulary.hpp>

#include <cstdio>
#include <vector>

int main() {
  const rapt::Tensor<float> tensor(rapt::Shape{2, 3}, 1.5f);
  rapt::write_safetensors("consumer.safetensors", std::vector<rapt::SafetensorsEntry>{{"tensor", tensor}});
  const auto again = rapt::SafetensorsFile("consumer.safetensors").read<double>("tensor");
  std::printf("read back: %g\n", again.matrix().sum());
  return again.matrix().sum() == 9.0 ? 0 : 1;
}
