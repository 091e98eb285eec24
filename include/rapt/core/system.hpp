/// \file
/// What the library asks of the operating system, for POSIX (Linux, macOS) and for Windows: files, memory maps,
/// processes and signals. What is in neither, such as the forked trials of search/, says so where it is.
///
/// Functions that can fail say so by their result, and errno has the reason on both systems. On Windows paths may be
/// longer than 260 characters, and a file may be removed or replaced while it is open by open_file, but not while it is
/// mapped or open by others who do not share it, such as std::fstream.
#pragma once

#if defined(_WIN32)
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <fcntl.h>
#include <io.h>
#include <windows.h>
#else
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

#include <signal.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <new>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "rapt/version.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// What the system says about an errno, e.g. "No space left on device".
[[nodiscard]] inline std::string system_reason(int error) { return std::generic_category().message(error); }

/// How open_file opens a file: to be read; to be read if it turns out to be a regular one, without waiting for the
/// other end of a pipe; as a new one, to be written, which must not exist; or as a new one that this user alone may
/// write and read.
enum class OpenMode { read, read_regular, create, create_private };

/// What is known of a file. `mode` are the permissions, 0 on Windows.
struct FileFacts {
  bool is_regular = false;
  std::uint64_t bytes = 0;
  unsigned mode = 0;
};

/// The most bytes that one call reads or writes, as no system takes more than 2^31 - 1.
inline constexpr std::size_t kMostTransferred = std::size_t{1} << 30;

/// The signals that ask a program to end: Ctrl-C, SIGTERM, and on Windows also Ctrl-Break and the closing of the
/// console.
inline constexpr std::array kEndingSignals = {SIGINT, SIGTERM
#if defined(_WIN32)
                                              ,
                                              SIGBREAK
#endif
};

/// The action of a signal before another one was set.
struct SignalAction {
#if defined(_WIN32)
  void (*handler)(int) = SIG_DFL;
  [[nodiscard]] bool is_ignored() const { return handler == SIG_IGN; }
#else
  struct ::sigaction action = {};
  [[nodiscard]] bool is_ignored() const { return action.sa_handler == SIG_IGN; }
#endif
};

#if defined(_WIN32)

/// Sets errno from GetLastError; what has no name in POSIX becomes EIO.
inline void set_errno() {
  const auto condition = std::system_category().default_error_condition(static_cast<int>(::GetLastError()));
  errno = condition.category() == std::generic_category() ? condition.value() : EIO;
}

/// The path as functions of Windows take it whatever its length: absolute, with the prefix \\?\ if it is long.
[[nodiscard]] inline std::wstring native_path(const std::filesystem::path& path) {
  std::wstring full(::GetFullPathNameW(path.c_str(), 0, nullptr, nullptr), L'\0');
  full.resize(::GetFullPathNameW(path.c_str(), static_cast<DWORD>(full.size()), full.data(), nullptr));
  if (full.size() < 240 || full.starts_with(L"\\\\?\\") || full.starts_with(L"\\\\.\\")) return full;
  return full.starts_with(L"\\\\") ? L"\\\\?\\UNC\\" + full.substr(2) : L"\\\\?\\" + full;
}

[[nodiscard]] inline HANDLE handle_of(int file) { return reinterpret_cast<HANDLE>(::_get_osfhandle(file)); }

[[nodiscard]] inline int open_file(const std::filesystem::path& path, OpenMode mode) {
  const bool reads = mode == OpenMode::read || mode == OpenMode::read_regular;
  const DWORD access = reads ? GENERIC_READ : mode == OpenMode::create ? GENERIC_WRITE : GENERIC_READ | GENERIC_WRITE;
  const HANDLE handle =
      ::CreateFileW(native_path(path).c_str(), access, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr,
                    reads ? OPEN_EXISTING : CREATE_NEW,
                    FILE_ATTRIBUTE_NORMAL | (reads ? FILE_FLAG_BACKUP_SEMANTICS : 0),  // with it folders open, too
                    nullptr);
  if (handle == INVALID_HANDLE_VALUE) {
    set_errno();
    return -1;
  }
  const int file =
      ::_open_osfhandle(reinterpret_cast<std::intptr_t>(handle), _O_BINARY | _O_NOINHERIT | (reads ? _O_RDONLY : 0));
  if (file < 0) ::CloseHandle(handle);
  return file;
}
[[nodiscard]] inline bool close_file(int file) { return ::_close(file) == 0; }

