/// \file
/// The AMX emulator, one instruction at a time. Where the processor has AMX, the same instructions run on it.
#include "tests/common/amx_emulator.hpp"

#include <gtest/gtest.h>

#if defined(__x86_64__) && defined(__linux__)
#include <sys/mman.h>
#include <xmmintrin.h>

#include <array>
#include <barrier>
#include <bit>
#include <initializer_list>
#include <limits>
#include <thread>
#include <utility>
#include <vector>

#include "rapt/core/rng.hpp"

#define RAPT_TEST_AMX __attribute__((target("amx-tile,amx-bf16"), noinline))

namespace {

using rapt_test::AmxEmulator;
using Bytes = std::vector<std::uint8_t>;

struct Config {  // the operand of ldtilecfg
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};

  constexpr Config() = default;
  constexpr explicit Config(std::initializer_list<std::pair<int, int>> shapes) {
    int tile = 0;
    for (const auto& [count, bytes] : shapes) {
      rows[tile] = static_cast<std::uint8_t>(count);
      row_bytes[tile++] = static_cast<std::uint16_t>(bytes);
    }
  }
  bool operator==(const Config&) const = default;
};
constexpr Config kFull({{16, 64}, {16, 64}, {16, 64}, {16, 64}, {16, 64}, {16, 64}, {16, 64}, {16, 64}});

// ---- One function per instruction. ----

RAPT_TEST_AMX void load_config(const Config& config) { asm volatile("ldtilecfg %0" : : "m"(config) : "memory"); }
RAPT_TEST_AMX Config stored_config() {
  Config config;
  asm volatile("sttilecfg %0" : "=m"(config) : : "memory");
  return config;
}
RAPT_TEST_AMX void release() { asm volatile("tilerelease" : : : "memory"); }

template <int kTile>
RAPT_TEST_AMX void zero() {
  asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
}
template <int kTile>
RAPT_TEST_AMX void load(const void* from, std::int64_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(kTile) : "memory");
}
template <int kTile>
RAPT_TEST_AMX void store(void* to, std::int64_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride), "i"(kTile) : "memory");
}
template <int kC, int kA, int kB>
RAPT_TEST_AMX void dot() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kC), "i"(kA), "i"(kB));
}

// ---- Data. ----

/// 1, 2, 3, ... without 0, so that a byte that was zeroed shows.
Bytes counted(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i % 255 + 1);
  return bytes;
}

/// A tile stored in 16 rows of 64 bytes; bytes that the configuration leaves out stay `untouched`.
template <int kTile>
Bytes stored(std::uint8_t untouched = 0) {
  Bytes bytes(1024, untouched);
  store<kTile>(bytes.data(), 64);
  return bytes;
}

