// A module, its training loop and its evaluation: what nn.Module, AdamW, a scheduler and clip_grad_norm_ do in PyTorch.
#include <cstdio>
#include <rapt/rapt.hpp>

// --8<-- [start:module]
class Net {
 public:
  using ScalarType = float;
  explicit Net(rapt::Rng& rng) : hidden_(2, 32, rng), output_(32, 1, rng) {}
  rapt::Variable<float> operator()(const rapt::Variable<float>& x) const {
    return output_(rapt::dropout(hidden_(x, rapt::Activation::relu), 0.1f));
  }
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {  // names each member once
    visitor("hidden", self.hidden_);
    visitor("output", self.output_);
  }

 private:
  rapt::Linear<float> hidden_, output_;
};
// --8<-- [end:module]

/// Random points (a, b), and a * b of each.
std::pair<rapt::Variable<float>, rapt::Tensor<float>> points(rapt::Index count, rapt::Rng& rng) {
  rapt::Tensor<float> x(rapt::Shape{count, 2}), y(rapt::Shape{count, 1});
  rng.fill_uniform(x.values(), -1, 1);
  y.matrix() = x.matrix().rowwise().prod();
  return {rapt::Variable<float>(std::move(x)), std::move(y)};
}

int main() {
  rapt::Rng rng(1);
  Net net(rng);
  rapt::for_each_parameter(net, [](const std::string& name, const auto& parameter) {
    std::printf("%-14s %s\n", name.c_str(), rapt::to_string(parameter.shape()).c_str());
  });
  // --8<-- [start:training]
  rapt::Adam optimizer(net, {.beta2 = 0.999, .epsilon = 1e-8, .weight_decay = 0.01});
  const rapt::CosineSchedule learning_rate{.peak = 1e-2, .warmup = 20, .steps = 400};
  for (int step = 1; step <= 400; ++step) {
    const auto [x, y] = points(64, rng);
    const rapt::Training training(rng);  // gradients recorded, dropout on, until the brace closes
    rapt::backward(rapt::mean_squared_error(net(x), y));
    optimizer.step(learning_rate(step), rapt::clip_factor(rapt::gradient_norm(net), /*max_norm=*/1.0));
  }
  // --8<-- [end:training]
  const auto [x, y] = points(1000, rng);
  const float error = rapt::mean_squared_error(net(x), y).item();  // outside of Training: nothing recorded, no dropout
  std::printf("mean squared error on new points %s 0.02, of the mean %.1f\n", error < 0.02f ? "below" : "above",
              y.matrix().squaredNorm() / 1000);
  std::printf("a second evaluation gives %s\n",
              net(x).value().matrix() == net(x).value().matrix() ? "the same" : "more");
}
