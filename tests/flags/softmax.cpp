// What compiler_flags_test.py compiles with flags that change floating-point arithmetic: softmax, also of masked
// numbers, tanh, softplus and slopes of the largest numbers against the standard library, at every instruction set.
// Prints what is wrong and exits with 1.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <vector>

#include "rapt/kernels/activation.hpp"
#include "rapt/kernels/softmax.hpp"

namespace {

using rapt::Index;

template <class T>
struct Check {
  static constexpr Index kCount = 77;  // vectors and a rest at every width
  static constexpr double kAllowed = 64 * static_cast<double>(std::numeric_limits<T>::epsilon());
  std::vector<T> x = std::vector<T>(kCount), y = x;

  explicit Check(double size) {
    for (Index i = 0; i < kCount; ++i) x[at(i)] = static_cast<T>(size * std::sin(1.7 * static_cast<double>(i)));
  }
  [[nodiscard]] static std::size_t at(Index i) { return static_cast<std::size_t>(i); }

  void expect(const char* what, Index i, double expected) const {
    const auto got = static_cast<double>(y[at(i)]);
    if (std::abs(got - expected) <= kAllowed * (std::abs(expected) + 1e-30)) return;
    std::printf("%s of %g, %zu bytes: %.17g instead of %.17g\n", what, static_cast<double>(x[at(i)]), sizeof(T), got,
                expected);
    std::exit(1);
  }
  template <class Expected>
  void function(const char* what, const Expected& expected) const {
    for (Index i = 0; i < kCount; ++i) expect(what, i, expected(static_cast<double>(x[at(i)])));
  }
  void softmax() {
    rapt::kernels::softmax_rows(x.data(), y.data(), Index{1}, kCount);
    double sum = 0;
    for (const T v : x) sum += std::exp(static_cast<double>(v));
    function("softmax", [&](double v) { return std::exp(v) / sum; });
  }
  void functions() {
    rapt::kernels::map(rapt::kernels::Tanh{}, x.data(), y.data(), kCount);
    function("tanh", [](double v) { return std::tanh(v); });
    rapt::kernels::map(rapt::kernels::Softplus{}, x.data(), y.data(), kCount);
    function("softplus", [](double v) { return std::log1p(std::exp(v)); });
  }
  void hide_all() {
    for (T& v : x) v = -std::numeric_limits<T>::infinity();
    rapt::kernels::softmax_rows(x.data(), y.data(), Index{1}, kCount);
    function("softmax of hidden numbers", [](double) { return 0.0; });
  }
  /// Of numbers whose squares overflow: 1 and 0.
  template <class Function>
  void far_slopes(const char* what, const Function& f) {
    const volatile T scale = std::numeric_limits<T>::max() / T(10);  // hidden from flags that regroup products
    for (T& v : x) v *= scale;
    const std::vector<T> ones(x.size(), T(1));
    rapt::kernels::map_backward(f, x.data(), ones.data(), y.data(), kCount, /*accumulate=*/false);
    for (Index i = 0; i < kCount; ++i) {
      if (std::abs(x[at(i)]) > T(100)) expect(what, i, x[at(i)] > 0 ? 1 : 0);
    }
  }
  void hide_some() {
    for (Index i = 0; i < kCount; i += 3) x[at(i)] = -std::numeric_limits<T>::infinity();
  }
};

}  // namespace

int main() {
  for (const auto level : rapt::kSimdLevels) {
    if (level > rapt::detected_simd_level()) break;
    rapt::set_simd_level(level);
    for (const double size : {1e-3, 1.0, 9.0}) {
      Check<float> numbers(size);
      numbers.functions();
      numbers.softmax();
      numbers.hide_some();
      numbers.softmax();
      numbers.hide_all();
      Check<double>(size).softmax();
    }
    Check<float>(9).far_slopes("the slope of gelu_tanh", rapt::kernels::GeluTanh{});
    Check<float>(9).far_slopes("the slope of quick_gelu", rapt::kernels::QuickGelu{});
  }
  return 0;
}
