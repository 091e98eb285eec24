/// \file
/// A small model of every kind that save_pretrained writes, with each optional setting on and off, what it is given and
/// what it gives. Names of inputs and outputs are those of transformers, where tests/golden/check_pretrained.py loads
/// what was saved.
#pragma once

#include <map>
#include <string>

#include "rapt/core/rng.hpp"
#include "rapt/generation/greedy.hpp"
#include "rapt/pretrained/bart.hpp"
#include "rapt/pretrained/beit.hpp"
#include "rapt/pretrained/bert.hpp"
#include "rapt/pretrained/clip.hpp"
#include "rapt/pretrained/deit.hpp"
#include "rapt/pretrained/gemma.hpp"
#include "rapt/pretrained/gpt.hpp"
#include "rapt/pretrained/image_gpt.hpp"
#include "rapt/pretrained/llama.hpp"
#include "rapt/pretrained/mae.hpp"
#include "rapt/pretrained/marian.hpp"
#include "rapt/pretrained/modern_bert.hpp"
#include "rapt/pretrained/t5.hpp"
#include "rapt/pretrained/transformer_xl.hpp"
#include "rapt/pretrained/vit.hpp"
#include "rapt/pretrained/whisper.hpp"

namespace rapt_test {

inline constexpr rapt::Index kGenerated = 5;

/// What a model is given, and what it gives then.
template <class T>
struct SavedRun {
  std::map<std::string, std::vector<std::int64_t>> ids;  ///< `<name>`, and `<name>.splits` where lengths differ
  std::map<std::string, rapt::Tensor<T>> numbers;
  std::map<std::string, rapt::Tensor<T>> outputs;
  rapt::TokenBatch generated;  ///< by greedy search, at most kGenerated tokens for each sequence

