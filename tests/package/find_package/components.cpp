/// \file
/// Uses the components io, text and images of an installed rapt.
#include <rapt/images/gzip.hpp>
#include <rapt/images/png.hpp>
#include <rapt/io/safetensors.hpp>
#include <rapt/text/vocabulary.hpp>

#include <cstdio>
#include <vector>

int main() {
  const rapt::Tensor<float> tensor(rapt::Shape{2, 3}, 1.5f);
  rapt::write_safetensors("consumer.safetensors", std::vector<rapt::SafetensorsEntry>{{"tensor", tensor}});
  const auto again = rapt::SafetensorsFile("consumer.safetensors").read<double>("tensor");
  std::printf("read back: %g\n", again.matrix().sum());
  rapt::write_png("consumer.png", rapt::Image(2, 3, 1, 150));
  const bool same = rapt::decode_png(rapt::read_maybe_gzip("consumer.png"), "consumer.png").bytes()[5] == 150;
  return same && again.matrix().sum() == 9.0 ? 0 : 1;
}
