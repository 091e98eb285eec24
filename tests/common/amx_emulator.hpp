/// \file
/// Intel AMX on an x86-64 Linux processor without it, so that tests can run the machine code of an AMX kernel anywhere.
///
/// Such a processor raises SIGILL for a tile instruction. The handler decodes the instruction, does its work on tile
/// registers kept in thread-local memory, and moves the instruction pointer behind it. Emulated are the tile
/// instructions (palette 1) and tdpbf16ps, as Intel's Software Developer's Manual defines them. What a processor would
/// refuse, and tile instructions not emulated, end the program with a message on standard error.
#pragma once

#include "rapt/core/error.hpp"
#include "rapt/core/precision.hpp"

#if defined(__x86_64__) && defined(__linux__)
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include <atomic>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace rapt_test::amx {

// ---- State: one set of tiles per thread. Zeros are the state after tilerelease. ----

struct TileConfig {  // the operand of ldtilecfg
  std::uint8_t palette, start_row, reserved[14];
  std::uint16_t row_bytes[16];
  std::uint8_t rows[16];
};
static_assert(sizeof(TileConfig) == 64);

struct Tiles {
  TileConfig config;
  std::uint8_t data[8][16][64];
};
// Part of the executable's static thread-local block: a handler that reads it first allocates nothing.
[[gnu::tls_model("initial-exec")]] inline constinit thread_local Tiles tiles{};

// ---- Messages: put together and written without allocating, as a signal handler must. ----

class Message {
 public:
  Message() { *this << "AMX emulator: "; }
  Message& operator<<(const char* text) {
    while (*text != '\0' && size_ < sizeof text_ - 1) text_[size_++] = *text++;
    return *this;
  }
  Message& operator<<(unsigned value) { return number(value, 10, 1); }
  Message& number(unsigned value, unsigned base, int width) {
    char digits[12] = {};
    char* first = digits + 11;
    for (; value != 0 || width > 0; value /= base, --width) *--first = "0123456789abcdef"[value % base];
    return *this << first;
  }
  Message& tile(unsigned index) {
    return *this << "tmm" << index << ": " << tiles.config.rows[index] << " rows of " << tiles.config.row_bytes[index]
                 << " bytes, ";
  }
  [[noreturn]] void abort() {
    text_[size_++] = '\n';
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text_, size_);
    std::abort();
  }

 private:
  char text_[400];
  std::size_t size_ = 0;
};

[[noreturn]] inline void unknown(const std::uint8_t* code) {
  const std::size_t left_of_page = 4096 - reinterpret_cast<std::uintptr_t>(code) % 4096;  // the next may be unmapped
  Message message;
  message << "not an emulated tile instruction (the bytes from its first on):";
  for (std::size_t i = 0; i < 15 && i < left_of_page; ++i) (message << " ").number(code[i], 16, 2);
  message.abort();
}

// ---- Decoding: C4 [~R ~X ~B map:5] [W ~vvvv:4 L prefix:2] opcode ModRM [SIB] [displacement]. ----

/// Whether the code is a tile instruction, emulated or not: VEX map 2, perhaps behind prefixes. The two-byte VEX form
/// (C5) cannot name map 2.
[[nodiscard]] inline bool is_tile_instruction(const std::uint8_t* code) {
  const auto is_prefix = [](unsigned byte) {
    return byte == 0x66 || byte == 0xF2 || byte == 0xF3 || byte == 0x2E || byte == 0x36 || byte == 0x3E ||
           byte == 0x26 || byte == 0x64 || byte == 0x65 || byte == 0x67 || (byte & 0xF0) == 0x40;
  };
  for (int prefixes = 0; prefixes < 10 && is_prefix(*code); ++prefixes) ++code;
  if (code[0] != 0xC4 || (code[1] & 31) != 2) return false;
  const unsigned group = code[3] & 0xFC;  // among them integer, float16, complex and tf32 products
  return group == 0x48 || group == 0x5C || group == 0x6C;
}

struct Instruction {
  const std::uint8_t* code;
  unsigned id;                    // opcode << 4 | prefix, prefix being 0: none, 1: 66, 2: F3, 3: F2
  unsigned mod, reg, rm, vvvv;    // register numbers with their upper bits from VEX
  bool has_sib;                   // base + row * stride
  std::uint64_t address, stride;  // address = base + displacement; stride = index * scale, 0 without an index
  long long length;
};

