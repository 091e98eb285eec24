// An op of one's own with its gradient: checked by differences, checked again with a gradient missing, and in a layer.
#include <cstdio>
#include <rapt/autograd/gradcheck.hpp>
#include <rapt/rapt.hpp>

#include "own_op/snake.hpp"

// --8<-- [start:layer]
/// The op with a frequency that is learned.
class Snake {
 public:
  rapt::Variable<float> operator()(const rapt::Variable<float>& x) const { return snake(x, frequency_); }
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("frequency", self.frequency_);
  }

 private:
  rapt::Parameter<float> frequency_{rapt::Tensor<float>(rapt::Shape{1}, 1.5f)};
};
static_assert(rapt::Module<Snake>);
// --8<-- [end:layer]

int main() {
  using Inputs = std::vector<rapt::Variable<double>>;
  rapt::Rng rng(1);
  rapt::Tensor<double> x(rapt::Shape{3, 4}), a(rapt::Shape{1}, 1.5);
  rng.fill_normal(x.values(), 0.0, 1.0);
  const auto right = rapt::gradcheck([](const Inputs& in) { return snake(in[0], in[1]); }, {x, a});
  std::printf("error below 1e-6: %s\n", right.worst_relative_error < 1e-6 ? "yes" : "no");
  const auto cut_off = [](const Inputs& in) { return snake(in[0], rapt::Variable<double>(in[1].value())); };
  const auto wrong = rapt::gradcheck(cut_off, {x, a});
  std::printf("without da: error %.1f at input %zu\n", wrong.worst_relative_error, wrong.worst_input);

  Snake layer;
  rapt::Adam adam(layer);
  rapt::Tensor<float> values(rapt::Shape{64, 1});
  rng.fill_uniform(values.values(), -1, 1);
  const rapt::Variable<float> points(values), two(rapt::Tensor<float>(rapt::Shape{1}, 2.0f));
  const rapt::Tensor<float> wanted = snake(points, two).value();
  for (int step = 0; step < 300; ++step) {
    const rapt::Training training(rng);
    rapt::backward(rapt::mean_squared_error(layer(points), wanted));
    adam.step(0.01);
  }
  rapt::for_each_parameter(layer, [](const std::string& name, const auto& parameter) {
    std::printf("learned: %s = %.2f, 2.00 is right\n", name.c_str(), parameter.item());
  });
}
