/// \file
/// A generator as a model that Trainer and TrainingJob train: each of its losses is taken after the discriminator has
/// made a step of its own. So the one training loop drives both, and its checkpoints hold both.
///
/// One step of the Trainer, on a batch of real images x:
///
///     z ~ N(0, 1),  g = G(z)
///     a step of the discriminator: loss of D(A(x)) and D(A(g)), plus every few steps a gradient penalty at A(x), or
///                                  between A(x) and A(g)
///     the loss of the generator: of D(A'(g)), through a discriminator whose parameters are constants
///
/// with random changes of images, through which gradients flow (Zhao et al. 2020); each A draws its own. Both read the
/// same g: only the generator's loss differentiates it, and it is computed once.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "rapt/autograd/backward.hpp"
#include "rapt/autograd/finite_check.hpp"
#include "rapt/autograd/grad_mode.hpp"
#include "rapt/autograd/ops/augment_images.hpp"
#include "rapt/autograd/ops/slice_rows.hpp"
#include "rapt/autograd/pass_gradient.hpp"
#include "rapt/autograd/record.hpp"
#include "rapt/core/error.hpp"
#include "rapt/core/image_batch.hpp"
#include "rapt/core/index.hpp"
#include "rapt/nn/freeze.hpp"
#include "rapt/nn/module.hpp"
#include "rapt/optim/adam.hpp"
#include "rapt/train/adversarial_loss.hpp"
#include "rapt/train/adversarial_options.hpp"
#include "rapt/train/gradient_penalty.hpp"
#include "rapt/train/step.hpp"
#include "rapt/train/trainable.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A model that makes images: pixels [B, C H W] from vectors [B, latent_columns()].
template <class G>
concept ImageGenerator = Module<G> && requires(const G& generator, const Variable<typename G::ScalarType>& z) {
  { generator(z) } -> std::same_as<Variable<typename G::ScalarType>>;
  { generator.latent_columns() } -> std::same_as<Index>;
};

/// A model that scores images: [B, 1] from pixels [B, C H W], each row by itself.
template <class D>
concept ImageCritic = Module<D> && requires(const D& critic, const Variable<typename D::ScalarType>& pixels) {
  { critic(pixels) } -> std::same_as<Variable<typename D::ScalarType>>;
};

/// What the last step of the discriminator found: means over the batch.
struct AdversarialReport {
  double discriminator_loss = 0;        ///< with the penalty, if it had one
  double real = 0, generated = 0;       ///< scores
  std::optional<double> gradient_norm;  ///< where it is penalised, in the last step that did
};

/// The parameters, and their names, are the generator's. The discriminator's parameters, its optimizer's state and its
/// count of steps are carried from step to step and so are part of checkpoints (see CarriesTensors): a resumed run goes
/// on bit for bit. All random numbers are those of the trainer's and the discriminator's seeds.
///
///     rapt::AdversarialTraining game(generator, discriminator, {.discriminator = {.learning_rate = ...}});
///     rapt::Trainer trainer(game, {.learning_rate = ..., .average_decay = 0.999});
///     job.run(trainer, image_batches, {.steps = 10000});  // the job was made with JobOptions{.choose_best = false}
///
/// A validation puts back the generator alone: with the trainer's `keep_best`, or the job's `choose_best`, the best
/// generator ends beside the discriminator of the last step, which was not trained against it. Turn them off if the
/// training is to go on, or if both models are kept.
///
/// Keeps references to both models. When the trainer's step throws because the generator's loss is not finite, the
/// discriminator has learned from that batch already, and once more while the trainer looked for the op. A trainer of
/// it has one micro-batch, as the steps build on one another.
template <ImageGenerator G, ImageCritic D, Optimizer O = Adam<typename D::ScalarType>>
class AdversarialTraining {
 public:
  using ScalarType = typename G::ScalarType;
  using T = ScalarType;  ///< the type of a number of both models' parameters
  static_assert(std::same_as<T, typename D::ScalarType>);

