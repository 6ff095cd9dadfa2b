// SPDX-License-Identifier: Apache-2.0

// POSIX ACLs, set as the raw system.posix_acl_* attributes: their effect on access, the mask
// and chmod, and inheritance. POSIX 1003.1e draft 17; acl(5).

#include "cases.hpp"

#include <cstdint>
#include <sys/xattr.h>

namespace posix {
namespace {

constexpr const char* access_acl = "system.posix_acl_access";
constexpr const char* default_acl = "system.posix_acl_default";

enum Tag : std::uint16_t {
    user_obj = 0x01,
    user_named = 0x02,
    group_obj = 0x04,
    group_named = 0x08,
    mask = 0x10,
    other = 0x20,
};

// The kernel's form, linux/posix_acl_xattr.h: little-endian, version 2 first.
struct Entry {
    std::uint16_t tag;
    std::uint16_t permissions;
    std::uint32_t id = 0xffff'ffff;
};

std::string encode(std::initializer_list<Entry> entries, std::uint32_t version = 2) {
    std::string bytes(reinterpret_cast<const char*>(&version), sizeof version);
    for (const Entry& entry : entries) {
        bytes.append(reinterpret_cast<const char*>(&entry), sizeof entry);
    }
    return bytes;
}

void set_acl(const char* path, const char* name, const std::string& acl) {
    CHECK_NEEDS(either(EOPNOTSUPP, ENOSYS), setxattr(path, name, acl.data(), acl.size(), 0));
}

std::string get_acl(const char* path, const char* name) {
    char buffer[1000];
    const ssize_t size = CHECK_OK(getxattr(path, name, buffer, sizeof buffer));
    return std::string(buffer, static_cast<std::size_t>(size));
}

/// The owner may do all, alice has `alice_bits`, others nothing.
std::string acl_for_alice(std::uint16_t alice_bits, std::uint16_t mask_bits = 7) {
    return encode({{user_obj, 7},
                   {user_named, alice_bits, alice_id},
                   {group_obj, 0},
                   {mask, mask_bits},
                   {other, 0}});
}

std::string acl_for_team(std::uint16_t team_bits, std::uint16_t mask_bits = 7) {
    return encode({{user_obj, 7},
                   {group_obj, 0},
                   {group_named, team_bits, team_id},
                   {mask, mask_bits},
                   {other, 0}});
}

void check_may(const User& user, int wanted, bool may) {
    as(user, [=] {
        if (may) {
            CHECK_OK(access("f", wanted));
            CHECK_OK(open("f", wanted == R_OK ? O_RDONLY : O_WRONLY));
        } else {
            CHECK_FAILS(EACCES, access("f", wanted));
            CHECK_FAILS(EACCES, open("f", wanted == R_OK ? O_RDONLY : O_WRONLY));
        }
    });
}

void add_access(Suite& suite) {
    suite.add("acl.comes_back_as_set", [] {
        make_file("f");
        set_acl("f", access_acl, acl_for_alice(6));
        CHECK_SAME(acl_for_alice(6), get_acl("f", access_acl));
    });
    suite.add("acl.named_user_gets_what_the_entry_says", [] {
        make_file("f");
        set_acl("f", access_acl, acl_for_alice(4));
        check_may(alice, R_OK, true);
        check_may(alice, W_OK, false);
        check_may(bob, R_OK, false);
    });
    suite.add("acl.named_user_is_limited_by_the_mask", [] {
        make_file("f");
        set_acl("f", access_acl, acl_for_alice(7, 4));
        check_may(alice, R_OK, true);
        check_may(alice, W_OK, false);
    });
    suite.add("acl.named_user_entry_can_take_away", [] {
        make_file("f");
        set_acl("f",
                access_acl,
                encode({{user_obj, 7},
                        {user_named, 0, alice_id},
                        {group_obj, 4},
                        {mask, 7},
                        {other, 4}}));
        check_may(alice, R_OK, false);
        check_may(bob, R_OK, true);
    });
}

void add_group_access(Suite& suite) {
    suite.add("acl.named_group_reaches_supplementary_members", [] {
        make_file("f");
        set_acl("f", access_acl, acl_for_team(6));
        check_may(alice_in_team, R_OK, true);
        check_may(alice_in_team, W_OK, true);
        check_may(alice, R_OK, false);
    });
    suite.add("acl.named_group_reaches_primary_members", [] {
        make_file("f");
        set_acl("f", access_acl, acl_for_team(4));
        check_may({bob_id, team_id}, R_OK, true);
        check_may({bob_id, team_id}, W_OK, false);
    });
    suite.add("acl.named_group_is_limited_by_the_mask", [] {
        make_file("f");
        set_acl("f", access_acl, acl_for_team(7, 4));
        check_may(alice_in_team, R_OK, true);
        check_may(alice_in_team, W_OK, false);
    });
    suite.add("acl.owner_is_not_limited_by_the_mask", [] {
        make_file_of("f", alice_id, alice_id, 0600);
        set_acl("f",
                access_acl,
                encode({{user_obj, 6},
                        {user_named, 7, bob_id},
                        {group_obj, 7},
                        {mask, 0},
                        {other, 0}}));
        check_may(alice, W_OK, true);
        check_may(bob, R_OK, false);
    });
    suite.add("acl.member_of_a_group_without_rights_is_not_other", [] {
        make_file("f");
        set_acl("f",
                access_acl,
                encode({{user_obj, 7},
                        {group_obj, 0},
                        {group_named, 0, team_id},
                        {mask, 7},
                        {other, 4}}));
        check_may(alice_in_team, R_OK, false);
        check_may(alice, R_OK, true);
    });
    suite.add("acl.on_a_directory_decides_about_creation", [] {
        make_dir("d", 0700);
        set_acl("d", access_acl, acl_for_alice(7));
        as(alice, [] { make_file("d/f"); });
        as(bob, [] { CHECK_FAILS(EACCES, open("d/g", O_CREAT | O_RDWR, 0600)); });
        as(alice, [] { CHECK_OK(unlink("d/f")); });
    });
}

void add_mode(Suite& suite) {
    suite.add("acl.mask_is_the_group_part_of_the_mode", [] {
        make_file("f", "", 0600);
        set_acl("f", access_acl, acl_for_alice(6, 5));
        CHECK_MODE(0750u, mode_of("f"));
    });
    suite.add("acl.chmod_changes_the_mask_not_the_group", [] {
        make_file("f", "", 0600);
        set_acl("f", access_acl, acl_for_alice(6, 7));
        CHECK_OK(chmod("f", 0640));
        CHECK_SAME(encode({{user_obj, 6},
                           {user_named, 6, alice_id},
                           {group_obj, 0},
                           {mask, 4},
                           {other, 0}}),
                   get_acl("f", access_acl));
        check_may(alice, R_OK, true);
        check_may(alice, W_OK, false);
    });
    suite.add("acl.minimal_one_is_the_mode_and_is_not_kept", [] {
        make_file("f", "", 0600);
        set_acl("f", access_acl, encode({{user_obj, 6}, {group_obj, 4}, {other, 1}}));
        CHECK_MODE(0641u, mode_of("f"));
        CHECK_FAILS(ENODATA, getxattr("f", access_acl, nullptr, 0));
    });
    suite.add("acl.removal_leaves_the_mode", [] {
        make_file("f", "", 0600);
        set_acl("f", access_acl, acl_for_alice(6, 6));
        CHECK_OK(removexattr("f", access_acl));
        CHECK_FAILS(ENODATA, getxattr("f", access_acl, nullptr, 0));
        CHECK_MODE(0760u, mode_of("f"));
        check_may(alice, R_OK, false);
    });
    suite.add("acl.setting_by_non_member_clears_sgid", [] {
        make_file_of("f", alice_id, team_id, 02755);
        set_acl("f", access_acl, acl_for_alice(6));
        CHECK_OK(chmod("f", 02755));
        as(alice, [] { set_acl("f", access_acl, acl_for_alice(6, 5)); });
        CHECK_MODE(0750u, mode_of("f"));
    });
    suite.add("acl.is_listed", [] {
        make_file("f");
        set_acl("f", access_acl, acl_for_alice(6));
        char buffer[1000];
        const ssize_t size = CHECK_OK(listxattr("f", buffer, sizeof buffer));
        const std::string names(buffer, static_cast<std::size_t>(size));
        CHECK(names.find(access_acl) != std::string::npos);
    });
}

void add_inheritance(Suite& suite) {
    suite.add("acl.default_is_inherited_by_files", [] {
        make_dir("d", 0755);
        set_acl("d", default_acl, acl_for_alice(7));
        CHECK_OK(open("d/f", O_CREAT | O_RDWR, 0666));
        // The mode asked for limits the owner, the mask and the others.
        CHECK_SAME(encode({{user_obj, 6},
                           {user_named, 7, alice_id},
                           {group_obj, 0},
                           {mask, 6},
                           {other, 0}}),
                   get_acl("d/f", access_acl));
        CHECK_MODE(0660u, mode_of("d/f"));
        CHECK_FAILS(either(ENODATA, EOPNOTSUPP), getxattr("d/f", default_acl, nullptr, 0));
    });
    suite.add("acl.default_is_inherited_by_directories_twice", [] {
        make_dir("d", 0755);
        set_acl("d", default_acl, acl_for_alice(7));
        CHECK_OK(mkdir("d/e", 0777));
        CHECK_SAME(acl_for_alice(7), get_acl("d/e", default_acl));
        CHECK_SAME(acl_for_alice(7), get_acl("d/e", access_acl));
    });
    suite.add("acl.default_overrules_umask", [] {
        umask(077);
        make_dir("d", 0755);
        set_acl("d", default_acl, encode({{user_obj, 7}, {group_obj, 7}, {other, 7}}));
        CHECK_OK(open("d/f", O_CREAT | O_RDWR, 0666));
        CHECK_OK(mkdir("d/e", 0777));
        CHECK_OK(mkfifo("d/p", 0666));
        CHECK_MODE(0666u, mode_of("d/f"));
        CHECK_MODE(0777u, mode_of("d/e"));
        CHECK_MODE(0666u, mode_of("d/p"));
    });
    suite.add("acl.default_does_not_decide_about_the_directory", [] {
        make_dir("d", 0700);
        set_acl("d", default_acl, acl_for_alice(7));
        as(alice, [] { CHECK_FAILS(EACCES, open("d/f", O_CREAT | O_RDWR, 0600)); });
        CHECK_MODE(0700u, mode_of("d"));
    });
}

void add_inheritance_limits(Suite& suite) {
    suite.add("acl.default_does_not_touch_symlinks", [] {
        make_dir("d", 0755);
        set_acl("d", default_acl, acl_for_alice(7));
        make_symlink("x", "d/s");
        CHECK_MODE(0777u, mode_of("d/s"));
        CHECK_FAILS(either(ENODATA, EOPNOTSUPP), lgetxattr("d/s", access_acl, nullptr, 0));
    });
    suite.add("acl.default_applies_when_the_file_is_made_not_later", [] {
        make_dir("d", 0755);
        make_file("d/f", "", 0600);
        set_acl("d", default_acl, acl_for_alice(7));
        CHECK_FAILS(ENODATA, getxattr("d/f", access_acl, nullptr, 0));
        make_file("g", "", 0600);
        CHECK_OK(rename("g", "d/g"));
        CHECK_FAILS(ENODATA, getxattr("d/g", access_acl, nullptr, 0));
    });
    suite.add("acl.default_can_be_removed", [] {
        make_dir("d", 0755);
        set_acl("d", default_acl, acl_for_alice(7));
        CHECK_OK(removexattr("d", default_acl));
        CHECK_FAILS(ENODATA, getxattr("d", default_acl, nullptr, 0));
        umask(022);
        CHECK_OK(open("d/f", O_CREAT | O_RDWR, 0666));
        CHECK_MODE(0644u, mode_of("d/f"));
    });
    suite.add("acl.default_gives_the_creator_an_open_file_nonetheless", [] {
        make_dir("d", 0777);
        set_acl("d", default_acl, encode({{user_obj, 0}, {group_obj, 0}, {other, 0}}));
        as(alice, [] {
            const int fd = CHECK_OK(open("d/f", O_CREAT | O_RDWR, 0666));
            CHECK_RETURNS(1, write(fd, "x", 1));
            CHECK_MODE(0u, mode_of(fd));
        });
    });
}

void add_refusals(Suite& suite) {
    struct Row {
        const char* name;
        std::string acl;
        Errors error;
    };
    const Row rows[] = {
        {"without_owner_entry", encode({{group_obj, 4}, {other, 4}}), EINVAL},
        {"without_group_entry", encode({{user_obj, 4}, {other, 4}}), EINVAL},
        {"without_other_entry", encode({{user_obj, 4}, {group_obj, 4}}), EINVAL},
        {"named_user_without_mask",
         encode({{user_obj, 7}, {user_named, 7, alice_id}, {group_obj, 4}, {other, 4}}),
         EINVAL},
        {"owner_entry_twice",
         encode({{user_obj, 7}, {user_obj, 6}, {group_obj, 4}, {other, 4}}),
         EINVAL},
        {"out_of_order", encode({{group_obj, 4}, {user_obj, 7}, {other, 4}}), EINVAL},
        {"unknown_permission", encode({{user_obj, 8}, {group_obj, 4}, {other, 4}}), EINVAL},
        {"unknown_tag", encode({{user_obj, 7}, {group_obj, 4}, {0x40, 4}, {other, 4}}), EINVAL},
        {"unknown_version", encode({{user_obj, 7}, {group_obj, 4}, {other, 4}}, 1), EOPNOTSUPP},
        {"cut_short", encode({{user_obj, 7}}).substr(0, 9), EINVAL},
    };
    for (const Row& row : rows) {
        suite.add_row("acl.malformed_" + std::string(row.name) + "_is_refused", [row] {
            make_file("f", "", 0640);
            set_acl("f", access_acl, acl_for_alice(6));
            CHECK_OK(removexattr("f", access_acl));
            CHECK_OK(chmod("f", 0640));
            CHECK_FAILS(row.error,
                        setxattr("f", access_acl, row.acl.data(), row.acl.size(), 0));
            CHECK_MODE(0640u, mode_of("f"));
        });
    }
    suite.add("acl.by_the_owner_works", [] {
        make_file_of("f", alice_id, alice_id, 0600);
        as(alice, [] { set_acl("f", access_acl, acl_for_team(4)); });
        check_may(bob_in_team, R_OK, true);
    });
    suite.add("acl.by_another_gives_EPERM", [] {
        make_file("f", "", 0666);
        set_acl("f", access_acl, acl_for_alice(7));
        as(alice, [] {
            const std::string acl = acl_for_alice(4);
            CHECK_FAILS(EPERM, setxattr("f", access_acl, acl.data(), acl.size(), 0));
            CHECK_FAILS(EPERM, removexattr("f", access_acl));
        });
    });
    suite.add("acl.default_on_a_file_gives_EACCES", [] {
        make_file("f");
        set_acl("f", access_acl, acl_for_alice(7));
        const std::string acl = acl_for_alice(7);
        CHECK_FAILS(either(EACCES, EINVAL),
                    setxattr("f", default_acl, acl.data(), acl.size(), 0));
    });
    suite.add("acl.on_a_symlink_gives_EOPNOTSUPP", [] {
        make_symlink("missing", "s");
        const std::string acl = acl_for_alice(7);
        CHECK_FAILS(EOPNOTSUPP, lsetxattr("s", access_acl, acl.data(), acl.size(), 0));
    });
    suite.add("acl.into_small_buffer_gives_ERANGE", [] {
        make_file("f");
        set_acl("f", access_acl, acl_for_alice(7));
        char buffer[10];
        CHECK_FAILS(ERANGE, getxattr("f", access_acl, buffer, sizeof buffer));
        CHECK_RETURNS(4 + 5 * 8, getxattr("f", access_acl, nullptr, 0));
    });
}

}  // namespace

void add_acl_cases(Suite& suite) {
    add_access(suite);
    add_group_access(suite);
    add_mode(suite);
    add_inheritance(suite);
    add_inheritance_limits(suite);
    add_refusals(suite);
}

}  // namespace posix
