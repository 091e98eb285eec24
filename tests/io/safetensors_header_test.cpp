/// \file
/// Headers of safetensors files: what Python's reader makes of hundreds of good and bad ones, types that rapt cannot
/// compute with, fields that the format does not name.
#include "rapt/io/safetensors_header.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::Dtype;
using rapt::Index;
using rapt::detail::SafetensorsHeader;

SafetensorsHeader parse(const std::string& text, std::uint64_t data_bytes) {
  return rapt::detail::parse_safetensors_header(text, data_bytes, "the file");
}
std::string refusal(const std::string& text, std::uint64_t data_bytes) {
  return rapt_test::error_text<rapt::IoError>([&] { static_cast<void>(parse(text, data_bytes)); });
}

/// tests/golden/make_safetensors_headers.py tells what the file holds.
TEST(SafetensorsHeader, IsReadAsPythonsReaderReadsIt) {
  std::ifstream file(RAPT_GOLDEN_DIR "/safetensors_headers.json");
  const nlohmann::json cases = nlohmann::json::parse(file);
  std::size_t read = 0, lenient = 0, stricter = 0;
  for (const nlohmann::json& one : cases) {
    const std::string hex = one["header"], rapt = one.value("rapt", "same");
    std::string text;
    for (std::size_t i = 0; i < hex.size(); i += 2) {
      text += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    }
    SCOPED_TRACE(text);
    lenient += rapt == "lenient" ? 1u : 0u;
    stricter += rapt == "stricter" ? 1u : 0u;
    const bool is_good = rapt == "same" ? one.contains("tensors") : rapt == "lenient";
    if (!is_good) {
      EXPECT_NE(refusal(text, one["data_bytes"]).find("[safetensors] the file: "), std::string::npos);
      continue;
    }
    ++read;
    SafetensorsHeader header;
    ASSERT_NO_THROW(header = parse(text, one["data_bytes"]));
    if (rapt == "lenient") {
      EXPECT_EQ(header.records.at(0).dtype, Dtype::kUnknown);
      continue;
    }
    std::vector<nlohmann::json> tensors;
    for (const auto& record : header.records) {
      tensors.push_back(nlohmann::json::array({record.name, record.dtype_name, record.sizes}));
      EXPECT_EQ(record.dtype_name, to_string(record.dtype));
    }
    std::sort(tensors.begin(), tensors.end());
    EXPECT_EQ(nlohmann::json(tensors), one["tensors"]);
    EXPECT_EQ(nlohmann::json(header.metadata), one["metadata"]);
  }
  EXPECT_GE(cases.size(), 450u) << "the golden file is short";
  EXPECT_GE(read, 200u);
  EXPECT_GE(lenient, 10u);
  EXPECT_LE(stricter, 4u);
}

TEST(SafetensorsHeader, MayBeginAndEndWithWhiteSpace) {
  EXPECT_TRUE(parse("\t\n{}\r ", 0).records.empty());
  EXPECT_EQ(refusal("\v{}", 0), "[safetensors] the file: the header must begin with { behind any white space");
  EXPECT_EQ(refusal(" \n", 0), "[safetensors] the file: the header must begin with { behind any white space");
  EXPECT_EQ(refusal("\n[]", 0), "[safetensors] the file: the header must begin with { behind any white space");
}

TEST(SafetensorsHeader, FieldsThatTheFormatDoesNotNameArePassedOver) {
  const std::string tensor = R"("dtype":"U8","shape":[2],"data_offsets":[0,2])";
  for (const std::string more : {"1", "-1", "1.5", "null", "true", "\"text\"", "[]", "{}", "[[1],{\"dtype\":[{}]}]",
                                 R"({"shape":[3],"data_offsets":[0,3],"dtype":{"x":1}})"}) {
    SCOPED_TRACE(more);
    for (const std::string& text :
         {"{\"a\":{" + tensor + ",\"more\":" + more + "}}", "{\"a\":{\"more\":" + more + "," + tensor + "}}"}) {
      const SafetensorsHeader header = parse(text, 2);
      ASSERT_EQ(header.records.size(), 1u);
      EXPECT_EQ(header.records[0].sizes, std::vector<Index>{2});
      EXPECT_EQ(header.records[0].end, 2u);
    }
  }
  // Nesting costs no stack.
  const std::string deep = std::string(1'000'000, '[') + std::string(1'000'000, ']');
  EXPECT_EQ(parse("{\"a\":{\"more\":" + deep + "," + tensor + "}}", 2).records.size(), 1u);
  EXPECT_NE(refusal("{\"a\":{\"more\":" + std::string(1'000'000, '['), 2).find("not valid JSON"), std::string::npos);
  // Within them the format's own names mean nothing.
  EXPECT_EQ(refusal(R"({"a":{"more":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}})", 2),
            "[safetensors] the file: \"a\": dtype, shape and data_offsets must be given: 0 of them are");
}

TEST(SafetensorsHeader, MetadataMayBeNullAndTheLastOfANameCounts) {
  EXPECT_TRUE(parse(R"({"__metadata__":null})", 0).metadata.empty());
  EXPECT_EQ(parse(R"({"__metadata__":{"a":"b","a":"c"}})", 0).metadata.at("a"), "c");
  EXPECT_NE(refusal(R"({"__metadata__":null,"__metadata__":{}})", 0).find("\"__metadata__\": the name stands twice"),
            std::string::npos);
  EXPECT_NE(refusal(R"({"a":null})", 0).find("\"a\": must be an object: null stands there"), std::string::npos);
}

TEST(SafetensorsHeader, TypesOfLessThanAByteMustFillWholeBytes) {
  const auto text = [](const std::string& dtype, int elements, int bytes) {
    return "{\"a\":{\"dtype\":\"" + dtype + "\",\"shape\":[" + std::to_string(elements) + "],\"data_offsets\":[0," +
           std::to_string(bytes) + "]}}";
  };
  EXPECT_EQ(parse(text("F4", 6, 3), 3).records[0].dtype, Dtype::kF4);
  EXPECT_EQ(parse(text("F6_E3M2", 8, 6), 6).records[0].dtype, Dtype::kF6E3M2);
  EXPECT_EQ(refusal(text("F4", 7, 4), 4),
            "[safetensors] the file: \"a\": 7 elements of F4, of 4 bits each, do not fill whole bytes");
  EXPECT_EQ(refusal(text("F6_E2M3", 4, 4), 4),
            "[safetensors] the file: \"a\": data_offsets [0, 4] span 4 bytes, but shape and dtype F6_E2M3 need 3");
}

TEST(SafetensorsHeader, UnknownTypesKeepTheirNameAndExtent) {
  const SafetensorsHeader header = parse(R"({"a":{"dtype":"F3_E1M1","shape":[7,3],"data_offsets":[0,5]},)"
                                         R"("b":{"dtype":"U8","shape":[2],"data_offsets":[5,7]}})",
                                         7);
  EXPECT_EQ(header.records[0].dtype, Dtype::kUnknown);
  EXPECT_EQ(header.records[0].dtype_name, "F3_E1M1");
  EXPECT_EQ(header.records[0].end, 5u);
  EXPECT_NE(refusal(R"({"a":{"dtype":"F3","shape":[7],"data_offsets":[0,5]},)"
                    R"("b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}})",
                    6)
                .find("\"b\": overlaps another tensor"),
            std::string::npos);
  EXPECT_NE(refusal(R"({"a":{"dtype":"F3","shape":[7],"data_offsets":[0,5]}})", 6).find("cover 5 of 6 bytes"),
            std::string::npos);
}

}  // namespace
