/// \file
/// What gdb_printers_test.py looks at in gdb, at the breakpoint `look`.
#include <limits>
#include <vector>

#include "rapt/autograd/ops/multiply.hpp"
#include "rapt/core/gdb_printers.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/nn/module.hpp"

namespace {

[[gnu::noinline]] void look(const void* const* everything) {
  __asm__ volatile("" : : "r"(everything) : "memory");  // so that the call and what it refers to remain
}

}  // namespace

int main() {
  using rapt::Tensor;
  const rapt::Shape shape{2, 3};
  const rapt::Shape scalar;
  const Tensor<float> matrix(
      {2, 3}, {0.5f, 2.f, std::numeric_limits<float>::quiet_NaN(), 1.f, -std::numeric_limits<float>::infinity(), 3.f});
  Tensor<double> cube({2, 20, 20}, 0.25);
  cube.data()[799] = -1e-9;
  const Tensor<int> none;
  const Tensor<float> taken = Tensor<float>::without_elements({4, 5});
  const rapt::TensorView<const float> columns = matrix.view().columns(1, 2);
  const rapt::RowSplits splits = rapt::RowSplits::from_lengths(std::vector<rapt::Index>{3, 0, 2});
  const rapt::RowSplits no_splits;
  const rapt::Variable<float> undefined;
  rapt::Parameter<float> weight(Tensor<float>({2}, {1.f, -2.f}));
  rapt::Parameter<float> frozen(Tensor<float>({1}, 7.f));
  frozen.set_frozen(true);
  weight.node()->grad_sum().fill(1.f);
  const rapt::Recording scope;
  const rapt::Variable<float> product = multiply(weight, weight);
  const void* const everything[] = {&shape,  &scalar,    &matrix,    &cube,   &none,   &taken,  &columns,
                                    &splits, &undefined, &no_splits, &weight, &frozen, &product};
  look(everything);
}
