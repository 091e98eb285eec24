// Translates from eight threads with one model whose weights have eight bits.
// needs: phrase_book
#include <cstdio>
#include <rapt/pipelines/translator.hpp>
#include <rapt/pretrained/marian.hpp>
#include <rapt/rapt.hpp>
#include <thread>
#include <utility>

#include "phrase_book/phrases.hpp"

int main() {
  auto translator = rapt::Translator<rapt::Marian<float>, rapt::AnyTokenizer>::load("phrase-book");
  translator.quantize();                           // int8 weights: once, before the threads begin
  const auto& shared = std::as_const(translator);  // a const translator may be used from many threads

  std::vector<std::string> lines;
  const std::vector<Phrase> unseen = phrases(/*held_out=*/true);
  for (const Phrase& phrase : unseen) lines.push_back(phrase.english);
  const std::vector<std::string> alone = shared.translate(lines);

  std::vector<std::vector<std::string>> found(8);
  std::vector<std::thread> threads;
  for (std::vector<std::string>& own : found) {
    threads.emplace_back([&] {  // a sentence at a time, as requests come
      for (const std::string& line : lines) own.push_back(shared.translate(std::vector{line}).front());
    });
  }
  for (std::thread& thread : threads) thread.join();
  int same = 0, right = 0;
  for (const std::vector<std::string>& one : found) same += one == alone;
  for (std::size_t i = 0; i < lines.size(); ++i) right += alone[i] == unseen[i].german;
  std::printf("%d of %zu threads found what one thread finds\n", same, found.size());
  std::printf("%d of %zu translations are right\n", right, lines.size());
}
