# One line per target: dpfs_library(), dpfs_test(), dpfs_fuzz(), dpfs_bench().

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(OpenSSL 3 REQUIRED)

add_library(dpfs_options INTERFACE)
target_include_directories(dpfs_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(
    dpfs_options
    INTERFACE -Wall -Wextra -Wconversion -Wshadow -Wswitch-enum -Wnon-virtual-dtor
              $<$<CONFIG:Debug>:-Og>
              $<$<BOOL:${DPFS_WERROR}>:-Werror>
              # GCC 12 sees uninitialised use in coroutine frames that its own code generates.
              $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
target_link_libraries(dpfs_options INTERFACE Threads::Threads)
if(DPFS_SANITIZE)
    target_compile_options(dpfs_options INTERFACE -fsanitize=${DPFS_SANITIZE} -fno-omit-frame-pointer
                                                  -fno-sanitize-recover=all)
    target_link_options(dpfs_options INTERFACE -fsanitize=${DPFS_SANITIZE})
    target_compile_definitions(dpfs_options INTERFACE DPFS_SANITIZED=1)
endif()
if(DPFS_FUZZ)
    target_compile_options(dpfs_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Half of a file's compile time is the same standard headers. The debug and tidy presets do
# without, so that a file that forgot an #include is found.
function(dpfs_precompile name)
    if(NOT DPFS_PRECOMPILE)
        return()
    endif()
    if(NOT TARGET dpfs_precompiled)
        file(WRITE ${CMAKE_BINARY_DIR}/precompiled.cpp "")
        add_library(dpfs_precompiled OBJECT ${CMAKE_BINARY_DIR}/precompiled.cpp)
        target_link_libraries(dpfs_precompiled PRIVATE dpfs_options)
        # An upgraded package brings headers that are older than what was built with them.
        target_compile_options(
            dpfs_precompiled PRIVATE $<$<CXX_COMPILER_ID:Clang>:-Xclang -fno-pch-timestamp>)
        target_precompile_headers(
            dpfs_precompiled PRIVATE <algorithm> <array> <atomic> <coroutine> <expected>
            <memory> <optional> <span> <string> <string_view> <utility> <vector> <fmt/format.h>)
    endif()
    target_precompile_headers(${name} REUSE_FROM dpfs_precompiled)
    target_compile_options(${name} PRIVATE $<$<CXX_COMPILER_ID:Clang>:-Xclang -fno-pch-timestamp>)
endfunction()

# Sources that are slow to compile, because of large headers of other libraries, and run once:
# without optimisation they take half the time. A precompiled header would have to be without, too.
function(dpfs_cold_sources)
    set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS -O0 SKIP_PRECOMPILE_HEADERS ON)
endfunction()

# A few sources compiled as one share the headers that each would read again: half the time of a
# whole build. As above, the debug and tidy presets do without. ALONE: sources of a library that
# have the same local names as others.
function(dpfs_compile_together name)
    if(NOT DPFS_PRECOMPILE)
        return()
    endif()
    cmake_parse_arguments(ARG "" "" "ALONE" ${ARGN})
    set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 6)
    set_source_files_properties(${ARG_ALONE} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()

# dpfs_library(NAME SOURCES a.cpp … [ALONE b.cpp …] DEPS dpfs_base … [PRIVATE_DEPS fmt::fmt …])
function(dpfs_library name)
    cmake_parse_arguments(ARG "" "" "SOURCES;ALONE;DEPS;PRIVATE_DEPS" ${ARGN})
    add_library(${name} STATIC ${ARG_SOURCES} ${ARG_ALONE})
    target_link_libraries(${name} PUBLIC dpfs_options ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
    dpfs_precompile(${name})
    dpfs_compile_together(${name} ALONE ${ARG_ALONE})
endfunction()

# dpfs_test(NAME SOURCES a_test.cpp … DEPS dpfs_base … [LABELS unit] [TIMEOUT seconds])
# The fuzz preset builds fuzzers, and what they need.
function(dpfs_test name)
    cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
    find_package(GTest REQUIRED)
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE dpfs_options ${ARG_DEPS} GTest::gmock GTest::gtest_main)
    if(DPFS_FUZZ)
        set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL ON)
        return()
    endif()
    add_test(NAME ${name} COMMAND ${name})
    if(NOT ARG_LABELS)
        set(ARG_LABELS unit)
    endif()
    if(NOT ARG_TIMEOUT)
        set(ARG_TIMEOUT 120)
    endif()
    set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
endfunction()

# dpfs_fuzz(NAME SOURCES a_fuzz.cpp DEPS … CORPUS dir): runs one second over its corpus in ctest.
function(dpfs_fuzz name)
    cmake_parse_arguments(ARG "" "CORPUS" "SOURCES;DEPS" ${ARGN})
    if(NOT DPFS_FUZZ)
        return()
    endif()
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE dpfs_options ${ARG_DEPS})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    # libFuzzer writes what it finds to the first directory: never into the seeds.
    set(scratch ${CMAKE_BINARY_DIR}/corpus/${name})
    file(MAKE_DIRECTORY ${scratch})
    add_test(NAME ${name} COMMAND ${name} -max_total_time=1 -verbosity=0 ${scratch} ${ARG_CORPUS})
    set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT 60)
endfunction()

# dpfs_bench(NAME SOURCES a_bench.cpp DEPS …): a Google Benchmark program.
function(dpfs_bench name)
    cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
    find_package(benchmark REQUIRED)
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE dpfs_options ${ARG_DEPS} benchmark::benchmark_main)
    if(DPFS_FUZZ)
        set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL ON)
    endif()
endfunction()
