/// \file
/// What both translation units compute, each with its own flags. The function has internal linkage, rapt's have not.
#pragma once

#include <rapt/rapt.hpp>

#include <string>
#include <typeinfo>

struct Result {
  double sum;
  std::string type;  ///< of a rapt tensor, as the linker sees it
};

static Result work() {
  rapt::Tensor<float> a(rapt::Shape{37, 53}), b(rapt::Shape{53, 29});
  rapt::Rng rng(7);
  rng.fill_uniform(a.values(), -1, 1);
  rng.fill_uniform(b.values(), -1, 1);
  const rapt::RowMajorMatrix<float> product = a.matrix() * b.matrix();
  return {static_cast<double>(product.cwiseAbs().sum()), typeid(a).name()};
}
