// Trains one model by one, two and four processes, which are threads here: the parameters are the same bits.
#include <cstdio>
#include <rapt/distributed/local_communicator.hpp>
#include <vector>

#include "two_processes/training.hpp"

std::vector<float> parameters(const rapt::Transformer<float>& model) {
  std::vector<float> numbers;
  rapt::for_each_parameter(model, [&](const std::string&, const auto& parameter) {
    numbers.insert(numbers.end(), parameter.value().values().begin(), parameter.value().values().end());
  });
  return numbers;
}

int main() {
  std::vector<float> of_one;
  for (const rapt::Index processes : {1, 2, 4}) {
    rapt::run_local(processes, [&](rapt::Communicator& communicator) {
      const std::vector<float> trained = parameters(train(communicator));
      if (communicator.rank() != 0) return;  // all of them have the same parameters
      if (processes == 1) of_one = trained;
      std::printf("%td process%s: %zu parameters, %s\n", processes, processes == 1 ? "" : "es", trained.size(),
                  trained == of_one ? "the same bits" : "other bits");
    });
  }
}
