// A switch between network namespaces whose links have a delay, for measurements over "machines" that are namespaces of
// one kernel:
//
//   link DELAY_MICROSECONDS NAMESPACE...
//
// `tc ... tbf` limits the rate of an interface, but the delay of a packet needs `netem`, which not every kernel has. So
// each namespace gets a TUN interface, `link0`, with the address 10.79.0.1, 10.79.0.2, ... in the order of the
// arguments, and this program passes on what is sent there after the delay. The rate is tbf's, on `link0`: it makes the
// sender wait, as a link does. Packets are large (32,000 bytes), so that 1 Gbit/s are 4,000 of them a second, which
// cost the processor little.
//
// Prints "ready" when the interfaces are up, and runs until the standard input ends; the interfaces then vanish. Needs
// the rights of root and Linux. It should run with a high priority (`chrt --fifo 1 link ...`), as it stands for wires.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;
using Duration = Clock::duration;

constexpr int kPacketBytes = 32000;     // at most; the interfaces' MTU
constexpr int kQueueLength = 1000;      // packets that wait for this program; a TUN interface drops those beyond
constexpr const char* kName = "link0";  // of the interface in each namespace

int check(int result, const std::string& what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

struct Packet {
  Time due;
  std::vector<char> bytes;
};

/// A machine's end of its link.
struct Port {
  int file = -1;
  std::deque<Packet> waiting;  // for this machine
};

/// The interface number `index` in a namespace; this process comes back to its own.
int open_interface(const std::string& name_space, int index) {
  const int own = check(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), "/proc/self/ns/net");
  const std::string path = "/var/run/netns/" + name_space;
  const int other = check(open(path.c_str(), O_RDONLY | O_CLOEXEC), path);
  check(setns(other, CLONE_NEWNET), path);
  const int file = check(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), "/dev/net/tun");
  const int control = check(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");

  ifreq request{};
  std::strncpy(request.ifr_name, kName, IFNAMSIZ - 1);
  const auto set = [&](unsigned long what, const char* text) { check(ioctl(control, what, &request), text); };
  const auto set_address = [&](unsigned long what, const char* text, const std::string& address) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    inet_pton(AF_INET, address.c_str(), &to.sin_addr);
    std::memcpy(&request.ifr_addr, &to, sizeof to);
    set(what, text);
  };
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  check(ioctl(file, TUNSETIFF, &request), "TUNSETIFF");
  set_address(SIOCSIFADDR, "the address", "10.79.0." + std::to_string(index + 1));
  set_address(SIOCSIFNETMASK, "the netmask", "255.255.255.0");
  request.ifr_mtu = kPacketBytes;
  set(SIOCSIFMTU, "the MTU");
  request.ifr_qlen = kQueueLength;
  set(SIOCSIFTXQLEN, "the length of the queue");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  set(SIOCSIFFLAGS, "the interface up");

  check(setns(own, CLONE_NEWNET), "back to the own namespace");
  for (const int descriptor : {control, other, own}) close(descriptor);
  return file;
}

class Switch {
 public:
  Switch(Duration delay, const std::vector<std::string>& namespaces) : delay_(delay), ports_(namespaces.size()) {
    for (std::size_t i = 0; i < ports_.size(); ++i) ports_[i].file = open_interface(namespaces[i], static_cast<int>(i));
  }

  /// Passes packets on until the standard input ends.
  void run() {
    std::vector<pollfd> files(ports_.size() + 1);
    for (std::size_t i = 0; i < ports_.size(); ++i) files[i] = {ports_[i].file, POLLIN, 0};
    files.back() = {STDIN_FILENO, POLLIN, 0};
    while (files.back().revents == 0) {
      for (std::size_t i = 0; i < ports_.size(); ++i) {
        if (files[i].revents != 0) take_in(ports_[i]);
      }
      Time next = Clock::now() + std::chrono::seconds(1);
      for (Port& port : ports_) {
        deliver(port);
        if (!port.waiting.empty()) next = std::min(next, port.waiting.front().due);
      }
      const auto left =
          std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::nanoseconds>(next - Clock::now()).count());
      const timespec timeout{.tv_sec = left / 1'000'000'000, .tv_nsec = left % 1'000'000'000};
      if (ppoll(files.data(), files.size(), &timeout, nullptr) < 0 && errno != EINTR) check(-1, "ppoll");
    }
  }

 private:
  void take_in(const Port& port) {
    const Time due = Clock::now() + delay_;
    for (ssize_t size = 0; (size = read(port.file, room_.data(), room_.size())) > 0;) {
      // IPv4 alone; the last byte of the destination is the number of the machine.
      const std::size_t to = static_cast<unsigned char>(room_[19]);
      if (size < 20 || (room_[0] >> 4) != 4 || to == 0 || to > ports_.size()) continue;
      ports_[to - 1].waiting.push_back({due, {room_.data(), room_.data() + size}});
    }
  }

  void deliver(Port& port) {
    for (; !port.waiting.empty() && port.waiting.front().due <= Clock::now(); port.waiting.pop_front()) {
      const std::vector<char>& bytes = port.waiting.front().bytes;
      if (write(port.file, bytes.data(), bytes.size()) < 0 && errno != EAGAIN) check(-1, "write");
    }
  }

  Duration delay_;
  std::vector<Port> ports_;
  std::array<char, kPacketBytes + 100> room_{};
};

}  // namespace

int main(int count, char** arguments) {
  try {
    if (count < 3) throw std::invalid_argument("arguments: DELAY_MICROSECONDS NAMESPACE...");
    const double delay = std::atof(arguments[1]);
    if (!(delay >= 0)) throw std::invalid_argument("the delay must not be negative");
    prctl(PR_SET_TIMERSLACK, 1);  // nanoseconds
    Switch machines(std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::micro>(delay)),
                    {arguments + 2, arguments + count});
    std::puts("ready");
    std::fflush(stdout);
    machines.run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "link: %s\n", error.what());
    return 1;
  }
}
