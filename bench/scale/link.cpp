// A switch between network namespaces with links of a chosen rate and delay, for measurements over "machines" that are
// namespaces of one kernel:
//
//   link MBIT_PER_SECOND DELAY_MICROSECONDS NAMESPACE...
//
// `tc ... tbf` limits the rate of an interface, but the delay of a packet needs `netem`, which not every kernel has. So
// each namespace gets a TUN interface, `link0`, with the address 10.79.0.1, 10.79.0.2, ... in the order of the
// arguments, and this program passes on what is sent there: a packet leaves its machine when the packets before it have
// left at the rate, travels for the delay, and enters the other machine behind the packets that are entering it, at the
// rate, too. A round trip of small packets so takes twice the delay. Packets are as large as a TUN interface allows
// (65,000 bytes), so that 1 Gbit/s are 2,000 packets a second, which cost the processor little.
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
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;
using Duration = Clock::duration;

constexpr int kPacketBytes = 32000;     // at most; the interfaces' MTU
constexpr int kQueueLength = 32;        // packets that wait in the kernel before a sender is held up
constexpr const char* kName = "link0";  // of the interface in each namespace

int check(int result, const std::string& what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

struct Packet {
  Time leaves;  // when its last byte has left the sender
  std::vector<char> bytes;
};

/// A machine's end of its link.
struct Port {
  int file = -1;
  Time free_to_send;           // when the packets that were read have left
  bool is_idle = true;         // nothing waits to be sent
  Time free_to_receive;        // when the packets that were passed on have entered
  std::deque<Packet> waiting;  // for this machine, in the order of their times
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
  Switch(double bits_per_second, Duration delay, const std::vector<std::string>& namespaces)
      : seconds_per_byte_(8 / bits_per_second), delay_(delay), ports_(namespaces.size()) {
    for (std::size_t i = 0; i < ports_.size(); ++i) ports_[i].file = open_interface(namespaces[i], static_cast<int>(i));
  }

  /// Passes packets on until the standard input ends.
  void run() {
    std::vector<pollfd> files(ports_.size() + 1);
    for (;;) {
      const Time now = Clock::now();
      Time next = now + std::chrono::seconds(1);
      for (std::size_t i = 0; i < ports_.size(); ++i) {
        Port& port = ports_[i];
        take_in(port, now);
        deliver(port, now);
        // A machine whose link is busy is not asked for packets, so that they wait, and its senders with them.
        const bool is_busy = port.free_to_send > now;
        files[i] = {port.file, static_cast<short>(is_busy ? 0 : POLLIN), 0};
        if (is_busy) next = std::min(next, port.free_to_send);
      }
      for (const Port& port : ports_) {
        if (!port.waiting.empty()) next = std::min(next, entry_of(port));
      }
      files.back() = {STDIN_FILENO, POLLIN, 0};
      const auto left =
          std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::nanoseconds>(next - Clock::now()).count());
      const timespec timeout{.tv_sec = left / 1'000'000'000, .tv_nsec = left % 1'000'000'000};
      if (ppoll(files.data(), files.size(), &timeout, nullptr) < 0 && errno != EINTR) check(-1, "ppoll");
      if (files.back().revents != 0) return;
    }
  }

 private:
  [[nodiscard]] Duration time_of(std::size_t bytes) const {
    return std::chrono::duration_cast<Duration>(
        std::chrono::duration<double>(seconds_per_byte_ * static_cast<double>(bytes)));
  }
  /// When the first packet that waits for a machine has entered it: its bytes follow one another through both links at
  /// once, so that a free link adds the delay alone.
  [[nodiscard]] Time entry_of(const Port& port) const {
    const Packet& packet = port.waiting.front();
    return std::max(packet.leaves + delay_, port.free_to_receive + time_of(packet.bytes.size()));
  }

  void take_in(Port& port, Time now) {
    while (port.free_to_send <= now) {
      const ssize_t size = read(port.file, room_.data(), room_.size());
      if (size < 0) {  // there is nothing
        port.is_idle = true;
        return;
      }
      // IPv4 alone; the last byte of the destination is the number of the machine.
      const std::size_t to = static_cast<unsigned char>(room_[19]);
      if (size < 20 || (room_[0] >> 4) != 4 || to == 0 || to > ports_.size()) continue;
      // A packet that has waited for the link begins when the one before it has left, though this is seen later.
      const Time begin = std::exchange(port.is_idle, false) ? now : std::max(port.free_to_send, now - kLate);
      port.free_to_send = begin + time_of(static_cast<std::size_t>(size));
      ports_[to - 1].waiting.push_back({port.free_to_send, {room_.data(), room_.data() + size}});
      std::deque<Packet>& queue = ports_[to - 1].waiting;  // kept in order: a packet of another sender may leave later
      for (std::size_t i = queue.size() - 1; i > 0 && queue[i].leaves < queue[i - 1].leaves; --i) {
        std::swap(queue[i], queue[i - 1]);
      }
    }
  }

  void deliver(Port& port, Time now) {
    for (; !port.waiting.empty(); port.waiting.pop_front()) {
      const Time entry = entry_of(port);
      if (entry > now) return;
      port.free_to_receive = entry;
      const std::vector<char>& bytes = port.waiting.front().bytes;
      if (write(port.file, bytes.data(), bytes.size()) < 0 && errno != EAGAIN) check(-1, "write");
    }
  }

  /// So late at most may this program look at a sender without a loss of rate.
  static constexpr Duration kLate = std::chrono::microseconds(500);

  double seconds_per_byte_;
  Duration delay_;
  std::vector<Port> ports_;
  std::array<char, kPacketBytes + 100> room_{};
};

}  // namespace

int main(int count, char** arguments) {
  try {
    if (count < 4) throw std::invalid_argument("arguments: MBIT_PER_SECOND DELAY_MICROSECONDS NAMESPACE...");
    const double rate = std::atof(arguments[1]), delay = std::atof(arguments[2]);
    if (!(rate > 0) || !(delay >= 0)) throw std::invalid_argument("the rate must be positive, the delay not negative");
    prctl(PR_SET_TIMERSLACK, 1);  // nanoseconds
    Switch machines(1e6 * rate, std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::micro>(delay)),
                    {arguments + 3, arguments + count});
    std::puts("ready");
    std::fflush(stdout);
    machines.run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "link: %s\n", error.what());
    return 1;
  }
}
