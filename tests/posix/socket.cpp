// SPDX-License-Identifier: Apache-2.0

// UNIX sockets that are bound to names in the directory.

#include "cases.hpp"

#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>

namespace posix {
namespace {

int new_socket(int type = SOCK_STREAM) {
    return CHECK_OK(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
}

sockaddr_un address_of(const char* path) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    return address;
}

int bind_to(int fd, const char* path) {
    const sockaddr_un address = address_of(path);
    return bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

int connect_to(int fd, const char* path) {
    const sockaddr_un address = address_of(path);
    return connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

int listener(const char* path) {
    const int fd = new_socket();
    CHECK_OK(bind_to(fd, path));
    CHECK_OK(listen(fd, 5));
    return fd;
}

void add_binding(Suite& suite) {
    suite.add("socket.bind_makes_a_node", [] {
        umask(027);
        CHECK_OK(bind_to(new_socket(), "s"));
        CHECK(S_ISSOCK(stat_of("s").st_mode));
        CHECK_MODE(0750u, mode_of("s"));
    });
    suite.add("socket.bind_to_existing_name_gives_EADDRINUSE", [] {
        make_file("f");
        CHECK_OK(bind_to(new_socket(), "s"));
        CHECK_FAILS(EADDRINUSE, bind_to(new_socket(), "f"));
        CHECK_FAILS(EADDRINUSE, bind_to(new_socket(), "s"));
    });
    suite.add("socket.bind_in_missing_directory_gives_ENOENT",
              [] { CHECK_FAILS(ENOENT, bind_to(new_socket(), "missing/s")); });
    suite.add("socket.bind_through_file_gives_ENOTDIR", [] {
        make_file("f");
        CHECK_FAILS(ENOTDIR, bind_to(new_socket(), "f/s"));
    });
    suite.add("socket.bind_in_unwritable_directory_gives_EACCES", [] {
        make_dir("d", 0755);
        as(alice, [] { CHECK_FAILS(EACCES, bind_to(new_socket(), "d/s")); });
    });
    suite.add("socket.node_outlives_the_socket", [] {
        const int fd = listener("s");
        CHECK_OK(close(fd));
        CHECK(exists("s"));
        CHECK_FAILS(ECONNREFUSED, connect_to(new_socket(), "s"));
    });
}

void add_connecting(Suite& suite) {
    suite.add("socket.carries_data_both_ways", [] {
        const int server = listener("s");
        const Child client([] {
            const int fd = new_socket();
            CHECK_OK(connect_to(fd, "s"));
            CHECK_RETURNS(4, write(fd, "ping", 4));
            char buffer[10];
            CHECK_RETURNS(4, read(fd, buffer, sizeof buffer));
            CHECK_SAME("pong", std::string_view(buffer, 4));
        });
        const int fd = CHECK_OK(accept(server, nullptr, nullptr));
        char buffer[10];
        CHECK_RETURNS(4, read(fd, buffer, sizeof buffer));
        CHECK_RETURNS(4, write(fd, "pong", 4));
        client.finish();
    });
    suite.add("socket.datagrams_arrive", [] {
        const int server = new_socket(SOCK_DGRAM);
        CHECK_OK(bind_to(server, "s"));
        const int client = new_socket(SOCK_DGRAM);
        CHECK_OK(connect_to(client, "s"));
        CHECK_RETURNS(4, write(client, "ping", 4));
        char buffer[10];
        CHECK_RETURNS(4, read(server, buffer, sizeof buffer));
    });
    suite.add("socket.can_be_reached_by_another_link", [] {
        listener("s");
        CHECK_OK(link("s", "t"));
        CHECK_OK(connect_to(new_socket(), "t"));
    });
    suite.add("socket.can_be_reached_after_rename", [] {
        listener("s");
        make_dir("d");
        CHECK_OK(rename("s", "d/t"));
        CHECK_OK(connect_to(new_socket(), "d/t"));
        CHECK_FAILS(ENOENT, connect_to(new_socket(), "s"));
    });
    suite.add("socket.can_be_reached_through_a_symlink", [] {
        listener("s");
        make_symlink("s", "t");
        CHECK_OK(connect_to(new_socket(), "t"));
    });
}

void add_refusals(Suite& suite) {
    suite.add("socket.connect_after_unlink_gives_ENOENT", [] {
        listener("s");
        CHECK_OK(unlink("s"));
        CHECK_FAILS(ENOENT, connect_to(new_socket(), "s"));
    });
    suite.add("socket.connect_to_file_gives_ECONNREFUSED", [] {
        make_file("f");
        CHECK_FAILS(ECONNREFUSED, connect_to(new_socket(), "f"));
    });
    suite.add("socket.connect_to_node_without_socket_gives_ECONNREFUSED", [] {
        CHECK_OK(mknod("s", S_IFSOCK | 0600, 0));
        CHECK_FAILS(ECONNREFUSED, connect_to(new_socket(), "s"));
    });
    suite.add("socket.connect_needs_write_permission_on_the_node", [] {
        listener("s");
        CHECK_OK(chmod("s", 0755));
        as(alice, [] { CHECK_FAILS(EACCES, connect_to(new_socket(), "s")); });
        CHECK_OK(chmod("s", 0722));
        as(alice, [] { CHECK_OK(connect_to(new_socket(), "s")); });
    });
    suite.add("socket.name_can_be_bound_again_after_unlink", [] {
        listener("s");
        CHECK_OK(unlink("s"));
        const int second = listener("s");
        CHECK_OK(connect_to(new_socket(), "s"));
        CHECK_OK(accept(second, nullptr, nullptr));
    });
}

}  // namespace

void add_socket_cases(Suite& suite) {
    add_binding(suite);
    add_connecting(suite);
    add_refusals(suite);
}

}  // namespace posix