  /// The discriminator learns by Adam with `options.discriminator.adam`. Throws ValueError for options that do not fit.
  AdversarialTraining(G& generator, D& discriminator,
                      const AdversarialOptions& options) requires std::same_as<O, Adam<T>>
      : AdversarialTraining(generator, discriminator, options, O(discriminator, options.discriminator.adam)) {}
  /// The discriminator learns by any optimizer of it.
  AdversarialTraining(G& generator, D& discriminator, const AdversarialOptions& options, O optimizer)
      : generator_(&generator),
        discriminator_(&discriminator),
        options_(options.checked(kWhere)),
        critic_(discriminator, [this](const RealAndGenerated& batch) { return loss_of(batch); }),
        step_(std::make_unique<TrainingStep<Critic, O>>(critic_, options.discriminator, std::move(optimizer))) {}
  AdversarialTraining(const AdversarialTraining&) = delete;
  AdversarialTraining& operator=(const AdversarialTraining&) = delete;

  /// Makes a step of the discriminator and returns the generator's loss, a mean over as many generated images as the
  /// batch has real ones. To be called inside of Training.
  template <class B>
  requires requires(const B& batch) {
    { batch.images } -> std::convertible_to<const ImageBatch<T>&>;
  }
  [[nodiscard]] Variable<T> loss(const B& batch) {
    const ImageBatch<T>& real = batch.images;
    const Index count = real.images();
    const ImageShape& shape = real.shape();
    std::array<RandomStream, 4> streams;  // of the vectors, and of the changes of three batches of images
    for (RandomStream& stream : streams) stream = next_training_stream();
    Tensor<T> z(Shape{count, generator_->latent_columns()});
    Rng(Rng::State{streams[0].seed, streams[0].stream}).fill_normal(z.values(), 0.0, 1.0);
    const Variable<T> made = (*generator_)(Variable<T>(std::move(z)));
    require<ShapeError>(made.rows() == count && made.cols() == shape.size(), kWhere, "the generator makes images ",
                        made.shape(), ", real ones of ", to_string(shape), " are ", real.pixels().shape());
    {
      const Inference scope;
      const RealAndGenerated seen{augmented(Variable<T>(Tensor<T>(real.pixels())), shape, streams[1]).value(),
                                  augmented(Variable<T>(Tensor<T>(made.value())), shape, streams[2]).value()};
      try {
        report_.discriminator_loss = (*step_)(std::span<const RealAndGenerated>(&seen, 1));
      } catch (const ValueError& error) {  // it names parameters and ops as if there were no other model
        const bool is_finite = first_not_finite(made.value()) < 0;
        fail(kWhere, is_finite ? "" : "the generator's images are not finite; ",
             "discriminator: ", std::string_view(error.what()));
      }
    }
    return loss_of_generated(made, shape, streams[3]);
  }

  [[nodiscard]] G& generator() { return *generator_; }
  [[nodiscard]] const G& generator() const { return *generator_; }
  [[nodiscard]] D& discriminator() { return *discriminator_; }
  [[nodiscard]] const D& discriminator() const { return *discriminator_; }
  /// Of the last step of the discriminator.
  [[nodiscard]] const AdversarialReport& report() const { return report_; }

