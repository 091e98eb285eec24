/// \file
/// From sound to text: a Whisper with its tokenizer and spectrograms.
///
/// ```cpp
/// const auto recognizer = rapt::speech_recognizer("whisper-tiny");
/// const std::string text = recognizer(rapt::read_wav("speech.wav"), {.language = "en"});
/// ```
#pragma once

#include <algorithm>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/audio/log_mel.hpp"
#include "rapt/audio/wav.hpp"
#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/greedy.hpp"
#include "rapt/models/whisper.hpp"
#include "rapt/pipelines/tokenizer.hpp"
#include "rapt/pretrained/config_keys.hpp"
#include "rapt/pretrained/preprocessor_json.hpp"
#include "rapt/pretrained/whisper.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The language, the task and the search of a transcription.
struct SpeechRecognitionOptions {
  std::string language = {};  ///< its token's name, as "en" or "de"; empty: what the model hears in the first window
  bool translate = false;     ///< to English, in place of the language that is spoken
  Index beam_size = 1;        ///< 1: greedy search
};

/// Writes what is said, without times. Sound is cut into windows of the model's length, 30 s, which are transcribed by
/// themselves and joined, so that a word at their border may be lost. A const one may be used from many threads.
class SpeechRecognizer {
 public:
  /// Throws ValueError for a tokenizer with more tokens than the model or without those of Whisper, and for
  /// spectrograms that the model cannot read.
  SpeechRecognizer(Whisper<float> model, AnyTokenizer tokenizer, const LogMelOptions& spectrogram = {})
      : model_(std::move(model)), tokenizer_(std::move(tokenizer)), log_mel_(spectrogram) {
    const WhisperConfig& config = model_.config();
    require(tokenizer_.size() <= config.vocabulary, kWhere, "the tokenizer has ", tokenizer_.size(),
            " tokens, the model ", config.vocabulary);
    require(spectrogram.bins == config.bins && spectrogram.frames() == 2 * config.encoder_positions, kWhere,
            "spectrograms have ", spectrogram.frames(), " rows and ", spectrogram.bins, " bins, the model reads ",
            2 * config.encoder_positions, " and ", config.bins);
    without_times_ = token("<|notimestamps|>");
    if (config.multilingual) find_languages();
    pack_weights(model_);
  }

  /// The text of the sound, without spaces around it. Throws ValueError for another rate than the spectrograms', and
  /// for a language that the model does not know, or any where it knows English alone.
  [[nodiscard]] std::string operator()(const Sound& sound, const SpeechRecognitionOptions& options = {}) const {
    const Inference scope;
    require(options.beam_size >= 1, kWhere, "beam_size must be positive: ", options.beam_size);
    const Index length = log_mel_.options().samples, windows = (std::ssize(sound.samples) + length - 1) / length;
    std::vector<TokenId> prefix;
    if (!model_.config().multilingual) {
      require(options.language.empty() && !options.translate, kWhere, "the model knows English alone: language ",
              options.language, options.translate ? ", translated" : "");
    } else if (!options.language.empty()) {
      prefix.push_back(language_token(options.language));
    }
    std::string text;
    for (Index begin = 0; begin < windows; begin += kWindowsAtOnce) {
      const HeardSpeech<float> heard(model_, spectrograms(sound, begin, std::min(windows, begin + kWindowsAtOnce)));
      if (model_.config().multilingual) {
        if (prefix.empty()) prefix.push_back(detect_language(heard));
        if (prefix.size() == 1) prefix.push_back(token(options.translate ? "<|translate|>" : "<|transcribe|>"));
      }
      if (begin == 0) prefix.push_back(without_times_);
      for (const Hypothesis& found : search(heard, prefix, options.beam_size)) text += written(found.tokens);
    }
    const std::size_t first = text.find_first_not_of(' ');
    return first == text.npos ? std::string() : text.substr(first, text.find_last_not_of(' ') + 1 - first);
  }

  /// The language that the model hears in the first window: "en" for the token "<|en|>". Throws ValueError where it
  /// knows English alone, and for sound without samples.
  [[nodiscard]] std::string language(const Sound& sound) const {
    const Inference scope;
    require(!sound.samples.empty(), kWhere, "the sound has no samples");
    const std::string& name = tokenizer_.token(detect_language({model_, spectrograms(sound, 0, 1)}));
    return name.substr(2, name.size() - 4);
  }

  [[nodiscard]] const Whisper<float>& model() const { return model_; }
  /// The tokenizer of the texts.
  [[nodiscard]] const AnyTokenizer& tokenizer() const { return tokenizer_; }
  /// How sound becomes spectrograms.
  [[nodiscard]] const LogMel& log_mel() const { return log_mel_; }

 private:
  static constexpr std::string_view kWhere = "speech_recognizer";
  static constexpr Index kWindowsAtOnce = 8;  // so that long sound needs no more memory than these

