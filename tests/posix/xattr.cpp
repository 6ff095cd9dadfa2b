// SPDX-License-Identifier: Apache-2.0

// Extended attributes of the user namespace: values, lists, flags, sizes.

#include "cases.hpp"

#include <set>
#include <sys/xattr.h>

namespace posix {
namespace {

/// Skips where the file system has no such attributes.
void set(const char* path, const char* name, std::string_view value, int flags = 0) {
    CHECK_NEEDS(either(EOPNOTSUPP, ENOSYS),
                setxattr(path, name, value.data(), value.size(), flags));
}

std::string get(const char* path, const char* name) {
    char buffer[1 << 16];
    const ssize_t size = CHECK_OK(getxattr(path, name, buffer, sizeof buffer));
    return std::string(buffer, static_cast<std::size_t>(size));
}

/// The names of the user namespace; others may be there by nature of the system.
std::set<std::string> user_names(const char* path) {
    char buffer[1 << 16];
    const ssize_t size = CHECK_OK(listxattr(path, buffer, sizeof buffer));
    std::set<std::string> names;
    for (const char* at = buffer; at < buffer + size;) {
        const std::string name = at;
        if (name.starts_with("user.")) names.insert(name);
        at += name.size() + 1;
    }
    return names;
}

void add_values(Suite& suite) {
    suite.add("xattr.value_comes_back", [] {
        make_file("f");
        set("f", "user.name", "value");
        CHECK_SAME("value", get("f", "user.name"));
    });
    suite.add("xattr.works_on_a_directory", [] {
        make_dir("d");
        set("d", "user.name", "value");
        CHECK_SAME("value", get("d", "user.name"));
    });
    suite.add("xattr.value_may_be_empty", [] {
        make_file("f");
        set("f", "user.name", "");
        CHECK_RETURNS(0, getxattr("f", "user.name", nullptr, 0));
        CHECK_SAME(1, user_names("f").size());
    });
    suite.add("xattr.value_may_hold_any_byte", [] {
        std::string all;
        for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
        make_file("f");
        set("f", "user.name", all);
        CHECK_SAME(all, get("f", "user.name"));
    });
    suite.add("xattr.value_can_be_replaced_by_shorter_and_longer", [] {
        make_file("f");
        for (const std::size_t size : {10, 1000, 1, 2000, 0, 500}) {
            set("f", "user.name", pattern(size));
            CHECK(get("f", "user.name") == pattern(size));
        }
        CHECK_SAME(1, user_names("f").size());
    });
    suite.add("xattr.value_of_3000_bytes_works", [] {
        make_file("f");
        set("f", "user.name", pattern(3000));
        CHECK(get("f", "user.name") == pattern(3000));
    });
}

void add_names(Suite& suite) {
    suite.add("xattr.names_of_255_bytes_work", [] {
        const std::string name = "user." + std::string(250, 'n');
        make_file("f");
        set("f", name.c_str(), "value");
        CHECK_SAME("value", get("f", name.c_str()));
        CHECK(user_names("f").contains(name));
    });
    suite.add("xattr.names_are_case_sensitive", [] {
        make_file("f");
        set("f", "user.name", "lower");
        set("f", "user.NAME", "upper");
        CHECK_SAME("lower", get("f", "user.name"));
        CHECK_SAME("upper", get("f", "user.NAME"));
    });
    suite.add("xattr.twenty_attributes_are_kept_apart", [] {
        make_file("f");
        for (int i = 0; i < 20; ++i) {
            const std::string text = std::to_string(i);
            set("f", ("user.name" + text).c_str(), "value" + text);
        }
        CHECK_SAME(20, user_names("f").size());
        for (int i = 0; i < 20; i += 2) {
            CHECK_OK(removexattr("f", ("user.name" + std::to_string(i)).c_str()));
        }
        CHECK_SAME(10, user_names("f").size());
        CHECK_SAME("value7", get("f", "user.name7"));
    });
    suite.add("xattr.attributes_follow_the_file_not_the_name", [] {
        make_file("f");
        set("f", "user.name", "value");
        CHECK_OK(link("f", "g"));
        CHECK_OK(rename("f", "h"));
        CHECK_SAME("value", get("g", "user.name"));
        CHECK_SAME("value", get("h", "user.name"));
        make_file("f");
        CHECK_SAME(0, user_names("f").size());
    });
    suite.add("xattr.descriptor_of_unlinked_file_keeps_them", [] {
        const int fd = make_open("f");
        set("f", "user.name", "value");
        CHECK_OK(unlink("f"));
        char buffer[10];
        CHECK_RETURNS(5, fgetxattr(fd, "user.name", buffer, sizeof buffer));
        CHECK_OK(fsetxattr(fd, "user.name", "x", 1, XATTR_REPLACE));
        CHECK_OK(fremovexattr(fd, "user.name"));
    });
    suite.add("xattr.change_by_another_process_is_seen", [] {
        make_file("f");
        set("f", "user.name", "old");
        CHECK_SAME("old", get("f", "user.name"));
        in_child([] { set("f", "user.name", "newer"); });
        CHECK_SAME("newer", get("f", "user.name"));
    });
}

void add_flags_and_sizes(Suite& suite) {
    suite.add("xattr.create_over_existing_gives_EEXIST", [] {
        make_file("f");
        set("f", "user.name", "old", XATTR_CREATE);
        CHECK_FAILS(EEXIST, setxattr("f", "user.name", "new", 3, XATTR_CREATE));
        CHECK_SAME("old", get("f", "user.name"));
    });
    suite.add("xattr.replace_of_missing_gives_ENODATA", [] {
        make_file("f");
        set("f", "user.name", "value");
        CHECK_FAILS(ENODATA, setxattr("f", "user.other", "x", 1, XATTR_REPLACE));
        CHECK_OK(setxattr("f", "user.name", "x", 1, XATTR_REPLACE));
        CHECK_SAME(1, user_names("f").size());
    });
    suite.add("xattr.unknown_flag_gives_EINVAL", [] {
        make_file("f");
        CHECK_FAILS(EINVAL, setxattr("f", "user.name", "x", 1, 0x100));
    });
    suite.add("xattr.both_flags_on_a_missing_attribute_give_an_error", [] {
        make_file("f");
        set("f", "user.other", "x");
        CHECK_FAILS(either(ENODATA, EINVAL),
                    setxattr("f", "user.name", "x", 1, XATTR_CREATE | XATTR_REPLACE));
    });
    suite.add("getxattr.of_size_0_tells_the_size", [] {
        make_file("f");
        set("f", "user.name", "value");
        CHECK_RETURNS(5, getxattr("f", "user.name", nullptr, 0));
    });
    suite.add("getxattr.into_small_buffer_gives_ERANGE", [] {
        make_file("f");
        set("f", "user.name", "value");
        char buffer[10];
        CHECK_FAILS(ERANGE, getxattr("f", "user.name", buffer, 4));
        CHECK_RETURNS(5, getxattr("f", "user.name", buffer, 5));
    });
    suite.add("getxattr.of_missing_gives_ENODATA", [] {
        make_file("f");
        set("f", "user.name", "value");
        char buffer[10];
        CHECK_FAILS(ENODATA, getxattr("f", "user.other", buffer, sizeof buffer));
        CHECK_FAILS(ENODATA, getxattr("f", "user.other", nullptr, 0));
    });
    suite.add("removexattr.of_missing_gives_ENODATA", [] {
        make_file("f");
        set("f", "user.name", "value");
        CHECK_OK(removexattr("f", "user.name"));
        CHECK_FAILS(ENODATA, removexattr("f", "user.name"));
        CHECK_SAME(0, user_names("f").size());
    });
}

void add_sizes(Suite& suite) {
    suite.add("listxattr.of_size_0_tells_the_size", [] {
        make_file("f");
        set("f", "user.name", "value");
        char buffer[1000];
        const ssize_t size = CHECK_OK(listxattr("f", nullptr, 0));
        CHECK_RETURNS(size, listxattr("f", buffer, sizeof buffer));
    });
    suite.add("listxattr.into_small_buffer_gives_ERANGE", [] {
        make_file("f");
        set("f", "user.name", "value");
        char buffer[1000];
        CHECK_FAILS(ERANGE, listxattr("f", buffer, 3));
    });
    suite.add("setxattr.of_64_KiB_works_or_gives_ENOSPC_or_E2BIG", [] {
        make_file("f");
        set("f", "user.small", "x");
        const std::string value = pattern(65'536);
        if (setxattr("f", "user.name", value.data(), value.size(), 0) != 0) {
            CHECK(errno == ENOSPC || errno == E2BIG);
            CHECK_FAILS(ENODATA, getxattr("f", "user.name", nullptr, 0));
        } else {
            CHECK(get("f", "user.name") == value);
        }
    });
    suite.add("setxattr.of_more_than_64_KiB_gives_E2BIG", [] {
        make_file("f");
        const std::string value = pattern(65'537);
        CHECK_FAILS(E2BIG, setxattr("f", "user.name", value.data(), value.size(), 0));
    });
    suite.add("setxattr.failed_replacement_keeps_the_old_value", [] {
        make_file("f");
        set("f", "user.name", "old");
        const std::string value = pattern(65'536);
        if (setxattr("f", "user.name", value.data(), value.size(), 0) != 0) {
            CHECK_SAME("old", get("f", "user.name"));
        }
    });
}

void add_forms(Suite& suite) {
    suite.add("xattr.all_forms_see_the_same", [] {
        make_file("f");
        make_symlink("f", "s");
        set("s", "user.name", "value");
        char buffer[1000];
        const int fd = open_file("f", O_RDONLY);
        CHECK_RETURNS(5, getxattr("s", "user.name", buffer, sizeof buffer));
        CHECK_RETURNS(5, lgetxattr("f", "user.name", buffer, sizeof buffer));
        CHECK_RETURNS(5, fgetxattr(fd, "user.name", buffer, sizeof buffer));
        const ssize_t size = CHECK_OK(listxattr("f", buffer, sizeof buffer));
        CHECK_RETURNS(size, llistxattr("f", buffer, sizeof buffer));
        CHECK_RETURNS(size, flistxattr(fd, buffer, sizeof buffer));
    });
    suite.add("xattr.read_only_descriptor_may_set", [] {
        make_file("f");
        const int fd = open_file("f", O_RDONLY);
        CHECK_NEEDS(EOPNOTSUPP, fsetxattr(fd, "user.name", "value", 5, 0));
        CHECK_SAME("value", get("f", "user.name"));
        CHECK_OK(fremovexattr(fd, "user.name"));
    });
    suite.add("xattr.of_closed_descriptor_gives_EBADF", [] {
        CHECK_FAILS(EBADF, fgetxattr(bad_descriptor, "user.x", nullptr, 0));
        CHECK_FAILS(EBADF, fsetxattr(bad_descriptor, "user.x", "", 0, 0));
        CHECK_FAILS(EBADF, flistxattr(bad_descriptor, nullptr, 0));
        CHECK_FAILS(EBADF, fremovexattr(bad_descriptor, "user.x"));
    });
    suite.add("xattr.name_or_value_at_bad_address_gives_EFAULT", [] {
        make_file("f");
        CHECK_FAILS(EFAULT, setxattr("f", bad_address(), "x", 1, 0));
        CHECK_FAILS(EFAULT, setxattr("f", "user.x", bad_address(), 1, 0));
        CHECK_FAILS(EFAULT, getxattr("f", bad_address(), nullptr, 0));
    });
    suite.add("xattr.name_empty_or_too_long_gives_ERANGE", [] {
        make_file("f");
        const std::string name = "user." + std::string(251, 'n');
        CHECK_FAILS(ERANGE, setxattr("f", "", "x", 1, 0));
        CHECK_FAILS(ERANGE, setxattr("f", name.c_str(), "x", 1, 0));
        CHECK_FAILS(ERANGE, getxattr("f", name.c_str(), nullptr, 0));
        CHECK_FAILS(ERANGE, removexattr("f", name.c_str()));
    });
}

}  // namespace

void add_xattr_cases(Suite& suite) {
    add_values(suite);
    add_names(suite);
    add_flags_and_sizes(suite);
    add_sizes(suite);
    add_forms(suite);
}

}  // namespace posix
