// SPDX-License-Identifier: Apache-2.0
// Lists a folder while it changes. Usage: list_checker FOLDER STAY_COUNT PASSES
// The folder holds stay_000000 … and other entries come and go, by this program's second thread
// and by whoever else. In each pass, every entry that stays must be listed exactly once.

#include "check.hpp"

#include <atomic>
#include <dirent.h>
#include <fcntl.h>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

constexpr int churn_window = 64;  // how many coming and going files exist at one time

void churn(int folder, const std::atomic<bool>& stop) {
    const auto name = [](long number) { return "guest_churn_" + std::to_string(number); };
    for (long number = 0; !stop; ++number) {
        const int fd = openat(folder, name(number).c_str(), O_CREAT | O_WRONLY, 0644);
        CHECK(fd >= 0 && close(fd) == 0);
        if (number >= churn_window) {
            CHECK(unlinkat(folder, name(number - churn_window).c_str(), 0) == 0);
        }
    }
}

/// Counts how often each staying entry is listed in one pass from the start.
std::vector<int> list_once(DIR* folder, size_t stay_count) {
    std::vector<int> seen(stay_count);
    rewinddir(folder);
    errno = 0;
    while (const dirent* entry = readdir(folder)) {
        size_t number = 0;
        if (std::sscanf(entry->d_name, "stay_%zu", &number) != 1) continue;
        CHECK(number < stay_count);
        ++seen[number];
    }
    CHECK(errno == 0);
    return seen;
}

}  // namespace

int main(int argc, char** argv) {
    CHECK(argc == 4);
    const size_t stay_count = std::stoul(argv[2]);
    const int passes_count = std::stoi(argv[3]);
    DIR* folder = opendir(argv[1]);
    CHECK(folder != nullptr);
    std::atomic<bool> stop = false;
    std::thread changer([&] { churn(dirfd(folder), stop); });
    int wrong_count = 0;
    for (int pass = 0; pass < passes_count; ++pass) {
        const std::vector<int> seen = list_once(folder, stay_count);
        for (size_t number = 0; number < stay_count; ++number) {
            if (seen[number] == 1) continue;
            if (++wrong_count <= 10) {
                std::printf(
                    "pass %d: stay_%06zu listed %d times\n", pass, number, seen[number]);
            }
        }
        std::printf("pass %d over\n", pass);
        std::fflush(stdout);
    }
    stop = true;
    changer.join();
    closedir(folder);
    std::printf("%d wrong\n", wrong_count);
    return wrong_count == 0 ? 0 : 1;
}
