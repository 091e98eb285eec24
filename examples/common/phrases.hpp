/// \file
/// A Chinese-English corpus of everyday sentences, written for the `translate` example: a lexicon, and a small grammar
/// that draws distinct sentences from it.
///
/// Chinese is not English word by word: times and places stand before the Chinese verb (他昨天在公园跑步了, he ran in
/// the park yesterday), measure words between number and noun (三本书, three books), relative clauses before their
/// noun. Tense is always marked, 他 is he and 她 she, 你 is the only you, and no text occurs twice in either language.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <rapt/core/rng.hpp>
#include <rapt/core/shape.hpp>
#include "phrases_lexicon.hpp"

namespace phrases {

struct Pair {
  std::string chinese, english;
  friend bool operator==(const Pair&, const Pair&) = default;
};

struct Split {
  std::vector<Pair> train, validation, test;
};

// ---- The grammar ----------------------------------------------------------------------------------------------------

namespace detail {

// A tense in both languages: 他 明天 要 喝茶 (不, 吗？) and he [will] [often] drink tea [tomorrow].
enum Tense : std::size_t { kAlways, kUsually, kOften, kYesterday, kTomorrow, kPlanned, kRightNow, kSkilled };
struct TenseRule {
  std::span<const Word> times;
  View yes, no, done;      // before the Chinese verb in a statement and in its negation; behind the verb
  View auxiliary, adverb;  // the English auxiliary, by agreement; do and did are left out of statements
};
inline constexpr TenseRule kTenses[] = {{kNoTime, "", "不", "", "do|do|does", ""},
                                        {kHabit, "", "不", "", "do|do|does", ""},
                                        {kNoTime, "经常", "不经常", "", "do|do|does", "often "},
                                        {kPast, "", "没", "了", "did|did|did", ""},
                                        {kFuture, "要", "不", "", "will|will|will", ""},
                                        {kFuture, "", "不", "", "do|do|does", ""},
                                        {kNoTime, "正在", "没在", "", "am|are|is", ""},
                                        {kNoTime, "会", "不会", "", "can|can|can", ""}};
enum Mood { kStatement, kNegation, kQuestion };

struct Person {  // or thing: a subject or an object
  std::string chinese, subject, object, possessive;
  Agreement agreement = kThird;
};
struct Phrase {  // 喝 两杯茶, drink " two cups of tea"; a counted object stands behind 了 and is not negated
  std::string chinese, chinese_object;
  View verb;
  std::string rest;
  bool counted = false;
};

[[nodiscard]] std::string text(const auto&... parts) {
  std::string result;
  ((result += parts), ...);
  return result;
}
[[nodiscard]] constexpr bool contains(View letters, char letter) { return letters.find(letter) != View::npos; }
[[nodiscard]] inline std::string with_article(View words) {
  return text(contains("aeiou", words[0]) ? "an " : "a ", words);
}
/// The form of "am|are|is" for a subject.
[[nodiscard]] inline View agree(View forms, Agreement agreement) {
  for (std::size_t skip = agreement; skip > 0; --skip) forms.remove_prefix(forms.find('|') + 1);
  return forms.substr(0, forms.find('|'));
}
[[nodiscard]] inline const Verb& forms_of(View verb) {
  return *std::find_if(std::begin(kVerbs), std::end(kVerbs), [&](const Verb& v) { return v.base == verb; });
}

/// Chance: rows of tables, people and things.
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : rng_(seed) {}

  std::size_t between(std::size_t first, std::size_t last) {
    return first + static_cast<std::size_t>(rng_.below(static_cast<rapt::Index>(last - first + 1)));
  }
  bool one_in(std::size_t n) { return between(1, n) == 1; }
  const auto& from(const auto& table) { return table[between(0, std::size(table) - 1)]; }
  /// A row that satisfies the condition; there must be one.
  const auto& from(const auto& table, auto condition) {
    for (;;) {
      if (const auto& row = from(table); condition(row)) return row;
    }
  }
  const auto& lettered(const auto& table, View letters) {
    return from(table, [&](const auto& row) { return contains(letters, row.letter); });
  }
  /// Nobody asks what he does himself.
  Mood mood(const Person& subject, bool negation = true) {
    for (;;) {
      const Mood mood =
          std::initializer_list<Mood>{kStatement, kStatement, kStatement, kNegation, kQuestion}.begin()[between(0, 4)];
      if (!(mood == kQuestion && subject.chinese.starts_with("我")) && (negation || mood != kNegation)) return mood;
    }
  }