  void set_ids(const std::string& name, const rapt::TokenBatch& batch) {
    ids[name].assign(batch.tokens.begin(), batch.tokens.end());
    const auto offsets = batch.row_splits.offsets();
    ids[name + ".splits"].assign(offsets.begin(), offsets.end());
  }
};

/// Values of a size at which mistakes show.
template <class M>
void randomise(M& model) {
  rapt::Rng rng(7);
  rapt::for_each_parameter(model, [&](const std::string&, auto& parameter) {
    std::vector<double> noise(static_cast<std::size_t>(parameter.size()));
    rng.fill_normal(std::span(noise), 0.0, 0.3);
    auto values = parameter.mutable_value().values();
    using T = typename M::ScalarType;
    for (std::size_t i = 0; i < noise.size(); ++i) values[i] = static_cast<T>(static_cast<float>(values[i] + noise[i]));
  });
}

/// With the begin and end tokens that the model knows.
template <class M>
[[nodiscard]] rapt::TokenBatch generate_saved(const M& model, const rapt::TokenBatch& source) {
  rapt::TokenBatch generated;
  for (const auto& found : rapt::greedy_search(model, source, {.extra_length = kGenerated, .max_length = kGenerated})) {
    generated.push_back(found.tokens);
  }
  return generated;
}

[[nodiscard]] inline rapt::TokenBatch saved_tokens() { return rapt::TokenBatch({{1, 5, 3, 12, 7, 9, 4}, {11, 2, 6}}); }

/// One image twice as wide as high has other sizes on either side than one twice as high.
template <class T>
[[nodiscard]] rapt::ImageBatch<T> saved_images(const rapt::ImageShape& shape) {
  rapt::Rng rng(3);
  rapt::Tensor<T> pixels(rapt::Shape{2, shape.size()});
  std::vector<double> noise(static_cast<std::size_t>(pixels.size()));
  rng.fill_normal(std::span(noise), 0.0, 1.0);
  std::transform(noise.begin(), noise.end(), pixels.data(), [](double x) { return static_cast<T>(x); });
  return {std::move(pixels), shape};
}

/// The pixels as [B, C, H, W].
template <class T>
[[nodiscard]] rapt::Tensor<T> saved_pixels(const rapt::ImageBatch<T>& images) {
  rapt::Tensor<T> pixels = images.pixels();
  const rapt::ImageShape& shape = images.shape();
  pixels.reshape(rapt::Shape{images.images(), shape.channels, shape.height, shape.width});
  return pixels;
}

template <class M>
requires requires { M::kDecoderOnly; }
[[nodiscard]] SavedRun<typename M::ScalarType> run_saved(const M& model) {
  const rapt::TokenBatch tokens = saved_tokens();
  SavedRun<typename M::ScalarType> run;
  run.set_ids("input_ids", tokens);
  if constexpr (requires { model.config().pixel_head; }) {
    if (!model.config().labels.empty()) {
      run.outputs["logits"] = model.class_logits(model.hidden(tokens), tokens.row_splits).value();
      return run;
    }
    if (!model.config().pixel_head) {
      run.outputs["last_hidden_state"] = model.hidden(tokens).value();
      return run;
    }
  }
  run.generated = generate_saved(model, tokens);
  if constexpr (requires { model(tokens).value(); }) {
    run.outputs["logits"] = model(tokens).value();
  } else {
    rapt::SegmentCache<typename M::ScalarType> cache;
    run.outputs["logits"] = model(tokens, cache);
  }
  return run;
}

template <class M>
requires requires(const M& model, const rapt::TokenBatch& batch) { model(batch, batch).value(); }
[[nodiscard]] SavedRun<typename M::ScalarType> run_saved(const M& model) {
  const rapt::TokenBatch source = saved_tokens(), target({{8, 4, 2, 10}, {8, 9}});
  SavedRun<typename M::ScalarType> run;
  run.set_ids("input_ids", source);
  run.set_ids("decoder_input_ids", target);
  run.outputs["logits"] = model(source, target).value();
  run.generated = generate_saved(model, source);
  return run;
}

/// The columns of [N, 2] scores of the places of answers, as transformers gives them.
template <class T>
void set_places(SavedRun<T>& run, const rapt::Tensor<T>& scores) {
  for (const auto& [name, column] : {std::pair{"start_logits", 0}, {"end_logits", 1}}) {
    rapt::Tensor<T>& values = run.outputs[name] = rapt::Tensor<T>(rapt::Shape{scores.rows(), 1});
    for (rapt::Index i = 0; i < scores.rows(); ++i) values(i, 0) = scores(i, column);
  }
}

template <class T>
[[nodiscard]] SavedRun<T> run_saved(const rapt::ModernBert<T>& model) {
  const rapt::TokenBatch tokens = saved_tokens();
  const rapt::ModernBertConfig& config = model.config();
  SavedRun<T> run;
  run.set_ids("input_ids", tokens);
  const rapt::Variable<T> hidden = model.hidden(tokens);
  if (config.masked_language_head) {
    run.outputs["logits"] = model.logits(hidden).value();
  } else if (config.question_head) {
    set_places(run, model.question_logits(hidden).value());
  } else if (!config.labels.empty()) {
    run.outputs["logits"] = model.class_logits(hidden, tokens.row_splits).value();
  } else {
    run.outputs["last_hidden_state"] = hidden.value();
  }
  return run;
}

template <class T>
[[nodiscard]] SavedRun<T> run_saved(const rapt::Bart<T>& model) {
  const rapt::TokenBatch source({{10, 5, 3, 12, 7, 9, 2}, {11, 6, 2}}), target({{8, 14, 3, 10}, {8, 9}});
  SavedRun<T> run;
  run.set_ids("input_ids", source);
  if (!model.config().labels.empty()) {
    run.outputs["logits"] = model.class_logits(source).value();
    return run;
  }
  run.set_ids("decoder_input_ids", target);
  run.outputs["logits"] = model(source, target).value();
  run.generated = generate_saved(model, source);
  return run;
}

template <class T>
[[nodiscard]] SavedRun<T> run_saved(const rapt::Bert<T>& model) {
  const rapt::TokenBatch tokens = saved_tokens();
  const rapt::BertConfig& config = model.config();
  std::vector<rapt::TokenId> types(tokens.tokens.size(), 0);
  if (config.token_types > 1) types[5] = types[6] = types[9] = 1;
  SavedRun<T> run;
  run.set_ids("input_ids", tokens);
  if (config.token_types > 0) run.ids["token_type_ids"].assign(types.begin(), types.end());
  const rapt::Variable<T> hidden = model.hidden(tokens, types);
  const auto& splits = tokens.row_splits;
  if (!config.labels.empty()) {
    run.outputs["logits"] = model.class_logits(hidden, splits).value();
  } else if (config.question_head) {
    set_places(run, model.question_logits(hidden).value());
  } else if (config.masked_language_head) {
    const bool both = config.next_sentence_head;
    run.outputs[both ? "prediction_logits" : "logits"] = model.logits(hidden).value();
    const bool albert = config.family == rapt::BertFamily::albert;
    if (both)
      run.outputs[albert ? "sop_logits" : "seq_relationship_logits"] =
          model.next_sentence_logits(hidden, splits).value();
  } else if (config.replaced_token_head) {
    run.outputs["logits"] = model.replaced_token_logits(hidden).value();
  } else if (config.next_sentence_head) {
    run.outputs["logits"] = model.next_sentence_logits(hidden, splits).value();
  } else {
    run.outputs["last_hidden_state"] = hidden.value();
    if (config.pooler) run.outputs["pooler_output"] = model.pooled(hidden, splits).value();
  }
  return run;
}

/// ViT and DeiT.
template <class M>
requires requires(const M& model, const rapt::Variable<typename M::ScalarType>& hidden, const rapt::RowSplits& splits) {
  model.pooler_output(hidden, splits);
}
[[nodiscard]] SavedRun<typename M::ScalarType> run_saved(const M& model) {
  using T = typename M::ScalarType;
  const auto images = saved_images<T>(model.config().grid.image);
  SavedRun<T> run;
  run.numbers["pixel_values"] = saved_pixels(images);
  if (!model.config().labels.empty()) {
    run.outputs["logits"] = model(images).value();
    return run;
  }
  const rapt::Variable<T> hidden = model.hidden(images);
  run.outputs["last_hidden_state"] = hidden.value();
  if (model.config().pooler) run.outputs["pooler_output"] = model.pooler_output(hidden, model.splits(images)).value();
  return run;
}

template <class T>
[[nodiscard]] SavedRun<T> run_saved(const rapt::Clip<T>& model) {
  const auto images = saved_images<T>(model.config().vision.grid.image);
  const rapt::TokenBatch texts({{1, 16, 3, 5}, {11, 2, 6, 16}});  // of one length, for one call of transformers
  SavedRun<T> run;
  run.numbers["pixel_values"] = saved_pixels(images);
  run.set_ids("input_ids", texts);
  run.outputs["image_embeds"] = model.image_embedding(images).value();
  run.outputs["text_embeds"] = model.text_embedding(texts).value();
  run.outputs["logits_per_image"] = model(images, texts).value();
  return run;
}

template <class T>
[[nodiscard]] SavedRun<T> run_saved(const rapt::Whisper<T>& model) {
  const rapt::WhisperConfig& config = model.config();
  const rapt::Index frames = 2 * config.encoder_positions;
  const auto images = saved_images<T>({.channels = 1, .height = config.bins, .width = frames});
  SavedRun<T> run;
  run.numbers["input_features"] = saved_pixels(images);  // [B, 1, bins, frames]
  run.numbers["input_features"].reshape(rapt::Shape{2, config.bins, frames});
  rapt::Tensor<T> rows(rapt::Shape{2 * frames, config.bins});
  for (rapt::Index i = 0; i < rows.rows(); ++i) {
    for (rapt::Index j = 0; j < config.bins; ++j) rows(i, j) = images.pixels()(i / frames, j * frames + i % frames);
  }
  const rapt::SpeechBatch<T> speech(std::move(rows), rapt::RowSplits::equal(2, frames));
  const rapt::TokenBatch target({{15, 4, 2, 10}, {15, 9, 1, 1}});  // of one length, for one call of transformers
  run.set_ids("decoder_input_ids", target);
  run.outputs["logits"] = model(speech, target).value();
  return run;
}

template <class T>
[[nodiscard]] SavedRun<T> run_saved(const rapt::Beit<T>& model) {
  const rapt::BeitConfig& config = model.config();
  const auto images = saved_images<T>(config.grid.image);
  SavedRun<T> run;
  run.numbers["pixel_values"] = saved_pixels(images);
  rapt::PatchMask mask;
  if (config.mask_token) {
    std::vector<bool> hidden(static_cast<std::size_t>(2 * config.grid.patches()));
    for (const std::size_t i : {1u, 4u, 7u}) hidden[i] = true;
    run.ids["bool_masked_pos"].assign(hidden.begin(), hidden.end());
    mask = rapt::PatchMask::from_flags(hidden, config.grid.patches());
  }
  if (!config.labels.empty()) {
    run.ids.erase("bool_masked_pos");
    run.outputs["logits"] = model(images).value();
    return run;
  }
  const rapt::Variable<T> hidden = model.hidden(images, mask);
  if (config.masked_patch_head) {
    run.outputs["logits"] = model.patch_logits(hidden).value();
  } else {
    run.outputs["last_hidden_state"] = hidden.value();
    if (config.pooler) run.outputs["pooler_output"] = model.pooled(hidden).value();
  }
  return run;
}

template <class T>
[[nodiscard]] SavedRun<T> run_saved(const rapt::Mae<T>& model) {
  const rapt::MaeConfig& config = model.config();
  const auto images = saved_images<T>(config.grid.image);
  // transformers shows the patches with the least noise, in its order
  const rapt::Index patches = config.grid.patches();
  const auto kept = static_cast<rapt::Index>(static_cast<double>(patches) * (1 - config.mask_ratio));
  rapt::Tensor<T> noise(rapt::Shape{2, patches});
  std::vector<rapt::TokenId> visible;
  for (rapt::Index b = 0; b < 2; ++b) {
    std::vector<rapt::TokenId> order;
    for (rapt::Index i = 0; i < patches; ++i) {
      noise(b, i) = static_cast<T>((5 * i + 2 * b) % patches);  // no two are the same, as 5 does not divide `patches`
      order.push_back(static_cast<rapt::TokenId>(i));
    }
    std::sort(order.begin(), order.end(), [&](auto i, auto j) { return noise(b, i) < noise(b, j); });
    for (rapt::Index i = 0; i < kept; ++i) {
      visible.push_back(order[static_cast<std::size_t>(i)] + static_cast<rapt::TokenId>(b * patches));
    }
  }
  const rapt::PatchMask mask(2, patches, visible);
  SavedRun<T> run;
  run.numbers["pixel_values"] = saved_pixels(images);
  run.numbers["noise"] = noise;
  const rapt::Variable<T> hidden = model.hidden(images, mask);
  if (config.decoder) {
    run.outputs["logits"] = model.predict(hidden, mask).value();
  } else {
    run.outputs["last_hidden_state"] = hidden.value();
  }
  return run;
}

/// Calls visit(name, model) for each case. T: of the weights.
template <class T, class Visit>
class SavedModels {
 public:
  explicit SavedModels(const Visit& visit) : visit_(visit) {}

