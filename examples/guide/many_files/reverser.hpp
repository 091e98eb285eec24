// An interface without rapt: what includes it compiles as quickly as if there were no rapt.
#pragma once

#include <memory>
#include <string>

/// A model that learns to write words of six letters, a to t, backwards.
class Reverser {
 public:
  Reverser();
  ~Reverser();  // in reverser.cpp, as Model is known there alone
  Reverser(Reverser&&) noexcept;
  Reverser& operator=(Reverser&&) noexcept;

  /// Makes so many steps of training, and returns the loss of the last one.
  double train(int steps);
  [[nodiscard]] std::string reverse(const std::string& word) const;

 private:
  struct Model;
  std::unique_ptr<Model> model_;
};
