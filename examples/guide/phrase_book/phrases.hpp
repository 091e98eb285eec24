// English phrases with their German translations, in which words change their order and adjectives their endings.
#pragma once

#include <cstddef>
#include <rapt/text/lines.hpp>
#include <rapt/text/wordpiece.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

struct Phrase {
  std::string english, german;
};

/// "The old dog is small." and "I see the old dog today." with all words; every fifth of them is held out.
inline std::vector<Phrase> phrases(bool held_out) {
  struct Noun {
    std::string english, german, nominative, accusative, ending;
  };
  const std::vector<Noun> nouns = {{"dog", "Hund", "Der", "den", "en"},  {"bird", "Vogel", "Der", "den", "en"},
                                   {"cat", "Katze", "Die", "die", "e"},  {"flower", "Blume", "Die", "die", "e"},
                                   {"house", "Haus", "Das", "das", "e"}, {"horse", "Pferd", "Das", "das", "e"}};
  const std::vector<Phrase> adjectives = {
      {"small", "klein"}, {"old", "alt"}, {"white", "weiß"}, {"beautiful", "schön"}, {"strange", "fremd"}};
  const std::vector<Phrase> verbs = {{"see", "sehe"}, {"find", "finde"}, {"draw", "zeichne"}, {"look for", "suche"}};
  const std::vector<Phrase> days = {{"today", "Heute"}, {"tomorrow", "Morgen"}};
  std::vector<Phrase> all, chosen;
  for (const Noun& noun : nouns) {
    for (const auto& [english, german] : adjectives) {
      for (const Phrase& other : adjectives) {
        all.push_back({"The " + english + " " + noun.english + " is " + other.english + ".",
                       noun.nominative + " " + german + "e " + noun.german + " ist " + other.german + "."});
      }
      for (const Phrase& verb : verbs) {
        for (const Phrase& day : days) {
          all.push_back({"I " + verb.english + " the " + english + " " + noun.english + " " + day.english + ".",
                         day.german + " " + verb.german + " ich " + noun.accusative + " " + german + noun.ending + " " +
                             noun.german + "."});
        }
      }
    }
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    if ((i % 5 == 3) == held_out) chosen.push_back(all[i]);
  }
  return chosen;
}

/// Every word of the phrases is a token; sentences end with </s>, which has the id 0, and the last token pads.
inline rapt::WordPiece tokenizer_of(const std::vector<Phrase>& phrases) {
  std::set<std::string> words = {"."};
  for (const Phrase& phrase : phrases) {
    for (const std::string& text : {phrase.english, phrase.german}) {
      for (const std::string_view word : rapt::split_whitespace(std::string_view(text).substr(0, text.size() - 1))) {
        words.emplace(word);
      }
    }
  }
  std::vector<std::string> tokens = {"</s>", "<unk>"};
  tokens.insert(tokens.end(), words.begin(), words.end());
  tokens.push_back("<pad>");
  return rapt::WordPiece(tokens, {.lowercase = false,
                                  .unknown = "<unk>",
                                  .added_tokens = {{"</s>"}, {"<unk>"}, {"<pad>"}},
                                  .single = {{"$A"}, {"</s>"}},
                                  .pair = {{"$A"}, {"$B", 1}, {"</s>", 1}}});
}
