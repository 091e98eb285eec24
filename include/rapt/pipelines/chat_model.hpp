/// \file
/// What a dialogue needs of a model: a decoder of whatever family, its tokenizer and its chat template.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/generation/generation_defaults.hpp"
#include "rapt/generation/resumed_model.hpp"
#include "rapt/io/model_file.hpp"
#include "rapt/nn/decoding_state.hpp"
#include "rapt/pipelines/model_families.hpp"
#include "rapt/pipelines/text_completer.hpp"
#include "rapt/pipelines/text_generator.hpp"
#include "rapt/pretrained/chat_template.hpp"
#include "rapt/pretrained/generation_defaults.hpp"
#include "rapt/text/lines.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// How far a model's contexts reach.
struct ContextLimits {
  Index positions = 0;               ///< the longest context that the model was made for
  std::optional<Index> window = {};  ///< of all layers: a token sees no more than so many before it
  std::optional<Index> other_from =
      {};  ///< contexts longer than this have other rotary positions from the first token on
};
template <class Config>
[[nodiscard]] ContextLimits limits_of(const Config& config) {
  if constexpr (requires { config.rotary; }) {
    ContextLimits limits{.positions = config.rotary.max_positions};
    if (config.rotary.scaling == RotaryScaling::longrope) limits.other_from = config.rotary.original_length();
    if (config.rotary.scaling == RotaryScaling::dynamic) limits.other_from = config.rotary.max_positions;
    if constexpr (std::is_same_v<decltype(config.window), std::optional<Index>>) limits.window = config.window;
    return limits;
  } else {
    return {.positions = config.positions};
  }
}

/// A model that speaks, of whatever family.
class SpeakingModel {
 public:
  SpeakingModel() = default;
  SpeakingModel(const SpeakingModel&) = delete;
  SpeakingModel& operator=(const SpeakingModel&) = delete;
  virtual ~SpeakingModel() = default;

  [[nodiscard]] virtual const AnyTokenizer& tokenizer() const = 0;
  [[nodiscard]] virtual SequenceMarks marks() const = 0;
  [[nodiscard]] virtual Index vocabulary() const = 0;
  [[nodiscard]] virtual ContextLimits limits() const = 0;
  [[nodiscard]] virtual std::string config() const = 0;
  [[nodiscard]] virtual PrefixState<float> empty_state() const = 0;
  /// One hypothesis behind a prompt whose beginning the state has read.
  [[nodiscard]] virtual Hypothesis answer(PrefixState<float>& state, const TokenBatch& prompt,
                                          const SamplingOptions& options, const SearchRequest& request) const = 0;
  /// The logits behind some tokens   // [V]
  [[nodiscard]] virtual std::vector<float> logits_behind(std::span<const TokenId> tokens) const = 0;
};

template <class M>
class SpeakingModelOf final : public SpeakingModel {
 public:
  SpeakingModelOf(const std::filesystem::path& folder, const PretrainedOptions& options)
      : generator_(TextGenerator<M>::load(folder, options)) {}
  SpeakingModelOf(M model, AnyTokenizer tokenizer) : generator_(std::move(model), std::move(tokenizer)) {}

  [[nodiscard]] const AnyTokenizer& tokenizer() const override { return generator_.tokenizer(); }
  [[nodiscard]] SequenceMarks marks() const override { return model().sequence_marks(); }
  [[nodiscard]] Index vocabulary() const override { return model().config().vocabulary; }
  [[nodiscard]] ContextLimits limits() const override { return limits_of(model().config()); }
  [[nodiscard]] std::string config() const override { return config_to_json(model().config()); }
  [[nodiscard]] PrefixState<float> empty_state() const override { return model().empty_state(1); }
  [[nodiscard]] Hypothesis answer(PrefixState<float>& state, const TokenBatch& prompt, const SamplingOptions& options,
                                  const SearchRequest& request) const override {
    return sample(ResumedModel<M>(model(), state), prompt, options, request).front().front();
  }
  [[nodiscard]] std::vector<float> logits_behind(std::span<const TokenId> tokens) const override {
    TokenBatch prompt;
    prompt.push_back(tokens);
    PrefixState<float> state = model().start(prompt);
    const Tensor<float> logits = model().step(state, tokens.last(1));
    return {logits.row(0), logits.row(0) + logits.cols()};
  }

 private:
  [[nodiscard]] const M& model() const { return generator_.model(); }

  TextGenerator<M> generator_;
};

}  // namespace detail