  Person pronoun() {
    const Pronoun& p = from(kPronouns);
    return {text(p.chinese), text(p.subject), text(p.object), text(p.possessive), p.agreement};
  }
  Person name() {
    const Word& n = from(kNames);
    return {text(n.chinese), text(n.english), text(n.english), text(n.english, "'s")};
  }
  Person pronoun_or_name() { return one_in(3) ? name() : pronoun(); }
  Person person() {
    if (one_in(2)) return pronoun_or_name();
    const Pronoun& whose = kPronouns[between(0, 3)];
    const Word& who = from(kRelatives);
    const std::string english = text(whose.possessive, " ", who.english);
    return {text(whose.chinese, who.chinese), english, english, english + "'s"};
  }
  /// Somebody else: not the same words twice, and not "I ... us".
  Person other_than(const Person& person, Person (Draw::*draw)() = &Draw::person) {
    const auto is_first = [](const Person& p) { return p.chinese == "我" || p.chinese == "我们"; };
    for (;;) {
      Person other = (this->*draw)();
      if (other.chinese != person.chinese && !(is_first(person) && is_first(other))) return other;
    }
  }
  /// 这本书, those books, Tom's book.
  Person thing(const Noun& noun) {
    if (!contains(noun.adjectives, 'd') && one_in(2)) {
      const Person owner = pronoun_or_name();
      const std::string english = text(owner.possessive, " ", noun.singular);
      return {text(owner.chinese, "的", noun.chinese), english, english, ""};
    }
    const bool is_near = one_in(2), many = one_in(3);
    const std::string english =
        many ? text(is_near ? "these " : "those ", noun.plural) : text(is_near ? "this " : "that ", noun.singular);
    return {text(is_near ? "这" : "那", many ? "些" : noun.measure, noun.chinese), english, english, "",
            many ? kOther : kThird};
  }
  /// 三本书, three books; in one of three with an adjective: 三本新书, three new books.
  Pair quantity(const Noun& noun, std::size_t count) {
    const Adjective& a = lettered(kAdjectives, noun.adjectives);
    const bool described = !a.before_noun.empty() && one_in(3);
    const std::string english = text(described ? text(a.english, " ") : "", count == 1 ? noun.singular : noun.plural);
    return {text(kNumbers[count].chinese, noun.measure, described ? a.before_noun : "", noun.chinese),
            count == 1 ? with_article(english) : text(kNumbers[count].english, " ", english)};
  }