  void all() const {
    gpt();
    bert();
    bert_families();
    modern_bert();
    llama();
    gemma();
    marian();
    bart();
    t5();
    transformer_xl();
    images<rapt::Vit<T>>("vit");
    images<rapt::Deit<T>>("deit");
    deit();
    beit();
    mae();
    image_gpt();
    clip();
    whisper();
  }

 private:
  static constexpr rapt::Activation kNamed[] = {
      rapt::Activation::none,       rapt::Activation::relu, rapt::Activation::gelu, rapt::Activation::gelu_tanh,
      rapt::Activation::quick_gelu, rapt::Activation::silu, rapt::Activation::tanh};

  /// The config of `base` changed by `change`.
  template <class M, class Change>
  void add(const std::string& name, typename M::Config config, const Change& change) const {
    change(config);
    rapt::Rng rng(1);
    M model(config, rng);
    randomise(model);
    visit_(name, std::as_const(model));
  }

  /// `cases(name, change)` adds the case `<kind>_<name>` of one model: the config changed by `change`.
  template <class M>
  [[nodiscard]] auto cases_of(const std::string& kind, const typename M::Config& config) const {
    return [this, kind, config](const std::string& name, const auto& change) {
      this->template add<M>(kind + "_" + name, config, change);
    };
  }

