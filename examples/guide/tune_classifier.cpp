// Fine-tunes an encoder on labelled lines, and opens the folder that comes out.
#include <cstdio>
#include <fstream>
#include <rapt/finetune/classifier.hpp>
#include <rapt/pipelines/text_classifier.hpp>
#include <rapt/rapt.hpp>

#include "tune_classifier/new_encoder.hpp"

int main() {
  const std::vector<std::string> things = {"film", "book", "street", "room", "song", "garden", "play", "hotel"};
  const std::vector<std::string> good = {"good", "great", "lovely", "fine", "brilliant"};
  const std::vector<std::string> bad = {"bad", "poor", "awful", "dull", "terrible"};
  std::ofstream train("train.tsv"), validation("validation.tsv");
  train << "text\tlabel\n";
  validation << "text\tlabel\n";
  int number = 0;
  for (const std::string& thing : things) {
    for (const bool is_good : {true, false}) {
      for (const std::string& adjective : is_good ? good : bad) {
        for (const bool is_negated : {false, true}) {
          std::ofstream& file = number++ % 7 == 3 ? validation : train;
          file << "The " << thing << " was " << (is_negated ? "not " : "") << adjective << ".\t"
               << (is_good != is_negated ? "praise" : "blame") << "\n";
        }
      }
    }
  }
  train.close();
  validation.close();
  save_new_encoder("encoder",
                   "the was not film book street room song garden play hotel "
                   "good great lovely fine brilliant bad poor awful dull terrible");

  const rapt::FinetuneOptions options{.model = "encoder",
                                      .train = "train.tsv",
                                      .validation = "validation.tsv",
                                      .out = "mood",
                                      .epochs = 20,
                                      .learning_rate = 1e-3};
  const rapt::JobSummary summary = rapt::finetune_classifier(options);
  std::printf("%lld steps\n", static_cast<long long>(summary.training.steps));

  const auto classify = rapt::text_classifier("mood");
  const std::vector<std::string> lines = {"The garden was lovely.", "The garden was not lovely.", "The play was dull.",
                                          "The play was not dull."};
  const auto found = classify(lines);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::printf("%-28s %s\n", lines[i].c_str(), found[i].front().label.c_str());
  }
}
