// What published models do, a task a subcommand: lines in, results out.
//
//   tasks classify  --model distilbert-sst-2 < reviews.txt
//   tasks zero-shot --model bert-mnli --labels "sports,politics" < news.txt
//   tasks entities  --model bert-base-NER --aggregation simple --json < news.txt
//   tasks ask       --model bert-squad < questions.tsv           (question TAB context)
//   tasks fill      --model bert-base-uncased < masked.txt
//   tasks rank      --model ms-marco-MiniLM-L6-v2 --query "a question" < passages.txt
//   tasks summarise --model t5-small < articles.txt
//   tasks translate --model t5-small --from en --to de < english.txt
//   tasks generate  --model gpt2 --max-new-tokens 30 < prompts.txt
//   tasks images    --model vit-base-patch16-224 < paths.txt     (PNG or PPM files)
//   tasks zero-shot-images --model clip-vit-base-patch32 --labels "a cat,a dog" < paths.txt
//   tasks transcribe --model whisper-tiny --language en < paths.txt   (WAV files)
//
// Each result is a line: the number of the input line, and the result's values with tabs between them; with --json an
// object. A line that cannot be used ends the program with its number; results of the lines before it stand already.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <rapt/audio/wav.hpp>
#include <rapt/images/png.hpp>
#include <rapt/images/ppm.hpp>
#include <rapt/pipelines/cross_encoder.hpp>
#include <rapt/pipelines/image_classifier.hpp>
#include <rapt/pipelines/mask_filler.hpp>
#include <rapt/pipelines/question_answerer.hpp>
#include <rapt/pipelines/speech_recognizer.hpp>
#include <rapt/pipelines/text_classifier.hpp>
#include <rapt/pipelines/text_completer.hpp>
#include <rapt/pipelines/text_to_text.hpp>
#include <rapt/pipelines/token_classifier.hpp>
#include <rapt/pipelines/zero_shot_classifier.hpp>
#include <rapt/pipelines/zero_shot_image_classifier.hpp>
#include <rapt/text/lines.hpp>
#include <string>
#include <vector>

#include "common/flags.hpp"