  void gpt() const {
    const auto with =
        cases_of<rapt::Gpt<T>>("gpt", {.vocabulary = 17, .positions = 12, .d_model = 8, .layers = 2, .heads = 2});
    with("plain", [](auto&) {});
    with("wide", [](auto& c) { c.d_ff = 20, c.norm_epsilon = 1e-3, c.dropout = 0.25f; });
    with("unscaled", [](auto& c) { c.scale_attention = false; });
    with("scaled_by_layer", [](auto& c) { c.scale_attention_by_layer = true; });
    with("untied", [](auto& c) { c.tie_embeddings = false; });
    with("tokens", [](auto& c) { c.begin_token = 3, c.end_tokens = {3}, c.pad_token = 5; });
    with("ends", [](auto& c) { c.end_tokens = {4, 9}, c.suppressed_tokens = {3}; });
    for (const rapt::Activation activation : kNamed) {
      with(to_string(activation), [&](auto& c) { c.activation = activation; });
    }
  }

  void bert() const {
    const auto with = cases_of<rapt::Bert<T>>(
        "bert", {.vocabulary = 17, .positions = 12, .d_model = 8, .layers = 2, .heads = 2, .d_ff = 12});
    with("plain", [](auto&) {});
    with("no_pooler", [](auto& c) { c.pooler = false; });
    with("masked", [](auto& c) { c.masked_language_head = true, c.pooler = false; });
    with("masked_pooler", [](auto& c) { c.masked_language_head = true; });
    with("next", [](auto& c) { c.next_sentence_head = true; });
    with("pretraining", [](auto& c) { c.masked_language_head = c.next_sentence_head = true; });
    for (const std::size_t classes : {1u, 2u, 3u}) {
      const auto labels = std::vector<std::string>{"yes", "no", "perhaps \"\u00e4\""};
      const auto some = [&](auto& c) { c.labels.assign(labels.begin(), labels.begin() + static_cast<long>(classes)); };
      with("labels_" + std::to_string(classes), some);
      with("tokens_" + std::to_string(classes),
           [&](auto& c) { some(c), c.pooler = false, c.classifier_dropout = 0.5f; });
    }
    with("regression", [](auto& c) { c.labels = {"score"}, c.problem = rapt::LabelProblem::regression; });
    with("question", [](auto& c) { c.question_head = true, c.pooler = false; });
    with("one_type", [](auto& c) { c.token_types = 1, c.padding_token = {}; });
    with("activation", [](auto& c) { c.activation = rapt::Activation::relu, c.padding_token = 16; });
    with("epsilon", [](auto& c) { c.norm_epsilon = 1e-3; });
  }

  void bert_families() const {
    using rapt::BertFamily;
    for (const auto& known : named_values(BertFamily())) {
      if (known.value == BertFamily::bert) continue;
      const bool albert = known.value == BertFamily::albert, electra = known.value == BertFamily::electra;
      const bool distilbert = known.value == BertFamily::distilbert;
      const auto with = [&](const std::string& name, const auto& change) {
        add<rapt::Bert<T>>(std::string(known.name) + "_" + name,
                           {.family = known.value,
                            .vocabulary = 17,
                            .positions = 12,
                            .token_types = distilbert ? 0 : 2,
                            .d_model = 8,
                            .layers = 2,
                            .layer_groups = albert ? 1 : 0,
                            .heads = 2,
                            .d_ff = 12},
                           [&](auto& c) {
                             if (albert || electra) c.embedding_width = 6;
                             c.pooler = !electra && !distilbert;
                             change(c);
                           });
      };
      with("plain", [](auto&) {});
      with("masked", [](auto& c) { c.masked_language_head = true, c.activation = rapt::Activation::relu; });
      with("labels", [](auto& c) { c.labels = {"yes", "no", "perhaps"}, c.pooler = true; });
      with("number", [](auto& c) {
        c.labels = {"score"}, c.pooler = true, c.problem = rapt::LabelProblem::regression, c.classifier_dropout = 0.5f;
      });
      with("tokens", [](auto& c) { c.labels = {"yes", "no", "perhaps"}, c.pooler = false; });
      with("question", [](auto& c) { c.question_head = true, c.pooler = false; });
      if (!distilbert) with("epsilon", [](auto& c) { c.norm_epsilon = 1e-3; });
      if (electra) with("discriminator", [](auto& c) { c.replaced_token_head = true; });
      if (electra) with("wide", [](auto& c) { c.embedding_width.reset(); });
      if (albert) with("pretraining", [](auto& c) { c.masked_language_head = c.next_sentence_head = true; });
      if (albert) with("groups", [](auto& c) { c.layers = 4, c.layer_groups = 2, c.embedding_width = 8; });
      if (known.value == BertFamily::roberta) with("padding", [](auto& c) { c.padding_token = 3, c.token_types = 1; });
    }
  }