[[nodiscard]] inline Instruction decode(const std::uint8_t* code, const gregset_t& registers) {
  if (code[0] != 0xC4) unknown(code);  // a segment or an address size
  const auto value_of = [&registers](unsigned number) {
    constexpr int kOrder[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                              REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    return static_cast<std::uint64_t>(registers[kOrder[number]]);
  };
  const unsigned upper = ~code[1] & 0xE0u, vex = code[2], modrm = code[4];
  const unsigned r = upper >> 4 & 8, x = upper >> 3 & 8, b = upper >> 2 & 8;
  Instruction in{};
  in.code = code;
  in.id = static_cast<unsigned>(code[3]) << 4 | (vex & 3);
  in.mod = modrm >> 6;
  in.reg = (modrm >> 3 & 7) | r;
  in.rm = (modrm & 7) | b;
  in.vvvv = ~vex >> 3 & 15;
  if ((vex & 0x84) != 0 || (in.mod == 3 && x != 0)) unknown(code);  // W and L are 0 in all

  const std::uint8_t* next = code + 5;
  if (in.mod != 3) {
    unsigned base = in.rm;
    in.has_sib = (modrm & 7) == 4;
    if (in.has_sib) {
      const unsigned sib = *next++, index = (sib >> 3 & 7) | x;
      base = (sib & 7) | b;
      if (index != 4) in.stride = value_of(index) << (sib >> 6);
    }
    const bool no_base = in.mod == 0 && (base & 7) == 5;
    if (!no_base) in.address = value_of(base);
    if (in.mod == 1) {
      in.address += static_cast<std::uint64_t>(static_cast<std::int8_t>(*next++));
    } else if (in.mod == 2 || no_base) {
      std::int32_t displacement;
      std::memcpy(&displacement, next, 4);
      next += 4;
      in.address += static_cast<std::uint64_t>(displacement);
    }
    if (no_base && !in.has_sib) in.address += reinterpret_cast<std::uintptr_t>(next);  // relative to the next one
  }
  in.length = next - code;
  return in;
}

// ---- Executing. ----

[[nodiscard]] inline std::uint8_t* memory(std::uint64_t address) { return reinterpret_cast<std::uint8_t*>(address); }

inline void require_tile(const char* name, unsigned tile) {
  if (tiles.config.palette == 0) {
    (Message() << name << " would fault: no ldtilecfg in this thread").abort();
  }
  if (tiles.config.rows[tile] == 0) {
    (Message() << name << " would fault: tmm" << tile << " is not configured").abort();
  }
}

inline void ldtilecfg(std::uint64_t address) {
  TileConfig config;
  std::memcpy(&config, memory(address), sizeof config);
  tiles = {};
  if (config.palette == 0) return;
  bool valid = config.palette == 1 && config.start_row == 0;  // resuming an interrupted load is not emulated
  for (const std::uint8_t byte : config.reserved) valid = valid && byte == 0;
  for (int tile = 0; tile < 16; ++tile) {
    const unsigned rows = config.rows[tile], bytes = config.row_bytes[tile];
    valid = valid && (tile < 8 ? rows <= 16 && bytes <= 64 && (rows == 0) == (bytes == 0) : rows == 0 && bytes == 0);
  }
  tiles.config = config;
  if (valid) return;
  Message message;
  message << "ldtilecfg would fault: palette " << config.palette << ", start row " << config.start_row << ", ";
  for (unsigned tile = 0; tile < 8; ++tile) message.tile(tile);
  (message << "or bytes that must be 0").abort();
}

/// float32 arithmetic as tiles do it: subnormal numbers are zeros, rounding to nearest even.
[[nodiscard]] inline float flush(float value) { return std::abs(value) < FLT_MIN ? std::copysign(0.0f, value) : value; }
[[nodiscard]] inline float add(float a, float b) { return flush(flush(a) + flush(b)); }
/// sum + a * b with one rounding: the product of two bfloat16 is exact in double, and the sum keeps enough bits.
[[nodiscard]] inline float multiply_add(float sum, float a, float b) {
  return flush(static_cast<float>(static_cast<double>(sum) + static_cast<double>(flush(a)) * flush(b)));
}
[[nodiscard]] inline float load_bfloat16(const std::uint8_t* from) {
  const std::uint32_t bits = static_cast<std::uint32_t>(from[0]) << 16 | static_cast<std::uint32_t>(from[1]) << 24;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

/// c[m, n] += sum over k of a[m, 2k] * b[k, 2n] + a[m, 2k + 1] * b[k, 2n + 1]; even and odd terms are summed apart.
inline void tdpbf16ps(unsigned c, unsigned a, unsigned b) {
  for (const unsigned tile : {c, a, b}) require_tile("tdpbf16ps", tile);
  const TileConfig& config = tiles.config;
  const unsigned rows = config.rows[c], pairs = config.row_bytes[a] / 4u, columns = config.row_bytes[c] / 4u;
  if (c == a || c == b || a == b || config.rows[a] != rows || config.rows[b] != pairs ||
      config.row_bytes[b] != config.row_bytes[c] || config.row_bytes[a] % 4 != 0 || config.row_bytes[c] % 4 != 0) {
    ((Message() << "tdpbf16ps would fault: ").tile(c).tile(a).tile(b) << "which do not fit").abort();
  }
  for (unsigned m = 0; m < rows; ++m) {
    float even[16] = {}, odd[16] = {};
    for (unsigned k = 0; k < pairs; ++k) {
      const std::uint8_t* left = &tiles.data[a][m][4 * k];
      for (unsigned n = 0; n < columns; ++n) {
        const std::uint8_t* right = &tiles.data[b][k][4 * n];
        even[n] = multiply_add(even[n], load_bfloat16(left), load_bfloat16(right));
        odd[n] = multiply_add(odd[n], load_bfloat16(left + 2), load_bfloat16(right + 2));
      }
    }
    for (unsigned n = 0; n < columns; ++n) {
      float sum;
      std::memcpy(&sum, &tiles.data[c][m][4 * n], 4);
      sum = add(sum, add(even[n], odd[n]));
      std::memcpy(&tiles.data[c][m][4 * n], &sum, 4);
    }
  }
}

inline void move_rows(const Instruction& in, const char* name, bool load) {
  if (!in.has_sib || in.reg > 7) unknown(in.code);
  require_tile(name, in.reg);
  if (tiles.config.row_bytes[in.reg] % 4 != 0) {  // as a processor with AMX does
    ((Message() << name << " would fault: ").tile(in.reg) << "which are not words of 4 bytes").abort();
  }
  auto& tile = tiles.data[in.reg];  // zeros outside its configured rows and bytes, since ldtilecfg
  for (unsigned row = 0; row < tiles.config.rows[in.reg]; ++row) {
    std::uint8_t* place = memory(in.address + row * in.stride);
    std::memcpy(load ? tile[row] : place, load ? place : tile[row], tiles.config.row_bytes[in.reg]);
  }
}

inline void execute(const Instruction& in) {
  const bool in_memory = in.mod != 3;
  if (in.id == 0x5C2 && !in_memory && in.reg < 8 && in.rm < 8 && in.vvvv < 8) {
    return tdpbf16ps(in.reg, in.rm, in.vvvv);
  }
  if (in.vvvv != 0) unknown(in.code);  // all others have two operands
  switch (in.id) {
    case 0x490:
      if (in_memory && in.reg == 0) return ldtilecfg(in.address + in.stride);
      if (!in_memory && in.reg == 0 && in.rm == 0) return void(tiles = {});  // tilerelease
      break;
    case 0x491:  // sttilecfg
      if (!in_memory || in.reg != 0) break;
      return void(std::memcpy(memory(in.address + in.stride), &tiles.config, sizeof tiles.config));
    case 0x493:
      if (in_memory || in.reg > 7 || in.rm != 0) break;
      require_tile("tilezero", in.reg);
      return void(std::memset(tiles.data[in.reg], 0, sizeof tiles.data[in.reg]));
    case 0x4B3:
      return move_rows(in, "tileloadd", true);
    case 0x4B1:
      return move_rows(in, "tileloaddt1", true);
    case 0x4B2:
      return move_rows(in, "tilestored", false);
    default:
      break;
  }
  unknown(in.code);
}

}  // namespace rapt_test::amx

namespace rapt_test {

/// Emulates AMX in all threads while it lives; does nothing where the processor has AMX, so the same test runs on the
/// real tiles there. One at a time.
class AmxEmulator {
 public:
  [[nodiscard]] static constexpr bool supported() { return true; }
  /// Whether the processor has no AMX or the operating system does not grant it.
  [[nodiscard]] static bool needed() { return rapt::detected_matrix_unit() != rapt::MatrixUnit::amx; }

  AmxEmulator() {
    if (!needed()) return;
    rapt::require(!installed_.exchange(true), "amx_emulator", "there is one already");
    struct sigaction action {};
    action.sa_sigaction = on_illegal_instruction;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGILL, &action, &previous_);
  }
  ~AmxEmulator() {
    if (!needed()) return;
    sigaction(SIGILL, &previous_, nullptr);
    installed_ = false;
  }
  AmxEmulator(const AmxEmulator&) = delete;
  AmxEmulator& operator=(const AmxEmulator&) = delete;

 private:
  static void on_illegal_instruction(int signal, siginfo_t* info, void* context) {
    gregset_t& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    const auto* code = reinterpret_cast<const std::uint8_t*>(registers[REG_RIP]);
    const bool sent_by_program = info->si_code <= 0;  // kill, raise
    if (!sent_by_program && amx::is_tile_instruction(code)) {
      do {  // several in a row cost one signal
        const amx::Instruction instruction = amx::decode(code, registers);
        amx::execute(instruction);
        code += instruction.length;
      } while (amx::is_tile_instruction(code));
      registers[REG_RIP] = static_cast<greg_t>(reinterpret_cast<std::uintptr_t>(code));
    } else if ((previous_.sa_flags & SA_SIGINFO) != 0) {
      previous_.sa_sigaction(signal, info, context);
    } else if (previous_.sa_handler != SIG_DFL && previous_.sa_handler != SIG_IGN) {
      previous_.sa_handler(signal);
    } else {
      sigaction(SIGILL, &previous_, nullptr);  // the instruction fails again, to the default action
      if (sent_by_program) raise(signal);
    }
  }

  static inline struct sigaction previous_ {};
  static inline std::atomic<bool> installed_{false};
};

}  // namespace rapt_test

#else

namespace rapt_test {

class AmxEmulator {
 public:
  [[nodiscard]] static constexpr bool supported() { return false; }
  [[nodiscard]] static bool needed() { return true; }
  AmxEmulator() { rapt::require(supported(), "amx_emulator", "needs x86-64 Linux"); }
};

}  // namespace rapt_test

#endif