namespace {

using rapt::Index;
using Json = nlohmann::ordered_json;
using Lines = std::vector<std::string>;
/// The results of some lines: for each a list of objects.
using Answer = std::function<std::vector<Json>(const Lines&)>;

struct Flags {
  std::string model;
  bool json = false;
  std::optional<Index> top_k;
  // zero-shot, zero-shot-images
  Lines labels;
  std::optional<std::string> description;
  bool multi_label = false;
  // entities
  std::string aggregation = "none";
  std::optional<Index> stride;
  // ask
  rapt::QuestionOptions question;
  // rank
  std::string query;
  // translate
  std::string from, to;
  // summarise, translate, generate
  rapt::GenerateOptions generate;
  bool sample = false;
  // transcribe
  rapt::SpeechRecognitionOptions speech;
};

std::vector<Json> labels_of(const std::vector<std::vector<rapt::LabelScore>>& found) {
  std::vector<Json> results;
  for (const auto& labels : found) {
    results.push_back(Json::array());
    for (const auto& [label, score] : labels) results.back().push_back({{"label", label}, {"score", score}});
  }
  return results;
}

Answer classify(const Flags& flags) {
  return [classify = rapt::text_classifier(flags.model), top_k = flags.top_k.value_or(1)](const Lines& lines) {
    return labels_of(classify(lines, {.top_k = top_k}));
  };
}

Answer zero_shot(const Flags& flags) {
  rapt::ZeroShotOptions options{.multi_label = flags.multi_label};
  if (flags.description) options.hypothesis_template = *flags.description;
  return [classify = rapt::zero_shot_classifier(flags.model), labels = flags.labels, options](const Lines& lines) {
    return labels_of(classify(lines, labels, options));
  };
}

Answer entities(const Flags& flags) {
  rapt::TokenClassifierOptions options{.stride = flags.stride};
  for (const auto& [name, strategy] : rapt::named_values(rapt::Aggregation())) {
    if (name == flags.aggregation) options.aggregation_strategy = strategy;
  }
  return [find = rapt::token_classifier(flags.model), options](const Lines& lines) {
    const auto found = find(lines, options);
    std::vector<Json> results(found.size(), Json::array());
    for (std::size_t i = 0; i < found.size(); ++i) {
      for (const rapt::Entity& entity : found[i]) {
        results[i].push_back({{"label", entity.label},
                              {"score", entity.score},
                              {"begin", entity.span.begin},
                              {"end", entity.span.end},
                              {"text", std::string(entity.text_in(lines[i]))}});
      }
    }
    return results;
  };
}

Answer ask(const Flags& flags) {
  return [answer = rapt::question_answerer(flags.model), options = flags.question](const Lines& lines) {
    std::vector<rapt::Question> questions;
    for (const std::string& line : lines) {
      const std::size_t tab = line.find('\t');
      rapt::require(tab != line.npos, "ask", "a line must be a question, a tab and the text with the answer");
      questions.push_back({.question = line.substr(0, tab), .context = line.substr(tab + 1)});
    }
    const auto found = answer(questions, options);
    std::vector<Json> results(found.size(), Json::array());
    for (std::size_t i = 0; i < found.size(); ++i) {
      for (const rapt::Answer& one : found[i]) {
        results[i].push_back({{"score", one.score},
                              {"begin", one.span.begin},
                              {"end", one.span.end},
                              {"text", std::string(one.text_in(questions[i].context))}});
      }
    }
    return results;
  };
}

Answer fill(const Flags& flags) {
  return [fill = rapt::mask_filler(flags.model), top_k = flags.top_k.value_or(5)](const Lines& lines) {
    std::vector<Json> results;
    for (const auto& masks : fill(lines, {.top_k = top_k})) {
      results.push_back(Json::array());
      for (std::size_t mask = 0; mask < masks.size(); ++mask) {
        for (const rapt::MaskFill& one : masks[mask]) {
          results.back().push_back(
              {{"mask", mask + 1}, {"token", one.token_text}, {"score", one.score}, {"text", one.text}});
        }
      }
    }
    return results;
  };
}

/// Results of models that generate.
template <class Found>
std::vector<Json> texts_of(const std::vector<std::vector<Found>>& found) {
  std::vector<Json> results;
  for (const auto& texts : found) {
    results.push_back(Json::array());
    for (const Found& one : texts) {
      results.back().push_back({{"text", rapt::replace_malformed(one.text)}, {"log_probability", one.log_probability}});
    }
  }
  return results;
}

Answer text_to_text(const rapt::TextToText& model, const Flags& flags) {
  return [model, options = flags.generate](const Lines& lines) { return texts_of(model(lines, options)); };
}

Answer generate(const Flags& flags) {
  return [complete = rapt::text_completer(flags.model), options = flags.generate](const Lines& lines) {
    return texts_of(complete(lines, options));
  };
}

std::vector<rapt::Image> images_in(const Lines& paths) {
  std::vector<rapt::Image> images;
  for (const std::string& path : paths) {
    images.push_back(path.ends_with(".png") ? rapt::read_png(path) : rapt::read_ppm(path));
  }
  return images;
}

Answer images(const Flags& flags) {
  return [classify = rapt::image_classifier(flags.model), top_k = flags.top_k.value_or(5)](const Lines& paths) {
    return labels_of(classify(images_in(paths), {.top_k = top_k}));
  };
}

Answer zero_shot_images(const Flags& flags) {
  rapt::ZeroShotImageOptions options;
  if (flags.description) options.hypothesis_template = *flags.description;
  return [classify = rapt::zero_shot_image_classifier(flags.model), labels = flags.labels,
          options](const Lines& paths) { return labels_of(classify(images_in(paths), labels, options)); };
}

Answer transcribe(const Flags& flags) {
  return [recognize = rapt::speech_recognizer(flags.model), options = flags.speech](const Lines& paths) {
    std::vector<Json> results;
    for (const std::string& path : paths) {
      results.push_back(Json::array({{{"text", rapt::replace_malformed(recognize(rapt::read_wav(path), options))}}}));
    }
    return results;
  };
}

void print(std::size_t line, const Json& results, bool as_json) {
  if (as_json) {
    std::printf("%s\n", Json{{"line", line}, {"results", results}}.dump().c_str());
  } else {
    for (const Json& result : results) {
      std::printf("%zu", line);
      for (const auto& [key, value] : result.items()) {
        if (value.is_number_float()) {
          std::printf("\t%.4f", value.get<double>());
        } else {
          std::printf("\t%s",
                      value.is_string() ? rapt::as_line(value.get<std::string>()).c_str() : value.dump().c_str());
        }
      }
      std::printf("\n");
    }
  }
  std::fflush(stdout);
}

/// Answers the lines of the standard input, many at once. If they cannot be answered, one by one up to the bad one.
void answer_lines(const Answer& answer, bool as_json) {
  constexpr std::size_t kAtOnce = 64;
  rapt::LineReader input(std::cin, "standard input");
  std::size_t first = 1;
  Lines lines;
  const auto flush = [&] {
    std::vector<Json> results;
    try {
      results = answer(lines);
    } catch (const rapt::Error&) {
      for (std::size_t i = 0; i < lines.size(); ++i) {
        try {
          print(first + i, answer({lines[i]}).front(), as_json);
        } catch (const rapt::Error& error) {
          rapt::fail("standard input:" + std::to_string(first + i), error.what());
        }
      }
      throw;
    }
    for (std::size_t i = 0; i < lines.size(); ++i) print(first + i, results[i], as_json);
    first += lines.size();
    lines.clear();
  };
  bool goes_on = true;
  while (goes_on) {
    std::string line;
    try {
      goes_on = input.next(line);
    } catch (...) {  // the lines before it are good
      flush();
      throw;
    }
    if (goes_on) lines.push_back(std::move(line));
    if (lines.size() == kAtOnce || (!goes_on && !lines.empty())) flush();
  }
}

/// The lines of the standard input that fit the query best.
void rank(const Flags& flags) {
  const auto rank = rapt::cross_encoder(flags.model);
  rapt::LineReader input(std::cin, "standard input");
  Lines lines;
  for (std::string line; input.next(line);) lines.push_back(line);
  for (const rapt::RankedText& hit : rank.rank(flags.query, lines, {.top_k = flags.top_k})) {
    print(hit.index + 1, Json::array({{{"score", hit.score}, {"text", lines[hit.index]}}}), flags.json);
  }
}

CLI::App* add_task(CLI::App& app, Flags& flags, const char* name, const char* text) {
  CLI::App* task = app.add_subcommand(name, text);
  task->add_option("--model", flags.model, "The Hugging Face folder of the model.")->required();
  task->add_flag("--json", flags.json, "Prints an object for each line.");
  return task;
}
void add_top_k(CLI::App* task, Flags& flags, const char* text) { add_positive(*task, "--top-k", flags.top_k, text); }
void add_labels(CLI::App* task, Flags& flags) {
  task->add_option("--labels", flags.labels, "The labels, with commas between them.")->required()->delimiter(',');
  task->add_option("--template", flags.description, "The sentence that is judged; {} stands for the label.");
}
void add_generation(CLI::App* task, Flags& flags) {
  rapt::GenerateOptions& options = flags.generate;
  add_positive(*task, "--max-new-tokens", options.max_new_tokens, "The most tokens of a text.");
  add_not_negative(*task, "--min-new-tokens", options.min_new_tokens, "The fewest tokens of a text.");
  add_positive(*task, "--num-beams", options.num_beams, "The hypotheses that beam search keeps; 1: no beam search.");
  add_positive(*task, "--num-return-sequences", options.num_return_sequences, "The texts for each line.");
  task->add_flag("--sample", flags.sample, "Draws tokens instead of taking the most probable ones.");
  add_positive(*task, "--temperature", options.temperature, "The temperature of drawing.");
  add_seed(*task, options.seed);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Does what published models can do, line by line."};
  app.require_subcommand(1);
  Flags flags;
  CLI::App* classify_task = add_task(app, flags, "classify", "Tells the labels of lines.");
  add_top_k(classify_task, flags, "The labels of each line; without it the best one.");
  CLI::App* zero_shot_task = add_task(app, flags, "zero-shot", "Judges lines by labels of your choice.");
  add_labels(zero_shot_task, flags);
  zero_shot_task->add_flag("--multi-label", flags.multi_label, "Lets several labels be right.");
  CLI::App* entities_task = add_task(app, flags, "entities", "Finds names of persons, places and others in lines.");
  entities_task->add_option("--aggregation", flags.aggregation, "How tokens become entities.")
      ->check(CLI::IsMember({"none", "simple", "first", "average", "max"}));
  add_not_negative(*entities_task, "--stride", flags.stride,
                   "Reads long lines in windows that have so many tokens in common, and does not cut them off.");
  CLI::App* ask_task = add_task(app, flags, "ask", "Finds answers; a line is a question, a tab and a text.");
  add_positive(*ask_task, "--top-k", flags.question.top_k, "The answers of each line.");
  add_positive(*ask_task, "--max-answer-len", flags.question.max_answer_len, "The most tokens of an answer.");
  add_not_negative(*ask_task, "--doc-stride", flags.question.doc_stride,
                   "The tokens that windows of a long text have in common.");
  ask_task->add_flag("--impossible", flags.question.handle_impossible_answer, "Lets there be no answer.");
  CLI::App* fill_task = add_task(app, flags, "fill", "Says what may stand at the masks of lines.");
  add_top_k(fill_task, flags, "The tokens for each mask; without it 5.");
  CLI::App* rank_task = add_task(app, flags, "rank", "Sorts lines by how well they fit a query.");
  rank_task->add_option("--query", flags.query, "The query.")->required();
  add_top_k(rank_task, flags, "The lines to print; without it all.");
  CLI::App* summarise_task = add_task(app, flags, "summarise", "Writes summaries of lines.");
  add_generation(summarise_task, flags);
  CLI::App* translate_task = add_task(app, flags, "translate", "Translates lines.");
  translate_task->add_option("--from", flags.from, "The language of the lines, as \"en\", if the model needs it.");
  translate_task->add_option("--to", flags.to, "The language of the translations, as \"de\", if the model needs it.");
  add_generation(translate_task, flags);
  CLI::App* generate_task = add_task(app, flags, "generate", "Continues lines.");
  add_generation(generate_task, flags);
  CLI::App* images_task = add_task(app, flags, "images", "Tells the labels of images; a line is the path of a file.");
  add_top_k(images_task, flags, "The labels of each image; without it 5.");
  CLI::App* zero_shot_images_task =
      add_task(app, flags, "zero-shot-images", "Judges images by labels of your choice; a line is the path of a file.");
  add_labels(zero_shot_images_task, flags);
  CLI::App* transcribe_task =
      add_task(app, flags, "transcribe", "Writes what is said; a line is the path of a WAV file.");
  transcribe_task->add_option("--language", flags.speech.language,
                              "The language that is spoken, as \"en\"; without it what the model hears.");
  transcribe_task->add_flag("--translate", flags.speech.translate, "Writes it in English.");
  add_positive(*transcribe_task, "--num-beams", flags.speech.beam_size,
               "The hypotheses that beam search keeps; 1: no beam search.");
  CLI11_PARSE(app, argc, argv);

  if (flags.sample) flags.generate.do_sample = true;
  try {
    const auto run = [&](const Answer& answer) { answer_lines(answer, flags.json); };
    if (classify_task->parsed()) run(classify(flags));
    if (zero_shot_task->parsed()) run(zero_shot(flags));
    if (entities_task->parsed()) run(entities(flags));
    if (ask_task->parsed()) run(ask(flags));
    if (fill_task->parsed()) run(fill(flags));
    if (rank_task->parsed()) rank(flags);
    if (summarise_task->parsed()) run(text_to_text(rapt::summarizer(flags.model), flags));
    if (translate_task->parsed()) {
      const bool is_named = !flags.from.empty() || !flags.to.empty();
      run(text_to_text(
          is_named ? rapt::text_translator(flags.model, flags.from, flags.to) : rapt::TextToText(flags.model), flags));
    }
    if (generate_task->parsed()) run(generate(flags));
    if (images_task->parsed()) run(images(flags));
    if (zero_shot_images_task->parsed()) run(zero_shot_images(flags));
    if (transcribe_task->parsed()) run(transcribe(flags));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tasks: %s\n", error.what());
    return 1;
  }
}
