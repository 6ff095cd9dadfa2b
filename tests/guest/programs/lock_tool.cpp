// SPDX-License-Identifier: Apache-2.0
// Holds a lock for a test, which says on standard input what to do, one word a line, and reads
// the answer: 'try' -> locked|busy, 'wait' -> waiting, then locked; 'unlock' -> unlocked;
// 'touch' (a request that has nothing to do with locks) -> touched.
// Usage: lock_tool flock|posix|ofd shared|exclusive FILE [START SIZE]

#include "check.hpp"

#include <fcntl.h>
#include <iostream>
#include <string>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

struct Lock {
    std::string kind;
    bool exclusive = false;
    int fd = -1;
    off_t start = 0;
    off_t size = 0;  // 0: to the end of the file
};

bool act_flock(const Lock& lock, bool unlock, bool wait) {
    const int operation = unlock ? LOCK_UN : lock.exclusive ? LOCK_EX : LOCK_SH;
    if (flock(lock.fd, operation | (wait ? 0 : LOCK_NB)) == 0) return true;
    CHECK(errno == EWOULDBLOCK);
    return false;
}

bool act_fcntl(const Lock& lock, bool unlock, bool wait) {
    struct flock range = {};
    range.l_type = static_cast<short>(unlock ? F_UNLCK : lock.exclusive ? F_WRLCK : F_RDLCK);
    range.l_whence = SEEK_SET;
    range.l_start = lock.start;
    range.l_len = lock.size;
    const bool ofd = lock.kind == "ofd";
    const int command = wait ? (ofd ? F_OFD_SETLKW : F_SETLKW) : (ofd ? F_OFD_SETLK : F_SETLK);
    if (fcntl(lock.fd, command, &range) == 0) return true;
    CHECK(errno == EAGAIN || errno == EACCES);
    return false;
}

bool act(const Lock& lock, bool unlock, bool wait) {
    return lock.kind == "flock" ? act_flock(lock, unlock, wait) : act_fcntl(lock, unlock, wait);
}

void say(const char* word) {
    std::cout << word << '\n' << std::flush;
}

void obey(const Lock& lock, const std::string& word) {
    if (word == "try") {
        say(act(lock, false, false) ? "locked" : "busy");
    } else if (word == "wait") {
        say("waiting");
        CHECK(act(lock, false, true));
        say("locked");
    } else if (word == "unlock") {
        CHECK(act(lock, true, false));
        say("unlocked");
    } else if (word == "touch") {
        CHECK(futimens(lock.fd, nullptr) == 0);
        say("touched");
    } else {
        CHECK(word == "quit");
        std::exit(0);
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4 && argc != 6) {
        std::cerr << "usage: lock_tool flock|posix|ofd shared|exclusive FILE [START SIZE]\n";
        return 2;
    }
    Lock lock{argv[1], std::string(argv[2]) == "exclusive"};
    lock.fd = open(argv[3], O_RDWR | O_CREAT, 0666);
    CHECK(lock.fd >= 0);
    if (argc == 6) {
        lock.start = std::stoll(argv[4]);
        lock.size = std::stoll(argv[5]);
    }
    say("ready");
    for (std::string word; std::getline(std::cin, word);) obey(lock, word);
}