std::uint16_t bfloat16(float value) { return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16); }
float from_bfloat16(std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

/// c[m, n] of tile 0 += a of tile 1 * b of tile 2, with b in pairs of rows as the unit wants it.
struct Product {
  int rows, pairs, columns;
  std::vector<std::uint16_t> a, b;  // [rows, 2 * pairs], [pairs, 2 * columns]
  std::vector<float> c;             // [rows, columns]

  Product(int m, int k, int n, float initial = 0) : rows(m), pairs(k), columns(n) {
    a.resize(static_cast<std::size_t>(2 * m * k));
    b.resize(static_cast<std::size_t>(2 * k * n));
    c.assign(static_cast<std::size_t>(m * n), initial);
  }

  /// Small integers: every order of additions gives the same sums.
  void fill_with_integers(std::uint64_t seed) {
    rapt::Rng rng(seed);
    for (auto* values : {&a, &b}) {
      for (auto& value : *values) value = bfloat16(static_cast<float>(rng.below(17)) - 8);
    }
    for (auto& value : c) value = static_cast<float>(rng.below(1000)) - 500;
  }

  [[nodiscard]] std::vector<float> reference() const {
    std::vector<float> sums = c;
    for (int m = 0; m < rows; ++m) {
      for (int n = 0; n < columns; ++n) {
        for (int k = 0; k < 2 * pairs; ++k) {
          const auto left = static_cast<std::size_t>(m * 2 * pairs + k);
          const auto right = static_cast<std::size_t>(k / 2 * 2 * columns + 2 * n + k % 2);
          sums[static_cast<std::size_t>(m * columns + n)] += from_bfloat16(a[left]) * from_bfloat16(b[right]);
        }
      }
    }
    return sums;
  }

  [[nodiscard]] std::vector<float> on_tiles() const {
    load_config(Config({{rows, 4 * columns}, {rows, 4 * pairs}, {pairs, 4 * columns}}));
    load<0>(c.data(), 4 * columns);
    load<1>(a.data(), 4 * pairs);
    load<2>(b.data(), 4 * columns);
    dot<0, 1, 2>();
    std::vector<float> result(c.size());
    store<0>(result.data(), 4 * columns);
    release();
    return result;
  }
};

class AmxEmulatorTest : public testing::Test {
  AmxEmulator emulator_;
};

// ---- Configuration. ----

TEST_F(AmxEmulatorTest, ConfigurationIsLoadedStoredAndReleased) {
  Config config({{16, 64}, {3, 8}, {0, 0}, {1, 4}});
  config.rows[7] = 9;
  config.row_bytes[7] = 33;
  load_config(config);
  EXPECT_EQ(stored_config(), config);
  release();
  Config none;
  none.palette = 0;
  EXPECT_EQ(stored_config(), none);
  load_config(kFull);
  load_config(none);
  EXPECT_EQ(stored_config(), none);
}

RAPT_TEST_AMX void load_constant_config() { asm volatile("ldtilecfg %0" : : "m"(kFull) : "memory"); }

TEST_F(AmxEmulatorTest, ConfigurationRelativeToTheInstruction) {
  load_constant_config();
  EXPECT_EQ(stored_config(), kFull);
  release();
}

RAPT_TEST_AMX Config through_the_stack_pointer(const Config& config) {
  Config copy;
  asm volatile(
      "lea -128(%%rsp), %%rsp\n"  // past the red zone
      "pushq 56(%0)\n pushq 48(%0)\n pushq 40(%0)\n pushq 32(%0)\n"
      "pushq 24(%0)\n pushq 16(%0)\n pushq 8(%0)\n pushq (%0)\n"
      "ldtilecfg (%%rsp)\n"
      "lea -64(%%rsp), %%rsp\n"
      "sttilecfg 64(%%rsp)\n"
      "lea 64(%%rsp), %%rsp\n"
      "popq (%1)\n popq 8(%1)\n popq 16(%1)\n popq 24(%1)\n"
      "popq 32(%1)\n popq 40(%1)\n popq 48(%1)\n popq 56(%1)\n"
      "lea 128(%%rsp), %%rsp"
      :
      : "r"(&config), "r"(&copy)
      : "memory", "cc");
  return copy;
}

TEST_F(AmxEmulatorTest, ConfigurationOnTheStack) {
  EXPECT_EQ(through_the_stack_pointer(kFull), kFull);
  release();
}

RAPT_TEST_AMX void load_config_indexed(const void* base, std::int64_t index) {
  asm volatile("ldtilecfg -64(%0,%1,8)" : : "r"(base), "r"(index) : "memory");
}

TEST_F(AmxEmulatorTest, ConfigurationOfAnArray) {
  const Config configs[2] = {Config({{1, 4}}), Config({{2, 8}, {3, 12}})};
  load_config_indexed(configs, 16);
  EXPECT_EQ(stored_config(), configs[1]);
  release();
}

// ---- Loads and stores. ----

TEST_F(AmxEmulatorTest, LoadsAndStoresWithAnyStride) {
  const Bytes source = counted(16 * 100);
  load_config(kFull);
  for (const int stride : {64, 100, -80, 0}) {
    const std::uint8_t* from = stride < 0 ? source.data() + 15 * 80 : source.data();
    load<3>(from, stride);
    const Bytes loaded = stored<3>();
    for (int row = 0; row < 16; ++row) {
      EXPECT_EQ(std::memcmp(&loaded[static_cast<std::size_t>(64 * row)], from + row * stride, 64), 0)
          << "row " << row << ", stride " << stride;
    }
  }
  load<7>(source.data(), 64);
  Bytes spread(16 * 100, 0xEE);
  store<7>(spread.data(), 100);
  for (std::size_t row = 0; row < 16; ++row) {
    for (std::size_t i = 0; i < 100 && row * 100 + i < spread.size(); ++i) {
      EXPECT_EQ(spread[row * 100 + i], i < 64 ? source[row * 64 + i] : 0xEE) << "row " << row << ", byte " << i;
    }
  }
  release();
}

TEST_F(AmxEmulatorTest, PartialTilesTouchTheirOwnBytesOnly) {
  load_config(Config({{5, 20}, {16, 4}, {1, 64}}));
  const Bytes source = counted(1024);
  load<0>(source.data(), 64);
  load<1>(source.data(), 64);
  load<2>(source.data(), 64);
  const Bytes tiles[3] = {stored<0>(0xEE), stored<1>(0xEE), stored<2>(0xEE)};
  const std::size_t rows[3] = {5, 16, 1}, bytes[3] = {20, 4, 64};
  for (std::size_t tile = 0; tile < 3; ++tile) {
    for (std::size_t i = 0; i < 1024; ++i) {
      const bool inside = i / 64 < rows[tile] && i % 64 < bytes[tile];
      EXPECT_EQ(tiles[tile][i], inside ? source[i] : 0xEE) << "tile " << tile << ", byte " << i;
    }
  }
  release();
}

TEST_F(AmxEmulatorTest, NewConfigurationAndZeroClearTiles) {
  const Bytes source = counted(1024), zeros(1024);
  load_config(kFull);
  load<6>(source.data(), 64);
  load<5>(source.data(), 64);
  zero<6>();
  EXPECT_EQ(stored<6>(), zeros);
  EXPECT_EQ(stored<5>(), source);
  load_config(kFull);
  EXPECT_EQ(stored<5>(), zeros);
  release();
}

/// Copies a tile by `tileloaddt1` and `tilestored` through two named registers.
struct AddressForm {
  std::int64_t displacement, scale;
  const char* registers;
  void (*copy)(std::int64_t from, std::int64_t to, std::int64_t index_value);
};

// The operands wait in vector registers, so that any two general ones can be used; 128 is the red zone.
#define RAPT_TEST_FORM(base, index, scale, displacement)                                 \
  AddressForm {                                                                          \
    displacement, scale, #base " " #index,                                               \
        [](std::int64_t from, std::int64_t to, std::int64_t index_value) RAPT_TEST_AMX { \
          asm volatile(                                                                  \
              "lea -128(%%rsp), %%rsp\n"                                                 \
              "push %%" #base "\n push %%" #index                                        \
              "\n"                                                                       \
              "movq %2, %%" #index "\n movq %0, %%" #base                                \
              "\n"                                                                       \
              "tileloaddt1 " #displacement "(%%" #base ",%%" #index "," #scale           \
              "), %%tmm4\n"                                                              \
              "movq %1, %%" #base                                                        \
              "\n"                                                                       \
              "tilestored %%tmm4, " #displacement "(%%" #base ",%%" #index "," #scale    \
              ")\n"                                                                      \
              "pop %%" #index "\n pop %%" #base                                          \
              "\n"                                                                       \
              "lea 128(%%rsp), %%rsp"                                                    \
              :                                                                          \
              : "x"(from), "x"(to), "x"(index_value)                                     \
              : "memory");                                                               \
        }                                                                                \
  }

TEST_F(AmxEmulatorTest, AnyBaseAndIndexRegister) {
  const AddressForm forms[] = {
      RAPT_TEST_FORM(rax, rcx, 1, 0),        RAPT_TEST_FORM(rcx, rdx, 2, 64),      RAPT_TEST_FORM(rdx, rbx, 4, -64),
      RAPT_TEST_FORM(rbx, rbp, 8, 128),      RAPT_TEST_FORM(rbp, rsi, 1, 0),       RAPT_TEST_FORM(rsi, rdi, 2, -128),
      RAPT_TEST_FORM(rdi, r8, 4, 74565),     RAPT_TEST_FORM(r8, r9, 8, -4096),     RAPT_TEST_FORM(r9, r10, 1, 127),
      RAPT_TEST_FORM(r10, r11, 2, -1000000), RAPT_TEST_FORM(r11, r12, 4, 1),       RAPT_TEST_FORM(r12, r13, 8, 0),
      RAPT_TEST_FORM(r13, r14, 1, 0),        RAPT_TEST_FORM(r14, r15, 2, 1048576), RAPT_TEST_FORM(r15, rax, 8, -1),
      RAPT_TEST_FORM(r13, r12, 4, 0),        RAPT_TEST_FORM(rbp, r12, 2, -129),
  };
  const Bytes source = counted(16 * 72);
  load_config(kFull);
  for (const AddressForm& form : forms) {
    Bytes copy(16 * 72);
    form.copy(reinterpret_cast<std::int64_t>(source.data()) - form.displacement,
              reinterpret_cast<std::int64_t>(copy.data()) - form.displacement, 72 / form.scale);
    for (std::size_t i = 0; i < copy.size(); ++i) {
      ASSERT_EQ(copy[i], i % 72 < 64 ? source[i] : 0) << form.registers << ", byte " << i;
    }
  }
  release();
}

RAPT_TEST_AMX void load_without_index(const void* from) {
  asm volatile("tileloadd 64(%0), %%tmm1" : : "r"(from) : "memory");
}

TEST_F(AmxEmulatorTest, WithoutIndexEveryRowIsTheSame) {
  const Bytes source = counted(128);
  load_config(kFull);
  load_without_index(source.data());
  const Bytes loaded = stored<1>();
  for (std::size_t i = 0; i < 1024; ++i) EXPECT_EQ(loaded[i], source[64 + i % 64]);
  release();
}

constexpr std::uintptr_t kLowAddress = 0x20000000;  // fits a displacement

RAPT_TEST_AMX void load_without_base(std::int64_t stride) {
  asm volatile("tileloadd 0x20000000(,%0,2), %%tmm1" : : "r"(stride / 2) : "memory");
}

TEST_F(AmxEmulatorTest, WithoutBaseTheDisplacementIsTheAddress) {
  void* const wish = reinterpret_cast<void*>(kLowAddress);
  void* const page = mmap(wish, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (page != wish) GTEST_SKIP() << "the address is taken";
  const Bytes source = counted(16 * 96);
  std::memcpy(page, source.data(), source.size());
  load_config(kFull);
  load_without_base(96);
  const Bytes loaded = stored<1>();
  for (std::size_t i = 0; i < 1024; ++i) EXPECT_EQ(loaded[i], source[i / 64 * 96 + i % 64]);
  release();
  munmap(page, 4096);
}

// ---- Products. ----

TEST_F(AmxEmulatorTest, ProductEqualsPlainLoop) {
  const int shapes[][3] = {{16, 16, 16}, {1, 1, 1}, {5, 16, 7}, {16, 3, 16}, {2, 9, 16}};
  for (const auto& [rows, pairs, columns] : shapes) {
    Product product(rows, pairs, columns);
    product.fill_with_integers(static_cast<std::uint64_t>(100 * rows + pairs));
    EXPECT_EQ(product.on_tiles(), product.reference()) << rows << " x " << 2 * pairs << " x " << columns;
  }
}

/// One instruction after the other, with nothing between.
RAPT_TEST_AMX void multiply_in_a_row(const Product& product, float* result) {
  asm volatile(
      "ldtilecfg %0\n"
      "tileloadd (%1,%4,1), %%tmm5\n"
      "tileloadd (%2,%4,1), %%tmm7\n"
      "tileloaddt1 (%3,%4,1), %%tmm3\n"
      "tilezero %%tmm0\n"
      "tdpbf16ps %%tmm3, %%tmm7, %%tmm5\n"
      "tilestored %%tmm5, (%5,%4,1)\n"
      "tilerelease"
      :
      : "m"(kFull), "r"(product.c.data()), "r"(product.a.data()), "r"(product.b.data()), "r"(std::int64_t{64}),
        "r"(result)
      : "memory");
}

TEST_F(AmxEmulatorTest, ProductOfOtherTilesInARow) {
  Product product(16, 16, 16);
  product.fill_with_integers(1);
  std::vector<float> result(256);
  multiply_in_a_row(product, result.data());
  EXPECT_EQ(result, product.reference());
}

/// What one tdpbf16ps adds to c from one pair of products.
float one_pair(float c, float a0, float b0, float a1, float b1) {
  Product product(1, 1, 1, c);
  product.a = {bfloat16(a0), bfloat16(a1)};
  product.b = {bfloat16(b0), bfloat16(b1)};
  return product.on_tiles()[0];
}

TEST_F(AmxEmulatorTest, RoundsToNearestEvenWhateverTheThreadAsksFor) {
  const unsigned before = _mm_getcsr();
  for (const unsigned rounding : {_MM_ROUND_NEAREST, _MM_ROUND_UP, _MM_ROUND_DOWN, _MM_ROUND_TOWARD_ZERO}) {
    _mm_setcsr((before & ~static_cast<unsigned>(_MM_ROUND_MASK)) | rounding);
    const float tie_down = one_pair(1, 0x1p-12f, 0x1p-12f, 0, 0);
    const float tie_up = one_pair(1 + 0x1p-23f, 0x1p-12f, 0x1p-12f, 0, 0);
    const float above = one_pair(1, 0x1p-12f, 0x1p-12f, 0x1p-20f, 0x1p-20f);
    const unsigned after = _mm_getcsr();
    _mm_setcsr(before);
    EXPECT_EQ(tie_down, 1) << rounding;
    EXPECT_EQ(tie_up, 1 + 0x1p-22f) << rounding;
    EXPECT_EQ(above, 1 + 0x1p-23f) << rounding;  // the two products are summed before c is added
    EXPECT_EQ(after & _MM_ROUND_MASK, rounding);
  }
}

TEST_F(AmxEmulatorTest, SubnormalNumbersAreZeros) {
  EXPECT_EQ(one_pair(0, 0x1p-127f, 0x1p127f, 0, 0), 0);           // of a
  EXPECT_EQ(one_pair(0, 0x1p127f, 0x1p-127f, 0, 0), 0);           // of b
  EXPECT_EQ(one_pair(0x1p-127f, 1, 0x1p-126f, 0, 0), 0x1p-126f);  // of c
  EXPECT_EQ(one_pair(0, 0x1p-64f, 0x1p-64f, 0, 0), 0);            // of a product
  EXPECT_EQ(one_pair(0x1.8p-126f, -1, 0x1p-126f, 0, 0), 0);       // of the sum
}

TEST_F(AmxEmulatorTest, InfinityAndNan) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(one_pair(1, infinity, 2, 3, 4), infinity);
  EXPECT_EQ(one_pair(1, 0x1p127f, 2, 0, 0), infinity);
  EXPECT_TRUE(std::isnan(one_pair(1, infinity, 1, -infinity, 1)));
  EXPECT_TRUE(std::isnan(one_pair(std::nanf(""), 1, 1, 1, 1)));
}

// ---- Threads. ----

TEST_F(AmxEmulatorTest, EveryThreadHasTilesOfItsOwn) {
  constexpr int kRounds = 200;
  std::barrier start(2);
  std::array<int, 2> equal{};
  const auto work = [&](std::size_t thread, int rows, int pairs, int columns) {
    start.arrive_and_wait();
    for (int round = 0; round < kRounds; ++round) {
      Product product(rows, pairs, columns);
      product.fill_with_integers(thread * kRounds + static_cast<std::uint64_t>(round));
      equal[thread] += product.on_tiles() == product.reference();
    }
  };
  std::thread first(work, 0, 16, 16, 16), second(work, 1, 4, 5, 6);
  first.join();
  second.join();
  EXPECT_EQ(equal[0], kRounds);
  EXPECT_EQ(equal[1], kRounds);
}

TEST_F(AmxEmulatorTest, TilesOutliveTheOtherThreadsRelease) {
  const Bytes source = counted(1024);
  load_config(kFull);
  load<2>(source.data(), 64);
  std::thread([] {
    load_config(Config({{1, 4}}));
    release();
  }).join();
  EXPECT_EQ(stored_config(), kFull);
  EXPECT_EQ(stored<2>(), source);
  release();
}

// ---- What a processor would refuse, and what is not emulated. ----

class AmxEmulatorDeathTest : public AmxEmulatorTest {
  void SetUp() override {
    if (!AmxEmulator::needed()) GTEST_SKIP() << "this processor has AMX: it refuses by signals of its own";
    GTEST_FLAG_SET(death_test_style, "threadsafe");
  }
};

TEST_F(AmxEmulatorDeathTest, InvalidConfiguration) {
  Config palette = kFull, reserved = kFull, ninth_tile = kFull;
  palette.palette = 2;
  reserved.reserved[13] = 1;
  ninth_tile.rows[8] = 1;
  EXPECT_DEATH(load_config(palette), "ldtilecfg would fault: palette 2");
  EXPECT_DEATH(load_config(reserved), "ldtilecfg would fault");
  EXPECT_DEATH(load_config(ninth_tile), "ldtilecfg would fault");
  EXPECT_DEATH(load_config(Config({{16, 64}, {17, 64}})), "ldtilecfg would fault: .*tmm1: 17 rows of 64 bytes");
  EXPECT_DEATH(load_config(Config({{16, 65}})), "ldtilecfg would fault: .*tmm0: 16 rows of 65 bytes");
  EXPECT_DEATH(load_config(Config({{16, 0}})), "ldtilecfg would fault: .*tmm0: 16 rows of 0 bytes");
}

TEST_F(AmxEmulatorDeathTest, TilesWithoutConfiguration) {
  Bytes bytes(1024);
  release();
  EXPECT_DEATH(load<0>(bytes.data(), 64), "tileloadd would fault: no ldtilecfg in this thread");
  EXPECT_DEATH((dot<0, 1, 2>()), "tdpbf16ps would fault: no ldtilecfg in this thread");
  load_config(Config({{16, 64}}));
  EXPECT_DEATH(store<3>(bytes.data(), 64), "tilestored would fault: tmm3 is not configured");
  EXPECT_DEATH(zero<4>(), "tilezero would fault: tmm4 is not configured");
  load_config(Config({{16, 62}}));
  EXPECT_DEATH(load<0>(bytes.data(), 64), "tileloadd would fault: tmm0: 16 rows of 62 bytes, which are not words");
  EXPECT_DEATH(store<0>(bytes.data(), 64), "tilestored would fault: tmm0: 16 rows of 62 bytes, which are not words");
  zero<0>();  // a processor does this
  release();
}

TEST_F(AmxEmulatorDeathTest, ShapesThatDoNotFit) {
  const auto dot_of = [](std::initializer_list<std::pair<int, int>> shapes) {
    load_config(Config(shapes));
    dot<0, 1, 2>();
  };
  EXPECT_DEATH(dot_of({{15, 64}, {16, 64}, {16, 64}}),
               "tdpbf16ps would fault: tmm0: 15 rows of 64 bytes, tmm1: 16 rows");
  EXPECT_DEATH(dot_of({{16, 64}, {16, 60}, {16, 64}}), "tdpbf16ps would fault");
  EXPECT_DEATH(dot_of({{16, 64}, {16, 64}, {16, 60}}), "tdpbf16ps would fault");
  EXPECT_DEATH(dot_of({{16, 64}, {16, 62}, {15, 64}}), "tdpbf16ps would fault");
  EXPECT_DEATH(dot_of({{16, 62}, {16, 64}, {16, 62}}), "tdpbf16ps would fault");
  load_config(kFull);
  // Assemblers refuse to name a tile twice: 0 = 0 * 2, 1 * 0 and 1 * 1.
  EXPECT_DEATH(asm volatile(".byte 0xC4, 0xE2, 0x6A, 0x5C, 0xC0"), "tdpbf16ps would fault");
  EXPECT_DEATH(asm volatile(".byte 0xC4, 0xE2, 0x7A, 0x5C, 0xC1"), "tdpbf16ps would fault");
  EXPECT_DEATH(asm volatile(".byte 0xC4, 0xE2, 0x72, 0x5C, 0xC1"), "tdpbf16ps would fault");
  release();
}

TEST_F(AmxEmulatorDeathTest, OtherTileInstructions) {
  load_config(kFull);
  EXPECT_DEATH(asm volatile(".byte 0xC4, 0xE2, 0x53, 0x5E, 0xFE"), "not an emulated .* c4 e2 53 5e fe");  // tdpbssd
  EXPECT_DEATH(asm volatile(".byte 0x67, 0xC4, 0xE2, 0x7B, 0x4B, 0x0C, 0x18"), "not an emulated .* 67 c4 e2 7b 4b");
  EXPECT_DEATH(asm volatile(".byte 0xC4, 0xE2, 0xF8, 0x49, 0xC0"), "not an emulated .* c4 e2 f8 49 c0");  // W is 1
  EXPECT_DEATH(asm volatile(".byte 0xC4, 0xE2, 0x7B, 0x4B, 0x08"), "not an emulated .* c4 e2 7b 4b 08");  // no SIB
  release();
}

// ---- Other illegal instructions. ----

int illegal_instructions = 0;

void skip_ud2(int, siginfo_t*, void* context) {
  ++illegal_instructions;
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP] += 2;
}
void count_signal(int) { ++illegal_instructions; }
void execute_ud2() { asm volatile("ud2"); }