 private:
  rapt::Rng rng_;
};

/// A sentence with a verb: a statement, its negation or its question.
inline Pair clause(Draw& draw, const Person& s, const Phrase& v, Tense tense, Mood mood) {
  const TenseRule& rule = kTenses[tense];
  const bool negated = mood == kNegation, asked = mood == kQuestion;
  const Word& time = negated && tense == kUsually ? kNoTime[0] : draw.from(rule.times);
  const bool also = mood == kStatement && rule.adverb.empty() && draw.one_in(10);
  const View marker = !negated ? rule.yes : v.chinese == "有" ? "没" : rule.no, done = negated ? "" : rule.done;
  Pair pair;
  pair.chinese = text(s.chinese, time.chinese, also ? "也" : "", marker, v.chinese, v.counted ? done : "",
                      v.chinese_object, v.counted ? "" : done, asked ? "吗？" : "");

  const Verb& forms = forms_of(v.verb);
  const View auxiliary = agree(rule.auxiliary, s.agreement), adverb = also ? "also " : rule.adverb;
  const std::string rest = text(v.rest, time.english);
  const std::string verb = text(adverb, tense == kRightNow ? forms.ing : forms.base, rest);
  if (asked) {
    pair.english = text(auxiliary, " ", s.subject, " ", verb, "?");
  } else if (negated) {
    pair.english = text(s.subject, " ", auxiliary, auxiliary == "can" ? "not " : " not ", verb);
  } else if (auxiliary.starts_with('d')) {  // do, does and did go into the verb
    const View form = tense == kYesterday ? forms.past : s.agreement == kThird ? forms.third : forms.base;
    pair.english = text(s.subject, " ", adverb, form, rest);
  } else {
    pair.english = text(s.subject, " ", auxiliary, " ", verb);
  }
  return pair;
}
inline Pair clause(Draw& draw, const Person& s, const Phrase& v, std::initializer_list<Tense> tenses) {
  const Tense tense = draw.from(std::span<const Tense>(tenses.begin(), tenses.size()));
  return clause(draw, s, v, tense, draw.mood(s, !v.counted));
}
/// ... or, in one of five, about wanting it.
inline Pair clause_or_wish(Draw& draw, const Person& s, const Phrase& v, std::initializer_list<Tense> tenses) {
  if (!draw.one_in(5)) return clause(draw, s, v, tenses);
  const Phrase wish{"想", v.chinese + v.chinese_object, "want", text(" to ", v.verb, v.rest), v.counted};
  return clause(draw, s, wish, {kAlways, kPlanned});
}

/// A sentence with "to be", at one of the times or, if `past`, in half of them in the past. `very` is 很 or nothing.
inline Pair state(Draw& draw, const Person& s, View very, View chinese, View english, std::span<const Word> times,
                  bool past = false) {
  past = past && draw.one_in(2);
  const Word& time = draw.from(past ? std::span<const Word>(kPast) : times);
  const View be = agree(past ? "was|were|was" : "am|are|is", s.agreement);
  const Mood mood = draw.mood(s);
  const bool most = !very.empty() && mood == kStatement && draw.one_in(4);
  const std::string rest = text(most ? " very" : "", english, time.english);
  const View degree = mood == kNegation ? "不" : mood == kQuestion ? "" : most ? "非常" : very;
  return {text(s.chinese, time.chinese, degree, chinese, mood == kQuestion ? "吗？" : ""),
          mood == kQuestion ? text(be, " ", s.subject, rest, "?")
                            : text(s.subject, " ", be, mood == kNegation ? " not" : "", rest)};
}

// ---- Patterns: each draws one sentence ------------------------------------------------------------------------------

inline Phrase phrase(const Action& a, View before = "", View after = "") {
  return {text(before, a.chinese), "", a.verb, text(a.rest, after)};
}
inline Pair action(Draw& draw) {  // 他昨天喝茶了
  const Person s = draw.person();
  const Action& a = draw.from(kActions);
  const Phrase like{"喜欢", text(a.chinese), "like", text(" ", forms_of(a.verb).ing, a.rest)};
  if (draw.one_in(6)) return clause(draw, s, like, {kAlways});
  if (contains(a.places, '+') && draw.one_in(5)) return clause(draw, s, phrase(a), {kSkilled});
  return clause_or_wish(draw, s, phrase(a), {kUsually, kUsually, kOften, kYesterday, kYesterday, kTomorrow, kRightNow});
}
inline Pair action_with(Draw& draw) {  // 他昨天在公园跑步了, 他昨天去公园跑步了, 他昨天和我一起跑步了
  const Person s = draw.person(), other = draw.other_than(s);
  const Action& a = draw.from(kActions);
  const Place& p = draw.lettered(kPlaces, a.places);
  const bool together = draw.one_in(3), go = p.letter != 'h' && draw.one_in(2);
  const Phrase v = together ? phrase(a, text("和", other.chinese, "一起"), text(" with ", other.object))
                   : go     ? Phrase{text("去", p.chinese, a.chinese), "", "go", text(p.to, " to ", a.verb, a.rest)}
                            : phrase(a, text("在", p.chinese), p.at);
  return clause_or_wish(draw, s, v, {kUsually, kUsually, kOften, kYesterday, kYesterday, kTomorrow});
}
inline Pair trip(Draw& draw) {  // 他昨天坐火车去北京了
  const Person s = draw.person();
  const Place& p = draw.from(kPlaces, [](auto& q) { return q.letter != 'h'; });
  const char reach = contains("ca", p.letter) ? p.letter : 't';
  const Ride& ride = draw.from(kRides, [&](auto& r) { return contains(r.reaches, reach); });
  const Phrase v{text(ride.chinese, "去", p.chinese), "", "go", text(p.to, ride.english)};
  return clause_or_wish(draw, s, v, {kOften, kYesterday, kYesterday, kTomorrow});
}

inline Pair people(Draw& draw) {  // 他爱她, 他昨天给我打电话了
  struct Feeling {
    View chinese, verb, rest;
    Tense tense;
  };
  constexpr Feeling kFeelings[] = {{"爱", "love", " ", kAlways},
                                   {"喜欢", "like", " ", kAlways},
                                   {"认识", "know", " ", kAlways},
                                   {"等", "wait", " for ", kRightNow},
                                   {"找", "look", " for ", kRightNow}};
  const Feeling& f = draw.from(kFeelings);
  const auto somebody = f.verb == "love" ? &Draw::pronoun_or_name : &Draw::person;
  const Person s = (draw.*somebody)(), other = draw.other_than(s, somebody);
  const Errand& e = draw.from(kErrands);
  const Phrase feel{text(f.chinese, other.chinese), "", f.verb, text(f.rest, other.object)};
  if (draw.one_in(2)) return clause(draw, s, feel, {f.tense});
  const Phrase v{text(e.before, other.chinese, e.after), "", e.verb, " " + other.object};
  return clause_or_wish(draw, s, v, {kUsually, kOften, kOften, kYesterday, kYesterday, kTomorrow});
}
inline Pair comparison(Draw& draw) {  // 他比我高, 他没有我高
  const Person s = draw.person(), other = draw.other_than(s);
  const Adjective& a = draw.lettered(kAdjectives, "P");
  if (draw.one_in(3)) {
    return {text(s.chinese, "没有", other.chinese, a.chinese),
            text(s.subject, " ", agree("am|are|is", s.agreement), " not as ", a.english, " as ", other.object)};
  }
  return state(draw, s, "", text("比", other.chinese, a.chinese), text(" ", a.comparative, " than ", other.object),
               kNoTime);
}
inline Pair feeling(Draw& draw) {  // 他今天很高兴
  const Person s = draw.person();
  const Adjective& a = draw.lettered(kAdjectives, "F");
  return state(draw, s, "很", a.chinese, text(" ", a.english), kToday, true);
}
inline Pair job(Draw& draw) {  // 他是老师, 他是我的老师
  Person s = draw.person();
  while (s.agreement == kOther && s.chinese != "你") s = draw.person();
  const Word& j = draw.from(kJobs);
  const Person other = draw.other_than(s, &Draw::pronoun_or_name);
  const std::string a_job = with_article(j.english);
  switch (draw.between(1, 4)) {
    case 1:
      return clause(draw, s, {"想", text("当", j.chinese), "want", " to be " + a_job}, {kAlways});
    case 2:
      return state(draw, s, "", text("是", other.chinese, "的老师"), text(" ", other.possessive, " teacher"), kNoTime);
    default:
      return state(draw, s, "", text("是", j.chinese), " " + a_job, kNoTime);
  }
}
inline Pair whereabouts(Draw& draw) {  // 他现在在家
  const Person s = draw.person();
  const Place& p = draw.from(kPlaces);
  if (p.letter != 'h' || !draw.one_in(2)) return state(draw, s, "", text("在", p.chinese), p.at, kToday, true);
  return {text(s.chinese, "现在在哪里？"), text("where ", agree("am|are|is", s.agreement), " ", s.subject, " now?")};
}
inline Pair home(Draw& draw) {  // 他住在北京
  const Person s = draw.person();
  const Place& p = draw.lettered(kPlaces, "ca");
  return clause(draw, s, {text("住在", p.chinese), "", "live", text(p.at)}, {kAlways});
}
inline Pair weather(Draw& draw) {  // 北京今天很冷
  const Place& city = draw.lettered(kPlaces, "ca");
  const Adjective& a = draw.lettered(kAdjectives, "W");
  const Person it{text(city.chinese), "it", "it", ""};
  const Phrase rain{"下雨", "", "rain", text(city.at)};
  if (draw.one_in(2)) return clause(draw, it, rain, {kYesterday, kTomorrow, kRightNow, kRightNow});
  return state(draw, it, "很", a.chinese, text(" ", a.english, city.at), kToday, true);
}

inline Pair quality(Draw& draw) {  // 这本书很有意思
  const Noun& noun = draw.from(kNouns);
  const Person s = draw.thing(noun);
  const Adjective& a = draw.lettered(kAdjectives, noun.adjectives);
  return state(draw, s, "很", a.chinese, text(" ", a.english), kNoTime);
}
inline Pair purchase_quality(Draw& draw) {  // 他昨天买的书很有意思
  const Person s = draw.person();
  const Noun& noun = draw.from(kNouns);
  const Word& time = draw.from(kPast);
  const Person bought{text(s.chinese, time.chinese, "买的", noun.chinese),
                      text("the ", noun.singular, " ", s.subject, " bought", time.english), "", ""};
  const Adjective& a = draw.lettered(kAdjectives, noun.adjectives);
  return state(draw, bought, "很", a.chinese, text(" ", a.english), kNoTime);
}
inline Pair owner(Draw& draw) {  // 这是我的书
  const Person s = draw.person();
  const Noun& noun = draw.from(kNouns, [](auto& n) { return !contains(n.adjectives, 'd'); });
  const bool is_near = draw.one_in(2), many = draw.one_in(3);
  const Person these = many ? Person{is_near ? "这些" : "那些", is_near ? "these" : "those", "", "", kOther}
                            : Person{is_near ? "这" : "那", is_near ? "this" : "that", "", ""};
  return state(draw, these, "", text("是", s.chinese, "的", noun.chinese),
               text(" ", s.possessive, " ", many ? noun.plural : noun.singular), kNoTime);
}
inline Pair spot(Draw& draw) {  // 我的书在桌子上
  const Noun& noun = draw.from(kNouns, [](auto& n) { return !n.spots.empty(); });
  const Person s = draw.thing(noun);
  const Spot& where = draw.lettered(kSpots, noun.spots);
  if (!draw.one_in(4)) return state(draw, s, "", text("在", where.chinese), where.english, kNoTime);
  return {text(s.chinese, "在哪里？"), text("where ", agree("am|are|is", s.agreement), " ", s.subject, "?")};
}
inline Pair existence(Draw& draw) {  // 桌子上有三本书
  const Noun& noun = draw.from(kNouns, [](auto& n) { return !n.spots.empty(); });
  const Spot& x = draw.lettered(kSpots, noun.spots);
  const std::size_t count = draw.between(1, noun.most);
  const Pair some = draw.quantity(noun, count);
  const std::string one = with_article(noun.singular);
  if (draw.one_in(4)) return {text(x.chinese, "没有", noun.chinese), text("there is no ", noun.singular, x.english)};
  if (draw.one_in(4)) return {text(x.chinese, "有", noun.chinese, "吗？"), text("is there ", one, x.english, "?")};
  return {text(x.chinese, "有", some.chinese), text("there ", count == 1 ? "is " : "are ", some.english, x.english)};
}
inline Pair possession(Draw& draw) {  // 他有三本书, 他昨天买了一本书
  const Person s = draw.person(), other = draw.other_than(s);
  const Noun& noun = draw.from(kNouns);
  const Person object = draw.thing(noun);
  const Pair some = draw.quantity(noun, draw.one_in(2) ? 1 : draw.between(2, noun.most));
  const Mood mood = draw.mood(s);
  const bool none = mood == kNegation;  // 没有书, does not have a book
  const Phrase have{"有", none ? text(noun.chinese) : some.chinese, "have",
                    " " + (none ? with_article(noun.singular) : some.english)};
  const Phrase give{"给", other.chinese + some.chinese, "give", text(" ", other.object, " ", some.english), true};
  const Phrase see{"看见", some.chinese, "see", " " + some.english, true},
      buy{"买", some.chinese, "buy", " " + some.english, true};
  switch (draw.between(1, 6)) {
    case 1:
      return clause(draw, s, have, kAlways, mood);
    case 2:
      return clause(draw, s, {"喜欢", object.chinese, "like", " " + object.object}, {kAlways});
    case 3:
      return clause(draw, s, {"想", "买" + object.chinese, "want", " to buy " + object.object}, {kAlways});
    case 4:
      return clause_or_wish(draw, s, give, {kYesterday, kTomorrow});
    case 5:
      return noun.measure == "只" ? clause(draw, s, see, {kYesterday}) : clause(draw, s, buy, {kTomorrow});
    default:
      return clause_or_wish(draw, s, buy, {kYesterday});
  }
}
inline Pair serving(Draw& draw) {  // 他昨天喝了两杯茶
  const Person s = draw.person();
  const Serving& food = draw.from(kServings);
  const std::size_t count = draw.one_in(2) ? 1 : draw.between(2, 3);
  const std::string chinese = text(kNumbers[count].chinese, food.chinese);
  const std::string english =
      count == 1 ? with_article(food.singular) : text(kNumbers[count].english, " ", food.plural);
  if (draw.one_in(5)) return {text("请给", s.chinese, chinese), text("please give ", s.object, " ", english)};
  return clause_or_wish(draw, s, {text(food.eat), chinese, food.verb, " " + english, true},
                        {kUsually, kYesterday, kTomorrow});
}

struct Pattern {
  Pair (*sentence)(Draw&);
  std::size_t count;
};
inline constexpr Pattern kPatterns[] = {
    {action, 3100},   {action_with, 2150}, {trip, 480},    {people, 1100},          {comparison, 400}, {feeling, 350},
    {job, 300},       {whereabouts, 350},  {home, 150},    {weather, 330},          {quality, 600},    {spot, 300},
    {existence, 350}, {owner, 340},        {serving, 470}, {purchase_quality, 250}, {possession, 950}};
inline constexpr std::size_t kFixedRepeats = 20;

}  // namespace detail

