// Trains one model by the processes that mpirun has started, on one machine or several; rank 0 writes it.
//
//   mpirun -n 2 two_machines FILE.safetensors
#include <cstdio>
#include <rapt/distributed/mpi_session.hpp>
#include <rapt/io/model_file.hpp>

#include "two_processes/training.hpp"

int main(int argc, char** argv) {
  const char* const file = argc > 1 ? argv[1] : "reverser.safetensors";
  rapt::MpiSession session;
  return session.run("two_machines", [&](rapt::Communicator& communicator) {
    const rapt::Transformer<float> model = train(communicator);
    if (communicator.rank() == 0) {
      rapt::save_model(file, model);
      std::printf("%s was trained by %td process%s\n", file, communicator.size(), communicator.size() == 1 ? "" : "es");
    }
    return 0;
  });
}