  void modern_bert() const {
    const auto with = cases_of<rapt::ModernBert<T>>("modern_bert", {.vocabulary = 17,
                                                                    .positions = 12,
                                                                    .d_model = 8,
                                                                    .layers = 3,
                                                                    .heads = 2,
                                                                    .d_ff = 12,
                                                                    .window = 2,
                                                                    .padding_token = 0});
    with("plain", [](auto&) {});
    with("masked", [](auto& c) { c.masked_language_head = true; });
    with("no_bias", [](auto& c) { c.masked_language_head = true, c.vocabulary_bias = false; });
    with("biases", [](auto& c) {
      c.masked_language_head = c.norm_bias = c.attention_bias = c.feed_forward_bias = c.head_bias = true;
    });
    with("labels", [](auto& c) { c.labels = {"yes", "no", "perhaps"}, c.classifier_dropout = 0.5f; });
    with("mean", [](auto& c) { c.labels = {"yes", "no"}, c.mean_pooling = true; });
    with("number", [](auto& c) { c.labels = {"score"}, c.problem = rapt::LabelProblem::regression; });
    with("tokens", [](auto& c) { c.labels = {"yes", "no", "perhaps"}, c.token_labels = true; });
    with("question", [](auto& c) { c.question_head = true; });
    with("rotary", [](auto& c) { c.theta = 100, c.local_theta = 30, c.global_every = 2, c.window = 1; });
    with("options", [](auto& c) {
      c.activation = rapt::Activation::silu, c.head_activation = rapt::Activation::relu, c.norm_epsilon = 1e-3;
      c.masked_language_head = true, c.global_every = 1, c.embedding_dropout = 0.5f;
    });
  }

  void llama() const {
    using rapt::RotaryScaling;
    const auto with = cases_of<rapt::Llama<T>>(
        "llama",
        {.vocabulary = 17, .d_model = 16, .layers = 2, .heads = 4, .d_ff = 20, .rotary = {.max_positions = 6}});
    for (const std::string family : {"llama", "mistral", "qwen2", "qwen3"}) {
      const auto of_family = [&](const std::string& name, const auto& change) {
        with(family + "_" + name, [&](auto& c) {
          if (family == "mistral") c.window = 3;
          if (family == "qwen2") c.attention_bias = true;
          if (family == "qwen3") c.query_key_norm = true;
          change(c);
        });
      };
      of_family("plain", [](auto&) {});
      of_family("groups", [](auto& c) { c.key_value_heads = 2; });
      of_family("one_group", [](auto& c) { c.key_value_heads = 1; });
      of_family("head_dim", [](auto& c) { c.head_dim = 6; });
      of_family("tied", [](auto& c) { c.tie_embeddings = true; });
      of_family("tokens", [](auto& c) { c.begin_token = 1, c.end_tokens = {3, 11, 16}, c.pad_token = 0; });
      of_family("theta", [](auto& c) { c.rotary.theta = 500, c.norm_epsilon = 0.01; });
      of_family("linear", [](auto& c) { c.rotary.scaling = RotaryScaling::linear, c.rotary.factor = 2; });
      of_family("llama3", [](auto& c) {
        c.rotary.scaling = RotaryScaling::llama3, c.rotary.factor = 8, c.rotary.original_positions = 4;
      });
      of_family("yarn", [](auto& c) {
        c.rotary.scaling = RotaryScaling::yarn, c.rotary.factor = 4, c.rotary.original_positions = 3;
      });
    }
    const auto phi3 = [&](const std::string& name, const auto& change) {
      with("phi3_" + name, [&](auto& c) {
        c.fused_projections = true;
        change(c);
      });
    };
    phi3("plain", [](auto&) {});
    phi3("window", [](auto& c) { c.window = 3, c.key_value_heads = 2; });
    phi3("tied", [](auto& c) { c.tie_embeddings = true, c.rotary.rotated_ratio = 0.5; });
    phi3("longrope", [](auto& c) {
      c.rotary.scaling = RotaryScaling::longrope, c.rotary.original_positions = 4, c.rotary.factor = 1.5;
      c.rotary.short_factors = {1, 1.25}, c.rotary.long_factors = {1, 3};
    });
    phi3("longrope_attention", [](auto& c) {
      c.rotary.scaling = RotaryScaling::longrope, c.rotary.factor = 2, c.rotary.attention_factor = 1.25;
      c.rotary.short_factors = {1, 1.25}, c.rotary.long_factors = {1, 3}, c.rotary.max_positions = 60;
    });
    with("qwen3_biases", [](auto& c) { c.query_key_norm = c.attention_bias = c.attention_output_bias = true; });
    with("biases", [](auto& c) { c.attention_bias = c.attention_output_bias = true; });
    with("mlp_bias", [](auto& c) { c.mlp_bias = true, c.activation = rapt::Activation::gelu; });
    with("odd_heads", [](auto& c) { c.attention_bias = true, c.heads = 3, c.head_dim = 4; });
    with("dynamic", [](auto& c) { c.rotary.scaling = RotaryScaling::dynamic, c.rotary.factor = 2; });
    with("yarn_of_maximum", [](auto& c) { c.rotary.scaling = RotaryScaling::yarn, c.rotary.factor = 4; });
    with("yarn_attention",
         [](auto& c) { c.rotary.scaling = RotaryScaling::yarn, c.rotary.factor = 4, c.rotary.attention_factor = 1.5; });
    with("yarn_mscale", [](auto& c) {
      c.rotary.scaling = RotaryScaling::yarn, c.rotary.factor = 4, c.rotary.mscale = 0.7, c.rotary.mscale_all = 0.3;
      c.rotary.truncate = false, c.rotary.beta_fast = 16, c.rotary.beta_slow = 2;
    });
  }