/// The corpus, the same on every call: the fixed phrases first, then the patterns' sentences. No text occurs twice.
[[nodiscard]] inline std::vector<Pair> generate() {
  std::vector<Pair> pairs;
  std::set<std::string> seen;
  const auto add = [&](Pair pair) {
    if (seen.contains(pair.chinese) || seen.contains(pair.english)) return false;
    seen.insert({pair.chinese, pair.english});
    pairs.push_back(std::move(pair));
    return true;
  };
  for (const auto& [chinese, english] : detail::kFixed) add({std::string(chinese), std::string(english)});
  detail::Draw draw(241);  // of the seeds up to 300 the one whose rarest word occurs most often (26 times)
  for (const auto& [sentence, count] : detail::kPatterns) {
    const std::size_t goal = pairs.size() + count;
    for (std::size_t attempt = 0; pairs.size() < goal && attempt < 50 * count; ++attempt) add(sentence(draw));
  }
  return pairs;
}

/// Holds out 500 pairs for the test and 300 for validation (of a small corpus a tenth each). No Chinese or English text
/// is in two parts: pairs that share one with a held-out pair are left out. The fixed phrases are for training alone,
/// and stand there 20 times, since no pattern supports their words.
[[nodiscard]] inline Split split(std::vector<Pair> pairs, std::uint64_t seed) {
  std::set<std::string> fixed, held_out;
  for (const auto& [chinese, english] : detail::kFixed) fixed.insert({std::string(chinese), std::string(english)});
  const auto either_in = [](const std::set<std::string>& texts, const Pair& pair) {
    return texts.contains(pair.chinese) || texts.contains(pair.english);
  };
  rapt::Rng rng(seed);
  rng.shuffle(std::span(pairs));
  const std::size_t tests = std::min<std::size_t>(500, pairs.size() / 10);
  const std::size_t validations = std::min<std::size_t>(300, pairs.size() / 10);
  Split parts;
  std::vector<Pair> rest;
  for (const Pair& pair : pairs) {
    std::vector<Pair>& part = parts.test.size() < tests               ? parts.test
                              : parts.validation.size() < validations ? parts.validation
                                                                      : rest;
    if (&part == &rest || either_in(fixed, pair)) {
      rest.push_back(pair);
    } else if (!either_in(held_out, pair)) {
      held_out.insert({pair.chinese, pair.english});
      part.push_back(pair);
    }
  }
  for (const Pair& pair : rest) {
    if (either_in(held_out, pair)) continue;
    parts.train.insert(parts.train.end(), either_in(fixed, pair) ? detail::kFixedRepeats : 1, pair);
  }
  rng.shuffle(std::span(parts.train));
  return parts;
}