[[nodiscard]] inline std::int64_t read_some(int file, void* to, std::size_t bytes) {
  return ::_read(file, to, static_cast<unsigned>(std::min(bytes, kMostTransferred)));
}
[[nodiscard]] inline std::int64_t read_some_at(int file, void* to, std::size_t bytes, std::uint64_t offset) {
  OVERLAPPED place = {};
  place.Offset = static_cast<DWORD>(offset & 0xffffffffu);
  place.OffsetHigh = static_cast<DWORD>(offset >> 32);
  DWORD count = 0;
  if (::ReadFile(handle_of(file), to, static_cast<DWORD>(std::min(bytes, kMostTransferred)), &count, &place) != 0) {
    return count;
  }
  if (::GetLastError() == ERROR_HANDLE_EOF) return 0;
  set_errno();
  return -1;
}
[[nodiscard]] inline std::int64_t write_some(int file, const void* from, std::size_t bytes) {
  DWORD count = 0;
  if (::WriteFile(handle_of(file), from, static_cast<DWORD>(std::min(bytes, kMostTransferred)), &count, nullptr) != 0) {
    if (count > 0 || bytes == 0) return count;
    ::SetLastError(ERROR_DISK_FULL);
  }
  set_errno();
  return -1;
}
[[nodiscard]] inline bool flush_to_disk(int file) { return ::_commit(file) == 0; }

[[nodiscard]] inline bool facts_of(int file, FileFacts& facts) {
  facts = {};
  if (::GetFileType(handle_of(file)) != FILE_TYPE_DISK) return true;
  BY_HANDLE_FILE_INFORMATION found = {};
  if (::GetFileInformationByHandle(handle_of(file), &found) == 0) {
    set_errno();
    return false;
  }
  facts = {.is_regular = (found.dwFileAttributes & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_DEVICE)) == 0,
           .bytes = std::uint64_t{found.nFileSizeHigh} << 32 | found.nFileSizeLow};
  return true;
}
[[nodiscard]] inline bool facts_of(const std::filesystem::path& path, FileFacts& facts) {
  WIN32_FILE_ATTRIBUTE_DATA found = {};
  if (::GetFileAttributesExW(native_path(path).c_str(), GetFileExInfoStandard, &found) == 0) {
    set_errno();
    return false;
  }
  facts = {.is_regular = (found.dwFileAttributes & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_DEVICE)) == 0,
           .bytes = std::uint64_t{found.nFileSizeHigh} << 32 | found.nFileSizeLow};
  return true;
}
inline void set_mode(int, unsigned) {}

/// Renames as POSIX does: whoever has the replaced file open keeps it. False, with GetLastError, before Windows 10 1607
/// and on file systems that cannot, such as FAT.
[[nodiscard]] inline bool rename_as_posix(const std::wstring& from, const std::wstring& to) {
  const HANDLE file =
      ::CreateFileW(from.c_str(), DELETE | SYNCHRONIZE, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr,
                    OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_WRITE_THROUGH, nullptr);
  if (file == INVALID_HANDLE_VALUE) return false;
  const std::size_t bytes = to.size() * sizeof(wchar_t);
  std::vector<std::byte> memory(sizeof(FILE_RENAME_INFO) + bytes);  // which ends in one character, for the zero
  auto* const info = new (memory.data()) FILE_RENAME_INFO{};
  const DWORD flags = 3;  // FILE_RENAME_FLAG_REPLACE_IF_EXISTS | FILE_RENAME_FLAG_POSIX_SEMANTICS, at the beginning
  std::memcpy(memory.data(), &flags, sizeof flags);
  info->FileNameLength = static_cast<DWORD>(bytes);
  std::memcpy(memory.data() + offsetof(FILE_RENAME_INFO, FileName), to.data(), bytes);
  constexpr auto kRenameInfoEx = static_cast<FILE_INFO_BY_HANDLE_CLASS>(22);  // headers for old Windows do not name it
  const bool done =
      ::SetFileInformationByHandle(file, kRenameInfoEx, memory.data(), static_cast<DWORD>(memory.size())) != 0;
  const DWORD error = ::GetLastError();
  ::CloseHandle(file);
  ::SetLastError(error);
  return done;
}

