// Translates sentences with the model of a Hugging Face folder.
// needs: phrase_book
#include <cstdio>
#include <rapt/pipelines/text_to_text.hpp>
#include <string>
#include <vector>

int main() {
  const rapt::TextToText translate = rapt::text_translator("phrase-book", "en", "de");
  const std::vector<std::string> lines = {"The old bird is small.", "I draw the old horse tomorrow.",
                                          "I look for the white cat tomorrow."};
  const auto found = translate(lines, {.num_beams = 4});
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::printf("%s\n  %s\n", lines[i].c_str(), found[i].front().text.c_str());
  }
}
