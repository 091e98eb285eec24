/// \file
/// Options that are out of range; mpi_communicator_test.py has what they do.
#include "rapt/distributed/mpi_options.hpp"

#include <gtest/gtest.h>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::Index;
using rapt::MpiOptions;

TEST(MpiOptions, AreChecked) {
  MpiOptions().validate();
  MpiOptions({.timeout_seconds = 0.01, .part_bytes = 1}).validate();
  MpiOptions({.part_bytes = Index{1} << 30}).validate();
  const auto expect_refused = [](const MpiOptions& options, const char* text) {
    rapt_test::expect_message<rapt::ValueError>([&] { options.validate(); }, text);
  };
  expect_refused({.timeout_seconds = 0}, "[mpi] timeout_seconds must lie in (0, 1e9]: 0");
  expect_refused({.part_bytes = 0}, "[mpi] part_bytes must lie in 1 .. 2^30: 0");
  expect_refused({.part_bytes = (Index{1} << 30) + 1}, "[mpi] part_bytes must lie in 1 .. 2^30: 1073741825");
}

}  // namespace