[[nodiscard]] inline bool rename_over(const std::filesystem::path& from, const std::filesystem::path& to) {
  const std::wstring old_name = native_path(from), new_name = native_path(to);
  for (int attempt = 0; attempt < 50; ++attempt) {
    if (attempt > 0) ::Sleep(20);  // others who have the file open, such as scanners, close it soon
    if (rename_as_posix(old_name, new_name) ||
        ::MoveFileExW(old_name.c_str(), new_name.c_str(), MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH) != 0) {
      return true;
    }
    const DWORD error = ::GetLastError();
    if (error != ERROR_SHARING_VIOLATION && error != ERROR_ACCESS_DENIED) break;
  }
  set_errno();
  return false;
}
inline void flush_folder(const std::filesystem::path&) {}  // the renaming itself is written through
inline void remove_file(const std::filesystem::path& path) {
  static_cast<void>(::DeleteFileW(native_path(path).c_str()));
}

[[nodiscard]] inline void* map_file(int file, std::size_t) {
  const HANDLE mapping = ::CreateFileMappingW(handle_of(file), nullptr, PAGE_WRITECOPY, 0, 0, nullptr);
  void* memory = mapping == nullptr ? nullptr : ::MapViewOfFile(mapping, FILE_MAP_COPY, 0, 0, 0);
  if (memory == nullptr) set_errno();
  if (mapping != nullptr) ::CloseHandle(mapping);
  return memory;
}
inline void unmap_file(void* memory, std::size_t) { static_cast<void>(::UnmapViewOfFile(memory)); }

[[nodiscard]] inline long process_id() { return static_cast<long>(::GetCurrentProcessId()); }
[[nodiscard]] inline bool process_runs(long id) {
  const HANDLE process = ::OpenProcess(SYNCHRONIZE, FALSE, static_cast<DWORD>(id));
  if (process == nullptr) return ::GetLastError() == ERROR_ACCESS_DENIED;
  const bool runs = ::WaitForSingleObject(process, 0) == WAIT_TIMEOUT;
  ::CloseHandle(process);
  return runs;
}

[[nodiscard]] inline SignalAction set_signal_handler(int number, void (*handler)(int)) {
  return {::signal(number, handler)};
}
inline void restore_signal(int number, const SignalAction& before) {
  static_cast<void>(::signal(number, before.handler));
}

#else

/// Opens a file and returns its descriptor, or -1.
[[nodiscard]] inline int open_file(const std::filesystem::path& path, OpenMode mode) {
  switch (mode) {
    case OpenMode::read:
      return ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    case OpenMode::read_regular:
      return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    case OpenMode::create:
      return ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    default:
      return ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  }
}
/// Closes a descriptor; some file systems report a full disk only here.
[[nodiscard]] inline bool close_file(int file) { return ::close(file) == 0; }

/// Reads or writes at least one byte, and returns how many: 0 at the end of the file, -1 after a failure.
/// read_some_at begins at an offset, and may be called from many threads.
[[nodiscard]] inline std::int64_t read_some(int file, void* to, std::size_t bytes) {
  while (true) {
    const ::ssize_t count = ::read(file, to, std::min(bytes, kMostTransferred));
    if (count >= 0 || errno != EINTR) return count;
  }
}
[[nodiscard]] inline std::int64_t read_some_at(int file, void* to, std::size_t bytes, std::uint64_t offset) {
  while (true) {
    const ::ssize_t count = ::pread(file, to, std::min(bytes, kMostTransferred), static_cast< ::off_t>(offset));
    if (count >= 0 || errno != EINTR) return count;
  }
}
[[nodiscard]] inline std::int64_t write_some(int file, const void* from, std::size_t bytes) {
  while (true) {
    const ::ssize_t count = ::write(file, from, std::min(bytes, kMostTransferred));
    if (count >= 0 || errno != EINTR) return count;
  }
}
/// Waits until what was written is on the disk.
[[nodiscard]] inline bool flush_to_disk(int file) {
#if defined(__APPLE__)
  if (::fcntl(file, F_FULLFSYNC) == 0) return true;  // fsync leaves the bytes in the disk's own memory there
#endif
  return ::fsync(file) == 0;
}