TEST(AmxEmulatorSignals, PreviousHandlerServesTheRestAndIsRestored) {
  struct sigaction ours {
  }, before{}, after{};
  ours.sa_sigaction = skip_ud2;
  ours.sa_flags = SA_SIGINFO;
  sigaction(SIGILL, &ours, &before);
  illegal_instructions = 0;
  {
    const AmxEmulator emulator;
    load_config(kFull);
    execute_ud2();
    EXPECT_EQ(stored_config(), kFull);
    release();
  }
  EXPECT_EQ(illegal_instructions, 1);
  execute_ud2();
  EXPECT_EQ(illegal_instructions, 2);
  sigaction(SIGILL, &before, &after);
  EXPECT_EQ(after.sa_sigaction, skip_ud2);
  EXPECT_NE(after.sa_flags & SA_SIGINFO, 0);
}

TEST(AmxEmulatorSignals, SignalSentByTheProgramGoesToThePreviousHandler) {
  struct sigaction ours {
  }, before{};
  ours.sa_handler = count_signal;
  sigaction(SIGILL, &ours, &before);
  illegal_instructions = 0;
  {
    const AmxEmulator emulator;
    raise(SIGILL);
  }
  EXPECT_EQ(illegal_instructions, 1);
  sigaction(SIGILL, &before, nullptr);
}

TEST(AmxEmulatorSignalsDeathTest, DefaultActionEndsTheProgram) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const AmxEmulator emulator;
  EXPECT_EXIT(execute_ud2(), testing::KilledBySignal(SIGILL), "");
  EXPECT_EXIT(raise(SIGILL), testing::KilledBySignal(SIGILL), "");
}

TEST(AmxEmulatorSignals, OneAtATime) {
  if (!AmxEmulator::needed()) GTEST_SKIP() << "this processor has AMX: nothing is installed";
  {
    const AmxEmulator emulator;
    EXPECT_THROW(AmxEmulator(), rapt::ValueError);
    load_config(kFull);  // the first is still there
    EXPECT_EQ(stored_config(), kFull);
    release();
  }
  const AmxEmulator again;
  release();
}

}  // namespace

#else

TEST(AmxEmulatorTest, NeedsLinuxOnX86) {
  EXPECT_FALSE(rapt_test::AmxEmulator::supported());
  GTEST_SKIP() << "the AMX emulator needs x86-64 Linux";
}

#endif
