/// \file
/// Classifiers of BART say of texts what transformers' pipelines say (tests/golden/make_bart_classifier.py).
// covers: pipelines/encoder_model.hpp, pipelines/zero_shot_classifier.hpp
#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/pipelines/mask_filler.hpp"
#include "rapt/pipelines/text_classifier.hpp"
#include "rapt/pipelines/zero_shot_classifier.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/settings.hpp"
#include "tests/pipelines/golden_folder.hpp"

namespace {

TEST(BartClassifier, JudgesTextsAsTransformersDoes) {
  const rapt_test::HighestPrecision scope;  // large random weights magnify the rounding of lowered precisions
  const rapt_test::PipelineGolden golden("bart_classifier");
  const rapt_test::GoldenFolder folder(golden, "bart");
  const std::vector<std::string> texts = golden.texts(), labels = golden["labels"], classes = golden["classes"];
  const auto judge = rapt::zero_shot_classifier(folder);
  rapt_test::expect_labels(judge(texts, labels), golden["one"], labels);
  rapt_test::expect_labels(judge(texts, labels, {.hypothesis_template = "the {} sat", .multi_label = true}),
                           golden["multi"], labels);
  const auto classify = rapt::text_classifier(folder);
  EXPECT_EQ(classify.labels(), classes);
  rapt_test::expect_labels(classify(texts, {.top_k = {}}), golden["classify"], classes);
  rapt_test::expect_message<rapt::IoError>([&] { std::ignore = rapt::mask_filler(folder); },
                                           "BartForSequenceClassification has no head for this task");
}

}  // namespace