  [[nodiscard]] TokenId token(std::string_view name) const {
    const TokenId id = tokenizer_.id(name);
    require(id >= 0, kWhere, "the tokenizer has no ", name);
    return id;
  }
  /// Tokens such as "<|en|>", of two or three small letters.
  void find_languages() {
    for (TokenId id = 0; id < tokenizer_.size(); ++id) {
      const std::string_view name = tokenizer_.token(id);
      if (name.size() < 6 || name.size() > 7 || !name.starts_with("<|") || !name.ends_with("|>")) continue;
      const std::string_view inside = name.substr(2, name.size() - 4);
      if (std::all_of(inside.begin(), inside.end(), [](char c) { return c >= 'a' && c <= 'z'; })) {
        languages_.push_back(id);
      }
    }
    require(!languages_.empty(), kWhere, "the model knows many languages, the tokenizer has no token of any");
  }
  [[nodiscard]] TokenId language_token(const std::string& language) const {
    const TokenId id = tokenizer_.id("<|" + language + "|>");
    require(std::find(languages_.begin(), languages_.end(), id) != languages_.end(), kWhere,
            "the model does not know the language ", language, ", of which \"en\" is an example");
    return id;
  }

  [[nodiscard]] SpeechBatch<float> spectrograms(const Sound& sound, Index begin, Index end) const {
    const auto length = to_size(log_mel_.options().samples);
    const Index frames = log_mel_.options().frames();
    Tensor<float> all(Shape{(end - begin) * frames, log_mel_.options().bins});
    for (Index i = begin; i < end; ++i) {
      const auto samples = std::span(sound.samples).subspan(to_size(i) * length);
      const Tensor<float> one = log_mel_(samples.first(std::min(length, samples.size())), sound.rate);
      std::copy_n(one.data(), one.size(), all.row((i - begin) * frames));
    }
    return {std::move(all), RowSplits::equal(end - begin, frames)};
  }

  /// The language token that is the most probable behind the begin token of the first window.
  [[nodiscard]] TokenId detect_language(const HeardSpeech<float>& heard) const {
    require(!languages_.empty(), kWhere, "the model knows English alone");
    auto state = heard.start(heard.sources());
    const std::vector<TokenId> begin(to_size(state.rows()), model_.config().begin_token);
    const Tensor<float> logits = heard.step(state, begin);
    return *std::max_element(languages_.begin(), languages_.end(),
                             [&](TokenId a, TokenId b) { return logits(0, a) < logits(0, b); });
  }

  [[nodiscard]] std::vector<Hypothesis> search(const HeardSpeech<float>& heard, const std::vector<TokenId>& prefix,
                                               Index beam_size) const {
    const GenerationOptions generation{.extra_length = std::numeric_limits<Index>::max(),
                                       .begin_suppressed = model_.config().begin_suppressed_tokens};
    SearchRequest request;
    const TokenBatch sources = heard.sources();
    for (Index i = 0; i < sources.sequences(); ++i) request.prefix.push_back(prefix);
    return beam_size == 1 ? greedy_search(heard, sources, generation, request)
                          : beam_search(heard, sources, {.beam_size = beam_size, .generation = generation}, request);
  }
  /// The text of a hypothesis: times, whose tokens stand behind all others, and special tokens give none.
  [[nodiscard]] std::string written(std::vector<TokenId> tokens) const {
    std::erase_if(tokens, [&](TokenId id) { return id >= without_times_; });
    return tokenizer_.decode(tokens);
  }

  Whisper<float> model_;
  AnyTokenizer tokenizer_;
  LogMel log_mel_;
  TokenId without_times_ = 0;
  std::vector<TokenId> languages_;
};

namespace detail {

/// The spectrograms that the feature extractor's settings tell, a JSON object which is called `where` in messages.
[[nodiscard]] inline LogMelOptions log_mel_options_from_json(const nlohmann::json& json, const std::string& where) {
  const ConfigReader key(json, where);
  LogMelOptions options;
  Index seconds = 30;
  key("feature_size", options.bins);
  key("n_fft", options.window);
  key("hop_length", options.hop);
  key("chunk_length", seconds);
  key.expect(seconds > 0 && seconds <= 3600, "chunk_length", seconds, "from 1 to 3600 seconds");
  key.must_be("sampling_rate", options.rate);  // the highest pitch is the same at other rates, which LogMel is not for
  for (const char* silent : {"padding_value", "dither"}) key.must_be(silent, 0.0);
  options.samples = seconds * options.rate;
  try {
    options.validate();
  } catch (const ValueError& error) {
    fail<IoError>("pretrained", where, ": ", std::string_view(error.what()));
  }
  return options;
}

}  // namespace detail

/// Reads a folder: model, tokenizer, and how spectrograms are made. Throws IoError that names the file for what is
/// missing, malformed, or not known.
[[nodiscard]] inline SpeechRecognizer speech_recognizer(const std::filesystem::path& folder) {
  const detail::PreprocessorJson found = detail::read_preprocessor(folder, "feature_extractor", "speech_recognizer");
  return {from_pretrained<Whisper<float>>(folder), AnyTokenizer::load(folder),
          detail::log_mel_options_from_json(found.settings, found.file)};
}

}}  // namespace rapt::RAPT_ABI
