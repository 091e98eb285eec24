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

  /// A training of the run. `data` tells apart what it learns from.
  [[nodiscard]] rapt::JobOptions job(const std::string& name, const std::string& data) const {
    return run.job(name, {"--mnist", "--teacher"}, data);
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
  train(teacher, digits.training, digits, flags.teaching, flags.run.processes,
        flags.job("teacher", fingerprint(digits.training)));
  return teacher;
}

/// A number that tells teachers apart, by what they have learned.
std::string teacher_text(const rapt::Vit<float>& teacher) {
  rapt::Fingerprint fingerprint;
  rapt::for_each_parameter(teacher, [&](const std::string& name, const rapt::Parameter<float>& parameter) {
    fingerprint.add(name);
    fingerprint.add(std::span<const float>(parameter.value().values()));
  });
  return std::to_string(fingerprint.value());
}

/// The ratio of test images that the student knows in the end; `teacher` is null for the one without. `data` tells
/// images and teacher of the run apart.
double study(const Flags& flags, const Digits& digits, const rapt::ImageDataset& few, const rapt::Vit<float>* teacher,
             const std::string& data) {
  rapt::DeitConfig config = flags.size;
  config.grid = {few.shape(), flags.patch, flags.patch};
  config.labels = digit_names();
  config.distillation_head = teacher != nullptr;
  rapt::Rng rng(flags.training.seed);
  rapt::Deit student(config, rng);
  std::printf("the student %s: %td images, %td parameters\n", teacher == nullptr ? "alone" : "with its teacher",
              few.images(), rapt::count_parameters(student));
  const rapt::JobOptions job = flags.job(teacher == nullptr ? "alone" : "taught", data);
  if (teacher == nullptr) return train(student, few, digits, flags.training, flags.run.processes, job);
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
  return train(taught, student, few, digits, flags.training, flags.run.processes, job);
}

void run(const Flags& flags) {
  const Digits digits = read_digits(flags.mnist);
  const Index images = flags.images > 0 ? flags.images : flags.mnist.empty() ? 1000 : 5000;
  const rapt::ImageDataset few = rapt::split_first(digits.training, images).taken;
  const rapt::Vit<float> teacher = teacher_of(flags, digits);
  const double known = accuracy(classify(teacher, digits.test, digits.normalization), digits.test);
  // Of both students, so that a resumed run does not compare them with two teachers.
  const std::string data = fingerprint(few) + "; teacher: " + teacher_text(teacher);
  const double alone = study(flags, digits, few, nullptr, data), taught = study(flags, digits, few, &teacher, data);
  std::printf("test images known: the teacher %.2f %%, the student alone %.2f %%, with its teacher %.2f %%\n",
              100 * known, 100 * alone, 100 * taught);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"A student learns digits from few images, by itself and from a teacher who has seen many."};
  Flags flags;
  app.add_option("--mnist", flags.mnist, "The folder with MNIST's four files. Without it digits are generated.");
  app.add_option("--teacher", flags.teacher, "The folder of a ViT that teaches. Without it one is trained.");
  add_positive(app, "--teacher-epochs", flags.teaching.epochs, "The epochs of a teacher that is trained.");
  add_positive(app, "--images", flags.images,
               "The number of images that the student sees. Without it 5000, or 1000 generated ones.")
      ->default_str("");
  app.add_flag("--soft", flags.soft, "The student learns from the teacher's whole distribution.");
  add_positive(app, "--temperature", flags.temperature, "The temperature of that distribution.");
  add_number(app, "--weight", flags.weight, {.most = 1}, "The weight of the teacher, against the labels.");
  add_positive(app, "--patch", flags.patch, "The side of a patch, in pixels.");
  add_positive(app, "--width", flags.size.d_model, "The width of the student (d_model).");
  add_positive(app, "--layers", flags.size.layers, "The number of layers.");
  add_positive(app, "--heads", flags.size.heads, "The number of attention heads.");
  add_positive(app, "--hidden", flags.size.d_ff, "The width of the feed-forward networks.");
  flags.training.add_to(app);
  flags.run.add_to(app);
  CLI11_PARSE(app, argc, argv);
  return run_program("deit", flags.run.processes, [&] { run(flags); });
}
