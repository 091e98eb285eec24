/// \file
/// A dialogue with memory: keys and values of the earlier turns are kept, so that a turn costs its new tokens alone.
///
/// ```cpp
/// const rapt::ChatModel model("Qwen2.5-0.5B-Instruct");
/// rapt::Conversation conversation(model, {.system = "Be brief."});
/// conversation.say("Hello!", [](std::string_view part) { return std::cout << part, true; });
/// conversation.save("talk.safetensors");
/// ```
///
/// Every turn is what the chat template makes of the whole dialogue: the tokens that the state has read already are
/// kept as far as they are the beginning of that, and the others are read. The answer is the one of a dialogue that
/// keeps nothing, up to rounding: products of many rows and of one may round otherwise, so that of two tokens that are
/// nearly as probable the other one may be taken. A template that writes earlier turns otherwise, once they are
/// earlier, costs what it changes and what stands behind it.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/named_value.hpp"
#include "rapt/generation/sampling.hpp"
#include "rapt/nn/decoding_state.hpp"
#include "rapt/pipelines/chat_model.hpp"
#include "rapt/pipelines/text_stream.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What happens when a turn and its answer do not fit in the model's positions any more.
enum class FullPolicy {
  drop_oldest,  ///< the oldest turns are dropped, the system text stays; what is left is read again
  slide,        ///< nothing, in a model all of whose layers see a window: it goes on behind its positions
  refuse        ///< a ValueError
};
[[nodiscard]] constexpr auto named_values(FullPolicy) {
  return std::to_array<NamedValue<FullPolicy>>(
      {{"drop-oldest", FullPolicy::drop_oldest}, {"slide", FullPolicy::slide}, {"refuse", FullPolicy::refuse}});
}

/// How a dialogue is rendered and its answers are generated.
struct ConversationOptions {
  std::string system = {};  ///< the system text; empty: none
  /// What happens to a dialogue that does not fit in the model's positions.
  FullPolicy when_full = FullPolicy::drop_oldest;
  /// After dropping, what is left and the longest answer take no more than this ratio of the positions, if one turn
  /// alone does not take more: with 1 no turn is dropped before it must be, and once the positions are full each turn
  /// reads all that is left again.
  double kept_ratio = 0.75;
  /// The most tokens of an answer. So many positions are kept free for it, but no more than half of all.
  Index answer_tokens = 256;
  /// How tokens are drawn; unset: as the folder says, or else the most probable ones.
  std::optional<SamplingOptions> sampling = {};
  std::uint64_t seed = 1;                   ///< of drawing; each answer has random numbers of its own
  JinjaValue::Map template_variables = {};  ///< what the template knows beside the messages
};

/// The assistant's turn.
struct ChatAnswer {
  std::string text;             ///< without what ends the turn
  std::vector<TokenId> tokens;  ///< of the answer, without an end token
  bool finished = true;         ///< false: cut off, at the most tokens or by the caller
  Index prompt_tokens = 0;      ///< of the whole dialogue before it
  Index kept_tokens = 0;        ///< how many of these were not read again
  Index dropped_turns = 0;      ///< for it
};

/// One dialogue. It is used by one thread at a time; several dialogues may share a model.
class Conversation {
 public:
  /// Receives the next part of an answer; false: the answer ends here.
  using OnText = std::function<bool(std::string_view part)>;

  /// `messages`: turns that were before, behind the system text. Throws ValueError for options that do not fit one
  /// another or the model.
  explicit Conversation(ChatModel model, ConversationOptions options = {}, std::vector<ChatMessage> messages = {})
      : model_(std::move(model)),
        options_(std::move(options)),
        messages_(std::move(messages)),
        started_(std::time(nullptr)),
        state_(model_.model().empty_state()) {
    check_options();
    if (!options_.system.empty()) messages_.insert(messages_.begin(), {"system", options_.system});
  }

  /// The user's next turn; returns the assistant's, which `on_text` is given part by part as soon as each is certain,
  /// and which ends where it returns false. Throws ValueError for a turn that does not fit in the model's positions
  /// (see FullPolicy), or that the template refuses; then the dialogue is as it was before, but that keys and values
  /// may have to be computed again.
  ChatAnswer say(std::string_view text, const OnText& on_text = {}) {
    std::vector<ChatMessage> messages = messages_;
    messages.push_back({"user", std::string(text)});
    ChatAnswer answer;
    std::vector<TokenId> prompt = fitting_prompt(messages, answer);
    try {
      read_beginning(prompt, answer);
      generate(prompt, answer, on_text);
    } catch (...) {
      forget();
      throw;
    }
    messages.push_back({"assistant", answer.text});
    messages_ = std::move(messages);
    dropped_turns_ += answer.dropped_turns;
    ++answers_;
    return answer;
  }