/// One token a character; a run of ASCII letters and digits is one, spaces and full stops none, and ? is ？.
[[nodiscard]] inline std::vector<std::string> chinese_tokens(std::string_view text) {
  const auto is_word = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
  };
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; };  // UTF-8
  std::vector<std::string> tokens;
  for (std::size_t begin = 0, end = 0; begin < text.size(); begin = end) {
    const bool word = is_word(text[begin]);
    for (++end; end < text.size() && (word ? is_word(text[end]) : continues(text[end]));) ++end;
    const std::string_view token = text.substr(begin, end - begin);
    if (token != " " && token != "." && token != "。") tokens.emplace_back(token == "?" ? "？" : token);
  }
  return tokens;
}

/// Words; a question mark is a token of its own.
[[nodiscard]] inline std::vector<std::string> english_tokens(std::string_view text) {
  std::vector<std::string> tokens;
  for (std::size_t begin = 0, end = 0; begin < text.size(); begin = end) {
    end = text[begin] == '?' ? begin + 1 : std::min(text.find_first_of(" ?", begin), text.size());
    if (end > begin) {
      tokens.emplace_back(text.substr(begin, end - begin));
    } else {
      ++end;  // a space
    }
  }
  return tokens;
}

/// The inverse of english_tokens.
[[nodiscard]] inline std::string join_english(std::span<const std::string> tokens) {
  std::string text;
  for (const std::string& token : tokens) {
    if (!text.empty() && token != "?") text += ' ';
    text += token;
  }
  return text;
}

}  // namespace phrases
