// Translates lines with the file that `translate train` has written.
// not run: it opens the model that you have trained on your own corpus
#include <cstdio>
#include <iostream>
#include <rapt/pipelines/translator.hpp>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "Say which model: open_translator en-de.safetensors < lines\n");
    return 2;
  }
  try {
    const auto translator = rapt::Translator<>::load(argv[1]);
    for (std::string line; std::getline(std::cin, line);) {
      std::printf("%s\n", translator.translate(std::vector{line}).front().c_str());
    }
  } catch (const rapt::Error& error) {  // the file is missing or no translator, a line is not UTF-8, ...
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