/// What is known of an open file, or of a path, whose links are followed.
[[nodiscard]] inline bool facts_of(int file, FileFacts& facts) {
  struct ::stat found = {};
  if (::fstat(file, &found) != 0) return false;
  facts = {.is_regular = S_ISREG(found.st_mode),
           .bytes = static_cast<std::uint64_t>(found.st_size),
           .mode = static_cast<unsigned>(found.st_mode) & 07777u};
  return true;
}
[[nodiscard]] inline bool facts_of(const std::filesystem::path& path, FileFacts& facts) {
  struct ::stat found = {};
  if (::stat(path.c_str(), &found) != 0) return false;
  facts = {.is_regular = S_ISREG(found.st_mode),
           .bytes = static_cast<std::uint64_t>(found.st_size),
           .mode = static_cast<unsigned>(found.st_mode) & 07777u};
  return true;
}
/// Gives an open file permissions. Some file systems have none, which is no failure.
inline void set_mode(int file, unsigned mode) { static_cast<void>(::fchmod(file, static_cast< ::mode_t>(mode))); }

/// Gives a file another name, and replaces the file that has it. At each moment the name is that of one of the two.
[[nodiscard]] inline bool rename_over(const std::filesystem::path& from, const std::filesystem::path& to) {
  return ::rename(from.c_str(), to.c_str()) == 0;
}
/// Makes names in a folder durable, where the file system lets one.
inline void flush_folder(const std::filesystem::path& folder) {
  const int file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return;
  static_cast<void>(::fsync(file));
  ::close(file);
}
inline void remove_file(const std::filesystem::path& path) { static_cast<void>(::unlink(path.c_str())); }

/// Maps the first `bytes` bytes of an open file, at least one, or returns a null pointer. Pages are read from the disk
/// when they are looked at, and become the program's own when they are written to.
[[nodiscard]] inline void* map_file(int file, std::size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}
inline void unmap_file(void* memory, std::size_t bytes) { static_cast<void>(::munmap(memory, bytes)); }

/// The number of this process, and whether the process of a number runs.
[[nodiscard]] inline long process_id() { return static_cast<long>(::getpid()); }
[[nodiscard]] inline bool process_runs(long id) { return ::kill(static_cast< ::pid_t>(id), 0) == 0 || errno != ESRCH; }

/// Sets what a signal calls and returns the action before, which restore_signal puts back.
[[nodiscard]] inline SignalAction set_signal_handler(int number, void (*handler)(int)) {
  struct ::sigaction action = {};
  action.sa_handler = handler;
  SignalAction before;
  ::sigaction(number, &action, &before.action);
  return before;
}
inline void restore_signal(int number, const SignalAction& before) { ::sigaction(number, &before.action, nullptr); }

#endif

/// Owns a file descriptor.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int number) : number_(number) {}
  FileDescriptor(const std::filesystem::path& path, OpenMode mode) : number_(open_file(path, mode)) {}
  FileDescriptor(FileDescriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~FileDescriptor() {
    if (number_ >= 0) static_cast<void>(close_file(number_));
  }

  [[nodiscard]] int get() const { return number_; }
  [[nodiscard]] bool is_open() const { return number_ >= 0; }
  /// Closes now and tells whether the system was content.
  [[nodiscard]] bool close() { return close_file(std::exchange(number_, -1)); }

 private:
  int number_ = -1;
};

}}}  // namespace rapt::RAPT_ABI::detail
