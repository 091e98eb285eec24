// Teaches an encoder a second task by a LoRA adapter, in a folder as PEFT has them, and merges it into a new folder.
// needs: tune_classifier
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <rapt/finetune/classifier.hpp>
#include <rapt/nn/lora_merge.hpp>
#include <rapt/pipelines/text_classifier.hpp>
#include <rapt/pretrained/adapter_folder.hpp>
#include <rapt/rapt.hpp>

int main() {
  const std::vector<std::string> arts = {"film", "book", "song", "play"},
                                 places = {"room", "street", "garden", "hotel"};
  std::ofstream train("topics.tsv"), validation("other_topics.tsv");
  train << "text\tlabel\n";
  validation << "text\tlabel\n";
  for (const std::string adjective : {"good", "great", "lovely", "fine", "bad", "poor", "awful", "dull"}) {
    std::ofstream& file = adjective == "fine" || adjective == "dull" ? validation : train;
    for (const std::string& thing : arts) file << "The " << thing << " was " << adjective << ".\tart\n";
    for (const std::string& thing : places) file << "The " << thing << " was " << adjective << ".\tplace\n";
  }
  train.close();
  validation.close();
  const rapt::FinetuneOptions options{.model = "encoder",
                                      .train = "topics.tsv",
                                      .validation = "other_topics.tsv",
                                      .out = "topic-adapter",
                                      .epochs = 40,
                                      .learning_rate = 5e-3,
                                      .adapter = {.rank = 8}};
  static_cast<void>(rapt::finetune_classifier(options));

  const auto base = rapt::from_pretrained<rapt::Bert<float>>("encoder");
  rapt::BertConfig config = base.config();
  config.labels = {"art", "place"};
  rapt::Bert<float> model = rapt::with_config(base, config, {"classifier.*"}, /*seed=*/1);  // with a new head
  const rapt::Lora<float> lora = rapt::load_adapter("topic-adapter", model);  // the head becomes the adapter folder's
  rapt::Index trained = 0;
  for_each_parameter(lora, [&](const std::string&, const auto& parameter) { trained += parameter.size(); });
  std::printf("%lld numbers in the adapter's matrices, %lld in the model\n", static_cast<long long>(trained),
              static_cast<long long>(count_parameters(model)));
  const rapt::LoraMerge merge(model, lora);
  rapt::save_pretrained("topic", model);
  std::filesystem::copy("encoder/tokenizer.json", "topic", std::filesystem::copy_options::overwrite_existing);
  for (const char* const folder : {"mood", "topic"}) {
    const auto classify = rapt::text_classifier(folder);
    const auto found = classify(std::vector<std::string>{"The hotel was fine.", "The song was dull."});
    std::printf("%-6s %s, %s\n", folder, found[0].front().label.c_str(), found[1].front().label.c_str());
  }
}