  /// The turns that are not dropped, the system text first.
  [[nodiscard]] const std::vector<ChatMessage>& messages() const { return messages_; }
  /// The turns that were dropped so far, those of all answers together.
  [[nodiscard]] Index dropped_turns() const { return dropped_turns_; }
  /// The tokens whose keys and values are kept.
  [[nodiscard]] const std::vector<TokenId>& read_tokens() const { return read_; }
  [[nodiscard]] const ChatModel& model() const { return model_; }

  /// Writes the dialogue with its keys and values into a file, which appears whole or not at all. The options are the
  /// program's own and not in it. Throws IoError.
  void save(const std::filesystem::path& path) const;
  /// The dialogue of a file: its answers are, bit for bit, those that it would have given in the program that saved it,
  /// with the same options. Throws IoError for a file that is none of a dialogue, or of one with another model, or with
  /// one that computes otherwise there: in another precision, by another instruction set or compiler. `read_messages`
  /// takes the turns alone out of such a file.
  [[nodiscard]] static Conversation load(const std::filesystem::path& path, ChatModel model,
                                         ConversationOptions options = {});
  /// The turns of a file of a dialogue with whatever model. Throws IoError.
  [[nodiscard]] static std::vector<ChatMessage> read_messages(const std::filesystem::path& path);

 private:
  static constexpr std::string_view kWhere = "conversation";

  void check_options() const {
    require(options_.answer_tokens > 0, kWhere, "answer_tokens must be positive: ", options_.answer_tokens);
    require(options_.kept_ratio > 0 && options_.kept_ratio <= 1, kWhere,
            "kept_ratio must be in (0, 1]: ", options_.kept_ratio);
    if (options_.sampling) {
      require(options_.sampling->samples == 1, kWhere, "an answer is one sample: ", options_.sampling->samples);
    } else {
      const GenerationDefaults& defaults = model_.defaults();
      require(defaults.samples || defaults.beam.beam_size == 1, kWhere,
              "the folder asks for beam search, which has no tokens to tell before its end: give sampling options");
    }
    const detail::ContextLimits limits = model_.model().limits();
    if (options_.when_full == FullPolicy::slide) {
      require(limits.window.has_value() && !limits.other_from, kWhere,
              "slide needs a model all of whose layers see a window, and whose positions do not depend on the length");
    }
  }
  void forget() {
    state_ = model_.model().empty_state();
    read_.clear();
  }

  [[nodiscard]] std::vector<TokenId> prompt_of(std::span<const ChatMessage> messages) const {
    ChatTemplateOptions options{.now = started_, .variables = options_.template_variables};
    std::vector<TokenId> tokens = model_.encode(model_.chat_template().render(messages, options));
    require(!tokens.empty(), kWhere, "the chat template makes no text of the dialogue");
    return tokens;
  }
  /// The tokens of the dialogue, from which turns are dropped until it fits.
  [[nodiscard]] std::vector<TokenId> fitting_prompt(std::vector<ChatMessage>& messages, ChatAnswer& answer) {
    std::vector<TokenId> prompt = prompt_of(messages);
    if (options_.when_full == FullPolicy::slide) return prompt;
    const Index positions = model_.model().limits().positions;
    const Index room = std::min(options_.answer_tokens, positions / 2);
    const auto needed = [&] { return std::ssize(prompt) + room; };
    if (options_.when_full == FullPolicy::drop_oldest && needed() > positions) {
      const auto kept = static_cast<Index>(options_.kept_ratio * static_cast<double>(positions));
      const auto fits_without = [&](Index turns) {
        prompt = prompt_of(without_oldest(messages, turns));
        return needed() <= kept;
      };
      // The fewest turns that make it fit, all that can be dropped if none do, by few renderings of long dialogues:
      // they are doubled until it fits, and those between found by halves.
      const Index most = droppable_turns(messages);
      Index too_few = 0, enough = std::min<Index>(1, most);
      while (enough < most && !fits_without(enough)) {
        too_few = enough;
        enough = std::min(2 * enough, most);
      }
      while (enough - too_few > 1) {
        const Index middle = too_few + (enough - too_few) / 2;
        (fits_without(middle) ? enough : too_few) = middle;
      }
      messages = without_oldest(messages, enough);
      prompt = prompt_of(messages);
      answer.dropped_turns = enough;
      if (answer.dropped_turns > 0) forget();  // so that it is read as a new dialogue would be, bit for bit
    }
    const bool fits = options_.when_full == FullPolicy::refuse ? needed() <= positions : std::ssize(prompt) < positions;
    require(fits, kWhere, "a dialogue of ", prompt.size(), " tokens and an answer of up to ", room,
            " do not fit in the model's ", positions, " positions");
    return prompt;
  }
  /// The places at which a user's turn begins, behind what stands first behind the system text.
  [[nodiscard]] static std::vector<Index> later_turns(std::span<const ChatMessage> messages) {
    std::vector<Index> places;
    for (Index i = first_turn(messages) + 1; i < std::ssize(messages); ++i) {
      if (at(messages, i).role == "user") places.push_back(i);
    }
    return places;
  }
  [[nodiscard]] static Index first_turn(std::span<const ChatMessage> messages) {
    return std::find_if(messages.begin(), messages.end(), [](auto& one) { return one.role != "system"; }) -
           messages.begin();
  }
  [[nodiscard]] static Index droppable_turns(std::span<const ChatMessage> messages) {
    return std::ssize(later_turns(messages));
  }
  /// Without so many of the oldest turns: a user's, and all up to the next.
  [[nodiscard]] static std::vector<ChatMessage> without_oldest(std::span<const ChatMessage> messages, Index turns) {
    std::vector<ChatMessage> left(messages.begin(), messages.end());
    if (turns == 0) return left;
    left.erase(left.begin() + first_turn(messages), left.begin() + at(later_turns(messages), turns - 1));
    return left;
  }

