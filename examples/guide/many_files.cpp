// A program of several files that compiles quickly: one of them alone includes all of rapt.
#include <cstdio>

#include "many_files/reverser.hpp"

int main() {
  Reverser reverser;
  const double loss = reverser.train(/*steps=*/600);
  std::printf("loss %s 0.3\n", loss < 0.3 ? "below" : "above");
  for (const char* word : {"repaid", "looter", "animal"}) {
    std::printf("%s is %s backwards\n", word, reverser.reverse(word).c_str());
  }
}
