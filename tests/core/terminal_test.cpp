/// \file
/// A file is no terminal.
#include "rapt/core/terminal.hpp"

#include <gtest/gtest.h>

namespace {

TEST(Terminal, AFileIsNone) {
  std::FILE* const file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  EXPECT_FALSE(rapt::detail::is_terminal(file));
  std::fclose(file);
}

}  // namespace