  /// Cuts the state back to what it has in common with the prompt, whose last token is always read.
  void read_beginning(std::span<const TokenId> prompt, ChatAnswer& answer) {
    const auto other_from = model_.model().limits().other_from;
    if (other_from && (prompt_tokens_ <= *other_from) != (std::ssize(prompt) <= *other_from)) forget();
    prompt_tokens_ = std::ssize(prompt);
    const std::size_t most = std::min(read_.size(), prompt.size() - 1);
    const auto end = read_.begin() + static_cast<std::ptrdiff_t>(most);
    read_.erase(std::mismatch(read_.begin(), end, prompt.begin()).first, read_.end());
    state_.truncate(std::ssize(read_));
    answer.prompt_tokens = prompt_tokens_;
    answer.kept_tokens = std::ssize(read_);
  }

  [[nodiscard]] SamplingOptions sampling() const {
    SamplingOptions sampling = options_.sampling ? *options_.sampling : model_.defaults().sampling;
    if (!options_.sampling) {
      sampling.samples = 1;
      if (!model_.defaults().samples) sampling.temperature = 0;
    }
    GenerationOptions& generation = sampling.generation;
    generation.extra_length = generation.max_length = options_.answer_tokens;
    generation.min_length = std::min(generation.min_length, generation.max_length);
    generation.max_total_length =
        options_.when_full == FullPolicy::slide ? std::numeric_limits<Index>::max() : model_.model().limits().positions;
    return sampling;
  }
  /// Text up to the end of the turn.
  void generate(const std::vector<TokenId>& prompt, ChatAnswer& answer, const OnText& on_text) {
    TokenBatch batch;
    batch.push_back(prompt);
    TextStream<AnyTokenizer> stream(model_.tokenizer());
    bool is_wanted = true, has_ended = false;
    std::string shown;  // what on_text has been given
    const auto show = [&](bool is_last) {
      const std::string_view part = std::string_view(answer.text).substr(shown.size());
      const std::size_t size = is_last ? part.size() : part.size() - end_in(part);
      if (size == 0) return;
      shown += part.substr(0, size);
      if (on_text && is_wanted) is_wanted = on_text(part.substr(0, size));
    };
    const auto add = [&](const std::string& part) {
      answer.text += replace_malformed(part);  // some decoders give the bytes of broken characters as they are
      const std::string& end = model_.end_text();
      const std::size_t found = end.empty() ? std::string::npos : answer.text.find(end, shown.size());
      if (found == std::string::npos) return;
      answer.text.resize(found);
      has_ended = true;
    };
    SearchRequest request{
        .marks = model_.model().marks(), .seed = options_.seed, .streams = {static_cast<std::uint64_t>(answers_)}};
    request.marks->ends = model_.end_tokens();
    request.on_token = [&](Index, TokenId token) {
      answer.tokens.push_back(token);
      add(stream.add(token));
      show(has_ended);
      return is_wanted && !has_ended;
    };
    const Hypothesis found = model_.model().answer(state_, batch, sampling(), request);
    if (!has_ended && is_wanted) add(stream.finish());
    show(true);
    answer.finished = has_ended || (found.finished && is_wanted);
    read_ = prompt;
    read_.insert(read_.end(), answer.tokens.begin(), answer.tokens.end());
    const std::size_t read = to_size(state_.lengths().front());
    require(read <= read_.size(), kWhere, "the search read ", read, " tokens and told ", read_.size());
    read_.resize(read);  // the last token is chosen, and not read
  }
  /// How many bytes at the end of a text may be the beginning of the end of the turn.
  [[nodiscard]] std::size_t end_in(std::string_view text) const {
    const std::string_view end = model_.end_text();
    for (std::size_t size = std::min(text.size(), end.size()); size > 0; --size) {
      if (text.ends_with(end.substr(0, size))) return size;
    }
    return 0;
  }

  ChatModel model_;
  ConversationOptions options_;
  std::vector<ChatMessage> messages_;
  std::time_t started_;  // what the template takes for the present, so that its text does not change
  PrefixState<float> state_;
  std::vector<TokenId> read_;  // by the state
  Index prompt_tokens_ = 0;    // of the last answer
  Index answers_ = 0, dropped_turns_ = 0;
};

}}  // namespace rapt::RAPT_ABI

#include "rapt/pipelines/conversation_file.hpp"