  /// All that the discriminator's next step depends on, by name.
  [[nodiscard]] NamedTensors<T> carried() const {
    NamedTensors<T> tensors;
    for_each_parameter(*discriminator_, [&](const std::string& name, const Parameter<T>& parameter) {
      tensors.emplace(parameter_key(name), parameter.value());
    });
    O& optimizer = step_->optimizer();
    for (const OptimizerSlot<T>& slot : optimizer.slots()) {
      for (std::size_t k = 0; k < slot.state.size(); ++k) tensors.emplace(state_key(slot.name, k), slot.state[k]);
      tensors.emplace(missed_key(slot.name), digits(static_cast<std::uint64_t>(slot.missed)));
    }
    tensors.emplace("steps", digits(static_cast<std::uint64_t>(optimizer.steps())));
    tensors.emplace("seed", digits(step_->dropout_state().seed));
    tensors.emplace("streams", digits(step_->dropout_state().streams_taken));
    return tensors;
  }
  /// Goes on from what `carried` gave. Throws ShapeError or ValueError that names what does not fit, before anything is
  /// changed.
  void set_carried(NamedTensors<T> tensors) {
    O& optimizer = step_->optimizer();
    const std::size_t states = optimizer.state_names().size();
    std::size_t known = 0;
    const auto require_tensor = [&](const std::string& name, const Shape& shape) -> const Tensor<T>& {
      const auto found = tensors.find(name);
      require(found != tensors.end(), kWhere, "there is no tensor '", name, "' of the discriminator");
      require<ShapeError>(found->second.shape() == shape, kWhere, "'", name, "' has shape ", found->second.shape(),
                          ", wanted is ", shape);
      ++known;
      return found->second;
    };
    const auto require_number = [&](const std::string& name) {
      for (const T digit : require_tensor(name, {kDigits}).values()) {
        require(digit >= 0 && digit < kDigitBase && digit == std::floor(digit), kWhere, "'", name,
                "' must have digits from 0 to ", kDigitBase - 1, ": ", digit);
      }
      return number(tensors.at(name));
    };
    const auto require_count = [&](const std::string& name, Index most) {
      const std::uint64_t count = require_number(name);
      require(count <= static_cast<std::uint64_t>(most), kWhere, "'", name, "' must be at most ", most, ": ", count);
      return static_cast<Index>(count);
    };
    for_each_parameter(*discriminator_, [&](const std::string& name, const Parameter<T>& parameter) {
      std::ignore = require_tensor(parameter_key(name), parameter.shape());
    });
    // Half of what an Index holds, so that training can go on counting.
    const Index steps = require_count("steps", std::numeric_limits<Index>::max() / 2);
    std::vector<Index> missed;
    for (const OptimizerSlot<T>& slot : optimizer.slots()) {
      for (std::size_t k = 0; k < states; ++k) {  // all of them, or none before the parameter's first update
        if (tensors.contains(state_key(slot.name, 0)))
          std::ignore = require_tensor(state_key(slot.name, k), slot.shape);
      }
      missed.push_back(require_count(missed_key(slot.name), steps));
    }
    const Rng::State random{require_number("seed"), require_number("streams")};
    require(known == tensors.size(), kWhere, tensors.size(), " tensors of a discriminator, of which ", known,
            " are those of this one");

    for_each_parameter(*discriminator_, [&](const std::string& name, Parameter<T>& parameter) {
      parameter.mutable_value() = std::move(tensors.at(parameter_key(name)));
      parameter.clear_grad();
    });
    optimizer.set_steps(steps);
    for (std::size_t i = 0; OptimizerSlot<T> & slot : optimizer.slots()) {
      slot.state.clear();
      for (std::size_t k = 0; k < states && tensors.contains(state_key(slot.name, k)); ++k) {
        slot.state.push_back(std::move(tensors.at(state_key(slot.name, k))));
      }
      slot.missed = missed[i++];
    }
    step_->set_dropout_state(random);
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    if constexpr (std::is_const_v<Self>) {
      G::visit(std::as_const(*self.generator_), visitor);
    } else {
      G::visit(*self.generator_, visitor);
    }
  }

 private:
  static constexpr std::string_view kWhere = "adversarial_training";

  /// Images that the discriminator tells apart, as many of each kind, after their changes.
  struct RealAndGenerated {
    Tensor<T> real, generated;  // [B, C H W]

    static constexpr std::string_view kItems = "images";
    [[nodiscard]] Index target_count() const { return real.rows(); }
    [[nodiscard]] Index item_count() const { return real.rows(); }
  };
  using Critic = WithLoss<D, std::function<Variable<T>(const RealAndGenerated&)>>;

  [[nodiscard]] Variable<T> augmented(const Variable<T>& pixels, const ImageShape& shape,
                                      const RandomStream& stream) const {
    if (!options_.augmentation.changes_anything()) return pixels;
    return augment_images(pixels, shape, draw_image_changes(options_.augmentation, shape, pixels.rows(), stream),
                          options_.augmentation.background);
  }

  /// The generator's loss of the images that it made, which the discriminator sees after their changes. The gradient by
  /// the images is computed here, while the discriminator's parameters are constants; backward passes it on. So between
  /// two losses the discriminator is as everybody else has left it.
  [[nodiscard]] Variable<T> loss_of_generated(const Variable<T>& made, const ImageShape& shape,
                                              const RandomStream& stream) const {
    const Variable<T> pixels(Tensor<T>(made.value()), /*requires_grad=*/true);
    Variable<T> loss;
    {
      const ConstantParameters<T> constant(*discriminator_);
      loss = generator_loss(options_.loss, (*discriminator_)(augmented(pixels, shape, stream)));
      require(loss.requires_grad(), kWhere, "the discriminator's scores do not depend on the images");
      backward(loss);
    }
    return record("generator_loss", Tensor<T>(loss.value()), {made},
                  [gradient = std::move(pixels.node()->grad)](Node<T>& out) mutable {
                    const T upstream = out.grad.data()[0];
                    for (T& value : gradient.values()) value *= upstream;
                    pass_gradient(std::move(gradient), out.input(0));
                  });
  }

