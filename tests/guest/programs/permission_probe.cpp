// SPDX-License-Identifier: Apache-2.0
// Tries every operation on every object of a prepared folder as users with different groups,
// and prints what came of it. The same program runs on the host's file system and in a guest's
// mount; the two outputs must be the same, line by line. Usage: permission_probe FOLDER. What
// an operation changes is put back where its user may do so; what stays changed, stays changed
// in the same way on both sides.

#include "check.hpp"

#include <algorithm>
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <vector>

namespace {

struct User {
    uid_t uid;
    gid_t gid;
    std::vector<gid_t> groups;
};

// The ids that the test's preparation uses: see test_permissions.py.
const std::vector<User> users = {
    {0, 0, {}},
    {1001, 2001, {}},
    {1001, 2009, {2002}},
    {1002, 2001, {}},
    {1002, 2009, {2002}},
    {1003, 2003, {}},
    {1003, 2009, {2001, 2002, 2003}},
    {1004, 2009, {}},
};

std::string name_of(const User& user) {
    std::string text = std::to_string(user.uid) + ":" + std::to_string(user.gid);
    for (const gid_t group : user.groups) text += "+" + std::to_string(group);
    return text;
}

std::vector<std::string> entries_of(const std::string& folder) {
    std::vector<std::string> names;
    DIR* open_folder = opendir(folder.c_str());
    CHECK(open_folder != nullptr);
    while (const dirent* entry = readdir(open_folder)) {
        if (entry->d_name[0] != '.') names.push_back(entry->d_name);
    }
    closedir(open_folder);
    std::sort(names.begin(), names.end());
    return names;
}

class Probe {
  public:
    Probe(std::string user, std::string path)
        : user_(std::move(user)), path_(std::move(path)) {}

    void report(const char* operation, long result, const std::string& more = "") const {
        std::printf("%s %s %s: %s%s\n",
                    user_.c_str(),
                    path_.c_str(),
                    operation,
                    result >= 0 ? "done" : strerrorname_np(errno),
                    more.c_str());
    }

    void file() const {
        report_open("read", O_RDONLY);
        report_open("write", O_WRONLY);
        report("access_execute", access(path(), X_OK));
        struct stat before = {};
        const bool visible = stat(path(), &before) == 0;
        report("stat", visible ? 0 : -1);
        if (!visible) return;
        report("chmod_same", chmod(path(), before.st_mode & 07777));
        report("chgrp_2002", chown(path(), static_cast<uid_t>(-1), 2002));
        restore(before);
        report("chown_1004", chown(path(), 1004, static_cast<gid_t>(-1)));
        restore(before);
        const timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
        report("touch_now", utimensat(AT_FDCWD, path(), now, 0));
        const timespec then[2] = {{1000, 0}, {1000, 0}};
        report("touch_then", utimensat(AT_FDCWD, path(), then, 0));
        report("setxattr", setxattr(path(), "user.probe", "1", 1, 0));
        char value[16];
        report("getxattr", getxattr(path(), "user.probe", value, sizeof value));
        report("removexattr", removexattr(path(), "user.probe"));
        report("truncate", truncate(path(), 0));
    }

    void folder() const {
        DIR* opened = opendir(path());
        report("list", opened != nullptr ? 0 : -1);
        if (opened != nullptr) closedir(opened);
        report_new("create", path_ + "/new_file", [](const char* p) {
            const int fd = open(p, O_CREAT | O_EXCL | O_WRONLY, 0666);
            if (fd >= 0) close(fd);
            return fd;
        });
        report_new(
            "mkdir", path_ + "/new_folder", [](const char* p) { return mkdir(p, 0777); });
        report_new(
            "symlink", path_ + "/new_link", [](const char* p) { return symlink("x", p); });
        report_new("fifo", path_ + "/new_fifo", [](const char* p) { return mkfifo(p, 0666); });
        const std::string victim = path_ + "/victim";
        const std::string moved = path_ + "/moved";
        report_new("link", moved, [&](const char* p) { return link(victim.c_str(), p); });
        report("rename_victim", rename(victim.c_str(), moved.c_str()));
        rename(moved.c_str(), victim.c_str());
        const std::string own_inside = path_ + "/own_of_1001";
        report("rename_own", rename(own_inside.c_str(), moved.c_str()));
        rename(moved.c_str(), own_inside.c_str());
    }

  private:
    const char* path() const { return path_.c_str(); }

    void report_open(const char* operation, int flags) const {
        const int fd = open(path(), flags);
        report(operation, fd);
        if (fd >= 0) close(fd);
    }

    /// Who owns what was made, and with which mode, is part of the result; then it is removed.
    template <typename Make>
    void report_new(const char* operation, const std::string& made, const Make& make) const {
        const int result = make(made.c_str());
        struct stat st = {};
        std::string more;
        if (result >= 0 && lstat(made.c_str(), &st) == 0) {
            char text[64];
            std::snprintf(text, sizeof text, " %o %u:%u", st.st_mode, st.st_uid, st.st_gid);
            more = text;
        }
        report(operation, result, more);
        if (result >= 0 && unlink(made.c_str()) != 0) rmdir(made.c_str());
    }

    void restore(const struct stat& before) const {
        struct stat now = {};
        CHECK(stat(path(), &now) == 0);
        if (now.st_uid == before.st_uid && now.st_gid == before.st_gid) return;
        std::printf("%s %s became %u:%u %o\n",
                    user_.c_str(),
                    path(),
                    now.st_uid,
                    now.st_gid,
                    now.st_mode);
        if (chown(path(), before.st_uid, before.st_gid) == 0)
            chmod(path(), before.st_mode & 07777);
    }

    std::string user_;
    std::string path_;
};

void become(const User& user) {
    CHECK(setgroups(user.groups.size(), user.groups.data()) == 0);
    CHECK(setresgid(user.gid, user.gid, user.gid) == 0);
    CHECK(setresuid(user.uid, user.uid, user.uid) == 0);
}

void probe_as(const User& user,
              const std::vector<std::string>& names,
              const std::string& kind) {
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        become(user);
        for (const std::string& name : names) {
            const Probe probe(name_of(user), kind + "/" + name);
            kind == "files" ? probe.file() : probe.folder();
        }
        std::fflush(stdout);
        std::_Exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

}  // namespace

int main(int argc, char** argv) {
    CHECK(argc == 2 && chdir(argv[1]) == 0);
    umask(0);
    for (const char* kind : {"files", "folders"}) {
        const std::vector<std::string> names = entries_of(kind);
        for (const User& user : users) {
            probe_as(user, names, kind);
            std::fflush(stdout);
        }
    }
}
