// Teaches an encoder to find the answers to questions in a text, and asks the folder that comes out.
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <rapt/finetune/question_answerer.hpp>
#include <rapt/pipelines/question_answerer.hpp>
#include <rapt/rapt.hpp>

#include "tune_classifier/new_encoder.hpp"

/// A line with the answer and the number of characters before it, as SQuAD has it.
std::string example(const std::string& context, const std::string& question, const std::string& answer) {
  return nlohmann::json{
             {"context", context}, {"question", question}, {"answer", answer}, {"start", context.find(answer)}}
             .dump() +
         "\n";
}

int main() {
  const std::vector<std::string> people = {"Anna", "Ben", "Clara", "David", "Emma", "Felix"};
  const std::vector<std::string> things = {"lamp", "chair", "piano", "carpet", "mirror"};
  const std::vector<std::string> towns = {"Rome", "Oslo", "Paris", "Vienna", "Lisbon"};
  std::ofstream train("questions.jsonl"), validation("held_out.jsonl");
  int number = 0;
  for (const std::string& person : people) {
    for (const std::string& thing : things) {
      for (const std::string& town : towns) {
        const std::string context = number % 2 == 0 ? "Yesterday " + person + " bought a " + thing + " in " + town + "."
                                                    : "In " + town + " a " + thing + " was bought by " + person + ".";
        std::ofstream& file = number++ % 8 == 5 ? validation : train;
        file << example(context, "Who bought a " + thing + "?", person)
             << example(context, "What did " + person + " buy?", thing)
             << example(context, "Where was the " + thing + " bought?", town);
      }
    }
  }
  train.close();
  validation.close();
  save_new_encoder("reader",
                   "yesterday bought a in was by who what did buy where the anna ben clara david emma felix "
                   "lamp chair piano carpet mirror rome oslo paris vienna lisbon");
  const rapt::FinetuneOptions options{.model = "reader",
                                      .train = "questions.jsonl",
                                      .validation = "held_out.jsonl",
                                      .out = "answers",
                                      .epochs = 8,
                                      .learning_rate = 2e-3};
  static_cast<void>(rapt::finetune_question_answerer(options));

  const auto answer = rapt::question_answerer("answers");
  const std::string context = "Yesterday Emma bought a piano in Lisbon.";
  std::printf("%s\n", context.c_str());
  for (const char* question : {"Who bought a piano?", "What did Emma buy?", "Where was the piano bought?"}) {
    const auto found = answer(std::vector<rapt::Question>{{question, context}});
    std::printf("%s %s\n", question, std::string(found[0].front().text_in(context)).c_str());
  }
}
