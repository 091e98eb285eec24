// A student learns digits from few images, by itself and from a teacher who has seen many (DeiT, Touvron et al.
// 2021).
//
//   deit                                          generated digits
//   deit --mnist folder --teacher out             the teacher is a folder that `vit --mnist folder --model out` wrote
//   deit --mnist folder --soft                    a teacher of its own is trained first; the student learns from its
//                                                 whole distribution, not from its choice alone
//
// Prints how many test images the teacher knows, the student without a teacher, and the student that it taught.
#include <CLI/CLI.hpp>
#include <rapt/pretrained/deit.hpp>

#include "common/digits.hpp"
#include "common/run_flags.hpp"

namespace {

using rapt::Index;
using Batch = rapt::LabelledImages<float>;

struct Flags {
  std::string mnist, teacher;
  Index patch = 7, images = 0;
  bool soft = false;
  float temperature = 3, weight = 0.5f;
  rapt::DeitConfig size{{.d_model = 48, .layers = 4, .heads = 3, .d_ff = 96, .init_std = 0.1}};
  TrainingFlags training{.epochs = 40}, teaching;
  RunFlags run;

  /// A training of the run.
  [[nodiscard]] rapt::JobOptions job(const std::string& name, const rapt::ImageDataset& data) const {
    return run.job(name, {"--mnist"}, fingerprint(data));
  }
};

rapt::Vit<float> teacher_of(const Flags& flags, const Digits& digits) {
  if (!flags.teacher.empty()) return rapt::from_pretrained<rapt::Vit<float>>(flags.teacher);
  rapt::VitConfig config = small_vit();
  config.grid = {digits.training.shape(), flags.patch, flags.patch};
  config.labels = digit_names();
  rapt::Rng rng(flags.training.seed);
  rapt::Vit teacher(config, rng);
  std::printf("the teacher: %td images, %td parameters\n", digits.training.images(), rapt::count_parameters(teacher));
  train(teacher, digits.training, digits, flags.teaching, flags.job("teacher", digits.training));
  return teacher;
}

/// The ratio of test images that the student knows in the end.
double study(const Flags& flags, const Digits& digits, const rapt::ImageDataset& few, const rapt::Vit<float>* teacher) {
  rapt::DeitConfig config = flags.size;
  config.grid = {few.shape(), flags.patch, flags.patch};
  config.labels = digit_names();
  config.distillation_head = teacher != nullptr;
  rapt::Rng rng(flags.training.seed);
  rapt::Deit student(config, rng);
  std::printf("the student %s: %td images, %td parameters\n", teacher == nullptr ? "alone" : "with its teacher",
              few.images(), rapt::count_parameters(student));
  const rapt::JobOptions job = flags.job(teacher == nullptr ? "alone" : "taught", few);
  if (teacher == nullptr) return train(student, few, digits, flags.training, job);
  rapt::WithLoss taught(student, [&](const Batch& batch, const rapt::CrossEntropyOptions& options) {
    const rapt::DistillationOptions distillation{
        .targets = flags.soft ? rapt::TeacherTargets::soft : rapt::TeacherTargets::hard,
        .temperature = flags.temperature,
        .weight = flags.weight};
    rapt::Tensor<float> scores;
    {
      const rapt::Inference scope;  // the teacher learns nothing
      scores = (*teacher)(batch.images).value();
    }
    return student.loss(batch, scores, distillation, options);
  });
  return train(taught, student, few, digits, flags.training, job);
}

void run(const Flags& flags) {
  const Digits digits = read_digits(flags.mnist);
  const Index images = flags.images > 0 ? flags.images : flags.mnist.empty() ? 1000 : 5000;
  const rapt::ImageDataset few = rapt::split_first(digits.training, images).taken;
  const rapt::Vit<float> teacher = teacher_of(flags, digits);
  const double known = accuracy(classify(teacher, digits.test, digits.normalization), digits.test);
  const double alone = study(flags, digits, few, nullptr), taught = study(flags, digits, few, &teacher);
  std::printf("test images known: the teacher %.2f %%, the student alone %.2f %%, with its teacher %.2f %%\n",
              100 * known, 100 * alone, 100 * taught);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"A student learns digits from few images, by itself and from a teacher who has seen many."};
  Flags flags;
  app.add_option("--mnist", flags.mnist, "The folder with MNIST's four files. Without it digits are generated.");
  app.add_option("--teacher", flags.teacher, "The folder of a ViT that teaches. Without it one is trained.");
  app.add_option("--teacher-epochs", flags.teaching.epochs, "The epochs of a teacher that is trained.")
      ->capture_default_str();
  app.add_option("--images", flags.images,
                 "The number of images that the student sees. Without it 5000, or 1000 generated ones.");
  app.add_flag("--soft", flags.soft, "The student learns from the teacher's whole distribution.");
  app.add_option("--temperature", flags.temperature, "The temperature of that distribution.")->capture_default_str();
  app.add_option("--weight", flags.weight, "The weight of the teacher, against the labels.")->capture_default_str();
  app.add_option("--patch", flags.patch, "The side of a patch, in pixels.")->capture_default_str();
  app.add_option("--width", flags.size.d_model, "d_model of the student")->capture_default_str();
  app.add_option("--layers", flags.size.layers, "The number of layers.")->capture_default_str();
  app.add_option("--heads", flags.size.heads, "The number of attention heads.")->capture_default_str();
  app.add_option("--hidden", flags.size.d_ff, "The width of the feed-forward networks.")->capture_default_str();
  flags.training.add_to(app);
  flags.run.add_to(app);
  CLI11_PARSE(app, argc, argv);
  return run_program("deit", [&] { run(flags); });
}
