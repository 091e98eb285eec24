// The moments of Adam by the names of the parameters, for tests that compare or write them.
#pragma once

#include <rapt/optim/adam.hpp>

namespace rapt_test {

/// f(name, m, v) for each parameter, with the state before the first update where there was none.
template <class T, class F>
void for_each_moments(rapt::Adam<T>& adam, const F& f) {
  for (rapt::OptimizerSlot<T>& slot : adam.slots()) {
    adam.make_state(slot);
    f(slot.name, slot.state[0], slot.state[1]);
  }
}

}  // namespace rapt_test