/// A decoder with its tokenizer, its chat template and the search that its folder asks for. Copies share all of them; a
/// const one may be used from many threads.
class ChatModel {
 public:
  /// Opens whatever TextGenerator opens: a folder or a GGUF file of a decoder. `chat_template`: in place of the
  /// folder's own. Throws IoError for another model, and for one that has no chat template and is given none.
  explicit ChatModel(const std::filesystem::path& folder, std::optional<ChatTemplate> chat_template = {},
                     const PretrainedOptions& options = {})
      : template_(chat_template ? *std::move(chat_template) : ChatTemplate::load(folder)),
        defaults_(generation_defaults(folder)),
        model_(detail::load_one_of<detail::SpeakingModel, detail::SpeakingModelOf>(detail::CompletingFamilies(), folder,
                                                                                   "chat_model", options)) {
    find_end_of_turn();
  }
  /// A model that is there already. Throws ValueError for a tokenizer with more tokens than the model.
  template <DecodingModel M>
  ChatModel(M model, AnyTokenizer tokenizer, ChatTemplate chat_template,
            GenerationDefaults defaults = {.beam = {.beam_size = 1}})
      : template_(std::move(chat_template)),
        defaults_(std::move(defaults)),
        model_(std::make_shared<const detail::SpeakingModelOf<M>>(std::move(model), std::move(tokenizer))) {
    find_end_of_turn();
  }

  /// The template that renders dialogues.
  [[nodiscard]] const ChatTemplate& chat_template() const { return template_; }
  [[nodiscard]] const AnyTokenizer& tokenizer() const { return model_->tokenizer(); }
  /// The search that the folder asks for.
  [[nodiscard]] const GenerationDefaults& defaults() const { return defaults_; }
  /// The decoder with its tokenizer, whatever its family.
  [[nodiscard]] const detail::SpeakingModel& model() const { return *model_; }

  /// The tokens that end a turn: those that end the model's sequences, and the first special token that the template
  /// puts behind the assistant's turns. A template that refuses a dialogue of a question and an answer tells none: then
  /// answers may go on to their most tokens.
  [[nodiscard]] const std::vector<TokenId>& end_tokens() const { return end_tokens_; }
  /// The text that ends a turn, where the template puts one behind it, before a special token or without one; empty
  /// where that is white space alone, which stands within answers, too.
  [[nodiscard]] const std::string& end_text() const { return end_text_; }

  /// The tokens of a text in which special tokens are found, without special tokens around it: templates write all.
  /// Special tokens that a speaker writes are found, too, as in transformers.
  [[nodiscard]] std::vector<TokenId> encode(std::string_view text) const {
    return std::visit(
        [&](const auto& one) { return one.encode(text, {.add_special = false, .truncation = Truncation{}}); },
        tokenizer().tokenizer());
  }

  /// Tells models apart: a number made of the logits behind a few tokens, which depend on all weights, on the precision
  /// in which the calling program multiplies, and on the instruction set: those who have the same compute the same
  /// bits.
  [[nodiscard]] std::uint64_t fingerprint() const {
    const Index vocabulary = model_->vocabulary();
    constexpr Index kTokens = 8;
    std::vector<TokenId> tokens;
    for (Index i = 0; i < kTokens; ++i) tokens.push_back(static_cast<TokenId>(i * (vocabulary - 1) / (kTokens - 1)));
    if (model_->limits().positions < kTokens) tokens.resize(to_size(model_->limits().positions));
    std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
    for (const float logit : model_->logits_behind(tokens)) {
      std::uint32_t bits = 0;
      std::memcpy(&bits, &logit, sizeof bits);
      for (int shift = 0; shift < 32; shift += 8) hash = (hash ^ (bits >> shift & 0xFFu)) * 0x100000001b3u;
    }
    return hash;
  }

 private:
  /// What the template writes behind an assistant's turn.
  void find_end_of_turn() {
    end_tokens_ = model_->marks().ends;
    const std::string mark = "ANSWER";
    const std::vector<ChatMessage> messages = {{"user", "QUESTION"}, {"assistant", mark}};
    std::string text;
    try {
      text = template_.render(messages, {.begins_answer = false});
    } catch (const ValueError&) {  // a template of other roles
      return;
    }
    const std::size_t found = text.rfind(mark);
    if (found == std::string::npos) return;
    text.erase(0, found + mark.size());
    const std::vector<TokenId> tokens = encode(text);
    const auto is_special = [&](TokenId token) {
      return std::visit([&](const auto& one) { return one.is_special(token); }, tokenizer().tokenizer());
    };
    const auto special = std::find_if(tokens.begin(), tokens.end(), is_special);
    if (special != tokens.end()) {
      text = tokenizer().decode(std::vector<TokenId>(tokens.begin(), special));
      if (std::find(end_tokens_.begin(), end_tokens_.end(), *special) == end_tokens_.end()) {
        end_tokens_.push_back(*special);
      }
    }
    if (!is_blank(text)) end_text_ = text;
  }

  ChatTemplate template_;
  GenerationDefaults defaults_;
  std::shared_ptr<const detail::SpeakingModel> model_;
  std::vector<TokenId> end_tokens_;
  std::string end_text_;
};

}}  // namespace rapt::RAPT_ABI
