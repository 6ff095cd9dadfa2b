// SPDX-License-Identifier: Apache-2.0
// The fuzzer that must fail: a parser with a hole behind four right bytes. That it is found
// shows that the others are guided by coverage, watched by AddressSanitizer, and heard.
#include <cstddef>
#include <cstdint>
#include <memory>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 5 || data[0] != 'd' || data[1] != 'p' || data[2] != 'f' || data[3] != 's') {
        return 0;
    }
    const std::size_t claimed = data[4];
    const auto copy = std::make_unique<std::uint8_t[]>(size);
    for (std::size_t i = 0; i < size; ++i) copy[i] = data[i];
    // The planted bug: the length is the peer's word.
    volatile std::uint8_t last = copy[claimed];
    return static_cast<int>(last) * 0;
}
