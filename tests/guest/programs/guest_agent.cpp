// SPDX-License-Identifier: Apache-2.0
// The first process of a test guest: prepares the root file system, then runs commands that the
// host sends over a virtio-serial port, and reports their output and exit status.
//
// Frames, both ways: Header, then `size` bytes. Numbers are little-endian 32-bit. A command is
// known by the id its run frame carried. tests/guest/agent_channel.py is the other end.

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <map>
#include <poll.h>
#include <string>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

enum Kind : uint32_t {
    // From the host.
    kind_run = 1,        // argv, each string with its NUL
    kind_input = 2,      // bytes for standard input; empty: end of input
    kind_signal = 3,     // a signal number for the command's process group
    kind_power_off = 4,  // no payload
    // To the host.
    kind_hello = 16,   // the kernel's release
    kind_output = 17,  // bytes of standard output and standard error
    kind_exit = 18,    // exit status, or 128 + signal; all output has been sent
};

struct Header {
    uint32_t size;
    uint32_t id;
    uint32_t kind;
};

constexpr char port_path[] = "/dev/vport0p1";
constexpr uint32_t payload_size_max = 1 << 20;

[[noreturn]] void die(const std::string& what) {
    std::fprintf(stderr, "guest_agent: %s: %s\n", what.c_str(), std::strerror(errno));
    std::fflush(stderr);
    std::_Exit(1);  // the kernel panics and QEMU ends: the host sees it at once
}

// ------------------------------------------------------------------------ the root file system

void mount_or_die(const char* source,
                  const char* target,
                  const char* type,
                  unsigned long flags = 0,
                  const char* data = "") {
    mkdir(target, 0755);
    if (mount(source, target, type, flags, data) != 0) die(std::string("mount ") + target);
}

std::string read_file(const std::string& path) {
    std::string text;
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) die(path);
    char block[4096];
    for (ssize_t n = 0; (n = read(fd, block, sizeof block)) > 0;)
        text.append(block, static_cast<size_t>(n));
    close(fd);
    return text;
}

std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> parts;
    size_t start = 0;
    for (size_t end = 0; (end = text.find(separator, start)) != text.npos; start = end + 1) {
        parts.push_back(text.substr(start, end - start));
    }
    return parts;
}

void load_modules(const std::string& list) {
    for (const std::string& name : split(read_file("/modules/" + list), '\n')) {
        const std::string path = "/modules/" + name + ".ko";
        const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
        if (fd < 0) die(path);
        if (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST) die(path);
        close(fd);
    }
}

void mount_kernel_file_systems() {
    mount_or_die("proc", "/proc", "proc");
    mount_or_die("sysfs", "/sys", "sysfs");
    mount_or_die("devtmpfs", "/dev", "devtmpfs");
    mount_or_die("devpts", "/dev/pts", "devpts");
    mount_or_die("tmpfs", "/dev/shm", "tmpfs");
    symlink("/proc/self/fd", "/dev/fd");
}

/// The read-only disk becomes the root, with a file system in memory over it, so that every
/// guest starts from the same state and several guests can use one image.
void enter_full_root() {
    load_modules("full");
    mount_or_die("/dev/vda", "/lower", "ext4", MS_RDONLY);
    mount_or_die("tmpfs", "/upper", "tmpfs");
    mkdir("/upper/files", 0755);
    mkdir("/upper/work", 0755);
    mount_or_die("overlay",
                 "/new",
                 "overlay",
                 0,
                 "lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work");
    for (const char* tree : {"/proc", "/sys", "/dev"}) {
        if (mount(tree, (std::string("/new") + tree).c_str(), "", MS_MOVE, "") != 0) die(tree);
    }
    if (chdir("/new") != 0 || mount(".", "/", "", MS_MOVE, "") != 0 || chroot(".") != 0) {
        die("entering the full root");
    }
    if (chdir("/") != 0) die("chdir /");
}

void install_busybox_commands() {
    const pid_t child = fork();
    if (child == 0) {
        execl("/bin/busybox", "busybox", "--install", "-s", "/bin", nullptr);
        std::_Exit(127);
    }
    waitpid(child, nullptr, 0);
}

