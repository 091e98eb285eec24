// Learns to parse: a sentence in, its constituency tree out, by a Transformer that writes linearised trees (the paper's
// section 6.3), or by scores of spans and CKY.
//
//   parse                              trains a span parser on generated sentences in seconds, tests it on
//                                      unseen ones, and draws the tree of one of them as parse.svg
//   parse train --trees train.trees --model sequence --parser parser.safetensors --steps 20000 ...
//   parse test  --parser parser.safetensors --trees test.trees --gold-tags
//   echo "The dog barks." | parse run --parser parser.safetensors --svg tree
//
// Files of trees hold brackets as the Penn Treebank has them. Scores are those of evalb. Every subcommand explains
// itself with --help; README.md has the settings for a treebank.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <rapt/core/atomic_file.hpp>
#include <rapt/visualization/tree.hpp>
#include <type_traits>

#include "parse/train.hpp"

namespace {

using parse::Sentence;
using rapt::Index;
using rapt::SyntaxTree;

/// The tree for a drawing: a leaf becomes its tag above its word.
rapt::DrawnTree drawn(const SyntaxTree& tree) {
  rapt::DrawnTree node{.text = tree.label, .children = {}};
  for (const SyntaxTree& child : tree.children) node.children.push_back(drawn(child));
  if (tree.is_leaf()) node.children.push_back({.text = tree.word, .children = {}});
  return node;
}
void draw(const SyntaxTree& tree, const std::string& path) {
  std::string title;
  for (const SyntaxTree* leaf : leaves_of(tree)) title += (title.empty() ? "" : " ") + leaf->word;
  const std::string svg = rapt::tree_svg(drawn(tree), {.title = title});
  rapt::AtomicFile file(path);
  file.write(svg.data(), svg.size());
  file.commit();
}

/// Calls use(text, model) with the parser of a file, of whichever kind it is.
template <class Use>
void with_parser(const std::string& path, const Use& use) {
  const rapt::SafetensorsFile file(path);
  const std::string& kind = parse::stored_text(file, "parser");
  const auto use_as = [&]<class Text>(std::type_identity<Text>) {
    const auto model = rapt::load_model<typename Text::Model>(file);
    use(Text::load(file, model.config()), model);
  };
  if (kind == parse::SequenceText::kName) return use_as(std::type_identity<parse::SequenceText>());
  if (kind == parse::SpanText::kName) return use_as(std::type_identity<parse::SpanText>());
  rapt::fail<rapt::IoError>("parse", path, ": there is no parser of the kind \"", kind, "\"");
}

struct TestFlags {
  std::string parser, trees, output;
  bool gold_tags = false;
  Index beam = 4;
};
struct RunCommandFlags {
  std::string parser, svg;
  Index beam = 4;
};

/// Takes --beam for a parser that has a beam, and refuses it for others.
template <class Text>
void set_beam(Text& text, Index beam, const CLI::App& command) {
  if constexpr (requires { text.beam; }) {
    text.beam = beam;
  } else {
    rapt::require(command.count("--beam") == 0, "parse", "--beam has no effect on a parser of the kind ", Text::kName);
  }
}

/// True if the tree comes back from its text, and has exactly these words.
bool is_tree_over(const SyntaxTree& tree, const std::vector<std::string>& words) {
  try {
    const std::vector<SyntaxTree> read = rapt::parse_trees(to_string(tree));
    return read.size() == 1 && read[0] == tree && parse::sentence_of(read[0], false).words == words;
  } catch (const rapt::Error&) {
    return false;
  }
}

void test(const TestFlags& f, const CLI::App& command) {
  const std::vector<SyntaxTree> gold = parse::read_treebank(f.trees);
  with_parser(f.parser, [&](auto text, const auto& model) {
    set_beam(text, f.beam, command);
    if (f.gold_tags) text.require_takes_tags();
    std::vector<Sentence> sentences;
    for (const SyntaxTree& tree : gold) sentences.push_back(parse::sentence_of(tree, f.gold_tags));
    const std::vector<SyntaxTree> found = text.parse(model, sentences);
    std::size_t trees = 0;
    for (std::size_t i = 0; i < found.size(); ++i) trees += is_tree_over(found[i], sentences[i].words) ? 1 : 0;
    std::printf("%zu of %zu outputs are trees over the right words; %s tags\n", trees, gold.size(),
                f.gold_tags ? "gold" : text.own_tags());
    std::printf("%s\n", parse::to_text(rapt::bracket_counts(found, gold)).c_str());  // throws for other words
    if (f.output.empty()) return;
    std::vector<std::string> lines;
    for (const SyntaxTree& tree : found) lines.push_back(to_string(tree));
    write_lines(f.output, lines);
  });
}

void run(const RunCommandFlags& f, const CLI::App& command) {
  with_parser(f.parser, [&](auto text, const auto& model) {
    set_beam(text, f.beam, command);
    rapt::LineReader input(std::cin, "standard input");
    std::size_t number = 0;
    for (std::string line; input.next(line);) {
      if (rapt::is_blank(line)) continue;
      const std::vector<Sentence> sentence{parse::sentence_of(line)};
      const SyntaxTree tree = text.parse(model, sentence).front();
      std::printf("%s\n", to_string(tree).c_str());
      std::fflush(stdout);
      if (!f.svg.empty()) draw(tree, f.svg + "-" + std::to_string(++number) + ".svg");
    }
  });
}

/// Trains a parser; on generated sentences tests it on unseen ones, too.
void train(const parse::TrainFlags& f, const CLI::App& command) {
  require_effect(f, command);
  const parse::Treebank bank = parse::treebank_of(f);
  const auto show = [&](const auto& parser) {
    if (bank.test.empty() || !f.run.processes.is_first()) return;
    const rapt::BracketCounts counts = measure(parser.first, parser.second, bank.test, f.tags == "gold");
    std::printf("%td unseen sentences: %s\n", counts.sentences, parse::to_text(counts).c_str());
  };
  f.model == "sequence" ? show(train_sequence(f, bank)) : show(train_spans(f, bank));
}

void demo(const parse::TrainFlags& f) {
  const parse::Treebank bank = parse::treebank_of(f);
  const auto parser = train_spans(f, bank);
  std::printf("%zu unseen sentences: %s\n", bank.test.size(),
              parse::to_text(measure(parser.first, parser.second, bank.test, false)).c_str());
  const std::vector<Sentence> typed{
      parse::sentence_of("Peter said that the old dog of the farmer slept near a river.")};
  const SyntaxTree tree = parser.first.parse(parser.second, typed).front();
  std::printf("%s\n", to_string(tree).c_str());
  draw(tree, "parse.svg");
  std::printf("drawn: parse.svg\n");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Learns to parse sentences. Without a subcommand it shows what it can do on generated ones."};
  app.require_subcommand(0, 1);
  parse::TrainFlags train_flags;
  TestFlags test_flags;
  RunCommandFlags run_flags;
  const CLI::App* train_command = parse::add_train(app, train_flags);
  CLI::App* test_command = app.add_subcommand("test", "Measures a parser on a file of trees.");
  test_command->add_option("--parser", test_flags.parser, "The file of the parser.")->required();
  test_command->add_option("--trees", test_flags.trees, "The file of trees.")->required();
  test_command->add_option("--output", test_flags.output, "Writes the trees that are found to this file.");
  test_command->add_flag("--gold-tags", test_flags.gold_tags, "The parser is told the parts of speech of the trees.");
  CLI::App* run_command = app.add_subcommand("run", "Parses the standard input, a sentence a line.");
  run_command->add_option("--parser", run_flags.parser, "The file of the parser.")->required();
  run_command->add_option("--svg", run_flags.svg, "Draws the trees as SVG files NAME-1.svg, NAME-2.svg and so on.");
  for (const auto& [command, beam] :
       {std::pair{test_command, &test_flags.beam}, std::pair{run_command, &run_flags.beam}}) {
    add_number(*command, "--beam", *beam, {.least = 1, .most = 1000}, "The beam size of a sequence parser.");
  }
  CLI11_PARSE(app, argc, argv);
  ProcessFlags alone;  // of what several processes cannot share
  return run_program("parse", train_command->parsed() ? train_flags.run.processes : alone, [&] {
    if (train_command->parsed()) return train(train_flags, *train_command);
    if (test_command->parsed()) return test(test_flags, *test_command);
    if (run_command->parsed()) return run(run_flags, *run_command);
    demo(train_flags);
  });
}
