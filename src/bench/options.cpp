// SPDX-License-Identifier: Apache-2.0
#include "bench/options.hpp"

namespace dpfs::bench {

std::string_view describe(Work work) {
    switch (work) {
        case Work::seqread:
            return "READ of the blocks of a file, one after the other";
        case Work::randread:
            return "READ of a random block";
        case Work::seqwrite:
            return "WRITE of the blocks of a file, one after the other";
        case Work::randwrite:
            return "WRITE of a random block";
        case Work::mixed:
            return "READ or WRITE of a random block, as --read-percent says";
        case Work::statfs:
            return "STATFS";
        case Work::getattr:
            return "GETATTR of a file";
        case Work::lookup:
            return "LOOKUP of a name that exists";
        case Work::create_unlink:
            return "CREATE, FLUSH, RELEASE, UNLINK and FORGET of a file";
        case Work::open_close:
            return "OPEN, FLUSH and RELEASE of a file";
        case Work::readdir:
            return "OPENDIR, READDIR until the end, RELEASEDIR";
        case Work::readdirplus:
            return "the same with READDIRPLUS, and a FORGET for each entry";
    }
    return {};
}

}  // namespace dpfs::bench
