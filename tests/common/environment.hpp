/// \file
/// Variables of the environment, set and removed on every system.
#pragma once

#include <stdlib.h>

namespace rapt_test {

/// Sets a variable. Windows has no empty ones and removes it instead.
inline void set_variable(const char* name, const char* value) {
#if defined(_WIN32)
  ::_putenv_s(name, value);
#else
  ::setenv(name, value, 1);
#endif
}
inline void remove_variable(const char* name) {
#if defined(_WIN32)
  ::_putenv_s(name, "");
#else
  ::unsetenv(name);
#endif
}

}  // namespace rapt_test
