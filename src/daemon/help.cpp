// SPDX-License-Identifier: Apache-2.0
#include "daemon/help.hpp"

#include "bench/options.hpp"
#include "daemon/bench_config.hpp"
#include "daemon/schema.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <string_view>

namespace dpfs::daemon {
namespace {

constexpr std::size_t line_size_max = 80;
constexpr std::size_t text_column = 8;

/// `text` in lines of at most line_size_max, each indented.
std::string wrapped(std::string_view text) {
    std::string out;
    std::string line(text_column, ' ');
    while (!text.empty()) {
        const std::size_t end = text.find(' ');
        const std::string_view word = text.substr(0, end);
        text.remove_prefix(end == text.npos ? text.size() : end + 1);
        if (line.size() > text_column && line.size() + 1 + word.size() > line_size_max) {
            out += line + '\n';
            line.assign(text_column, ' ');
        }
        if (line.size() > text_column) line += ' ';
        line += word;
    }
    return out + line + '\n';
}

template <class Owner>
std::string option_help(const Option<Owner>& option) {
    const OptionInfo& info = option.info;
    std::string out = "  " + flag_of(info.key);
    if (!info.placeholder.empty()) out += fmt::format(" {}", info.placeholder);
    if (info.kind == ValueKind::list) out += "  (may be repeated)";
    if (info.kind == ValueKind::boolean) out += "[=true|false]";
    out += '\n';

    std::string text(info.help);
    if (info.kind == ValueKind::choice || info.kind == ValueKind::integer) {
        text += fmt::format(" [{}]", describe(info.kind, info.range));
    }
    if (!info.required) {
        text += fmt::format(" [default: {}]", to_display(option.default_value()));
    }
    return out + wrapped(text);
}

std::string device_options_help(Backend backend, bool required) {
    std::string out;
    for (const Option<DeviceConfig>& option : device_options()) {
        if (option.info.key == "backend" || option.info.required != required) continue;
        if (contains(option.info.backends, backend)) out += option_help(option);
    }
    return out;
}

std::string daemon_options_help() {
    std::string out;
    for (const Option<DaemonConfig>& option : daemon_options()) out += option_help(option);
    return out;
}

constexpr std::string_view tenant_help =
    R"(The tenant needs nothing but its kernel. Attach the socket to its virtual machine;
its memory must be shared, or DPFS cannot reach it:

  qemu-system-x86_64 … \
    -object memory-backend-memfd,id=mem,size=1G,share=on -numa node,memdev=mem \
    -chardev socket,id=fs0,path=/run/dpfs.sock \
    -device vhost-user-fs-pci,chardev=fs0,tag=share,queue-size=1024

  cloud-hypervisor … --memory size=1G,shared=on \
    --fs tag=share,socket=/run/dpfs.sock,num_queues=1,queue_size=1024

and in the guest:

  mount -t virtiofs share /mnt
)";

}  // namespace

std::string program_help() {
    return R"(DPFS serves virtual file systems to tenants as virtio-fs devices.

Usage: dpfs COMMAND …

  dpfs serve BACKEND --socket PATH …   serve one device; dpfs serve --help
  dpfs serve --config FILE             serve all devices of a configuration file
  dpfs bench --socket PATH …           measure a device; dpfs bench --help
  dpfs list-emulation-managers         what this build can appear as to a tenant
  dpfs --version
  dpfs --help

Share a directory:

  dpfs serve uring --dir /srv/share --socket /run/dpfs.sock --tag share

)" + std::string(tenant_help);
}

