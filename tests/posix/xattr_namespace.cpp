// SPDX-License-Identifier: Apache-2.0

// The namespaces of extended attributes: user, trusted, security, system, and who may use them.

#include "cases.hpp"

#include <cstring>
#include <linux/capability.h>
#include <sys/xattr.h>

namespace posix {
namespace {

void set(const char* path, const char* name, std::string_view value) {
    CHECK_NEEDS(either(EOPNOTSUPP, ENOSYS),
                lsetxattr(path, name, value.data(), value.size(), 0));
}

bool listed(const char* path, std::string_view name) {
    char buffer[4096];
    const ssize_t size = CHECK_OK(llistxattr(path, buffer, sizeof buffer));
    for (const char* at = buffer; at < buffer + size; at += std::strlen(at) + 1) {
        if (at == name) return true;
    }
    return false;
}

void add_unknown(Suite& suite) {
    suite.add("xattr.unknown_namespace_gives_EOPNOTSUPP", [] {
        make_file("f");
        for (const char* name : {"nothing.name", "name", "os2.name", "User.name", "user"}) {
            CHECK_FAILS(EOPNOTSUPP, setxattr("f", name, "x", 1, 0));
            CHECK_FAILS(EOPNOTSUPP, getxattr("f", name, nullptr, 0));
            CHECK_FAILS(EOPNOTSUPP, removexattr("f", name));
        }
    });
    suite.add("xattr.namespace_without_a_name_gives_EINVAL", [] {
        make_file("f");
        set("f", "user.x", "x");
        CHECK_FAILS(EINVAL, setxattr("f", "user.", "x", 1, 0));
    });
    suite.add("xattr.unknown_system_attribute_gives_EOPNOTSUPP", [] {
        make_file("f");
        CHECK_FAILS(either(EOPNOTSUPP, EINVAL), setxattr("f", "system.nothing", "x", 1, 0));
        CHECK_FAILS(either(EOPNOTSUPP, ENODATA), getxattr("f", "system.nothing", nullptr, 0));
    });
}

void add_user(Suite& suite) {
    suite.add("xattr.user_on_symlink_gives_EPERM", [] {
        make_symlink("missing", "s");
        CHECK_FAILS(EPERM, lsetxattr("s", "user.x", "x", 1, 0));
        CHECK_FAILS(ENODATA, lgetxattr("s", "user.x", nullptr, 0));
    });
    suite.add("xattr.user_on_special_node_gives_EPERM", [] {
        CHECK_OK(mkfifo("p", 0600));
        CHECK_OK(mknod("c", S_IFCHR | 0600, 0x103));
        CHECK_FAILS(EPERM, setxattr("p", "user.x", "x", 1, 0));
        CHECK_FAILS(EPERM, setxattr("c", "user.x", "x", 1, 0));
    });
    suite.add("xattr.user_reading_needs_read_permission", [] {
        make_file("f", "", 0622);
        set("f", "user.x", "x");
        as(alice, [] {
            CHECK_FAILS(EACCES, getxattr("f", "user.x", nullptr, 0));
            CHECK_OK(listxattr("f", nullptr, 0));
        });
    });
    suite.add("xattr.user_writing_needs_write_permission", [] {
        make_file("f", "", 0644);
        set("f", "user.x", "x");
        as(alice, [] {
            CHECK_RETURNS(1, getxattr("f", "user.x", nullptr, 0));
            CHECK_FAILS(EACCES, setxattr("f", "user.x", "y", 1, 0));
            CHECK_FAILS(EACCES, removexattr("f", "user.x"));
        });
    });
    suite.add("xattr.user_writing_by_any_writer_works", [] {
        make_file("f", "", 0666);
        set("f", "user.x", "x");
        as(alice, [] {
            CHECK_OK(setxattr("f", "user.x", "yy", 2, 0));
            CHECK_OK(removexattr("f", "user.x"));
        });
    });
    suite.add("xattr.user_on_sticky_directory_of_others_gives_EPERM", [] {
        make_dir("d", 01777);
        set("d", "user.x", "x");
        as(alice, [] { CHECK_FAILS(EPERM, setxattr("d", "user.y", "y", 1, 0)); });
    });
}

void add_trusted(Suite& suite) {
    suite.add("xattr.trusted_works_for_root", [] {
        make_file("f");
        set("f", "trusted.x", "value");
        CHECK_RETURNS(5, getxattr("f", "trusted.x", nullptr, 0));
        CHECK(listed("f", "trusted.x"));
        CHECK_OK(removexattr("f", "trusted.x"));
        CHECK(!listed("f", "trusted.x"));
    });
    suite.add("xattr.trusted_works_on_symlink_and_fifo", [] {
        make_symlink("missing", "s");
        CHECK_OK(mkfifo("p", 0600));
        for (const char* path : {"s", "p"}) {
            set(path, "trusted.x", "value");
            CHECK_RETURNS(5, lgetxattr(path, "trusted.x", nullptr, 0));
        }
    });
    suite.add("xattr.trusted_is_closed_to_users", [] {
        make_file_of("f", alice_id, alice_id, 0666);
        set("f", "trusted.x", "value");
        as(alice, [] {
            CHECK_FAILS(EPERM, setxattr("f", "trusted.y", "y", 1, 0));
            CHECK_FAILS(EPERM, removexattr("f", "trusted.x"));
            CHECK_FAILS(ENODATA, getxattr("f", "trusted.x", nullptr, 0));
        });
    });
    suite.add("xattr.trusted_is_not_listed_for_users", [] {
        make_file_of("f", alice_id, alice_id, 0666);
        set("f", "trusted.x", "value");
        as(alice, [] { CHECK(!listed("f", "trusted.x")); });
        CHECK(listed("f", "trusted.x"));
    });
}

/// One version 2 file capability: CAP_NET_RAW, permitted and effective.
std::string file_capability() {
    vfs_cap_data data = {};
    data.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE;
    data.data[0].permitted = 1U << CAP_NET_RAW;
    return std::string(reinterpret_cast<const char*>(&data), sizeof data);
}

void add_security(Suite& suite) {
    suite.add("xattr.security_works_for_root", [] {
        make_file("f");
        set("f", "security.posix_conformance", "value");
        CHECK_RETURNS(5, getxattr("f", "security.posix_conformance", nullptr, 0));
        CHECK(listed("f", "security.posix_conformance"));
    });
    suite.add("xattr.security_setting_by_user_gives_EPERM", [] {
        make_file_of("f", alice_id, alice_id, 0666);
        as(alice,
           [] { CHECK_FAILS(EPERM, setxattr("f", "security.posix_conformance", "x", 1, 0)); });
    });
    suite.add("xattr.security_reading_by_user_works", [] {
        make_file("f", "", 0);
        set("f", "security.posix_conformance", "value");
        as(alice,
           [] { CHECK_RETURNS(5, getxattr("f", "security.posix_conformance", nullptr, 0)); });
    });
    suite.add("xattr.capability_comes_back", [] {
        make_file("f", "", 0755);
        set("f", "security.capability", file_capability());
        char buffer[100];
        CHECK_RETURNS(sizeof(vfs_cap_data),
                      getxattr("f", "security.capability", buffer, sizeof buffer));
        CHECK_SAME(file_capability(), std::string_view(buffer, sizeof(vfs_cap_data)));
    });
    suite.add("xattr.malformed_capability_gives_EINVAL", [] {
        make_file("f", "", 0755);
        CHECK_FAILS(EINVAL, setxattr("f", "security.capability", "x", 1, 0));
    });
    suite.add("xattr.capability_by_user_gives_EPERM", [] {
        make_file_of("f", alice_id, alice_id, 0755);
        as(alice, [] {
            const std::string value = file_capability();
            CHECK_FAILS(EPERM,
                        setxattr("f", "security.capability", value.data(), value.size(), 0));
        });
    });
    struct Row {
        const char* name;
        void (*change)();
    };
    static constexpr Row rows[] = {
        {"write", [] { CHECK_RETURNS(1, write(open_file("f", O_WRONLY), "x", 1)); }},
        {"truncate", [] { CHECK_OK(truncate("f", 1)); }},
        {"open_with_truncate", [] { open_file("f", O_WRONLY | O_TRUNC); }},
        {"chown", [] { CHECK_OK(chown("f", alice_id, alice_id)); }},
    };
    for (const Row& row : rows) {
        suite.add_row("xattr.capability_is_lost_by_" + std::string(row.name), [row] {
            make_file("f", "abc", 0755);
            set("f", "security.capability", file_capability());
            row.change();
            CHECK_FAILS(ENODATA, getxattr("f", "security.capability", nullptr, 0));
        });
    }
    suite.add("xattr.capability_is_kept_by_chmod_and_reading", [] {
        make_file("f", "abc", 0755);
        set("f", "security.capability", file_capability());
        CHECK_OK(chmod("f", 0711));
        CHECK_SAME("abc", content_of("f"));
        CHECK_OK(getxattr("f", "security.capability", nullptr, 0));
    });
}

}  // namespace

void add_xattr_namespace_cases(Suite& suite) {
    add_unknown(suite);
    add_user(suite);
    add_trusted(suite);
    add_security(suite);
}

}  // namespace posix
