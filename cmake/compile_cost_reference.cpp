// What compile times are measured against: decompositions of Eigen, which cost about the same share of any machine's
// time whatever else it does.
#include <Eigen/Dense>

double decompose(const Eigen::MatrixXd& m) {
  return m.jacobiSvd(Eigen::ComputeThinU | Eigen::ComputeThinV).singularValues().sum() +
         static_cast<double>(m.fullPivLu().rank());
}