  void gemma() const {
    const auto with = cases_of<rapt::Gemma<T>>("gemma", {.vocabulary = 17,
                                                         .d_model = 16,
                                                         .layers = 3,
                                                         .heads = 4,
                                                         .key_value_heads = 2,
                                                         .head_dim = 6,
                                                         .d_ff = 20,
                                                         .query_scalar = 5,
                                                         .score_cap = 3,
                                                         .logit_cap = 2,
                                                         .window = 2});
    const auto gemma3 = [](auto& c) {
      c.query_key_norm = true, c.score_cap = c.logit_cap = 0, c.local_theta = 30, c.rotary.theta = 300;
    };
    with("2_plain", [](auto&) {});
    with("2_no_caps", [](auto& c) { c.score_cap = c.logit_cap = 0, c.tie_embeddings = false; });
    with("2_all_local", [](auto& c) { c.global_every = 4, c.attention_bias = true; });
    with("2_tokens", [](auto& c) { c.begin_token = {}, c.end_tokens = {3, 11}, c.pad_token = {}; });
    with("3_plain", gemma3);
    with("3_period", [&](auto& c) { gemma3(c), c.global_every = 3, c.logit_cap = 2; });
    with("3_linear", [&](auto& c) {
      gemma3(c), c.rotary.scaling = rapt::RotaryScaling::linear, c.rotary.factor = 4, c.tie_embeddings = false;
    });
  }

  void marian() const {
    const auto with = cases_of<rapt::Marian<T>>("marian", {.vocabulary = 17,
                                                           .d_model = 8,
                                                           .encoder_layers = 2,
                                                           .decoder_layers = 1,
                                                           .encoder_heads = 2,
                                                           .decoder_heads = 4,
                                                           .encoder_d_ff = 12,
                                                           .decoder_d_ff = 10,
                                                           .positions = 12,
                                                           .begin_token = 16,
                                                           .pad_token = 16});
    with("plain", [](auto&) {});
    with("scaled", [](auto& c) { c.scale_embeddings = true, c.activation = rapt::Activation::silu; });
    with("separate",
         [](auto& c) { c.tie_embeddings = false, c.target_vocabulary = 15, c.begin_token = c.pad_token.emplace(14); });
    with("same_size", [](auto& c) { c.tie_embeddings = false; });
    with("untied", [](auto& c) { c.tie_embeddings = c.tie_output = false; });
    with("no_bias", [](auto& c) { c.output_bias = false; });
    with("no_tokens", [](auto& c) { c.end_tokens = {}, c.pad_token = {}, c.forced_end_tokens = {}; });
    with("tokens", [](auto& c) {
      c.end_tokens = {1, 3}, c.forced_end_tokens = {3}, c.forced_begin_token = 5, c.suppressed_tokens = {8};
    });
  }

