/// \file
/// Trains and decodes in float and in double with what rapt::precompiled holds, and an op of the program's own.
// covers: precompiled/declarations.hpp, precompiled/instances.hpp
#include <rapt/rapt.hpp>

#include <cmath>
#include <cstdio>

template <class T>
double loss_after_training() {
  rapt::Rng rng(1);
  rapt::TransformerConfig config = rapt::TransformerConfig::tiny(/*vocabulary=*/8);
  config.d_model = 16;
  config.d_ff = 32;
  config.dropout = 0.f;
  rapt::Transformer<T> model(config, rng);
  rapt::Adam<T> adam(model);
  const std::vector<rapt::TokenPair> pairs = {{{3, 4, 5}, {5, 4, 3}}, {{6, 7}, {7, 6}}};
  double loss = 0;
  for (int step = 0; step < 30; ++step) {
    const rapt::Training training(rng);
    const auto result = model.loss(rapt::make_batch(pairs));
    rapt::backward(result);
    adam.step(1e-2);
    loss = static_cast<double>(result.item());
  }
  const auto found = rapt::beam_search(model, rapt::TokenBatch({{3, 4, 5, 2}}), {.beam_size = 2});
  return found.front().tokens == std::vector<rapt::TokenId>{5, 4, 3} ? loss : 1e9;
}

int main() {
  const rapt::Variable<double> x(rapt::Tensor<double>(rapt::Shape{2, 3}, 0.5));
  const double squares = rapt::sum(rapt::multiply(x, x)).item();
  const double in_float = loss_after_training<float>(), in_double = loss_after_training<double>();
  std::printf("loss %.4f in float, %.4f in double, sum of squares %g\n", in_float, in_double, squares);
  return in_float < 0.1 && in_double < 0.1 && squares == 1.5 ? 0 : 1;
}
