/// \file
/// Whether values are checked: by the environment, and as the program says.
#include "rapt/core/checks.hpp"

#include <gtest/gtest.h>

#include "tests/common/environment.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/fork.hpp"

namespace {

/// Calls f in a child in which RAPT_CHECK has not been read yet; nullptr: is not set.
template <class F>
int with_environment(const char* value, const F& f) {
  return rapt_test::exit_of_child([&] {
    if (value == nullptr) {
      rapt_test::remove_variable("RAPT_CHECK");
    } else {
      rapt_test::set_variable("RAPT_CHECK", value);
    }
    rapt::detail::checks_state() = -1;
    f();
  });
}

void expect(bool condition) { rapt::require(condition, "checks_test", "unexpected"); }

TEST(Checks, TheEnvironmentIsReadOnce) {
  if (!rapt_test::kForks) GTEST_SKIP() << "there is no fork";
  for (const char* off : {static_cast<const char*>(nullptr), "", "0"}) {
    EXPECT_EQ(with_environment(off, [] { expect(!rapt::checks()); }), 0);
  }
  EXPECT_EQ(with_environment("1",
                             [] {
                               expect(rapt::checks());
                               rapt_test::set_variable("RAPT_CHECK", "0");
                               expect(rapt::checks());
                             }),
            0);
  EXPECT_EQ(with_environment("yes",
                             [] {
                               const auto text = rapt_test::error_text<rapt::ValueError>([] { (void)rapt::checks(); });
                               expect(text == "[checks] RAPT_CHECK must be 0 or 1, not yes");
                             }),
            0);
}

TEST(Checks, TheProgramHasTheLastWord) {
  if (!rapt_test::kForks) GTEST_SKIP() << "there is no fork";
  EXPECT_EQ(with_environment("1",
                             [] {
                               rapt::set_checks(false);  // before anybody has asked
                               expect(!rapt::checks());
                               rapt::set_checks(true);
                               expect(rapt::checks());
                             }),
            0);
}

}  // namespace