  void bart() const {
    using rapt::BartFamily;
    const auto with = [&](const std::string& name, BartFamily family, const auto& change) {
      add<rapt::Bart<T>>("bart_" + name,
                         {.family = family,
                          .vocabulary = 17,
                          .d_model = 8,
                          .encoder_layers = 2,
                          .decoder_layers = 1,
                          .encoder_heads = 2,
                          .decoder_heads = 4,
                          .encoder_d_ff = 12,
                          .decoder_d_ff = 10,
                          .positions = 12,
                          .output_bias = family != BartFamily::m2m_100},
                         change);
    };
    for (const auto& known : named_values(BartFamily{})) {
      const std::string family(known.name);
      with(family, known.value, [](auto&) {});
      with(family + "_scaled", known.value, [](auto& c) {
        c.scale_embeddings = true, c.activation = rapt::Activation::relu, c.forced_begin_token = 5;
        c.begin_token = 3, c.end_tokens = {2, 6}, c.pad_token = 4;
      });
    }
    with("no_bias", BartFamily::bart, [](auto& c) { c.output_bias = false; });
    with("labels", BartFamily::bart, [](auto& c) { c.labels = {"no", "perhaps", "yes"}; });
    with("mbart_labels", BartFamily::mbart, [](auto& c) { c.labels = {"no", "yes"}; });
  }

  void t5() const {
    const auto with = cases_of<rapt::T5<T>>("t5", {.vocabulary = 17,
                                                   .d_model = 8,
                                                   .encoder_layers = 2,
                                                   .decoder_layers = 2,
                                                   .heads = 2,
                                                   .head_dim = 3,
                                                   .d_ff = 12,
                                                   .position_buckets = 6,
                                                   .max_position_distance = 5});
    const auto untie = [](rapt::T5Config& c) { c.tie_embeddings = c.scale_output = false; };
    with("plain", [](auto&) {});
    with("untied", untie);
    with("gated", [&](auto& c) { untie(c), c.gated = true, c.activation = rapt::Activation::gelu_tanh; });
    with("gated_tied", [](auto& c) { c.gated = true, c.activation = rapt::Activation::silu; });
    with("unscaled", [](auto& c) { c.scale_output = false; });
    with("layers", [](auto& c) { c.decoder_layers = 1, c.activation = rapt::Activation::gelu; });
    with("tokens", [](auto& c) { c.begin_token = 3, c.end_tokens = {1, 4}, c.pad_token = 2; });
  }

  void transformer_xl() const {
    const auto with = cases_of<rapt::TransformerXl<T>>("transformer_xl", {.vocabulary = 17,
                                                                          .cutoffs = {5, 9},
                                                                          .div_val = 2,
                                                                          .d_model = 8,
                                                                          .d_embed = 8,
                                                                          .heads = 2,
                                                                          .head_dim = 4,
                                                                          .d_ff = 12,
                                                                          .layers = 2,
                                                                          .memory_length = 6,
                                                                          .clamp_length = 4,
                                                                          .begins_with_zeros = true});
    with("plain", [](auto&) {});
    with("no_end", [](auto& c) { c.end_token = {}; });
    with("no_clusters", [](auto& c) { c.cutoffs = {}, c.div_val = 1; });
    with("one_cutoff", [](auto& c) { c.cutoffs = {7}; });
    with("untied", [](auto& c) { c.tie_embeddings = c.tie_projections = false; });
    with("options", [](auto& c) { c.same_length = c.own_biases = false, c.pre_norm = true, c.clamp_length = 0; });
  }

  template <class M>
  static typename M::Config small_images() {
    typename M::Config config;
    config.grid = {.image = {.channels = 3, .height = 8, .width = 8}, .patch_height = 4, .patch_width = 4};
    config.d_model = 8;
    config.layers = 2;
    config.heads = 2;
    config.d_ff = 12;
    return config;
  }
  /// 4 x 3 patches that are not square themselves.
  static rapt::PatchGrid oblong() {
    return {.image = {.channels = 1, .height = 8, .width = 9}, .patch_height = 2, .patch_width = 3};
  }

  template <class M>
  void images(const std::string& kind) const {
    const auto with = cases_of<M>(kind, small_images<M>());
    with("plain", [](auto&) {});
    with("pooler", [](auto& c) { c.pooler = true; });
    with("wide_pooler",
         [](auto& c) { c.pooler = true, c.pooler_width = 5, c.pooler_activation = rapt::Activation::gelu_tanh; });
    with("labels", [](auto& c) { c.labels = {"cat", "dog", "neither"}, c.qkv_bias = false; });
    with("two_labels", [](auto& c) { c.labels = {"cat", "dog"}; });
    with("one_label", [](auto& c) { c.labels = {"cat"}; });
    with("oblong", [](auto& c) { c.grid = oblong(), c.encoder_stride = 2; });
    with("options", [](auto& c) { c.activation = rapt::Activation::quick_gelu, c.norm_epsilon = 1e-3; });
  }

  void deit() const {
    add<rapt::Deit<T>>("deit_teacher", small_images<rapt::Deit<T>>(), [](auto& c) {
      c.labels = {"cat", "dog", "neither"}, c.distillation_head = true;
    });
  }