  /// The discriminator's loss in a step of it.
  [[nodiscard]] Variable<T> loss_of(const RealAndGenerated& batch) {
    const Index count = batch.real.rows(), size = batch.real.cols();
    Tensor<T> both(Shape{2 * count, size});  // in one call, as products of more rows are faster
    std::copy_n(batch.real.data(), batch.real.size(), both.data());
    std::copy_n(batch.generated.data(), batch.generated.size(), both.row(count));
    const Variable<T> scores = (*discriminator_)(Variable<T>(std::move(both)));
    require<ShapeError>(scores.rows() == 2 * count && scores.cols() == 1, kWhere, "the discriminator gives ", 2 * count,
                        " images scores ", scores.shape());
    const Variable<T> real = slice_rows(scores, 0, count), generated = slice_rows(scores, count, count);
    report_.real = mean_of(real.value().values());
    report_.generated = mean_of(generated.value().values());
    Variable<T> loss = discriminator_loss(options_.loss, real, generated);
    if (options_.penalty.weight > 0 && step_->optimizer().steps() % options_.penalty_every == 0) {
      GradientPenaltyOptions penalty = options_.penalty;
      penalty.weight *= static_cast<double>(options_.penalty_every);
      std::vector<double> norms;
      loss = add(loss, gradient_penalty(*discriminator_, penalty_points(batch), penalty, &norms));
      report_.gradient_norm = mean_of(std::span<const double>(norms));
    }
    return loss;
  }
  /// To be called in a step of the discriminator, from whose random numbers it draws.
  [[nodiscard]] Tensor<T> penalty_points(const RealAndGenerated& batch) const {
    Tensor<T> points = batch.real;
    if (options_.penalty_points == PenaltyPoints::real) return points;
    const RandomStream stream = next_training_stream();
    std::vector<T> ratios(to_size(points.rows()));
    Rng(Rng::State{stream.seed, stream.stream}).fill_uniform(std::span<T>(ratios), 0.0, 1.0);
    for (Index b = 0; b < points.rows(); ++b) {
      for (Index j = 0; j < points.cols(); ++j) {
        points(b, j) = at(ratios, b) * points(b, j) + (T(1) - at(ratios, b)) * batch.generated(b, j);
      }
    }
    return points;
  }
  template <class Number>
  [[nodiscard]] static double mean_of(std::span<const Number> values) {
    double sum = 0;
    for (const Number value : values) sum += static_cast<double>(value);
    return sum / static_cast<double>(values.size());
  }

  [[nodiscard]] static std::string parameter_key(const std::string& parameter) { return "discriminator." + parameter; }
  [[nodiscard]] static std::string missed_key(const std::string& parameter) { return "missed." + parameter; }
  [[nodiscard]] std::string state_key(const std::string& parameter, std::size_t state) const {
    const std::vector<std::string_view> names = step_->optimizer().state_names();
    const std::string_view name = state < names.size() ? names[state] : std::string_view();
    return std::string(O::kName).append(".").append(name).append(".").append(parameter);
  }

  /// A whole number as four digits of 16 bits, the lowest first, which every scalar type holds exactly: what is carried
  /// are tensors.
  static constexpr Index kDigits = 4;
  static constexpr T kDigitBase = 65536;
  [[nodiscard]] static Tensor<T> digits(std::uint64_t value) {
    Tensor<T> result(Shape{kDigits});
    for (Index i = 0; i < kDigits; ++i) result.data()[i] = static_cast<T>(value >> (16 * i) & 0xFFFF);
    return result;
  }
  [[nodiscard]] static std::uint64_t number(const Tensor<T>& digits) {
    std::uint64_t value = 0;
    for (Index i = 0; i < kDigits; ++i) value |= static_cast<std::uint64_t>(digits.data()[i]) << (16 * i);
    return value;
  }

  G* generator_;
  D* discriminator_;
  AdversarialOptions options_;
  Critic critic_;
  std::unique_ptr<TrainingStep<Critic, O>> step_;
  AdversarialReport report_;
};

}}  // namespace rapt::RAPT_ABI
