/// \file
/// Pickles as bytes: what a pickle can ask for is bounded, and flags of tensors are refused.
// covers: io/pickle_machine.hpp, io/torch_object.hpp
#include "rapt/io/torch_pickle.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "tests/common/expect_close.hpp"

namespace {

using rapt::detail::PickleObject;
using rapt::detail::TorchPickle;

/// Bytes with zeros among them.
template <std::size_t kSize>
std::string pickle_bytes(const char (&literal)[kSize]) {
  return {literal, kSize - 1};
}
std::string pickle_text(const std::string& text) {
  std::string bytes = "X";
  for (int i = 0; i < 4; ++i) bytes += static_cast<char>(text.size() >> 8 * i);
  return bytes + text;
}
/// ('storage', torch.FloatStorage, key, 'cpu', 4), remembered as 0.
std::string storage_tuple(const std::string& key) {
  return "(" + pickle_text("storage") + "ctorch\nFloatStorage\n" + pickle_text(key) + pickle_text("cpu") +
         pickle_bytes("K\x04tq\x00");
}
/// A call of _rebuild_tensor_v2 for the storage "0" with further arguments behind the hooks.
std::string rebuilt(const std::string& further) {
  return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage_tuple("0") + pickle_bytes("QK\x00K\x04\x85K\x01\x85\x89N") +
         further + "tR";
}
std::string complaint_of(const std::string& bytes) {
  return rapt_test::error_text<rapt::IoError>([&] { TorchPickle{"torch_file", "x.pt", bytes}; });
}
void expect_complaint(const std::string& bytes, std::string_view part) {
  const std::string text = complaint_of(bytes);
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST(TorchPickle, ATensorOfAStorage) {
  const std::string bytes = rebuilt("") + ".";
  const TorchPickle pickle("torch_file", "x.pt", bytes);
  const PickleObject& tensor = pickle.object(pickle.root());
  ASSERT_EQ(tensor.kind, PickleObject::Kind::tensor);
  EXPECT_EQ(tensor.sizes, std::vector<rapt::Index>{4});
  EXPECT_EQ(tensor.strides, std::vector<rapt::Index>{1});
  EXPECT_EQ(pickle.object(tensor.items[0]).text, "0");
}

TEST(TorchPickle, FlagsThatAreSetAreRefusedByName) {
  const auto flag = [](const std::string& name, const std::string& value) {
    return rebuilt("}" + pickle_text(name) + value + "s") + ".";
  };
  expect_complaint(flag("conj", "\x88"), "a tensor has the flag \"conj\"");
  expect_complaint(flag("other", "N"), "a tensor has the flag \"other\"");
  EXPECT_NO_THROW((TorchPickle{"torch_file", "x.pt", flag("neg", "\x89")}));
  EXPECT_NO_THROW((TorchPickle{"torch_file", "x.pt", rebuilt("N") + "."}));
  expect_complaint(rebuilt("K\x01") + ".", "argument 6 must be a dictionary of flags");
}

TEST(TorchPickle, StoragesHaveFivePartsAndShortKeys) {
  std::string many = storage_tuple(std::string(std::size_t{8} << 20, 'k'));
  for (int i = 0; i < 2000; ++i) many += pickle_bytes("h\x00Q");
  expect_complaint(many + ".", "a storage's key has 8388608 bytes, at most 64 are read");
  expect_complaint("(" + pickle_text("storage") + "tQ.", "refers to what is no storage");
}

TEST(TorchPickle, WhatAPickleCanAskForIsBounded) {
  std::string calls = "ctorch\nSize\nq\x01";  // one tuple of many objects through torch.Size again and again
  calls += "(" + std::string(200000, 'N') + pickle_bytes("t\x85q\x02");
  for (int i = 0; i < 20000; ++i) calls += "h\x01h\x02R";
  const std::string whole = calls + ".";
  EXPECT_NO_THROW((TorchPickle{"torch_file", "x.pt", whole}));  // copies would take 16 GB
  std::string remembered;  // neither the objects alone nor what is remembered of them are too many
  for (int i = 0; i < 1500000; ++i) remembered += "N\x94";
  expect_complaint(remembered + ".", "makes objects of more than 268435456 bytes");
  expect_complaint(std::string(std::size_t{1} << 17, '(') + ".", "sets more than 65536 marks");
  expect_complaint("ctorch._utils\n_rebuild_tensor_v2\n(" + storage_tuple("0") + pickle_bytes("QK\x00(") +
                       std::string(65, 'N') + "tK\x01\x85\x89NtR.",
                   "a tensor has 65 sizes or strides, at most 64 are read");
}

}  // namespace