std::string serve_help() {
    std::string out = R"(Usage: dpfs serve BACKEND --socket PATH [OPTION …]
       dpfs serve --config FILE [OPTION …]

Serves one device, or all [[device]] sections of a TOML file (examples/dpfs.toml
has every key). When a device can be connected to, there is a line on standard
output: ready tag=NAME socket=PATH. SIGTERM and SIGINT end it: requests in flight
are answered, then the exit code is 0; a second one ends it at once. SIGUSR1 logs
what queues, operations and reactors have done (docs/configuration.md).

Back ends; dpfs serve BACKEND --help lists the options of each:

)";
    for (std::size_t i = 0; i < backend_names.size(); ++i) {
        const auto backend = static_cast<Backend>(i);
        out += fmt::format("  {:<8}{}\n", name_of(backend), summary_of(backend));
    }
    out +=
        "\n  dpfs serve uring --dir /srv/share --socket /run/dpfs.sock --tag share\n"
        "  dpfs serve --config /etc/dpfs.toml --log-level debug\n\n";
    out += tenant_help;
    out += "\nOptions of the process; with --config, they replace what [daemon] says:\n\n";
    return out + daemon_options_help();
}

std::string backend_help(Backend backend) {
    const bool has_directory = contains(mirror_backends, backend);
    std::string_view dir;
    std::string_view example_dir;
    if (has_directory) {
        dir = " --dir DIR";
        example_dir = " --dir /srv/share";
    } else if (backend == Backend::nfs) {
        dir = " --server HOST --export PATH";
        example_dir = " --server nas --export /vol/home";
    }
    std::string out = fmt::format(
        "Usage: dpfs serve {0}{1} --socket PATH [OPTION …]\n\n"
        "{0}: {2}.\n\n"
        "  dpfs serve {0}{3} --socket /run/dpfs.sock --tag share\n"
        "  dpfs serve {0}{3} --socket /run/dpfs.sock --tag share --queues 4 --threads 4\n\n",
        name_of(backend),
        dir,
        summary_of(backend),
        example_dir);
    out += tenant_help;
    out += "\nTo be given:\n\n" + device_options_help(backend, true);
    out += "\nOptions of the device:\n\n" + device_options_help(backend, false);
    return out + "\nOptions of the process:\n\n" + daemon_options_help();
}

std::string bench_help() {
    std::string out = R"(Usage: dpfs bench --socket PATH [OPTION …]

Measures a virtio-fs device as a guest sees it: this process is the front end and
the driver of any vhost-user-fs device, DPFS or another. It makes its own files in
the device's root (dpfs-bench-…) and removes them at the end. No other front end
may be connected, and some servers end when this one leaves.

  dpfs serve null --socket /run/null.sock --cpus 1 &
  dpfs bench --socket /run/null.sock --cpus 0

What latency costs, alone and under load; what sleeping costs:

  dpfs bench --socket PATH --cpus 0 --work randread,getattr --depth 1
  dpfs bench --socket PATH --cpus 0 --work randread,getattr --depth 32
  dpfs bench --socket PATH --cpus 0 --poll interrupt

Two servers in turn, and how far each is from the least that can be done:

  dpfs bench --compare --socket OURS --socket THEIRS --cpus 0 \
    --floor /srv/share --floor-cpus 1

Many devices at once, on two threads:

  dpfs bench --socket A --socket B --socket C --threads 2 --depth 4

Is everything there that was written?

  dpfs bench --socket PATH --work mixed --verify

Works; an operation is:

)";
    for (std::size_t i = 0; i < bench::work_names.size(); ++i) {
        const auto work = static_cast<bench::Work>(i);
        out += fmt::format("  {:<15}{}\n", name_of(work), describe(work));
    }
    out += R"(
Each row has the operations a second (median, least and most over the rounds) and
how long one took; below stand the server's CPU time for one operation, and how
often each side notified the other. CPU time of a server that polls includes its
waiting. The exit code is 1 if a device fails, and 2 for bad usage.

Options:

)";
    for (const Option<BenchConfig>& option : bench_options()) out += option_help(option);
    return out;
}

std::string list_help() {
    return R"(Usage: dpfs list-emulation-managers

Lists what this build can appear as to a tenant: the transports that are compiled
in, and whether they are software or a DPU's hardware.
)";
}

}  // namespace dpfs::daemon