void prepare_root() {
    mount_kernel_file_systems();
    load_modules("small");
    const char* root = std::getenv("guest_root");
    if (root != nullptr && std::strcmp(root, "full") == 0) {
        enter_full_root();
    } else {
        install_busybox_commands();
    }
    mount_or_die("tmpfs", "/run", "tmpfs");
    mount_or_die("tmpfs", "/tmp", "tmpfs", 0, "mode=1777");
}

/// Ports are announced by the device after its driver has loaded: waits until ours is there.
int open_port() {
    const int events = inotify_init1(IN_CLOEXEC);
    if (events < 0 || inotify_add_watch(events, "/dev", IN_CREATE | IN_ATTRIB) < 0)
        die("inotify");
    for (;;) {
        const int port = open(port_path, O_RDWR | O_CLOEXEC);
        if (port >= 0) return port;
        if (errno != ENOENT && errno != ENXIO) die(port_path);
        char block[4096];
        if (read(events, block, sizeof block) < 0) die("inotify read");
    }
}

// ------------------------------------------------------------------------------------ commands

struct Command {
    uint32_t id = 0;
    int output = -1;      // the read end of its standard output and error
    int input = -1;       // the write end of its standard input
    std::string pending;  // input that its pipe did not take yet
    bool input_ended = false;
};

class Agent {
  public:
    explicit Agent(int port) : port_(port) {
        sigset_t signals;
        sigemptyset(&signals);
        sigaddset(&signals, SIGCHLD);
        sigprocmask(SIG_BLOCK, &signals, nullptr);
        children_ = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
        if (children_ < 0) die("signalfd");
    }

    [[noreturn]] void serve() {
        utsname system = {};
        uname(&system);
        send(0, kind_hello, system.release, std::strlen(system.release));
        for (;;) wait_and_handle();
    }

  private:
    void wait_and_handle() {
        std::vector<pollfd> watched = {{port_, POLLIN, 0}, {children_, POLLIN, 0}};
        for (const auto& [pid, command] : commands_) {
            if (command.output >= 0) watched.push_back({command.output, POLLIN, 0});
            if (command.input >= 0 && (!command.pending.empty() || command.input_ended)) {
                watched.push_back({command.input, POLLOUT, 0});
            }
        }
        if (poll(watched.data(), watched.size(), -1) < 0) die("poll");
        for (auto& [pid, command] : commands_) {
            forward_output(command);
            forward_input(command);
        }
        if (watched[1].revents != 0) reap();
        if (watched[0].revents & POLLIN) receive();
    }

