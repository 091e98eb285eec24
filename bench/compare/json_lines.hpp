// How the workers of comparisons are spoken to: a JSON object a line, each answered by one.
#pragma once

#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

/// Answers the lines of the standard input by worker.answer, and with {"error": text} where it throws.
template <class Worker>
void answer_json_lines(Worker worker) {
  for (std::string line; std::getline(std::cin, line);) {
    nlohmann::json answer;
    try {
      answer = worker.answer(nlohmann::json::parse(line));
    } catch (const std::exception& error) {
      answer = {{"error", error.what()}};
    }
    std::cout << answer.dump() << std::endl;
  }
}