  void beit() const {
    rapt::BeitConfig config = small_images<rapt::Beit<T>>();
    config.visual_tokens = 11;
    const auto with = cases_of<rapt::Beit<T>>("beit", config);
    with("plain", [](auto&) {});
    with("no_pooler", [](auto& c) { c.pooler = false; });
    with("class_token", [](auto& c) { c.mean_pooling = false; });
    with("masked", [](auto& c) { c.mask_token = c.masked_patch_head = true, c.pooler = false; });
    with("mask_token", [](auto& c) { c.mask_token = true; });
    with("labels", [](auto& c) { c.labels = {"cat", "dog", "neither"}, c.drop_path = 0; });
    with("labels_of_token", [](auto& c) { c.labels = {"cat", "dog", "neither"}, c.mean_pooling = false; });
    with("positions", [](auto& c) { c.positions = true; });
    with("relative", [](auto& c) { c.relative_positions = true; });
    with("shared", [](auto& c) { c.shared_relative_positions = true, c.layer_scale = 0; });
    with("all_positions", [](auto& c) {
      c.positions = c.relative_positions = c.shared_relative_positions = true, c.activation = rapt::Activation::relu;
    });
    with("oblong", [](auto& c) { c.grid = oblong(), c.norm_epsilon = 1e-3; });
    with("oblong_positions", [](auto& c) { c.grid = oblong(), c.positions = true; });
    with("oblong_relative", [](auto& c) { c.grid = oblong(), c.relative_positions = true; });
    with("masked_class_token",
         [](auto& c) { c.mask_token = c.masked_patch_head = true, c.mean_pooling = c.pooler = false; });
  }

  void mae() const {
    rapt::MaeConfig config = small_images<rapt::Mae<T>>();
    config.decoder_width = 12, config.decoder_layers = 2, config.decoder_heads = 3, config.decoder_d_ff = 10;
    config.mask_ratio = 0.5;
    const auto with = cases_of<rapt::Mae<T>>("mae", config);
    with("plain", [](auto&) {});
    with("no_decoder", [](auto& c) { c.decoder = false; });
    with("normalised", [](auto& c) { c.normalise_pixels = true, c.activation = rapt::Activation::silu; });
    with("smooth", [](auto& c) { c.mask_ratio = 0.25, c.norm_epsilon = 1e-3; });
  }

  void clip() const {
    rapt::ClipConfig config;
    config.text.vocabulary = 17, config.text.positions = 12, config.text.d_ff = 12;
    config.text.begin_token = 15, config.text.end_token = 16, config.text.pad_token = 0;
    config.vision.grid = {.image = {.channels = 2, .height = 6, .width = 6}, .patch_height = 3, .patch_width = 3};
    config.text.d_model = config.vision.d_model = 8, config.vision.d_ff = 20, config.embedding = 6;
    config.text.layers = config.vision.layers = config.text.heads = config.vision.heads = 2;
    const auto with = cases_of<rapt::Clip<T>>("clip", config);
    with("plain", [](auto&) {});
    with("largest_id", [](auto& c) { c.text.end_token.reset(), c.logit_scale = 1.5; });
    with("options", [](auto& c) {
      c.text.activation = rapt::Activation::gelu, c.vision.activation = rapt::Activation::relu;
      c.text.norm_epsilon = 1e-3, c.vision.norm_epsilon = 1e-2, c.vision.attention_dropout = 0.25f;
    });
    with("sizes", [](auto& c) {
      c.vision.d_model = 12, c.vision.heads = 3, c.text.layers = 1, c.vision.layers = 3, c.embedding = 9;
    });
  }

  void whisper() const {
    rapt::WhisperConfig config;
    config.vocabulary = 17, config.bins = 5, config.d_model = 8, config.encoder_positions = 6;
    config.encoder_layers = config.decoder_layers = config.encoder_heads = config.decoder_heads = 2;
    config.encoder_d_ff = config.decoder_d_ff = 12, config.decoder_positions = 10;
    config.begin_token = 15, config.end_tokens = {16}, config.pad_token = 16;
    const auto with = cases_of<rapt::Whisper<T>>("whisper", config);
    with("plain", [](auto&) {});
    with("sizes", [](auto& c) {
      c.encoder_layers = 1, c.decoder_layers = 3, c.encoder_heads = 4, c.decoder_heads = 1, c.encoder_d_ff = 20;
      c.bins = 4, c.encoder_positions = 4;
    });
    with("activation", [](auto& c) { c.activation = rapt::Activation::relu, c.dropout = 0.25f, c.init_std = 0.5; });
    with("tokens", [](auto& c) {
      c.suppressed_tokens = {3, 5}, c.begin_suppressed_tokens = {1}, c.pad_token = 2, c.multilingual = false;
    });
  }

  void image_gpt() const {
    const auto with = cases_of<rapt::ImageGpt<T>>(
        "image_gpt", {.clusters = 16, .positions = 12, .d_model = 8, .layers = 2, .heads = 2});
    with("plain", [](auto&) {});
    with("bare", [](auto& c) { c.pixel_head = false; });
    with("labels", [](auto& c) { c.pixel_head = false, c.labels = {"cat", "dog", "neither"}; });
    with("options", [](auto& c) {
      c.d_ff = 20, c.activation = rapt::Activation::gelu_tanh, c.scale_attention = false, c.norm_epsilon = 1e-2;
    });
    with("scaled_by_layer", [](auto& c) { c.scale_attention_by_layer = true; });
  }

  const Visit& visit_;
};

template <class T, class Visit>
void for_each_saved_model(const Visit& visit) {
  SavedModels<T, Visit>(visit).all();
}

}  // namespace rapt_test