    void forward_output(Command& command) {
        char block[65536];
        while (command.output >= 0) {
            const ssize_t n = read(command.output, block, sizeof block);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0 && errno == EAGAIN) return;
            if (n <= 0) {
                close(command.output);
                command.output = -1;
                return;
            }
            send(command.id, kind_output, block, static_cast<size_t>(n));
        }
    }

    void forward_input(Command& command) {
        while (command.input >= 0 && !command.pending.empty()) {
            const ssize_t n =
                write(command.input, command.pending.data(), command.pending.size());
            if (n < 0 && errno == EINTR) continue;
            if (n < 0 && errno == EAGAIN) return;
            if (n < 0) {  // the command does not read any more
                command.pending.clear();
                command.input_ended = true;
                break;
            }
            command.pending.erase(0, static_cast<size_t>(n));
        }
        if (command.input >= 0 && command.input_ended) {
            close(command.input);
            command.input = -1;
        }
    }

    /// What a command wrote before it ended is in its pipe now. What its children that live on
    /// write later is dropped: a command is over when its own process is.
    void reap() {
        signalfd_siginfo information;
        while (read(children_, &information, sizeof information) > 0) {
        }
        int status = 0;
        for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
            const auto found = commands_.find(pid);
            if (found == commands_.end())
                continue;  // an orphan that the first process inherits
            Command& command = found->second;
            forward_output(command);
            if (command.output >= 0) close(command.output);
            if (command.input >= 0) close(command.input);
            const uint32_t code = static_cast<uint32_t>(
                WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
            send(command.id, kind_exit, &code, sizeof code);
            commands_.erase(found);
        }
    }

    void receive() {
        Header header = {};
        receive_exactly(&header, sizeof header);
        if (header.size > payload_size_max) die("frame too long");
        std::string payload(header.size, '\0');
        receive_exactly(payload.data(), payload.size());
        if (header.kind == kind_run) return run(header.id, payload);
        if (header.kind == kind_power_off) power_off();
        for (auto& [pid, command] : commands_) {
            if (command.id != header.id) continue;
            if (header.kind == kind_input) return add_input(command, payload);
            if (header.kind == kind_signal) {
                uint32_t number = 0;
                std::memcpy(&number, payload.data(), std::min(sizeof number, payload.size()));
                kill(-pid, static_cast<int>(number));
            }
        }
    }

    void add_input(Command& command, const std::string& bytes) {
        if (bytes.empty()) command.input_ended = true;
        command.pending += bytes;
        forward_input(command);
    }

    void run(uint32_t id, const std::string& payload) {
        std::vector<std::string> arguments = split(payload, '\0');
        std::vector<char*> argv;
        for (std::string& argument : arguments) argv.push_back(argument.data());
        argv.push_back(nullptr);
        int output[2];
        int input[2];
        if (pipe2(output, O_CLOEXEC) != 0 || pipe2(input, O_CLOEXEC) != 0) die("pipe");
        const pid_t pid = fork();
        if (pid < 0) die("fork");
        if (pid == 0) become(argv, input[0], output[1]);
        setpgid(pid, pid);
        close(output[1]);
        close(input[0]);
        fcntl(output[0], F_SETFL, O_NONBLOCK);
        fcntl(input[1], F_SETFL, O_NONBLOCK);
        commands_[pid] = Command{id, output[0], input[1], {}, false};
    }

    [[noreturn]] static void become(const std::vector<char*>& argv, int input, int output) {
        setsid();
        dup2(input, 0);
        dup2(output, 1);
        dup2(output, 2);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, nullptr);
        std::signal(SIGPIPE, SIG_DFL);
        execvp(argv[0], argv.data());
        std::fprintf(stderr, "%s: %s\n", argv[0], std::strerror(errno));
        std::fflush(stderr);
        std::_Exit(127);
    }

    /// Unmounts what the tests mounted, newest first, so that the device sees a clean end.
    [[noreturn]] void power_off() {
        kill(-1, SIGKILL);
        sync();
        std::vector<std::string> mounts = split(read_file("/proc/self/mounts"), '\n');
        for (auto line = mounts.rbegin(); line != mounts.rend(); ++line) {
            const std::vector<std::string> fields = split(*line, ' ');
            if (fields.size() < 3 || fields[2] != "virtiofs") continue;
            if (umount(fields[1].c_str()) != 0) umount2(fields[1].c_str(), MNT_DETACH);
        }
        reboot(RB_POWER_OFF);
        die("power off");
    }

    void receive_exactly(void* target, size_t size) {
        for (size_t done = 0; done < size;) {
            const ssize_t n = read(port_, static_cast<char*>(target) + done, size - done);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) die("the host closed the command channel");
            done += static_cast<size_t>(n);
        }
    }

    void send(uint32_t id, Kind kind, const void* data, size_t size) {
        const Header header = {static_cast<uint32_t>(size), id, kind};
        std::string frame(reinterpret_cast<const char*>(&header), sizeof header);
        frame.append(static_cast<const char*>(data), size);
        for (size_t done = 0; done < frame.size();) {
            const ssize_t n = write(port_, frame.data() + done, frame.size() - done);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) die("writing to the command channel");
            done += static_cast<size_t>(n);
        }
    }

    int port_;
    int children_ = -1;
    std::map<pid_t, Command> commands_;
};

}  // namespace

int main() {
    std::signal(SIGPIPE, SIG_IGN);
    umask(0);
    setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
    setenv("HOME", "/root", 1);
    setenv("LC_ALL", "C.UTF-8", 1);
    prepare_root();
    umask(022);
    Agent(open_port()).serve();
}
