/// \file
/// A program of rapt::mpi. Started without mpirun it is one process.
#include <rapt/distributed/mpi_session.hpp>

int main() {
  rapt::MpiSession session;
  return session.communicator().size() == 1 ? 0 : 1;
}
